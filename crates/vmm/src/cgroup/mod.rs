//! Control groups (version 2): each run of a machine is born into one, and is ended with it.
//!
//! Membership and `cgroup.kill` need no controller, so this works on hosts whose controllers are still with version 1;
//! limits are set where the version 2 controllers exist, and the rest is reported. All groups of one daemon lie under
//! one parent that carries its host id.

mod group;
mod io;
mod limits;
mod mount;

pub use group::{Cgroup, CgroupError};
pub use io::IoLimits;
pub use limits::{Applied, Limits};
pub use mount::unified_mount;
