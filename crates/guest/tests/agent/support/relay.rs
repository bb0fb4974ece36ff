//! A socket between host and agent whose connections a test can cut.

use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

/// Passes bytes on until it is told to cut.
#[derive(Debug)]
pub(crate) struct Relay {
    cuts: watch::Sender<u64>,
}

impl Relay {
    /// Listens at `socket` and connects to `agent`, once for each connection.
    pub(crate) fn start(socket: &Path, agent: PathBuf) -> Relay {
        let listener = UnixListener::bind(socket).expect("a new socket");
        let cuts = watch::Sender::new(0);
        let watched = cuts.subscribe();
        tokio::spawn(async move {
            while let Ok((host, _peer)) = listener.accept().await {
                let agent = UnixStream::connect(&agent).await.expect("the agent listens");
                tokio::spawn(pass(host, agent, watched.clone()));
            }
        });
        Relay { cuts }
    }

    /// Ends every connection at once; what is under way is lost. New ones are possible.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|count| *count += 1);
    }
}

async fn pass(mut host: UnixStream, mut agent: UnixStream, mut cuts: watch::Receiver<u64>) {
    cuts.mark_unchanged();
    tokio::select! {
        passed = tokio::io::copy_bidirectional(&mut host, &mut agent) => drop(passed),
        changed = cuts.changed() => drop(changed),
    }
}
