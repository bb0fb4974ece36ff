//! Which shared libraries a program loads, as its own dynamic loader says.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};

/// `PT_INTERP` of elf(5).
const INTERPRETER_HEADER: u32 = 3;
/// More program headers than any real binary has.
const MAXIMUM_HEADERS: u16 = 128;

/// The dynamic loader that a 64-bit little-endian ELF file names; `None` for a static one.
pub fn interpreter(program: &Utf8Path) -> io::Result<Option<Utf8PathBuf>> {
    let file = File::open(program)?;
    let none = || io::Error::new(io::ErrorKind::InvalidData, "not a 64-bit ELF program");
    let mut header = [0_u8; 64];
    file.read_exact_at(&mut header, 0).map_err(|_too_short| none())?;
    let is_elf64 = header.starts_with(b"\x7fELF\x02\x01");
    let (offset, size, count) =
        (number(&header, 32, 8), number(&header, 54, 2), number(&header, 56, 2));
    if !is_elf64 || size < 56 || count > u64::from(MAXIMUM_HEADERS) {
        return Err(none());
    }
    for index in 0..count {
        let mut entry = [0_u8; 56];
        file.read_exact_at(&mut entry, offset.saturating_add(index * size))?;
        if number(&entry, 0, 4) == u64::from(INTERPRETER_HEADER) {
            let mut path =
                vec![0_u8; usize::try_from(number(&entry, 32, 8).min(4096)).unwrap_or(4096)];
            file.read_exact_at(&mut path, number(&entry, 8, 8))?;
            let path = String::from_utf8(path).map_err(io::Error::other)?;
            return Ok(Some(path.trim_end_matches('\0').into()));
        }
    }
    Ok(None)
}

fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    bytes[at..at + length].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// The files that `interpreter` would load for `program`.
pub(super) fn libraries(
    interpreter: &Utf8Path,
    program: &Utf8Path,
) -> io::Result<Vec<Utf8PathBuf>> {
    let output = Command::new(interpreter).arg("--list").arg(program).env_clear().output()?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("{interpreter} --list {program}: {}", reason.trim())));
    }
    parse(&String::from_utf8_lossy(&output.stdout))
}

/// Lines are `name => path (address)`, `path (address)` for the loader itself, or `name (address)` for the vDSO.
fn parse(listing: &str) -> io::Result<Vec<Utf8PathBuf>> {
    let mut found = Vec::new();
    for line in listing.lines() {
        let Some((name, target)) = line.trim().split_once(" => ") else { continue };
        if target.starts_with("not found") {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("shared library {name}")));
        }
        found.push(target.rsplit_once(" (").map_or(target, |(path, _address)| path).into());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_names_the_libraries_but_neither_loader_nor_vdso() {
        let listing = "\tlinux-vdso.so.1 (0x00007f)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
                       \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        assert_eq!(parse(listing).unwrap(), [Utf8PathBuf::from("/lib/x86_64-linux-gnu/libc.so.6")]);
    }

    #[test]
    fn a_missing_library_is_an_error_that_names_it() {
        let error = parse("\tlibgone.so.1 => not found\n").unwrap_err();
        assert!(error.to_string().contains("libgone.so.1"));
    }

    #[test]
    fn this_test_program_has_a_loader_and_a_text_file_is_no_program() {
        let own = Utf8PathBuf::from_path_buf(std::env::current_exe().unwrap()).unwrap();
        let interpreter = interpreter(&own).unwrap().unwrap();
        assert!(
            libraries(&interpreter, &own)
                .unwrap()
                .iter()
                .any(|path| path.as_str().contains("libc.so"))
        );
        assert!(super::interpreter(Utf8Path::new("/etc/passwd")).is_err());
    }
}
