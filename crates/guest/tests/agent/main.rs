//! The host's client against a real agent, which runs as an ordinary process on this machine.

mod connect;
mod control;
mod exec;
mod file_streams;
mod files;
mod footprint;
mod freeze;
mod hostile;
mod login;
mod mounts;
mod reattach;
mod support;
mod terminal;
mod vsock;
