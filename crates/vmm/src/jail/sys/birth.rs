//! A process that is born into a control group.
//!
//! Moving a process into a group waits until no fork of the host is under way, some 10 ms. `CLONE_INTO_CGROUP` (Linux 5.7) costs nothing,
//! and there is no moment in which the new process is elsewhere.

use std::ffi::CString;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

/// `CLONE_INTO_CGROUP` of linux/sched.h.
const INTO_CGROUP: u64 = 0x2_0000_0000;

/// A process to be: leader of a session of its own, in `/`, with no environment and nothing open but its standard streams.
pub(in crate::jail) struct Birth {
    /// Its program.
    pub(in crate::jail) program: String,
    /// Its arguments, without its name.
    pub(in crate::jail) arguments: Vec<String>,
    /// Its standard input.
    pub(in crate::jail) input: OwnedFd,
    /// Its standard output.
    pub(in crate::jail) output: OwnedFd,
    /// The directory of its control group.
    pub(in crate::jail) cgroup: OwnedFd,
}

impl Birth {
    /// Starts it and answers its pidfd, once its program has begun. Blocking, for as long as an exec takes. The caller reaps it.
    pub(in crate::jail) fn run(self) -> io::Result<OwnedFd> {
        let words = std::iter::once(&self.program).chain(&self.arguments);
        let words = words.map(|word| CString::new(word.as_str())).collect::<Result<Vec<_>, _>>()?;
        let mut pointers: Vec<*const libc::c_char> =
            words.iter().map(|word| word.as_ptr()).collect();
        pointers.push(ptr::null());
        let null: OwnedFd =
            std::fs::File::options().read(true).write(true).open("/dev/null")?.into();
        let (mut failure, report) = io::pipe()?;
        let child = Child {
            words: &pointers,
            streams: [self.input.as_raw_fd(), self.output.as_raw_fd(), null.as_raw_fd()],
            report: report.as_raw_fd(),
        };
        let mut pidfd: libc::c_int = -1;
        let arguments = libc::clone_args {
            flags: INTO_CGROUP | u64::try_from(libc::CLONE_PIDFD).map_err(io::Error::other)?,
            pidfd: ptr::from_mut(&mut pidfd).addr() as u64,
            exit_signal: u64::try_from(libc::SIGCHLD).map_err(io::Error::other)?,
            cgroup: u64::try_from(self.cgroup.as_raw_fd()).map_err(io::Error::other)?,
            child_tid: 0,
            parent_tid: 0,
            stack: 0,
            stack_size: 0,
            tls: 0,
            set_tid: 0,
            set_tid_size: 0,
        };
        // SAFETY: the arguments live across the call and ask for a copy of this process without shared memory, as fork does. The child
        // calls `become_program` only, which neither allocates nor locks.
        let pid = unsafe {
            libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<libc::clone_args>())
        };
        match pid {
            -1 => return Err(io::Error::last_os_error()),
            0 => child.become_program(),
            _ => {}
        }
        // SAFETY: the kernel put a new descriptor there, which nothing else knows.
        let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
        drop(report);
        let mut errno = [0; 4];
        match failure.read_exact(&mut errno) {
            // Exec closed the other end.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(pidfd),
            Err(error) => Err(error),
            Ok(()) => {
                let status = rustix::process::waitid(
                    rustix::process::WaitId::PidFd(std::os::fd::AsFd::as_fd(&pidfd)),
                    rustix::process::WaitIdOptions::EXITED,
                );
                status.map_err(io::Error::from)?;
                Err(io::Error::from_raw_os_error(i32::from_ne_bytes(errno)))
            }
        }
    }
}

/// What the child needs, made ready before it exists.
struct Child<'a> {
    words: &'a [*const libc::c_char],
    streams: [libc::c_int; 3],
    report: libc::c_int,
}

impl Child<'_> {
    /// In the child: only plain system calls, on memory that was made before.
    fn become_program(&self) -> ! {
        let environment: [*const libc::c_char; 1] = [ptr::null()];
        // SAFETY: every pointer is to memory that was copied with the process: null-terminated arrays of C strings, a constant, and an
        // integer of four bytes. The descriptors are open, and none of the streams is below 3, since the daemon has its own there.
        unsafe {
            let is_ready = libc::setsid() != -1
                && libc::chdir(c"/".as_ptr()) == 0
                && (0..)
                    .zip(self.streams)
                    .all(|(number, stream)| libc::dup2(stream, number) == number);
            if is_ready {
                libc::execve(self.words[0], self.words.as_ptr(), environment.as_ptr());
            }
            let errno = *libc::__errno_location();
            libc::write(self.report, ptr::from_ref(&errno).cast(), 4);
            libc::_exit(127)
        }
    }
}
