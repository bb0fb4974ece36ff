//! Reflinks on a real XFS, where this machine lets us mount one.

use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use chunks::files::{CloneMode, Cloned, clone_file, supports_reflink};

use crate::support::{MIB, Scratch, scratch, sparse_file};

/// An XFS in a file, unmounted with the test.
struct LoopXfs {
    scratch: Scratch,
    mount: Utf8PathBuf,
}

impl LoopXfs {
    fn mount() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("not root".to_owned());
        }
        let scratch = scratch();
        let (image, mount) = (scratch.join("chunks-test.xfs"), scratch.join("chunks-test-mount"));
        let file = std::fs::File::create_new(&image).map_err(|error| error.to_string())?;
        file.set_len(512 * MIB).map_err(|error| error.to_string())?;
        std::fs::create_dir(&mount).map_err(|error| error.to_string())?;
        run("mkfs.xfs", &["-q", "-m", "reflink=1", image.as_str()])?;
        run("mount", &["-o", "loop", image.as_str(), mount.as_str()])?;
        Ok(Self { scratch, mount })
    }
}

impl Drop for LoopXfs {
    fn drop(&mut self) {
        if let Err(reason) = run("umount", &[self.mount.as_str()]) {
            eprintln!("{} stays mounted: {reason}", self.mount);
        }
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

fn allocated_in(directory: &Utf8Path) -> u64 {
    let stat = rustix::fs::statvfs(directory.as_str()).expect("statvfs");
    (stat.f_blocks - stat.f_bfree) * stat.f_frsize
}

#[test]
fn a_reflink_shares_its_blocks_and_is_independent_once_written_promise_p5() {
    let xfs = match LoopXfs::mount() {
        Ok(xfs) => xfs,
        Err(reason) => return println!("skipped: no XFS can be mounted here: {reason}"),
    };
    assert!(supports_reflink(&xfs.mount).expect("probed"));
    let (from, to) = (xfs.mount.join("from"), xfs.mount.join("to"));
    sparse_file(&from, 128 * MIB, &[(MIB, 64 * MIB)]);
    let before = allocated_in(&xfs.mount);

    for (how, target) in [(CloneMode::Reflink, &to), (CloneMode::Auto, &xfs.mount.join("auto"))] {
        let cloned = clone_file(&from, target, how, 0o600).expect("reflinked");
        assert_eq!(cloned, Cloned::Reflinked);
    }

    assert!(allocated_in(&xfs.mount) - before < 4 * MIB, "no block was copied");
    let original = std::fs::read(&from).expect("read");
    assert!(original == std::fs::read(&to).expect("read"));
    let file = std::fs::OpenOptions::new().write(true).open(&to).expect("open");
    std::os::unix::fs::FileExt::write_all_at(&file, b"mine", 2 * MIB).expect("written");
    assert!(original == std::fs::read(&from).expect("read"), "the source is untouched");

    let elsewhere = xfs.scratch.join("elsewhere");
    let outcome = clone_file(&from, &elsewhere, CloneMode::Reflink, 0o600);
    assert!(outcome.is_err(), "another file system cannot share blocks");
    assert!(!elsewhere.exists());
    let copied = clone_file(&from, &elsewhere, CloneMode::Auto, 0o600).expect("copied");
    assert_eq!(copied, Cloned::Copied { bytes: 64 * MIB });
    assert!(original == std::fs::read(&elsewhere).expect("read"));
}
