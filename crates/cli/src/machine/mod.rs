//! Machines: the verbs at the top of the command line.

mod artifact;
mod create;
mod guest;
mod lifecycle;
mod resize;
mod shown;
mod tuning;

pub(crate) use artifact::{ArtifactArguments, artifact_of_image};
pub(crate) use create::CreateArguments;
pub(crate) use guest::GuestArguments;
pub(crate) use lifecycle::{
    DeleteArguments, ListArguments, ShowArguments, StartArguments, StopArguments, WaitArguments,
};

pub(crate) use create::{create, made_up_name};
pub(crate) use lifecycle::{delete, list, show, start, stop};
pub(crate) use resize::{ResizeArguments, resize};
pub(crate) use shown::{ShownMachine, running};
