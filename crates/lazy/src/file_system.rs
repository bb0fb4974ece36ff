//! The files of a job as the kernel sees them: one directory, a few files that never grow.
//!
//! Inode numbers are places in the job and handles mean nothing, so a new server knows all that an
//! earlier one knew. What is there is answered by the thread that reads the kernel's requests;
//! what must be fetched first is answered by a task. A request that cannot be answered is kept, never
//! answered with an error: to a guest an error of its memory may read as zeros.

use std::ffi::OsStr;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    KernelConfig, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyWrite, Request, WriteFlags,
};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::fetcher::Fetcher;
use crate::file::LazyFile;
use crate::order::Touch;

/// Nothing about the files changes behind the kernel's back.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// The inode number of the first file; 1 is the directory.
const FIRST_INODE: u64 = 2;
/// Most requests for read-ahead under way at once.
const BACKGROUND_REQUESTS: u16 = 64;

/// A chunk that cannot be had, told to whoever ends the guest.
#[derive(Debug, Clone)]
pub struct Lost {
    /// Which, and why.
    pub reason: String,
}

/// The file system.
#[derive(Debug)]
pub struct LazyFileSystem {
    serving: Arc<Serving>,
}

/// What its requests share.
#[derive(Debug)]
struct Serving {
    fetcher: Arc<Fetcher>,
    owner: u32,
    runtime: Handle,
    touched: mpsc::Sender<Touch>,
    lost: mpsc::Sender<Lost>,
    kept: Mutex<Vec<Kept>>,
}

/// A request that is never answered by this process.
#[derive(Debug)]
#[expect(dead_code, reason = "held so that it is not dropped, which would answer it with an error")]
enum Kept {
    Read(ReplyData),
    Write(ReplyWrite),
    Sync(ReplyEmpty),
}

impl LazyFileSystem {
    /// Serves the files of `fetcher` as `owner`'s. First touches go to `touched`, as far as it takes them.
    pub fn new(
        fetcher: Arc<Fetcher>,
        owner: u32,
        runtime: Handle,
        touched: mpsc::Sender<Touch>,
        lost: mpsc::Sender<Lost>,
    ) -> Self {
        let kept = Mutex::default();
        Self { serving: Arc::new(Serving { fetcher, owner, runtime, touched, lost, kept }) }
    }

    fn place(&self, inode: INodeNo) -> Option<usize> {
        let place = usize::try_from(inode.0.checked_sub(FIRST_INODE)?).ok()?;
        self.serving.fetcher.file(place).map(|_| place)
    }

