//! A file that appears whole: written beside its place and renamed over it.
//!
//! It is not synced: the guest's file system commits it within seconds and orders the rename after the data (ext4,
//! XFS), a shutdown syncs, and a snapshot holds the page cache. A dozen syncs would cost a booting guest more than its
//! kernel does.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{
    FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Files of the system that are changed in place are one page or less.
const MOST_IN_PLACE: u64 = 4096;

/// Who owns a new file: uid and gid.
pub(crate) type Owner = (u32, u32);

/// A file on its way; dropped before [`NewFile::publish`], it is removed.
#[derive(Debug)]
pub(crate) struct NewFile {
    file: File,
    temporary: PathBuf,
    place: PathBuf,
    is_published: bool,
}

impl NewFile {
    /// Begins a file for `place`, unreadable to others until its mode is set at the end.
    pub(crate) fn create(place: &Path) -> io::Result<NewFile> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = place.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
        // Names may be 255 bytes long: keep only the beginning.
        let beginning: String = name.chars().take(40).collect();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let temporary =
            place.with_file_name(format!(".{beginning}.{}.{count}.new", std::process::id()));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        Ok(NewFile { file, temporary, place: place.to_owned(), is_published: false })
    }

    pub(crate) fn write(&mut self, data: &[u8]) -> io::Result<()> {
        self.file.write_all(data)
    }

    /// Puts it in its place.
    pub(crate) fn publish(mut self, mode: u32, owner: Option<Owner>) -> io::Result<()> {
        if let Some((uid, gid)) = owner {
            fchown(&self.file, Some(uid), Some(gid))?;
        }
        self.file.set_permissions(Permissions::from_mode(mode & 0o7777))?;
        fs::rename(&self.temporary, &self.place)?;
        self.is_published = true;
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if self.is_published {
            return;
        }
        if let Err(error) = fs::remove_file(&self.temporary) {
            tracing::warn!(%error, file = %self.temporary.display(), "left a temporary file");
        }
    }
}

/// Makes a small file of the system hold `data`: left alone when it does, else written in place, which in a clone that has just
/// been emulated anew costs a fifth of a new file and its rename. What is no plain file of root's with one name is replaced.
///
/// In place means that a reader at this very instant may see both. Those who would read are frozen, or have not been started.
pub(crate) fn settle(place: &Path, data: &[u8], mode: u32) -> io::Result<()> {
    match settle_in_place(place, data, mode) {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => write(place, data, mode, None),
    }
}

/// A plain file with one name that holds `data`, has this mode, and belongs to `owner`, where that is given.
pub(crate) fn holds(place: &Path, data: &[u8], mode: u32, owner: Option<Owner>) -> bool {
    let found = Found::open(place, OpenOptions::new().read(true));
    found.is_ok_and(|found| {
        found.is_plain(mode)
            && owner.is_none_or(|owner| owner == (found.meta.uid(), found.meta.gid()))
            && found.meta.len() == data.len() as u64
            && found.text().is_ok_and(|text| text == data)
    })
}

fn settle_in_place(place: &Path, data: &[u8], mode: u32) -> io::Result<bool> {
    let Some(file) = InPlace::open(place, mode)? else { return Ok(false) };
    file.settle(data)?;
    Ok(true)
}

/// A plain file of root's with one name, open to be changed in place.
#[derive(Debug)]
pub(crate) struct InPlace {
    found: Found,
    text: Vec<u8>,
}

impl InPlace {
    /// `None` when it is of another kind, has another mode, or is too large.
    pub(crate) fn open(place: &Path, mode: u32) -> io::Result<Option<InPlace>> {
        let found = Found::open(place, OpenOptions::new().read(true).write(true))?;
        if !found.is_plain(mode) || found.meta.uid() != 0 || found.meta.len() > MOST_IN_PLACE {
            return Ok(None);
        }
        let text = found.text()?;
        Ok(Some(InPlace { found, text }))
    }

