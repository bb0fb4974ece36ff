//! The daemon's life: lock, open, settle, listen; and end well, with machines outliving it.
//!
//! ```text
//!  root locked -> store, VMMs, network -> first reconcile (guests resume first) -> listeners -> timers
//!  SIGTERM, SIGINT -> nothing more accepted -> answers and operations under way, within `drain_ms` -> out
//! ```

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use camino::Utf8PathBuf;
use engine::layout::Layout;
use engine::port::PortError;
use engine::runner::Runner;
use engine::watch::Watch;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::config::{Config, ConfigError, Listen, Relay, read_token};
use crate::farewell;
use crate::http::serve::{Listener, serve};
use crate::http::{Api, ByHost, Token, by_host, router};
use crate::maintenance;
use crate::mint::SystemMint;
use crate::mount_keeper;
use crate::room::HostRoom;
use crate::root::{Root, RootError, group_id};
use crate::wiring::{self, Wired, WiringError};

/// How long the first reconcile keeps the listeners closed; what takes longer goes on beside them.
const SETTLE_DEADLINE: Duration = Duration::from_secs(10);

/// Why the daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The root.
    #[error("take the root directory")]
    Root(#[from] RootError),
    /// What is beneath the engine.
    #[error("make the host ready")]
    Wiring(#[from] WiringError),
    /// The host's network.
    #[error("make the host's network ready")]
    Network(#[source] PortError),
    /// The token of the TCP listener.
    #[error("read the token")]
    Token(#[from] ConfigError),
    /// A listener.
    #[error("listen on {at}")]
    Listen {
        /// Where.
        at: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Signals.
    #[error("wait for signals")]
    Signals(#[source] std::io::Error),
}

/// Runs until it is told to stop. `watch` is told of every step of every operation.
///
/// # Errors
/// When it cannot start.
pub async fn run(config: Config, watch: Arc<dyn Watch>) -> Result<(), DaemonError> {
    let stop = stop_signal().map_err(DaemonError::Signals)?;
    let group = config.socket_group.as_deref().map(group_id).transpose()?;
    let layout = Layout::new(config.root.clone());
    let root = Root::open(&layout, group)?;
    let wired = wiring::wire(&config, &root, watch).await?;
    let ending = CancellationToken::new();
    let tasks = TaskTracker::new();
    let api = start(&config, &wired, &tasks, &ending).await?;

    let leading = ByHost { api: api.clone(), relays: config.relay.address, token: None };
    let local = by_host(router::local(api.clone()), leading.clone());
    let mut listeners = vec![(unix_listener(&layout, group)?, local)];
    if let Some(listen) = &config.listen {
        let token = Token::new(&read_token(listen)?);
        let router = remote(listen, &config.relay, token, leading);
        let listener = TcpListener::bind(listen.address)
            .await
            .map_err(|source| DaemonError::Listen { at: listen.address.to_string(), source })?;
        listeners.push((Listener::Tcp(listener), router));
    }
    for (listener, router) in listeners {
        tasks.spawn(serve(listener, router, config.limits.connections, ending.clone()));
    }
    info!(host_id = root.host_id, root = %config.root, "computerd serves");

    stop.await;
    info!("stopping; machines run on");
    ending.cancel();
    tasks.close();
    let drain = Duration::from_millis(config.deadlines.drain_ms);
    let drained = timeout(drain, async {
        tasks.wait().await;
        api.runner.idle().await;
    });
    match drained.await {
        Ok(()) => farewell::leave(&wired.host, &wired.network).await,
        Err(_elapsed) => {
            warn!("operations or answers are still under way; the next computerd settles them");
        }
    }
    Ok(())
}

/// The router of the TCP listener. Published HTTP ports are reached by host name without the token where they are reached
/// without it anyway: from this host, and from wherever relays listen by the operator's wish (promise P11).
fn remote(listen: &Listen, relay: &Relay, token: Token, leading: ByHost) -> Router {
    let leading = ByHost { token: Some(token.clone()), ..leading };
    let api = router::local(leading.api.clone());
    if listen.address.ip().is_loopback() || !relay.address.is_loopback() {
        return by_host(router::guarded(api, token), leading);
    }
    router::guarded(by_host(api, leading), token)
}

/// Starts what the daemon does unasked; back when guests that were held by a dead daemon run again.
async fn start(
    config: &Config,
    wired: &Wired,
    tasks: &TaskTracker,
    ending: &CancellationToken,
) -> Result<Api, DaemonError> {
    let api = Api::new(
        Runner::new(wired.host.clone()),
        Arc::new(SystemMint),
        Arc::new(HostRoom::new(config.root.clone())),
        Arc::clone(&wired.agents),
        wired.file_uses.clone(),
        config.limits,
    );
    // Guests are let go before anything that can be refused.
    let network = wired.host.network.ensure_host().await;
    let (settled, first_pass) = oneshot::channel();
    let every = Duration::from_millis(config.deadlines.reconcile_interval_ms);
    tasks.spawn(maintenance::reconcile(api.clone(), every, settled, ending.clone()));
    if timeout(SETTLE_DEADLINE, first_pass).await.is_err() {
        warn!("the first reconcile takes long; listening meanwhile");
    }
    network.map_err(DaemonError::Network)?;

    let slots = usize::try_from(config.network.warm_slots).unwrap_or(usize::MAX);
    let network = Arc::clone(&wired.network);
    tasks.spawn(maintenance::keep_warm(api.clone(), network, slots, every, ending.clone()));
    tasks.spawn(maintenance::collect(api.clone(), every, ending.clone()));
    tasks.spawn(mount_keeper::keep(api.clone(), ending.clone()));
    let every = Duration::from_millis(config.deadlines.scrub_interval_ms);
    tasks.spawn(maintenance::scrub(api.clone(), every, ending.clone()));
    Ok(api)
}

fn unix_listener(layout: &Layout, group: Option<rustix::fs::Gid>) -> Result<Listener, DaemonError> {
    let path: Utf8PathBuf = layout.socket();
    Listener::unix(&path, group)
        .map_err(|source| DaemonError::Listen { at: path.into_string(), source })
}

/// Registered before anything starts, so that no signal kills a half-started daemon.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
