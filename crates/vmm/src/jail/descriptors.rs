//! What the program inherits: its listeners, its tap and shared memory, each under the number that its command line names.

use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use camino::Utf8Path;

use super::failure::{During, Failure, refuse};
use super::socket_path::SocketPath;
use super::spec::{JailSpec, Listener, SHARED_MEMORY_SEALS, SharedMemory, Tap};
use super::{ring, sys};

/// Opens everything that is handed over. Must run in the network namespace of the machine, and before the root changes.
pub(super) fn open_all(spec: &JailSpec) -> Result<Vec<OwnedFd>, Failure> {
    let mut opened = Vec::new();
    for listener in &spec.listeners {
        let socket = listen(&spec.directory, listener)?;
        opened.push((socket, listener.descriptor));
    }
    if let Some(tap) = &spec.tap {
        opened.push((open_tap(tap)?.into(), tap.descriptor));
    }
    if let Some(memory) = &spec.shared_memory {
        opened.push((open_memory(memory)?.into(), memory.descriptor));
    }
    // First out of the way of all the numbers that are wanted, then each to its own.
    let highest = opened.iter().map(|(_, number)| *number).max().unwrap_or(0);
    let mut parked = Vec::new();
    for (descriptor, number) in opened {
        let aside = rustix::io::fcntl_dupfd_cloexec(&descriptor, highest + 1);
        parked.push((aside.during(|| format!("set descriptor {number} aside"))?, number));
    }
    parked
        .into_iter()
        .map(|(descriptor, number)| {
            sys::place(descriptor, number).during(|| format!("hand over descriptor {number}"))
        })
        .collect()
}

fn listen(directory: &Utf8Path, listener: &Listener) -> Result<OwnedFd, Failure> {
    let path = directory.join(&listener.name);
    let step = || format!("listen on {path}");
    ring::remove_if_present(&path).during(step)?;
    let short = SocketPath::open(&path).during(step)?;
    let socket = UnixListener::bind(short.short()).during(step)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).during(step)?;
    Ok(socket.into())
}

/// The kernel would make a new tap, down and without an owner, where the wanted one is missing: so it is looked for first.
pub(super) fn look_for_tap(name: &str) -> Result<(), Failure> {
    let step = || format!("open tap {name}");
    let any =
        rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)
            .during(step)?;
    if rustix::net::netdevice::name_to_index(&any, name).is_err() {
        return Err(refuse(step(), "there is no such interface in the network namespace"));
    }
    Ok(())
}

fn open_memory(memory: &SharedMemory) -> Result<File, Failure> {
    let step = || format!("open the shared memory {}", memory.source);
    let file = File::open(&memory.source).during(step)?;
    let seals = rustix::fs::fcntl_get_seals(&file).during(step)?;
    if !seals.contains(SHARED_MEMORY_SEALS) {
        return Err(refuse(step(), "it is not sealed"));
    }
    Ok(file)
}

fn open_tap(tap: &Tap) -> Result<File, Failure> {
    look_for_tap(&tap.name)?;
    let step = || format!("open tap {}", tap.name);
    let device = OpenOptions::new().read(true).write(true).open("/dev/net/tun").during(step)?;
    sys::attach_tap(&device, &tap.name).during(step)?;
    Ok(device)
}
