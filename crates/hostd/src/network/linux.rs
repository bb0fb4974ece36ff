//! The `Network` port on Linux.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddrV4},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use contract::machine::Egress;
use engine::{
    port::{Fault, Network, OpenRelay, Opened, PortError, Relay as WantedRelay},
    record::{AddressBlock, Slot},
};
use tokio::net::TcpStream;
use tokio::sync::MutexGuard;
use tracing::{debug, info, warn};

use super::{
    build,
    error::NetworkError,
    facts::{HostFacts, Warning},
    listening,
    mark::Mark,
    namespace::{self, Namespace},
    netlink::Netlink,
    nft::Nft,
    pool::WarmPool,
    relay_table::{RelayLimits, RelayTable},
    resolver,
    rules::{HostRules, Ipv4Range, host_table_name, no_host_rules},
    setting,
};

/// How many slots can be worked on at once; slots whose indices agree modulo this wait for each other.
const STRIPES: usize = 64;

/// What the network of a host is configured with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSettings {
    /// The host id of the daemon's root directory; every name made here carries it.
    pub host_id: String,
    /// From which slots take their addresses: a block that nobody else on this host uses, such as
    /// [`NetworkSettings::DEFAULT_BLOCK`].
    pub block: AddressBlock,
    /// Through which interface guests leave the host; by default that of the default route.
    pub egress_interface: Option<String>,
    /// Who answers guests' name queries; when empty, the host's resolvers.
    pub resolvers: Vec<Ipv4Addr>,
    /// TCP endpoints that guests with open egress may reach although they are not public.
    pub allowed: Vec<SocketAddrV4>,
    /// What holds for relays.
    pub relays: RelayLimits,
}

impl NetworkSettings {
    /// 10.213.0.0/16, room for 16,384 machines: private, and none that Docker (172.17 and up), libvirt (192.168.122),
    /// Kubernetes (10.96, 10.244) or home routers take by themselves.
    pub const DEFAULT_BLOCK: AddressBlock =
        AddressBlock { first: Ipv4Addr::new(10, 213, 0, 0), prefix_length: 16 };
}

/// Namespaces, links and rules of this host, in the network namespace that the process runs in.
#[derive(Debug)]
pub struct LinuxNetwork {
    settings: NetworkSettings,
    nft: Nft,
    /// How all names begin, before the index.
    prefix: String,
    pool: Mutex<WarmPool>,
    relays: RelayTable,
    /// What the log has been told of the host.
    warnings: Mutex<Vec<Warning>>,
    stripes: [tokio::sync::Mutex<()>; STRIPES],
}

impl LinuxNetwork {
    /// Finds what it needs on the host and changes nothing.
    pub fn new(settings: NetworkSettings) -> Result<Self, PortError> {
        let nft = Nft::find().ok_or_else(|| {
            PortError::plain(Fault::Internal, "find the program nft (package nftables)")
        })?;
        // The name of slot 0 without its number.
        let first = Slot::new(&settings.host_id, settings.block, 0, 0).namespace;
        Ok(Self {
            prefix: first[..first.len() - 1].to_owned(),
            relays: RelayTable::new(settings.relays),
            settings,
            nft,
            pool: Mutex::default(),
            warnings: Mutex::default(),
            stripes: [const { tokio::sync::Mutex::const_new(()) }; STRIPES],
        })
    }

    /// Makes the warm pool hold exactly `wanted`: the slots that planning will choose next. What a machine has taken
    /// meanwhile is left alone. Failures are told in the log; a slot that is not warm is built when it is needed.
    pub async fn keep_warm(&self, wanted: &[Slot]) {
        let changes = self.pool().changes(wanted);
        for slot in changes.destroy {
            let _turn = self.turn(slot.index).await;
            // Asked again: it may have been taken while we waited for our turn.
            if self.pool().holds(slot.index) {
                self.told(
                    &slot,
                    "remove from the warm pool",
                    self.remove(slot.index, &slot.namespace).await,
                );
            }
        }
        for slot in changes.build {
            let _turn = self.turn(slot.index).await;
            self.told(&slot, "build ahead", self.warm(&slot).await);
        }
    }

