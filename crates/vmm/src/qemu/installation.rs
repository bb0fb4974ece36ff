//! The QEMU of this host: found, asked for its version, copied into a runtime directory.

use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};

use crate::jail::runtime::{self, Runtime, Sources};

use super::error::QemuError;
use super::shutdown;

/// Firmware without which microvm starts neither a bzImage nor an ELF kernel.
const NEEDED_FIRMWARE: [&str; 3] = ["bios-microvm.bin", "linuxboot_dma.bin", "pvh.bin"];
/// Firmware that some builds want beside it.
const FURTHER_FIRMWARE: [&str; 2] = ["qboot.rom", "kvmvapic.bin"];
/// TCG, where a distribution builds it as a module.
const MODULES: [&str; 1] = ["accel-tcg-x86_64.so"];

/// A QEMU that can be run in jails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// Its copy.
    pub runtime: Runtime,
    /// Its version and build, as it says them: `7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)`.
    pub version: String,
    /// Whether this build tells a guest's power-off from other ends.
    pub tells_power_off: bool,
}

impl Installation {
    /// Finds what belongs to `binary` and prepares its copy. Blocking.
    pub fn prepare(binary: &Utf8Path, runtimes: &Utf8Path) -> Result<Self, QemuError> {
        let said = ask(binary, &["--version"])?;
        let version =
            version(&said).ok_or_else(|| unusable(binary, format!("it says {said:?}")))?;
        let data_dirs: Vec<Utf8PathBuf> =
            ask(binary, &["-L", "help"])?.lines().map(Into::into).collect();
        let mut firmware = Vec::new();
        for name in NEEDED_FIRMWARE {
            let found = find(&data_dirs, name);
            firmware.push(
                found.ok_or_else(|| {
                    unusable(binary, format!("{name} is in none of {data_dirs:?}"))
                })?,
            );
        }
        firmware.extend(FURTHER_FIRMWARE.iter().filter_map(|name| find(&data_dirs, name)));
        let module_dirs = module_dirs(binary);
        let modules = MODULES.iter().filter_map(|name| find(&module_dirs, name)).collect();
        let program = binary.canonicalize_utf8().map_err(|source| QemuError::File {
            action: "find",
            path: binary.to_owned(),
            source,
        })?;
        let tells_power_off = shutdown::is_told_by(binary).map_err(|source| QemuError::File {
            action: "try",
            path: binary.to_owned(),
            source,
        })?;
        let runtime = runtime::prepare(&Sources { program, modules, firmware }, runtimes)?;
        Ok(Self { runtime, version, tells_power_off })
    }
}

fn ask(binary: &Utf8Path, arguments: &[&str]) -> Result<String, QemuError> {
    let output = Command::new(binary)
        .args(arguments)
        .env_clear()
        .output()
        .map_err(|source| QemuError::File { action: "run", path: binary.to_owned(), source })?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// From the first line, `QEMU emulator version <version>`.
fn version(said: &str) -> Option<String> {
    said.lines()
        .next()?
        .strip_prefix("QEMU emulator version ")
        .map(|version| version.trim().to_owned())
}

fn module_dirs(binary: &Utf8Path) -> Vec<Utf8PathBuf> {
    let prefix = binary.parent().and_then(Utf8Path::parent).unwrap_or(Utf8Path::new("/usr"));
    ["lib/x86_64-linux-gnu/qemu", "lib64/qemu", "lib/qemu"]
        .iter()
        .map(|dir| prefix.join(dir))
        .collect()
}

/// Under the name that QEMU asks for, whatever it links to.
fn find(dirs: &[Utf8PathBuf], name: &str) -> Option<Utf8PathBuf> {
    dirs.iter().map(|dir| dir.join(name)).find(|path| path.is_file())
}

fn unusable(binary: &Utf8Path, reason: String) -> QemuError {
    QemuError::Unusable { binary: binary.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_keeps_the_build_of_the_distribution() {
        let said = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright (c) 2003-2022\n";
        assert_eq!(version(said).unwrap(), "7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)");
        assert_eq!(version("BusyBox v1.35\n"), None);
    }
}
