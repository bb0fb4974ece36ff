//! One end of a copy.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use contract::id::MachineId;

/// One end of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a machine.
    Machine(InMachine),
    /// Here.
    Local(PathBuf),
    /// Standard input or output.
    Pipe,
}

/// A path in a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InMachine {
    /// The machine.
    pub(crate) machine: MachineId,
    /// The path, relative to the workspace; may be empty.
    pub(crate) path: String,
}

impl FromStr for Place {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        if text == "-" {
            return Ok(Self::Pipe);
        }
        let in_machine = text.split_once(':').and_then(|(machine, path)| {
            let machine = machine.parse().ok()?;
            Some(InMachine { machine, path: path.to_owned() })
        });
        Ok(in_machine.map_or_else(|| Self::Local(PathBuf::from(text)), Self::Machine))
    }
}

impl InMachine {
    /// The same machine, with this name in that directory.
    pub(super) fn join(&self, name: &str) -> Self {
        let directory = self.path.trim_end_matches('/');
        let path = match (directory.is_empty(), self.path.starts_with('/')) {
            (true, false) => name.to_owned(),
            (true, true) | (false, _) => format!("{directory}/{name}"),
        };
        Self { machine: self.machine.clone(), path }
    }

    /// The last name in it; empty for the workspace itself.
    pub(super) fn name(&self) -> &str {
        self.path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
    }

    /// How people write it.
    pub(super) fn shown(&self) -> String {
        format!("{}:{}", self.machine, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(path: &str) -> InMachine {
        InMachine { machine: "box".parse().unwrap(), path: path.into() }
    }

    #[test]
    fn a_name_before_a_colon_is_a_machine_and_anything_else_is_local() {
        assert_eq!("-".parse(), Ok(Place::Pipe));
        assert_eq!("box:a/b".parse(), Ok(Place::Machine(machine("a/b"))));
        assert_eq!("box:".parse(), Ok(Place::Machine(machine(""))));
        for local in ["a", "./a:b", "/x/y:z", "a_b:c", ":a"] {
            assert_eq!(local.parse(), Ok(Place::Local(local.into())), "{local}");
        }
    }

    #[test]
    fn names_are_put_into_directories() {
        assert_eq!(machine("").join("x").path, "x");
        assert_eq!(machine("d/").join("x").path, "d/x");
        assert_eq!((machine("d/e/").name(), machine("").name()), ("e", ""));
    }
}
