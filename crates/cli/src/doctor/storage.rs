//! Room for machines, clones of their disks, and an image to make them from.

use std::path::Path;

use rustix::fs::statvfs;

use super::check::Check;
use crate::{
    byte_size::ByteSize,
    image::{ImageError, ImageStore},
    setup::can_reflink,
};

const ENOUGH: ByteSize = ByteSize::from_mib(10 << 10);
const LEAST: ByteSize = ByteSize::from_mib(1 << 10);

/// Every check of storage.
pub(super) fn checks(root_dir: &Path, image_dir: &Path) -> Vec<Check> {
    vec![reflink(root_dir), room(root_dir), images(image_dir)]
}

fn reflink(root_dir: &Path) -> Check {
    let remedy = "computer setup storage";
    if !root_dir.is_dir() {
        let found = format!("{} is not there yet", root_dir.display());
        return Check::limited("reflink", found, remedy);
    }
    match can_reflink(root_dir) {
        Ok(true) => Check::good("reflink", format!("{} clones files", root_dir.display())),
        Ok(false) => Check::limited(
            "reflink",
            format!(
                "{} copies files: snapshots pause longer and take more room",
                root_dir.display()
            ),
            remedy,
        ),
        Err(error) => Check::limited("reflink", format!("not tried: {error}"), "run as root"),
    }
}

fn room(root_dir: &Path) -> Check {
    let existing = root_dir.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"));
    match statvfs(existing) {
        Ok(space) => {
            let free = ByteSize::from_bytes(space.f_bavail.saturating_mul(space.f_frsize));
            judge_room(free, existing)
        }
        Err(error) => Check::limited("disk", error.to_string(), "look at the disk"),
    }
}

fn judge_room(free: ByteSize, place: &Path) -> Check {
    let found = format!("{free} free at {}", place.display());
    if free < LEAST {
        Check::missing("disk", found, format!("free at least {LEAST}"))
    } else if free < ENOUGH {
        Check::limited(
            "disk",
            found,
            format!("{ENOUGH} or more let several machines and snapshots live"),
        )
    } else {
        Check::good("disk", found)
    }
}

fn images(image_dir: &Path) -> Check {
    judge_images(
        ImageStore::new(image_dir)
            .list()
            .map(|images| images.iter().map(|image| image.name.to_string()).collect()),
    )
}

fn judge_images(names: Result<Vec<String>, ImageError>) -> Check {
    let remedy = "computer image build default";
    match names {
        Ok(names) if names.is_empty() => Check::limited("images", "none", remedy),
        Ok(names) => Check::good("images", names.join(", ")),
        Err(error) => Check::limited("images", error.to_string(), remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn little_room_is_told_before_it_runs_out_promise_p13() {
        let table = [(512, Status::Missing), (5 << 10, Status::Limited), (50 << 10, Status::Good)];
        for (mib, status) in table {
            assert_eq!(judge_room(ByteSize::from_mib(mib), Path::new("/")).status, status);
        }
    }

    #[test]
    fn without_an_image_the_command_that_builds_one_is_told() {
        let check = judge_images(Ok(vec![]));
        assert_eq!(check.remedy.as_deref(), Some("computer image build default"));
        assert_eq!(judge_images(Ok(vec!["default".to_owned()])).status, Status::Good);
    }
}
