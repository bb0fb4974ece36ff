//! Finding the agent that goes into an image, and refusing one that could not run there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::error::{ImageError, at};

const FILE_NAME: &str = "computer-agent";
const PROGRAM_HEADER_INTERPRETER: u32 = 3;

/// The agent's binary.
#[derive(Debug)]
pub(crate) struct Agent {
    /// Its bytes.
    pub(crate) content: Vec<u8>,
}

impl Agent {
    /// Reads the agent at `given`, or else the one installed beside the running program: in `../lib/computer/` (where `make agent` and
    /// packages put it), or in the program's own directory.
    pub(crate) fn find(given: Option<&Path>) -> Result<Self, ImageError> {
        let candidates = match given {
            Some(path) => vec![path.to_owned()],
            None => beside_program()?,
        };
        let Some(path) = candidates.iter().find(|path| path.is_file()) else {
            let looked: Vec<_> = candidates.iter().map(|path| path.display().to_string()).collect();
            return Err(ImageError::NoAgent { looked: looked.join(", ") });
        };
        let content = fs::read(path).map_err(at("read", path))?;
        if !is_static_executable(&content) {
            return Err(ImageError::AgentNotStatic { path: path.clone() });
        }
        Ok(Self { content })
    }
}

fn beside_program() -> Result<Vec<PathBuf>, ImageError> {
    let program = std::env::current_exe().map_err(at("find", "the running program"))?;
    let directory = program.parent().unwrap_or(Path::new("/"));
    let installed = directory.parent().unwrap_or(directory).join("lib/computer").join(FILE_NAME);
    Ok(vec![installed, directory.join(FILE_NAME)])
}

/// Whether this is a 64-bit ELF executable that asks for no program interpreter (ELF-64, "Program Header").
fn is_static_executable(content: &[u8]) -> bool {
    let number = |at: usize, bytes: usize| -> Option<usize> {
        let field = content.get(at..at.checked_add(bytes)?)?;
        let number = field.iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        usize::try_from(number).ok()
    };
    let has_interpreter = || -> Option<bool> {
        let (table, entry, count) = (number(0x20, 8)?, number(0x36, 2)?, number(0x38, 2)?);
        for index in 0..count {
            let header = table.checked_add(entry * index)?;
            if number(header, 4)? == PROGRAM_HEADER_INTERPRETER as usize {
                return Some(true);
            }
        }
        Some(false)
    };
    content.starts_with(b"\x7fELF\x02\x01") && has_interpreter() == Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(program_header: u32) -> Vec<u8> {
        let mut elf = vec![0; 0x40 + 56];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[0x20] = 0x40;
        elf[0x36] = 56;
        elf[0x38] = 1;
        elf[0x40..][..4].copy_from_slice(&program_header.to_le_bytes());
        elf
    }

    #[test]
    fn only_an_executable_without_an_interpreter_is_static() {
        assert!(is_static_executable(&elf(1)));
        assert!(!is_static_executable(&elf(PROGRAM_HEADER_INTERPRETER)));
        assert!(!is_static_executable(b"#!/bin/sh\n"));
        assert!(!is_static_executable(&elf(1)[..0x40]));
    }

    #[test]
    fn an_absent_agent_is_told_with_where_it_was_looked_for() {
        let error = Agent::find(Some(Path::new("/nowhere/agent"))).expect_err("absent");
        assert!(error.to_string().contains("/nowhere/agent"));
    }
}
