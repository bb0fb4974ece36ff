//! A `computerd` whose disk is full during one step of one kind of operation.
//!
//! It is the daemon itself, told by its [`Watch`] where it is, as in [`crate::mortal`].

use std::fmt;
use std::fs::File;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use camino::Utf8PathBuf;
use engine::watch::{Moment, Watch};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

/// The variable that says when the disk is filled.
pub const VARIABLE: &str = "HARNESS_FILLING";

/// When a disk is full: during the step of this name of an operation of this kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filling {
    /// The kind of operation, as the contract spells it.
    pub kind: String,
    /// The name of the step.
    pub step: String,
    /// The file that takes all there is.
    pub file: Utf8PathBuf,
}

impl fmt::Display for Filling {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.kind, self.step, self.file)
    }
}

impl FromStr for Filling {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, ':').map(str::to_owned);
        match (parts.next(), parts.next(), parts.next()) {
            (Some(kind), Some(step), Some(file)) => Ok(Self { kind, step, file: file.into() }),
            _ => Err(format!("{text:?} is not KIND:STEP:FILE")),
        }
    }
}

/// Fills the disk there.
#[derive(Debug)]
pub struct FillingWatch(Filling);

impl FillingWatch {
    /// A watch over a whole life.
    pub fn new(filling: Filling) -> Self {
        Self(filling)
    }

    fn is_now(&self, moment: Moment<'_>) -> bool {
        moment.kind.as_str() == self.0.kind && moment.step == self.0.step
    }
}

impl Watch for FillingWatch {
    fn begins(&self, moment: Moment<'_>) {
        if self.is_now(moment) {
            fill(&self.0).expect("a disk can be filled");
        }
    }

    fn ended(&self, moment: Moment<'_>, _took: Duration) {
        if self.is_now(moment) {
            std::fs::remove_file(&self.0.file).expect("the disk was filled");
        }
    }
}

/// Takes what is left, in pieces that halve until not one block is left. Nothing is written: it costs the backing store nothing.
fn fill(filling: &Filling) -> io::Result<()> {
    const BLOCK: u64 = 4096;
    let file = File::options().write(true).create(true).truncate(false).open(&filling.file)?;
    let mut taken = 0;
    let mut piece = 1 << 34;
    while piece >= BLOCK {
        match fallocate(&file, FallocateFlags::empty(), taken, piece) {
            Ok(()) => taken += piece,
            Err(Errno::NOSPC) => piece /= 2,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filling_is_what_it_was_said_to_be() {
        let filling = Filling {
            kind: "create_snapshot".into(),
            step: "capture".into(),
            file: "/place/with:colon".into(),
        };
        assert_eq!(filling.to_string().parse(), Ok(filling));
        assert!("create_snapshot:capture".parse::<Filling>().is_err());
    }
}
