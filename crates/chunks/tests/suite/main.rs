//! What this crate promises, tried on real files and against an object store that lies and fails.

mod chunked;
mod chunked_model;
mod chunked_tampering;
mod clone;
mod download;
mod durable;
mod fetch;
mod manifest;
mod reflink;
mod seal;
mod store;
mod support;
mod upload;
