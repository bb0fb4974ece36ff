//! The gRPC services: each method decodes, calls the part that knows, and encodes.

mod control;
mod files;
mod mounts;
mod sessions;

use std::error::Error;

pub(crate) use control::ControlService;
pub(crate) use files::FilesService;
pub(crate) use mounts::MountsService;
pub(crate) use sessions::SessionsService;

/// An error with all its causes, for the host's error message.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// A refusal because of an argument.
fn invalid(error: &dyn Error) -> tonic::Status {
    tonic::Status::invalid_argument(chain(error))
}