    /// Removes all that this daemon ever made in the host's network: every slot, taken or warm, and the host's table. For
    /// the end of a daemon's root directory; machines that still run lose their network. `ip_forward` stays as it is,
    /// since others may have come to rely on it.
    pub async fn release_host(&self) -> Result<(), PortError> {
        self.keep_warm(&[]).await;
        for index in self.carried_slots().await? {
            self.destroy_orphan(index).await?;
        }
        let table = host_table_name(&self.settings.host_id);
        let removed = self.nft.apply(&table, &no_host_rules(&self.settings.host_id)).await;
        removed.map_err(|error| error.into_port(format!("remove table {table}")))
    }

    /// Builds a slot ahead, unless a machine has it. The caller has the turn.
    async fn warm(&self, slot: &Slot) -> Result<(), NetworkError> {
        match self.look(slot).await? {
            Found::Marked(Mark::Taken) => return Ok(()),
            Found::Marked(Mark::Warm) => {}
            Found::Other | Found::Nothing => {
                self.pool().hold(slot.clone());
                self.remake(slot, Mark::Warm).await?;
            }
        }
        self.pool().hold(slot.clone());
        Ok(())
    }

    /// Makes the slot in place of whatever has its name; when that fails, nothing is left. The caller has the turn.
    async fn remake(&self, slot: &Slot, mark: Mark) -> Result<(), NetworkError> {
        build::remove(&slot.namespace).await?;
        let made = build::make(slot, &self.nft, mark, &self.settings.allowed).await;
        if made.is_err() {
            self.told(
                slot,
                "remove what was half made",
                self.remove(slot.index, &slot.namespace).await,
            );
        }
        made
    }

    async fn remove(&self, index: u32, name: &str) -> Result<(), NetworkError> {
        self.pool().release(index);
        build::remove(name).await
    }

    /// What there is under the slot's name.
    async fn look(&self, slot: &Slot) -> Result<Found, NetworkError> {
        let link = Netlink::open()?.find(&slot.host_interface).await?;
        let has_namespace = Namespace::named(&slot.namespace).exists()?;
        let mark = link.as_ref().and_then(|link| Mark::read(slot, link.alias.as_deref()?));
        Ok(match mark {
            Some(mark) if has_namespace => Found::Marked(mark),
            _ if has_namespace || link.is_some() => Found::Other,
            _ => Found::Nothing,
        })
    }

    /// Waits until nobody else works on the slot of this index.
    async fn turn(&self, index: u32) -> MutexGuard<'_, ()> {
        self.stripes[index as usize % STRIPES].lock().await
    }

    /// The pool, whose invariants no panic can break.
    fn pool(&self) -> std::sync::MutexGuard<'_, WarmPool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self, slot: &Slot, action: &str, result: Result<(), NetworkError>) {
        if let Err(error) = result {
            let error = error.into_port(action.to_owned()).chain();
            warn!(slot = %slot.namespace, %error, "network");
        }
    }

    async fn prepare_host(&self) -> Result<(), NetworkError> {
        let table = host_table_name(&self.settings.host_id);
        let facts = HostFacts::read(&self.nft, &self.prefix, &table).await?;
        let resolvers = match self.settings.resolvers.is_empty() {
            true => resolver::read()?,
            false => self.settings.resolvers.clone(),
        };
        let block = Ipv4Range::from(self.settings.block);
        facts.refuse(block, &resolvers)?;
        let egress_interface =
            self.settings.egress_interface.clone().or_else(|| facts.default_interface.clone());
        self.warn(facts.warnings(egress_interface.as_deref(), &resolvers));
        if setting::read("ipv4/ip_forward")? == "0" {
            setting::write("ipv4/ip_forward", "1")?;
            info!("turned on net.ipv4.ip_forward, without which no guest reaches anything");
        }
        let rules = HostRules {
            host_id: self.settings.host_id.clone(),
            interface_prefix: self.prefix.clone(),
            block,
            egress_interface,
            resolvers,
            allowed: self.settings.allowed.clone(),
        };
        debug!(?rules, "rules of the host");
        self.nft.apply(&table, &rules.render()).await
    }

    /// Tells the log what is new since the last time.
    fn warn(&self, warnings: Vec<Warning>) {
        let mut told = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        for warning in warnings.iter().filter(|warning| !told.contains(warning)) {
            warn!(%warning, "network");
        }
        *told = warnings;
    }

    async fn carried(&self) -> Result<Vec<u32>, NetworkError> {
        let mut names = namespace::names_with_prefix(&self.prefix)?;
        let links = Netlink::open()?.interfaces().await?;
        names.extend(links.into_iter().map(|link| link.name));
        let mut indices: Vec<u32> = names
            .iter()
            .filter_map(|name| name.strip_prefix(&self.prefix)?.parse().ok())
            .filter(|index| !self.pool().holds(*index))
            .collect();
        indices.sort_unstable();
        indices.dedup();
        Ok(indices)
    }
}

