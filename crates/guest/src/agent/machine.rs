//! The agent's parts, put together for the services.

use std::sync::atomic::{AtomicU64, Ordering};

use super::cgroup::{Cgroup, Cgroups};
use super::connect::Access;
use super::exec::SessionTable;
use super::foreseen::Foreseen;
use super::freezer::Freezer;
use super::identity::Applier;
use super::init::SshServer;
use super::login::Logins;
use super::mounts::Mounts;
use super::options::Role;
use super::places::Places;
use super::reaper::Reaper;
use super::shutdown::Orders;

/// One guest.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) places: Places,
    pub(crate) login_user: String,
    pub(crate) role: Role,
    pub(crate) reaper: Reaper,
    pub(crate) cgroups: Option<Cgroups>,
    pub(crate) freezer: Freezer,
    pub(crate) sessions: SessionTable,
    pub(crate) exec_access: Access,
    pub(crate) ssh_server: SshServer,
    pub(crate) logins: Logins,
    pub(crate) mounts: Mounts,
    pub(crate) orders: Orders,
    pub(crate) renewals: AtomicU64,
}

impl Machine {
    /// Where helpers run: they must not freeze with the guest.
    pub(crate) fn renew_cgroup(&self) -> Option<&Cgroup> {
        self.cgroups.as_ref().map(|cgroups| &cgroups.renew)
    }

    /// With what was seen for it before.
    pub(crate) fn identity_applier<'a>(&'a self, foreseen: Option<&'a Foreseen>) -> Applier<'a> {
        Applier {
            foreseen,
            places: &self.places,
            login_user: &self.login_user,
            reaper: &self.reaper,
            cgroup: self.renew_cgroup(),
            ssh_server: &self.ssh_server,
            exec_access: &self.exec_access,
        }
    }

    pub(crate) fn count_renewal(&self) {
        self.renewals.fetch_add(1, Ordering::Relaxed);
    }
}
