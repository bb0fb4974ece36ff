//! The host's client against a real agent, which runs as an ordinary process on this machine.

mod control;
mod exec;
mod files;
mod freeze;
mod reattach;
mod support;
mod terminal;