/// What was found under a slot's name.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    /// Whole, and of this slot.
    Marked(Mark),
    /// Half made, or of another generation.
    Other,
}

#[async_trait]
impl Network for LinuxNetwork {
    async fn ensure_host(&self) -> Result<(), PortError> {
        let prepared = self.prepare_host().await;
        prepared.map_err(|error| error.into_port("prepare the host's network".to_owned()))
    }

    async fn build(&self, slot: &Slot) -> Result<(), PortError> {
        let _turn = self.turn(slot.index).await;
        let built = async {
            if self.look(slot).await? == Found::Marked(Mark::Warm) {
                let taken = Mark::Taken.text(slot);
                Netlink::open()?.set_alias(&slot.host_interface, &taken).await?;
                self.pool().release(slot.index);
                return Ok(());
            }
            self.pool().release(slot.index);
            self.remake(slot, Mark::Taken).await
        };
        built.await.map_err(|error: NetworkError| {
            error.into_port(format!("build network slot {}", slot.namespace))
        })
    }

    async fn open(&self, slot: &Slot, egress: Egress) -> Result<(), PortError> {
        let _turn = self.turn(slot.index).await;
        let opened = build::open(slot, &self.nft, egress, &self.settings.allowed).await;
        opened.map_err(|error| error.into_port(format!("open network slot {}", slot.namespace)))
    }

    async fn open_relay(&self, slot: &Slot, relay: WantedRelay) -> Result<Opened, PortError> {
        if self.relays.serves(slot, relay) {
            return Ok(Opened::Serves);
        }
        let _turn = self.turn(slot.index).await;
        let action = || format!("open a relay from port {}", relay.host_port);
        match self.look(slot).await {
            Ok(Found::Marked(Mark::Taken)) => {}
            Ok(Found::Marked(Mark::Warm) | Found::Other | Found::Nothing) => {
                let slot = &slot.namespace;
                let action = format!("{} into network slot {slot}, which is gone", action());
                return Err(PortError::plain(Fault::Absent, action));
            }
            Err(error) => return Err(error.into_port(action())),
        }
        let opened = self.relays.open(slot, relay).await;
        opened.map_err(|error| PortError::internal(action(), error))
    }

    async fn close_relay(&self, host_port: u16) -> Result<(), PortError> {
        self.relays.close(host_port).await;
        Ok(())
    }

    async fn open_relays(&self) -> Result<Vec<OpenRelay>, PortError> {
        Ok(self.relays.list())
    }

    async fn listening_ports(&self) -> Result<BTreeSet<u16>, PortError> {
        let action = "list the ports that are listened on";
        let ports = tokio::task::spawn_blocking(listening::ports).await;
        ports
            .map_err(|error| PortError::internal(action, error))?
            .map_err(|error| PortError::io(action, error))
    }

    async fn accepts(&self, slot: &Slot, port: u16, deadline: Duration) -> Result<bool, PortError> {
        let connecting = TcpStream::connect((slot.runtime_address, port));
        Ok(matches!(tokio::time::timeout(deadline, connecting).await, Ok(Ok(_connected))))
    }

    async fn destroy(&self, slot: &Slot) -> Result<(), PortError> {
        self.destroy_orphan(slot.index).await
    }

    async fn carried_slots(&self) -> Result<Vec<u32>, PortError> {
        let carried = self.carried().await;
        carried.map_err(|error| error.into_port("list network slots".to_owned()))
    }

    async fn destroy_orphan(&self, index: u32) -> Result<(), PortError> {
        let name = format!("{}{index}", self.prefix);
        let _turn = self.turn(index).await;
        self.relays.close_slot(index).await;
        let removed = self.remove(index, &name).await;
        removed.map_err(|error| error.into_port(format!("destroy network slot {name}")))
    }
}
