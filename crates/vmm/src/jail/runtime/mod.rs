//! A private, read-only copy of a VMM: its binary, loader, libraries, modules and firmware in one flat directory.
//!
//! ```text
//! <runtimes>/<digest>/<name>    the binary
//!                     ld.so     its dynamic loader
//!                     lib/      the shared libraries of binary and modules
//!                     modules/  loadable modules
//!                     share/    firmware
//! ```
//! It is prepared once for each set of files and mounted read-only into every jail, so that no jail sees the host's file system.
//! `digest` covers every file, so an upgraded library makes a new directory, and running machines keep the old one.

mod libraries;
mod prepare;

use camino::{Utf8Path, Utf8PathBuf};

pub use libraries::interpreter;
pub use prepare::{RuntimeError, Sources, prepare};

/// The dynamic loader's name in the directory.
pub const INTERPRETER_NAME: &str = "ld.so";
/// The directory of shared libraries.
pub const LIBRARY_DIR: &str = "lib";
/// The directory of loadable modules.
pub const MODULE_DIR: &str = "modules";
/// The directory of firmware.
pub const FIRMWARE_DIR: &str = "share";

/// A prepared runtime directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    /// The directory on the host.
    pub directory: Utf8PathBuf,
    /// Where the binary expects its dynamic loader; none for a static one.
    pub interpreter: Option<Utf8PathBuf>,
    /// The binary's name in the directory.
    pub program_name: String,
    /// SHA-256 of the binary, 64 hex digits.
    pub program_sha256_hex: String,
}

impl Runtime {
    /// The binary on the host, for asking it for its version.
    pub fn program(&self) -> Utf8PathBuf {
        self.directory.join(&self.program_name)
    }

    /// The same binary inside a jail.
    pub fn program_inside(&self) -> Utf8PathBuf {
        inside(&self.program_name)
    }
}

/// A name of the directory as the jail sees it.
pub fn inside(name: &str) -> Utf8PathBuf {
    Utf8Path::new(super::spec::RUNTIME_DIR).join(name)
}