    fn attributes(&self, inode: INodeNo) -> Option<FileAttr> {
        let owner = self.serving.owner;
        let place = self.place(inode);
        let file = place.and_then(|place| self.serving.fetcher.file(place));
        let (kind, perm, size) = match file {
            Some(file) => (FileType::RegularFile, 0o600, file.size_bytes),
            None if inode == INodeNo::ROOT => (FileType::Directory, 0o555, 0),
            None => return None,
        };
        Some(FileAttr {
            ino: inode,
            size,
            // The blocks are those of the file that is filled, which is counted where it lies.
            blocks: 0,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm,
            nlink: 1,
            uid: owner,
            gid: owner,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }
}

impl Serving {
    fn touch(&self, place: usize, file: &LazyFile, offset: u64, length: u64) {
        for chunk in file.chunks_of(offset, length) {
            // An order that is not recorded costs a later restore some time, and nothing else.
            let is_taken = self.touched.try_send(Touch { file: place, chunk }).is_ok();
            tracing::trace!(place, chunk, is_taken, "touched");
        }
    }

    async fn give_up(&self, reason: String, kept: Kept) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
        if self.lost.send(Lost { reason }).await.is_err() {
            tracing::error!("nobody hears of a chunk that is lost");
        }
    }

    /// Fetches what is missing of a range, then does `work` with the file on the blocking pool.
    async fn with_bytes<Output: Send + 'static>(
        &self,
        place: usize,
        (offset, length): (u64, u64),
        work: impl FnOnce(&LazyFile) -> io::Result<Output> + Send + 'static,
    ) -> Result<Output, String> {
        let file = self.fetcher.file(place).cloned().ok_or("a file that is not there")?;
        let demanded = self.fetcher.demand(place, file.chunks_of(offset, length)).await;
        demanded.map_err(|error| chain(&error))?;
        let worked = tokio::task::spawn_blocking(move || work(&file)).await;
        worked.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

impl Filesystem for LazyFileSystem {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // A kernel that takes fewer says how many.
        if let Err(fewer) = config.set_max_background(BACKGROUND_REQUESTS) {
            config.set_max_background(fewer).map_err(|_| io::Error::other("max_background"))?;
        }
        Ok(())
    }

    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let mut places = (FIRST_INODE..).zip(self.serving.fetcher.files());
        let found = places.find(|(_, file)| OsStr::new(&file.name) == name);
        let attributes = found.and_then(|(inode, _)| self.attributes(INodeNo(inode)));
        match attributes.filter(|_| parent == INodeNo::ROOT) {
            Some(attributes) => reply.entry(&FOR_EVER, &attributes, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: Option<FileHandle>,
        reply: ReplyAttr,
    ) {
        match self.attributes(inode) {
            Some(attributes) => reply.attr(&FOR_EVER, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _request: &Request, _inode: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        let flags = FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_NOFLUSH;
        reply.opened(FileHandle(0), flags);
    }

    fn readdir(
        &self,
        _request: &Request,
        _inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let files = (FIRST_INODE..).zip(self.serving.fetcher.files());
        let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
        for (inode, file) in files.skip(skipped) {
            let next = inode - FIRST_INODE + 1;
            if reply.add(INodeNo(inode), next, FileType::RegularFile, &file.name) {
                break;
            }
        }
        reply.ok();
    }

    fn read(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let Some(place) = self.place(inode) else { return reply.error(Errno::ENOENT) };
        let Some(file) = self.serving.fetcher.file(place) else {
            return reply.error(Errno::ENOENT);
        };
        let length = u64::from(size).min(file.size_bytes.saturating_sub(offset));
        self.serving.touch(place, file, offset, length);
        if file.has(offset, length)
            && let Ok(bytes) = file.read(offset, size)
        {
            return reply.data(&bytes);
        }
        let serving = Arc::clone(&self.serving);
        self.serving.runtime.spawn(async move {
            let read = move |file: &LazyFile| file.read(offset, size);
            match serving.with_bytes(place, (offset, length), read).await {
                Ok(bytes) => reply.data(&bytes),
                Err(reason) => serving.give_up(reason, Kept::Read(reply)).await,
            }
        });
    }

    fn write(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let Some(place) = self.place(inode) else { return reply.error(Errno::ENOENT) };
        let Some(file) = self.serving.fetcher.file(place) else {
            return reply.error(Errno::ENOENT);
        };
        let length = data.len() as u64;
        let written = u32::try_from(data.len()).unwrap_or(u32::MAX);
        if offset.saturating_add(length) > file.size_bytes {
            return reply.error(Errno::EFBIG);
        }
        if file.has(offset, length) {
            match file.write_guest(offset, data) {
                Ok(()) => return reply.written(written),
                // What the local disk refuses, a guest hears of its disk.
                Err(error) => return reply.error(error.into()),
            }
        }
        let (serving, data) = (Arc::clone(&self.serving), data.to_vec());
        self.serving.runtime.spawn(async move {
            let write = move |file: &LazyFile| file.write_guest(offset, &data);
            match serving.with_bytes(place, (offset, length), write).await {
                Ok(()) => reply.written(written),
                Err(reason) => serving.give_up(reason, Kept::Write(reply)).await,
            }
        });
    }

    fn fsync(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        _data_only: bool,
        reply: ReplyEmpty,
    ) {
        let Some(place) = self.place(inode) else { return reply.error(Errno::ENOENT) };
        let serving = Arc::clone(&self.serving);
        self.serving.runtime.spawn(async move {
            match serving.with_bytes(place, (0, 0), LazyFile::sync).await {
                Ok(()) => reply.ok(),
                Err(reason) => serving.give_up(reason, Kept::Sync(reply)).await,
            }
        });
    }
}
