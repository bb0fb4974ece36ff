//! The ioctls of netdevice(7) that bring an IPv4 interface up.
#![expect(unsafe_code, reason = "netdevice ioctls take unions and raw pointers")]

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// Brings an interface up without changing its address.
///
/// # Errors
/// Without such an interface, or without CAP_NET_ADMIN.
pub(crate) fn bring_up(interface: &str) -> io::Result<()> {
    let socket = control_socket()?;
    let mut request = request(interface)?;
    ioctl(&socket, libc::SIOCGIFFLAGS, &raw mut request)?;
    // SAFETY: SIOCGIFFLAGS has filled this member of the union.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    let up =
        libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).expect("both are small flags");
    request.ifr_ifru.ifru_flags = flags | up;
    ioctl(&socket, libc::SIOCSIFFLAGS, &raw mut request)
}

/// Gives an interface its address and the length of its network's prefix.
///
/// # Errors
/// Without such an interface, or without CAP_NET_ADMIN.
pub(crate) fn set_address(interface: &str, address: Ipv4Addr, prefix: u8) -> io::Result<()> {
    let socket = control_socket()?;
    let mut request = request(interface)?;
    request.ifr_ifru.ifru_addr = socket_address(address);
    ioctl(&socket, libc::SIOCSIFADDR, &raw mut request)?;
    let host_bits = 32 - u32::from(prefix.min(32));
    let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
    request.ifr_ifru.ifru_netmask = socket_address(Ipv4Addr::from_bits(mask));
    ioctl(&socket, libc::SIOCSIFNETMASK, &raw mut request)
}

/// Adds a default route; one that is there already is fine.
///
/// # Errors
/// When the gateway is not on a connected network, or without CAP_NET_ADMIN.
pub(crate) fn set_default_route(gateway: Ipv4Addr) -> io::Result<()> {
    let socket = control_socket()?;
    // SAFETY: rtentry is a plain C struct of integers and pointers, for which all zeros is a value.
    let mut route: libc::rtentry = unsafe { std::mem::zeroed() };
    route.rt_dst = socket_address(Ipv4Addr::UNSPECIFIED);
    route.rt_genmask = socket_address(Ipv4Addr::UNSPECIFIED);
    route.rt_gateway = socket_address(gateway);
    route.rt_flags = libc::RTF_UP | libc::RTF_GATEWAY;
    match ioctl(&socket, libc::SIOCADDRT, &raw mut route) {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        outcome => outcome,
    }
}

fn control_socket() -> io::Result<OwnedFd> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    Ok(socket)
}

fn request(interface: &str) -> io::Result<libc::ifreq> {
    // SAFETY: ifreq is a plain C struct, for which all zeros is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if interface.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    Ok(request)
}

/// A `sockaddr_in` with port 0, as the generic type that the requests hold.
fn socket_address(address: Ipv4Addr) -> libc::sockaddr {
    let mut data = [0; 14];
    for (to, from) in data[2..6].iter_mut().zip(address.octets()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    let family = libc::sa_family_t::try_from(libc::AF_INET).expect("AF_INET is 2");
    libc::sockaddr { sa_family: family, sa_data: data }
}

fn ioctl<T>(socket: &OwnedFd, code: libc::c_ulong, argument: *mut T) -> io::Result<()> {
    // SAFETY: every caller in this module passes the struct that its request code is defined for, alive over the call.
    let outcome = unsafe { libc::ioctl(socket.as_raw_fd(), code, argument) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
