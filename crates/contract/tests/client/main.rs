//! The client against a small host of its own making: what goes over the wire, and what is made of each answer.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod calls;
mod exec;
mod host;
