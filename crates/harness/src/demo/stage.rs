//! The stage: an image, storage, two hosts and an object store, all beneath `target/demo`, and gone with this value.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use super::prompt::Prompt;
use crate::audit::Audit;
use crate::daemon::Daemon;
use crate::error::HarnessError;
use crate::program::{program, run, target_dir};
use crate::storage::clones;
use crate::store_server::StoreServer;

/// The demo's image, kept between runs.
pub(super) const IMAGE: &str = "demo";
/// Its size, and that of the computers' disks: the default profile with some room.
pub(super) const DISK: &str = "768M";
/// Sparse; a run writes some 4 GiB.
const STORAGE: &str = "12G";

/// Everything that the story plays on. Fields go in this order.
#[derive(Debug)]
pub(super) struct Stage {
    /// The first host, and where commands are typed on it.
    pub(super) a: Host,
    /// The second.
    pub(super) b: Host,
    /// The object store.
    pub(super) store: StoreServer,
    _place: Place,
}

/// A daemon, and a prompt whose `computer` speaks to it.
#[derive(Debug)]
pub(super) struct Host {
    daemon: Daemon,
    /// Where commands are typed.
    pub(super) prompt: Prompt,
}

impl Stage {
    /// Sets it up.
    pub(super) async fn set() -> Result<Self, HarnessError> {
        let images = target_dir()?.join("guest-images");
        println!("An image of Debian's packages. It is kept in {images}.");
        let here = Prompt::new("", vec![("COMPUTER_IMAGE_DIR", images.to_string())])?;
        let built = here.run(&["image", "build", IMAGE, "--size", DISK, "--if-changed"]).await?;
        println!("  built, or found unchanged, in {} s\n", built.took_ms / 1000);

        let place = Place::make(&here).await?;
        println!(
            "An object store that speaks S3, and two hosts, each with a computerd and a root of its own."
        );
        let store = StoreServer::start(&place.base.join("store")).await?;
        println!("  s3s-fs answers at http://{}", store.address());
        let a = Host::start("a", &place, &images, &store).await?;
        let b = Host::start("b", &place, &images, &store).await?;
        println!();
        Ok(Self { a, b, store, _place: place })
    }

    /// Ends it, and looks for anything that was left behind.
    pub(super) async fn clear(self) -> Result<(), HarnessError> {
        self.a.daemon.finish().await?;
        self.b.daemon.finish().await?;
        println!(
            "  no file, process, namespace, interface, table, mount or cgroup of either host is left\n"
        );
        Ok(())
    }

    /// Shows what the daemons said, after a failure.
    pub(super) fn tell_logs(&self) {
        for host in [&self.a, &self.b] {
            eprintln!(
                "computerd on host {} said at last:\n{}\n",
                host.daemon.name(),
                host.daemon.log_tail()
            );
        }
    }
}

impl Host {
    async fn start(
        name: &'static str,
        place: &Place,
        images: &Utf8Path,
        store: &StoreServer,
    ) -> Result<Self, HarnessError> {
        let daemon = Daemon::start(&place.hosts, name, images).await?;
        println!("  computerd of host {name}: COMPUTER_SOCKET={}", daemon.socket());
        let mut environment = vec![
            ("COMPUTER_SOCKET", daemon.socket().into_string()),
            ("COMPUTER_IMAGE_DIR", images.to_string()),
        ];
        environment.extend(store.environment());
        Ok(Self { daemon, prompt: Prompt::new(name, environment)? })
    }
}

/// Where roots and objects lie; removed when dropped.
#[derive(Debug)]
struct Place {
    base: Utf8PathBuf,
    /// The roots of the hosts.
    hosts: Utf8PathBuf,
    /// The file behind `hosts`, where that is a file system of its own.
    file: Option<Utf8PathBuf>,
}

impl Place {
    /// Makes it, on a file system that clones files.
    async fn make(here: &Prompt) -> Result<Self, HarnessError> {
        let base = target_dir()?.join("demo");
        let (hosts, file) = (base.join("hosts"), base.join("storage.xfs"));
        clear_leftovers(&base, &hosts, &file)?;
        fs::create_dir_all(&base).map_err(HarnessError::io(format!("make {base}")))?;
        if clones(&base)? {
            println!(
                "Files are cloned in an instant here: the hosts' roots are beneath {hosts}.\n"
            );
            fs::create_dir_all(&hosts).map_err(HarnessError::io(format!("make {hosts}")))?;
            return Ok(Self { base, hosts, file: None });
        }
        println!(
            "The file system here cannot clone files, so the hosts get one that can (XFS in a sparse file)."
        );
        let place = Self { base, hosts, file: Some(file.clone()) };
        let arguments =
            ["--size", STORAGE, "--path", file.as_str(), "--mount", place.hosts.as_str()];
        here.run(&[&["setup", "storage"], &arguments[..]].concat()).await?;
        println!();
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let removed = match &self.file {
            Some(file) => remove_storage(file, &self.hosts),
            None => Ok(()),
        };
        let removed = removed.and_then(|()| {
            fs::remove_dir_all(&self.base)
                .map_err(HarnessError::io(format!("remove {}", self.base)))
        });
        if let Err(error) = removed {
            eprintln!("demo: {}", error.chain());
        }
    }
}

/// Ends and removes what a demo that was killed has left.
fn clear_leftovers(base: &Utf8Path, hosts: &Utf8Path, file: &Utf8Path) -> Result<(), HarnessError> {
    if !base.exists() {
        return Ok(());
    }
    println!("A demo was killed before it could clear up: what it left is removed.");
    for name in ["a", "b"] {
        let root = hosts.join(name);
        if let Ok(host_id) = fs::read_to_string(root.join("state/host_id")) {
            Audit::new(&root, host_id.trim()).end_everything();
        }
    }
    if file.exists() {
        remove_storage(file, hosts)?;
    }
    fs::remove_dir_all(base).map_err(HarnessError::io(format!("remove {base}")))
}

fn remove_storage(file: &Utf8Path, hosts: &Utf8Path) -> Result<(), HarnessError> {
    let arguments = ["--remove", "--path", file.as_str(), "--mount", hosts.as_str()];
    run(program("computer")?.as_str(), &[&["setup", "storage"], &arguments[..]].concat()).map(drop)
}
