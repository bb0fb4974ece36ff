//! `computer doctor`: what this host lacks to run machines, and how to mend it.
//!
//! Every check is a module's function that answers [`Check`]s; none leaves a change on the host.

mod arguments;
mod check;
mod daemon;
mod kernel;
mod probe;
mod report;
mod storage;
mod tools;

pub use self::{
    arguments::DoctorArguments,
    check::{Check, Status},
    report::{Report, run},
};
