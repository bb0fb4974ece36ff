//! Makes a clone a machine of its own, all of it before any process of the guest runs (promise P8).

use std::io;
use std::time::{Duration, Instant};

use super::clock;
use super::foreseen::Foreseen;
use super::freezer::FreezeError;
use super::hooks::{self, HooksError};
use super::identity::IdentityError;
use super::machine::Machine;
use crate::proto::{RenewRequest, RenewResponse};
use crate::sys::entropy;

/// Which part failed. The guest is still frozen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RenewError {
    #[error("reseed the kernel's random number generator")]
    Reseed(#[source] io::Error),
    #[error("set the clock")]
    Clock(#[source] io::Error),
    #[error("set the identity")]
    Identity(#[from] IdentityError),
    #[error("run the hooks")]
    Hooks(#[from] HooksError),
    #[error("thaw")]
    Thaw(#[source] FreezeError),
}

/// Reseed, clock, identity, hooks, thaw: keys are made after the reseed, and nothing else freezes or thaws meanwhile.
pub(crate) async fn renew(
    machine: &Machine,
    request: RenewRequest,
) -> Result<RenewResponse, RenewError> {
    let started = Instant::now();
    let mut held = machine.freezer.hold().await;
    // Who read the output of these sessions was the source's host.
    machine.sessions.detach_all();
    // So was whoever is to be told of these logins.
    machine.logins.forget();
    // What the source mounted, it mounted with secrets of its own.
    machine.mounts.forget_all();
    let mut foreseen = held.take_foreseen();
    reseed(foreseen.as_ref(), &request.seed).map_err(RenewError::Reseed)?;
    let clock_stepped_ns = clock::set(request.unix_time_ns).map_err(RenewError::Clock)?;
    let identity = match &request.identity {
        Some(identity) => Some(machine.identity_applier(foreseen.as_ref()).apply(identity).await?),
        None => None,
    };
    let hook_deadline = Duration::from_millis(request.hook_deadline_ms.into());
    let seen_hooks = foreseen.as_mut().and_then(|foreseen| foreseen.hooks.take());
    let hooks = hooks::run_all(machine, seen_hooks, hook_deadline).await?;
    let frozen = held.thaw().map_err(RenewError::Thaw)?;
    machine.count_renewal();
    let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(RenewResponse {
        identity,
        clock_stepped_ns,
        hooks,
        was_frozen: frozen.is_some(),
        took_ms,
        // The service says who it is.
        handshake: None,
    })
}

fn reseed(foreseen: Option<&Foreseen>, seed: &[u8]) -> io::Result<()> {
    match foreseen.and_then(|foreseen| foreseen.entropy.as_ref()) {
        Some(device) => entropy::reseed(device, seed),
        None => entropy::reseed(&entropy::open()?, seed),
    }
}
