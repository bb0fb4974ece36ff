//! A netlink session: links, addresses, routes and neighbours of one network namespace, each request with a deadline.

use std::{future::Future, net::Ipv4Addr, time::Duration};

use futures_util::{Stream, TryStreamExt};
use rtnetlink::{
    Handle, LinkUnspec, RouteMessageBuilder,
    packet_route::link::{LinkAttribute, LinkMessage},
};
use tokio::task::JoinHandle;

use super::error::NetworkError;

/// How long the kernel may take for one request; it takes microseconds, or waits for the lock that all share.
const REQUEST_DEADLINE: Duration = Duration::from_secs(5);

/// A session in the namespace that the calling thread was in when it was opened, wherever the thread goes afterwards.
#[derive(Debug)]
pub(super) struct Netlink {
    handle: Handle,
    connection: JoinHandle<()>,
}

/// An interface as far as this module looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interface {
    /// Its number in its namespace.
    pub(super) index: u32,
    /// Its name.
    pub(super) name: String,
    /// The text an administrator, here this daemon, attached to it.
    pub(super) alias: Option<String>,
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Netlink {
    /// Opens a session; needs a tokio runtime.
    pub(super) fn open() -> Result<Self, NetworkError> {
        let (connection, handle, _) =
            rtnetlink::new_connection().map_err(|source| NetworkError::NetlinkSocket { source })?;
        Ok(Self { handle, connection: tokio::spawn(connection) })
    }

    /// Makes a link.
    pub(super) async fn add_link(
        &self,
        interface: &str,
        link: LinkMessage,
    ) -> Result<(), NetworkError> {
        bounded("add link", interface, self.handle.link().add(link).execute()).await
    }

    /// Changes a link: name it in `link` by index or by name.
    pub(super) async fn change_link(
        &self,
        interface: &str,
        link: LinkMessage,
    ) -> Result<(), NetworkError> {
        bounded("change link", interface, self.handle.link().change(link).execute()).await
    }

    /// Sets a link up.
    pub(super) async fn set_up(&self, interface: &str) -> Result<(), NetworkError> {
        self.change_link(interface, LinkUnspec::new_with_name(interface).up().build()).await
    }

    /// Attaches a text to a link, which stays until the link is gone.
    pub(super) async fn set_alias(&self, interface: &str, alias: &str) -> Result<(), NetworkError> {
        let link = LinkUnspec::new_with_name(interface)
            .append_extra_attribute(LinkAttribute::IfAlias(alias.to_owned()))
            .build();
        self.change_link(interface, link).await
    }

    /// Removes a link, and with one end of a veth pair the other. True when it was there.
    pub(super) async fn remove_link(&self, interface: &str) -> Result<bool, NetworkError> {
        let Some(found) = self.find(interface).await? else {
            return Ok(false);
        };
        let request = self.handle.link().del(found.index).execute();
        match bounded("remove link", interface, request).await {
            Err(error) if is_absent(&error) => Ok(false),
            result => result.map(|()| true),
        }
    }

    /// The link of that name.
    pub(super) async fn find(&self, interface: &str) -> Result<Option<Interface>, NetworkError> {
        let request = self.handle.link().get().match_name(interface.to_owned()).execute();
        match bounded("look for link", interface, collect(request)).await {
            Err(error) if is_absent(&error) => Ok(None),
            result => Ok(result?.first().and_then(decode)),
        }
    }

    /// The number of the link of that name, which must be there.
    pub(super) async fn index_of(&self, interface: &str) -> Result<u32, NetworkError> {
        match self.find(interface).await? {
            Some(found) => Ok(found.index),
            None => Err(NetworkError::NoInterface { interface: interface.to_owned() }),
        }
    }

    /// All links of the namespace.
    pub(super) async fn interfaces(&self) -> Result<Vec<Interface>, NetworkError> {
        let request = self.handle.link().get().execute();
        let links = bounded("list links", "*", collect(request)).await?;
        Ok(links.iter().filter_map(decode).collect())
    }

    /// Gives a link an address.
    pub(super) async fn add_address(
        &self,
        interface: &str,
        address: Ipv4Addr,
        prefix_length: u8,
    ) -> Result<(), NetworkError> {
        let index = self.index_of(interface).await?;
        let request = self.handle.address().add(index, address.into(), prefix_length);
        bounded("add address", interface, request.execute()).await
    }

    /// Tells the kernel who answers at `address` on a link, so that it never asks.
    pub(super) async fn add_neighbour(
        &self,
        interface: &str,
        address: Ipv4Addr,
        mac: [u8; 6],
    ) -> Result<(), NetworkError> {
        let index = self.index_of(interface).await?;
        let request = self.handle.neighbours().add(index, address.into()).link_layer_address(&mac);
        bounded("add neighbour", interface, request.execute()).await
    }

    /// Sends everything that no other route takes to `gateway`.
    pub(super) async fn add_default_route(
        &self,
        interface: &str,
        gateway: Ipv4Addr,
    ) -> Result<(), NetworkError> {
        let route = RouteMessageBuilder::<Ipv4Addr>::new().gateway(gateway).build();
        bounded("add default route", interface, self.handle.route().add(route).execute()).await
    }

    /// The raw handle, for reads that have a module of their own.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}

/// Waits for a request as long as the kernel may take.
pub(super) async fn bounded<T>(
    action: &'static str,
    interface: &str,
    request: impl Future<Output = Result<T, rtnetlink::Error>>,
) -> Result<T, NetworkError> {
    match tokio::time::timeout(REQUEST_DEADLINE, request).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(NetworkError::Netlink {
            action,
            interface: interface.to_owned(),
            source: Box::new(source),
        }),
        Err(_) => Err(NetworkError::Deadline {
            action,
            subject: interface.to_owned(),
            limit: REQUEST_DEADLINE,
        }),
    }
}

/// All items of an answer.
pub(super) async fn collect<T>(
    answer: impl Stream<Item = Result<T, rtnetlink::Error>>,
) -> Result<Vec<T>, rtnetlink::Error> {
    answer.try_collect().await
}

/// True when the kernel said that there is no such link.
fn is_absent(error: &NetworkError) -> bool {
    match error {
        NetworkError::Netlink { source, .. } => match source.as_ref() {
            rtnetlink::Error::NetlinkError(message) => message.raw_code() == -libc::ENODEV,
            _ => false,
        },
        _ => false,
    }
}

fn decode(link: &LinkMessage) -> Option<Interface> {
    let mut name = None;
    let mut alias = None;
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::IfName(value) => name = Some(value.clone()),
            LinkAttribute::IfAlias(value) => alias = Some(value.clone()),
            _ => {}
        }
    }
    name.map(|name| Interface { index: link.header.index, name, alias })
}
