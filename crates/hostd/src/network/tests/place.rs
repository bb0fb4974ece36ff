//! A network namespace without a name, in which a test runs code and commands.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsFd, AsRawFd},
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use rtnetlink::{
    LinkMessageBuilder, LinkUnspec, LinkVeth,
    packet_route::link::{InfoData, InfoVeth},
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::network::{namespace, netlink::Netlink, sys};

/// How long a test waits for an answer that must come.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a test waits for an answer that must not come.
const IMPATIENCE: Duration = Duration::from_millis(300);

/// Whether an answer is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    Answer,
    Silence,
}

impl Expect {
    fn patience(self) -> Duration {
        match self {
            Self::Answer => PATIENCE,
            Self::Silence => IMPATIENCE,
        }
    }
}

/// Who sent UDP to a server, as the server saw it, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Senders(Arc<Mutex<Vec<IpAddr>>>);

impl Senders {
    pub(super) fn seen(&self) -> Vec<IpAddr> {
        self.0.lock().unwrap().clone()
    }
}

#[derive(Debug, Clone)]
pub(super) struct Place {
    namespace: Arc<File>,
}

impl Place {
    /// A new namespace with its loopback up.
    pub(super) fn new() -> Self {
        let made = std::thread::spawn(|| {
            sys::unshare_network().unwrap();
            namespace::current().unwrap()
        });
        let place = Self { namespace: Arc::new(made.join().unwrap()) };
        place.ip("link set lo up");
        place
    }

    /// The namespace of a slot.
    pub(super) fn named(name: &str) -> Self {
        Self { namespace: Arc::new(File::open(format!("/run/netns/{name}")).unwrap()) }
    }

    /// Runs `work` on a thread that is in the namespace.
    pub(super) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let kind = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(self.namespace.as_fd(), kind).unwrap();
                work()
            });
            match thread.join() {
                Ok(value) => value,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Starts a thread in the namespace that serves until the process ends.
    fn serve(&self, work: impl FnOnce() + Send + 'static) {
        let place = self.clone();
        std::thread::spawn(move || {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(place.namespace.as_fd(), kind).unwrap();
            work();
        });
    }

    /// Makes a cable between the two: `name` here, `other_name` there.
    pub(super) fn connect(&self, name: &str, other: &Self, other_name: &str) {
        let peer = LinkMessageBuilder::<LinkUnspec>::default()
            .name(other_name)
            .setns_by_fd(other.namespace.as_raw_fd())
            .build();
        let cable = LinkVeth::new(name, other_name)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
            .build();
        self.run(|| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let netlink = Netlink::open().unwrap();
                netlink.add_link(name, cable).await.unwrap();
            });
        });
    }

    /// Runs a command and returns what it prints; it must succeed.
    pub(super) fn command(&self, program: &str, arguments: &str) -> String {
        let output =
            self.run(|| Command::new(program).args(arguments.split_whitespace()).output().unwrap());
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments}: {message}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(super) fn ip(&self, arguments: &str) -> String {
        self.command("ip", arguments)
    }

    /// A server at `address` that tells every TCP client and UDP sender who it seems to be. For UDP answers to come from
    /// where the question went, `address` must be one, not all.
    pub(super) fn echo_peer(&self, address: Ipv4Addr, port: u16) -> Senders {
        let (tcp, udp) = self.run(|| {
            (TcpListener::bind((address, port)).unwrap(), UdpSocket::bind((address, port)).unwrap())
        });
        self.serve(move || {
            for client in tcp.incoming() {
                let mut client = client.unwrap();
                let peer = client.peer_addr().unwrap().ip().to_string();
                // A client that left early is no concern of ours.
                drop(client.write_all(peer.as_bytes()));
            }
        });
        let senders = Senders::default();
        let noted = senders.clone();
        self.serve(move || {
            let mut buffer = [0; 64];
            loop {
                let (_, peer) = udp.recv_from(&mut buffer).unwrap();
                noted.0.lock().unwrap().push(peer.ip());
                drop(udp.send_to(peer.ip().to_string().as_bytes(), peer));
            }
        });
        senders
    }

    /// Asks such a server over TCP.
    pub(super) fn ask(&self, address: Ipv4Addr, port: u16, expect: Expect) -> io::Result<String> {
        self.run(|| {
            let target = SocketAddr::from((address, port));
            let mut stream = TcpStream::connect_timeout(&target, expect.patience())?;
            stream.set_read_timeout(Some(expect.patience()))?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        })
    }

    /// Asks such a server over UDP.
    pub(super) fn ask_udp(
        &self,
        address: Ipv4Addr,
        port: u16,
        expect: Expect,
    ) -> io::Result<String> {
        self.run(|| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.set_read_timeout(Some(expect.patience()))?;
            socket.connect((address, port))?;
            socket.send(b"who am I")?;
            let mut buffer = [0; 64];
            let count = socket.recv(&mut buffer)?;
            Ok(String::from_utf8_lossy(&buffer[..count]).into_owned())
        })
    }

    /// Sends one datagram from `source`, which must be an address of the place, and waits for nothing.
    pub(super) fn send_as(
        &self,
        source: Ipv4Addr,
        address: Ipv4Addr,
        port: u16,
    ) -> io::Result<usize> {
        self.run(|| UdpSocket::bind((source, 0))?.send_to(b"who am I", (address, port)))
    }
}