    /// What it held when it was opened.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Nobody has changed or replaced it since it was opened.
    pub(crate) fn is_current(&self) -> bool {
        let (then, now) = (&self.found.meta, self.found.file.metadata());
        let stamp = |meta: &Metadata| (meta.nlink(), meta.len(), meta.ctime(), meta.ctime_nsec());
        now.is_ok_and(|now| stamp(&now) == stamp(then))
    }

    /// Makes it hold `data`; see [`settle`].
    pub(crate) fn settle(&self, data: &[u8]) -> io::Result<()> {
        if self.text == data {
            return Ok(());
        }
        self.found.file.write_all_at(data, 0)?;
        if self.text.len() > data.len() {
            self.found.file.set_len(data.len() as u64)?;
        }
        Ok(())
    }
}

/// A file that is there already.
#[derive(Debug)]
struct Found {
    file: File,
    meta: Metadata,
}

impl Found {
    /// Not through a link.
    fn open(place: &Path, options: &mut OpenOptions) -> io::Result<Found> {
        let flags = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        let file = options.custom_flags(flags).open(place)?;
        let meta = file.metadata()?;
        Ok(Found { file, meta })
    }

    /// With one name and this mode.
    fn is_plain(&self, mode: u32) -> bool {
        self.meta.is_file()
            && self.meta.nlink() == 1
            && self.meta.permissions().mode() & 0o7777 == mode
    }

    fn text(&self) -> io::Result<Vec<u8>> {
        let mut text = vec![0; usize::try_from(self.meta.len()).unwrap_or_default()];
        self.file.read_exact_at(&mut text, 0)?;
        Ok(text)
    }
}

/// Writes a whole small file.
pub(crate) fn write(place: &Path, data: &[u8], mode: u32, owner: Option<Owner>) -> io::Result<()> {
    let mut file = NewFile::create(place)?;
    file.write(data)?;
    file.publish(mode, owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_with_its_mode() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("keys");
        fs::write(&place, "old").unwrap();
        write(&place, b"new", 0o640, None).unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"new");
        assert_eq!(place.metadata().unwrap().permissions().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_settled_file_is_the_same_inode_with_the_new_text_and_no_more() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root's files are changed in place");
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("hostname");
        settle(&place, b"a-long-name\n", 0o644).unwrap();
        let inode = place.metadata().unwrap().ino();
        settle(&place, b"b\n", 0o644).unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"b\n");
        assert_eq!(place.metadata().unwrap().ino(), inode);
    }

    #[test]
    fn a_link_is_replaced_and_what_it_leads_to_is_left_alone_promise_p1() {
        let directory = tempfile::tempdir().unwrap();
        let (place, elsewhere) = (directory.path().join("hosts"), directory.path().join("passwd"));
        fs::write(&elsewhere, "root").unwrap();
        std::os::unix::fs::symlink(&elsewhere, &place).unwrap();
        settle(&place, b"new", 0o644).unwrap();
        assert_eq!(fs::read(&elsewhere).unwrap(), b"root");
        assert_eq!(fs::read(&place).unwrap(), b"new");
    }

    #[test]
    fn a_file_holds_what_is_wanted_only_with_its_mode_its_owner_and_under_one_name() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("keys");
        assert!(!holds(&place, b"key", 0o600, None));
        write(&place, b"key", 0o600, None).unwrap();
        let own = place.metadata().map(|meta| (meta.uid(), meta.gid())).unwrap();
        assert!(holds(&place, b"key", 0o600, Some(own)));
        assert!(!holds(&place, b"kez", 0o600, Some(own)));
        assert!(!holds(&place, b"key", 0o644, Some(own)));
        assert!(!holds(&place, b"key", 0o600, Some((own.0 + 1, own.1))));
        fs::hard_link(&place, directory.path().join("other")).unwrap();
        assert!(!holds(&place, b"key", 0o600, Some(own)));
    }

    #[test]
    fn a_file_that_is_given_up_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = NewFile::create(&directory.path().join("x")).unwrap();
        file.write(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
