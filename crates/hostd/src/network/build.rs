//! Makes and removes one slot.

use std::net::SocketAddrV4;
use std::os::fd::AsFd;

use contract::machine::Egress;
use engine::record::Slot;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{
    error::NetworkError,
    link,
    mark::Mark,
    namespace::{self, Namespace, on_own_thread},
    netlink::Netlink,
    nft::Nft,
    rules::SlotRules,
    setting,
};

/// Whether the kernel passes packets from one interface of the namespace to another.
const FORWARDING: &str = "ipv4/ip_forward";

/// The policy in whose rules slots are built, since warm ones are built before it is known: the usual one.
const BUILT_FOR: Egress = Egress::Open;

/// Makes the slot, closed, and writes `mark` on it last. Nothing of that name may exist.
pub(super) async fn make(
    slot: &Slot,
    nft: &Nft,
    mark: Mark,
    allowed: &[SocketAddrV4],
) -> Result<(), NetworkError> {
    let (slot, nft, allowed) = (slot.clone(), nft.clone(), allowed.to_vec());
    let name = slot.namespace.clone();
    let making = move |runtime: &tokio::runtime::Runtime| {
        runtime.block_on(make_here(&slot, &nft, mark, &allowed))
    };
    on_own_thread(&name, making).await
}

/// Lets the namespace forward, as its rules say.
pub(super) async fn open(
    slot: &Slot,
    nft: &Nft,
    egress: Egress,
    allowed: &[SocketAddrV4],
) -> Result<(), NetworkError> {
    let rules = SlotRules { slot, egress, allowed }.render();
    let (name, nft) = (slot.namespace.clone(), nft.clone());
    on_own_thread(&slot.namespace, move |runtime| {
        Namespace::named(&name).enter()?;
        // A slot that never forwarded has the rules that it was built with.
        if egress != BUILT_FOR || setting::read(FORWARDING)? != "0" {
            runtime.block_on(nft.apply(&name, &rules))?;
        }
        setting::write(FORWARDING, "1")
    })
    .await
}

/// Removes whatever is there of the slot called `name`. The link goes first: the kernel clears up a namespace in its own
/// time, and would keep the host's end until then.
pub(super) async fn remove(name: &str) -> Result<(), NetworkError> {
    Netlink::open()?.remove_link(name).await?;
    Namespace::named(name).remove()
}

/// The steps of [`make`], on a thread that changes its namespace between them.
async fn make_here(
    slot: &Slot,
    nft: &Nft,
    mark: Mark,
    allowed: &[SocketAddrV4],
) -> Result<(), NetworkError> {
    let failed =
        |source| NetworkError::Namespace { action: "leave", name: slot.namespace.clone(), source };
    let host_namespace = namespace::current().map_err(failed)?;
    let host = Netlink::open()?;
    Namespace::named(&slot.namespace).create_and_enter()?;
    let inside = Netlink::open()?;
    setting::write_where_present("ipv6/conf/all/disable_ipv6", "1")?;
    setting::write_where_present("ipv6/conf/default/disable_ipv6", "1")?;
    // Closed: the kernel forwards nothing here, whatever the rules say. To open it takes no program then.
    setting::write(FORWARDING, "0")?;
    let rules = SlotRules { slot, egress: BUILT_FOR, allowed }.render();
    let links = async {
        link::make_tap(slot, &inside).await?;
        link::make_veth(slot, &inside, &host_namespace).await?;
        link::route_to_host(slot, &inside).await
    };
    tokio::try_join!(nft.apply(&slot.namespace, &rules), links)?;
    move_into_link_name_space(host_namespace.as_fd(), Some(LinkNameSpaceType::Network))
        .map_err(|errno| failed(errno.into()))?;
    link::raise_host_end(slot, &host).await?;
    host.set_alias(&slot.host_interface, &mark.text(slot)).await
}
