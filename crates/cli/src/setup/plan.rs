//! What has to be done for storage to be there, or to be gone: pure, from what was found on the host.

use std::path::{Path, PathBuf};

use super::error::SetupError;
use crate::byte_size::ByteSize;

/// mkfs.xfs refuses less.
const SMALLEST: ByteSize = ByteSize::from_mib(300);

/// Where the storage is, and how large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) file: PathBuf,
    pub(super) mount: PathBuf,
    pub(super) size: ByteSize,
    pub(super) is_persistent: bool,
}

/// What the host has at these places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) file: FileFact,
    pub(super) mount: MountFact,
    pub(super) is_in_fstab: bool,
    pub(super) free: ByteSize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileFact {
    Absent,
    /// A file of this size without a single allocated block, as a crash between making and formatting leaves it.
    Blank,
    Xfs,
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MountFact {
    Absent,
    EmptyDirectory,
    FullDirectory,
    /// Our file is mounted there.
    Ours,
    /// Something else is.
    Other(String),
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    MakeFile,
    Format,
    MakeDirectory,
    Mount,
    AddToFstab,
    RemoveFromFstab,
    Unmount,
    RemoveFile,
}

/// What to do so that the storage is there; nothing when it is.
pub(super) fn plan_set_up(wanted: &Wanted, facts: &Facts) -> Result<Vec<Action>, SetupError> {
    check_path(&wanted.file)?;
    check_path(&wanted.mount)?;
    let mut actions = match (&facts.mount, facts.file) {
        (MountFact::Other(source), _) => {
            return Err(SetupError::OtherMount {
                mount: wanted.mount.clone(),
                source_name: source.clone(),
            });
        }
        (MountFact::FullDirectory, _) => {
            return Err(SetupError::NotEmpty { mount: wanted.mount.clone() });
        }
        (MountFact::Ours, _) => vec![],
        (_, FileFact::Other) => return Err(SetupError::NotXfs { path: wanted.file.clone() }),
        (_, FileFact::Xfs) => vec![],
        (_, FileFact::Absent | FileFact::Blank) => {
            check_size(wanted, facts.free)?;
            vec![Action::MakeFile, Action::Format]
        }
    };
    if facts.mount == MountFact::Absent {
        actions.push(Action::MakeDirectory);
    }
    if facts.mount != MountFact::Ours {
        actions.push(Action::Mount);
    }
    if wanted.is_persistent && !facts.is_in_fstab {
        actions.push(Action::AddToFstab);
    }
    Ok(actions)
}

/// What to do so that the storage is gone; nothing when it is.
pub(super) fn plan_removal(wanted: &Wanted, facts: &Facts) -> Result<Vec<Action>, SetupError> {
    check_path(&wanted.file)?;
    check_path(&wanted.mount)?;
    let mut actions = Vec::new();
    if facts.is_in_fstab {
        actions.push(Action::RemoveFromFstab);
    }
    if facts.mount == MountFact::Ours {
        actions.push(Action::Unmount);
    }
    match facts.file {
        FileFact::Absent => {}
        FileFact::Blank | FileFact::Xfs => actions.push(Action::RemoveFile),
        FileFact::Other => return Err(SetupError::NotXfs { path: wanted.file.clone() }),
    }
    Ok(actions)
}

fn check_path(path: &Path) -> Result<(), SetupError> {
    let is_plain =
        |text: &str| text.starts_with('/') && !text.contains([' ', '\t', '\n', '\\', '#']);
    match path.to_str() {
        Some(text) if is_plain(text) => Ok(()),
        _ => Err(SetupError::Path { path: path.to_owned() }),
    }
}

fn check_size(wanted: &Wanted, free: ByteSize) -> Result<(), SetupError> {
    let size = wanted.size;
    if size < SMALLEST {
        Err(SetupError::TooSmall { size, smallest: SMALLEST })
    } else if size > free {
        Err(SetupError::NoRoom { path: wanted.file.clone(), size, free })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        Wanted {
            file: "/var/lib/computer.xfs".into(),
            mount: "/var/lib/computer".into(),
            size: ByteSize::from_mib(20 << 10),
            is_persistent: true,
        }
    }

    fn facts(file: FileFact, mount: MountFact) -> Facts {
        Facts { file, mount, is_in_fstab: false, free: ByteSize::from_mib(100 << 10) }
    }

    #[test]
    fn on_a_bare_host_everything_is_made() {
        let plan = plan_set_up(&wanted(), &facts(FileFact::Absent, MountFact::Absent));
        assert_eq!(
            plan.expect("it can be set up"),
            [
                Action::MakeFile,
                Action::Format,
                Action::MakeDirectory,
                Action::Mount,
                Action::AddToFstab
            ]
        );
    }

    #[test]
    fn what_is_there_already_stays() {
        let mut there = facts(FileFact::Xfs, MountFact::Ours);
        there.is_in_fstab = true;
        assert_eq!(plan_set_up(&wanted(), &there).expect("it is there"), []);
        let after_a_reboot = facts(FileFact::Xfs, MountFact::EmptyDirectory);
        let once = Wanted { is_persistent: false, ..wanted() };
        assert_eq!(plan_set_up(&once, &after_a_reboot).expect("it fits"), [Action::Mount]);
    }

    #[test]
    fn what_a_crash_left_unformatted_is_made_anew() {
        let once = Wanted { is_persistent: false, ..wanted() };
        let plan = plan_set_up(&once, &facts(FileFact::Blank, MountFact::EmptyDirectory));
        let expected = [Action::MakeFile, Action::Format, Action::Mount];
        assert_eq!(plan.expect("it can be set up"), expected);
    }

    #[test]
    fn files_of_others_are_neither_hidden_nor_overwritten_promise_p1() {
        let full = plan_set_up(&wanted(), &facts(FileFact::Absent, MountFact::FullDirectory));
        assert!(matches!(full, Err(SetupError::NotEmpty { .. })));
        let other = MountFact::Other("/dev/sdb1".to_owned());
        let other = plan_set_up(&wanted(), &facts(FileFact::Absent, other));
        assert!(matches!(other, Err(SetupError::OtherMount { .. })));
        let file = facts(FileFact::Other, MountFact::Absent);
        assert!(matches!(plan_set_up(&wanted(), &file), Err(SetupError::NotXfs { .. })));
        assert!(matches!(plan_removal(&wanted(), &file), Err(SetupError::NotXfs { .. })));
    }

    #[test]
    fn room_is_checked_before_anything_is_made_promise_p13() {
        let large = Wanted { size: ByteSize::from_mib(101 << 10), ..wanted() };
        let absent = facts(FileFact::Absent, MountFact::Absent);
        assert!(matches!(plan_set_up(&large, &absent), Err(SetupError::NoRoom { .. })));
        let small = Wanted { size: ByteSize::from_mib(299), ..wanted() };
        assert!(matches!(plan_set_up(&small, &absent), Err(SetupError::TooSmall { .. })));
    }

    #[test]
    fn removal_undoes_what_is_there_and_nothing_else() {
        let mut there = facts(FileFact::Xfs, MountFact::Ours);
        there.is_in_fstab = true;
        let all = [Action::RemoveFromFstab, Action::Unmount, Action::RemoveFile];
        assert_eq!(plan_removal(&wanted(), &there).expect("it is ours"), all);
        let gone = facts(FileFact::Absent, MountFact::FullDirectory);
        assert_eq!(plan_removal(&wanted(), &gone).expect("nothing to do"), []);
    }

    #[test]
    fn paths_that_a_mount_table_cannot_hold_are_refused() {
        for path in ["relative", "/with space", "/with\nnewline", "/a#b"] {
            let strange = Wanted { file: path.into(), ..wanted() };
            let plan = plan_set_up(&strange, &facts(FileFact::Absent, MountFact::Absent));
            assert!(matches!(plan, Err(SetupError::Path { .. })), "{path:?}");
        }
    }
}
