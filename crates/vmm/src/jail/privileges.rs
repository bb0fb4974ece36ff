//! Giving everything up, for good, before the program is started.

use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, Gid, Uid};

use super::failure::{During, Failure};
use super::spec::ProcessLimits;
use super::sys;

/// Sets the limits that every process inside inherits.
pub(super) fn limit(limits: &ProcessLimits) -> Result<(), Failure> {
    let bounds = [
        (Resource::Core, 0, "core"),
        (Resource::Nofile, limits.open_files, "open files"),
        (Resource::Nproc, limits.tasks, "tasks"),
        (Resource::Fsize, limits.file_size_bytes, "file size"),
    ];
    for (resource, bound, name) in bounds {
        let both = Rlimit { current: Some(bound), maximum: Some(bound) };
        setrlimit(resource, both).during(|| format!("limit {name} to {bound}"))?;
    }
    Ok(())
}

/// From here on no program that is started can have more than its parent, and none hears of groups that the daemon is in.
pub(super) fn forbid_new() -> std::io::Result<()> {
    rustix::thread::set_thread_groups(&[])?;
    Ok(rustix::thread::set_no_new_privs(true)?)
}

/// Becomes `owner` with no capability in any set and no way to win one back. The process has one thread.
pub(super) fn drop_all(owner: u32) -> Result<(), Failure> {
    let (uid, gid) = (Uid::from_raw(owner), Gid::from_raw(owner));
    sys::drop_bounding_set().during(|| "drop the capability bounding set".to_owned())?;
    rustix::thread::clear_ambient_capability_set()
        .during(|| "clear the ambient capabilities".to_owned())?;
    rustix::thread::set_thread_groups(&[]).during(|| "leave all groups".to_owned())?;
    rustix::thread::set_thread_res_gid(gid, gid, gid).during(|| format!("become gid {owner}"))?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).during(|| format!("become uid {owner}"))?;
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, none).during(|| "drop all capabilities".to_owned())?;
    rustix::thread::set_no_new_privs(true).during(|| "forbid new privileges".to_owned())?;
    sys::forbid_tracing().during(|| "forbid tracing".to_owned())
}
