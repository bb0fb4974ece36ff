//! Making a runtime directory: gather, digest, copy beside, rename into place.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest, Sha256};

use super::{FIRMWARE_DIR, INTERPRETER_NAME, LIBRARY_DIR, MODULE_DIR, Runtime, libraries};

/// Why a runtime directory could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The binary's loader or libraries could not be found out.
    #[error("find what {program} loads")]
    Resolve {
        /// The binary or module.
        program: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Two libraries of one name would collide in the flat directory.
    #[error("{first} and {second} have the same name")]
    Collision {
        /// The one.
        first: Utf8PathBuf,
        /// The other.
        second: Utf8PathBuf,
    },
    /// A file could not be read.
    #[error("read {path}")]
    Read {
        /// Which.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The directory could not be written.
    #[error("write {path}")]
    Write {
        /// Which file or directory.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What a runtime directory is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// The binary.
    pub program: Utf8PathBuf,
    /// Modules that it loads by name.
    pub modules: Vec<Utf8PathBuf>,
    /// Firmware files.
    pub firmware: Vec<Utf8PathBuf>,
}

/// Prepares the runtime directory beneath `runtimes`, or finds it prepared. Blocking: it reads some 50 MB.
pub fn prepare(sources: &Sources, runtimes: &Utf8Path) -> Result<Runtime, RuntimeError> {
    let program = &sources.program;
    let interpreter = libraries::interpreter(program)
        .map_err(|source| RuntimeError::Resolve { program: program.clone(), source })?;
    let program_name = program.file_name().unwrap_or("program").to_owned();
    let files = gather(sources, &program_name, interpreter.as_deref())?;
    let mut whole = Sha256::new();
    let mut program_sha256_hex = String::new();
    for (name, path) in &files {
        let digest = sha256_hex(path)?;
        whole.update(format!("{name}\n{digest}\n"));
        if *name == program_name {
            program_sha256_hex = digest;
        }
    }
    let directory = runtimes.join(hex(&whole.finalize()));
    if !directory.is_dir() {
        copy_all(&files, runtimes, &directory)?;
    }
    Ok(Runtime { directory, interpreter, program_name, program_sha256_hex })
}

/// Every file by its name in the directory.
fn gather(
    sources: &Sources,
    program_name: &str,
    interpreter: Option<&Utf8Path>,
) -> Result<BTreeMap<String, Utf8PathBuf>, RuntimeError> {
    let mut files = BTreeMap::from([(program_name.to_owned(), sources.program.clone())]);
    if let Some(interpreter) = interpreter {
        files.insert(INTERPRETER_NAME.to_owned(), interpreter.to_owned());
        for loading in std::iter::once(&sources.program).chain(&sources.modules) {
            let found = libraries::libraries(interpreter, loading)
                .map_err(|source| RuntimeError::Resolve { program: loading.clone(), source })?;
            for path in found {
                add(&mut files, LIBRARY_DIR, path)?;
            }
        }
    }
    for path in &sources.modules {
        add(&mut files, MODULE_DIR, path.clone())?;
    }
    for path in &sources.firmware {
        add(&mut files, FIRMWARE_DIR, path.clone())?;
    }
    Ok(files)
}

fn add(
    files: &mut BTreeMap<String, Utf8PathBuf>,
    dir: &str,
    path: Utf8PathBuf,
) -> Result<(), RuntimeError> {
    let name = format!("{dir}/{}", path.file_name().unwrap_or_default());
    match files.get(&name) {
        Some(other) if *other != path => {
            Err(RuntimeError::Collision { first: other.clone(), second: path })
        }
        _ => {
            files.insert(name, path);
            Ok(())
        }
    }
}

/// Copies beside the final place, so that a directory of that name is always whole.
fn copy_all(
    files: &BTreeMap<String, Utf8PathBuf>,
    runtimes: &Utf8Path,
    to: &Utf8Path,
) -> Result<(), RuntimeError> {
    let failed = |path: &Utf8Path| {
        let path = path.to_owned();
        move |source| RuntimeError::Write { path, source }
    };
    // One daemon holds this root, so what lies there already was left by a crash.
    let beside = runtimes.join(".making");
    remove(&beside).map_err(failed(&beside))?;
    for dir in ["", LIBRARY_DIR, MODULE_DIR, FIRMWARE_DIR] {
        let path = beside.join(dir);
        DirBuilder::new().recursive(true).mode(0o755).create(&path).map_err(failed(&path))?;
    }
    for (name, from) in files {
        let path = beside.join(name);
        // copy(2) by the standard library shares the blocks where the file system can.
        fs::copy(from, &path).map_err(failed(&path))?;
        fs::set_permissions(&path, Permissions::from_mode(0o555)).map_err(failed(&path))?;
        File::open(&path).and_then(|file| file.sync_all()).map_err(failed(&path))?;
    }
    for dir in [LIBRARY_DIR, MODULE_DIR, FIRMWARE_DIR, ""] {
        let path = beside.join(dir);
        fs::set_permissions(&path, Permissions::from_mode(0o555)).map_err(failed(&path))?;
        File::open(&path).and_then(|file| file.sync_all()).map_err(failed(&path))?;
    }
    fs::rename(&beside, to).map_err(failed(to))?;
    File::open(runtimes).and_then(|dir| dir.sync_all()).map_err(failed(runtimes))
}

fn remove(dir: &Utf8Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sha256_hex(path: &Utf8Path) -> Result<String, RuntimeError> {
    let failed = |source| RuntimeError::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0_u8; 128 * 1024];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(hex(&hasher.finalize())),
            length => hasher.update(&buffer[..length]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_directory_is_complete_read_only_and_made_once() {
        let temporary = tempfile::tempdir().unwrap();
        let runtimes = Utf8Path::from_path(temporary.path()).unwrap();
        let firmware = runtimes.join("firmware.bin");
        fs::write(&firmware, "boots").unwrap();
        let program = Utf8PathBuf::from_path_buf(std::env::current_exe().unwrap()).unwrap();
        let sources = Sources { program, modules: Vec::new(), firmware: vec![firmware.clone()] };

        let runtime = prepare(&sources, runtimes).unwrap();
        let again = prepare(&sources, runtimes).unwrap();

        assert_eq!(runtime, again);
        assert_eq!(runtime.program_sha256_hex, sha256_hex(&sources.program).unwrap());
        assert_eq!(
            fs::read_to_string(runtime.directory.join("share/firmware.bin")).unwrap(),
            "boots"
        );
        assert!(runtime.directory.join("lib/libc.so.6").is_file());
        for path in
            [runtime.program(), runtime.directory.clone(), runtime.directory.join(INTERPRETER_NAME)]
        {
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o555, "{path}");
        }
        fs::write(&firmware, "boots better").unwrap();
        assert_ne!(prepare(&sources, runtimes).unwrap().directory, runtime.directory);
    }
}
