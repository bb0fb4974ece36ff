//! The log, in the form of Firecracker's but for the time, which is seconds of the epoch. What cannot be written is lost, and holds nobody up.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use camino::Utf8Path;

/// Where lines go. Standard output without a path.
#[derive(Debug)]
pub(super) struct Log {
    instance: String,
    to: Option<Mutex<std::fs::File>>,
}

impl Log {
    /// Opens the log.
    pub(super) fn open(path: Option<&Utf8Path>, instance: &str) -> io::Result<Self> {
        let file = path.map(|path| OpenOptions::new().append(true).create(true).open(path));
        Ok(Self { instance: instance.to_owned(), to: file.transpose()?.map(Mutex::new) })
    }

    /// One line.
    pub(super) fn error(&self, text: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = format!(
            "{}.{:09} [{}:main:ERROR:simulator] {text}\n",
            now.as_secs(),
            now.subsec_nanos(),
            self.instance
        );
        let written = match &self.to {
            Some(file) => match file.lock() {
                Ok(mut file) => file.write_all(line.as_bytes()),
                Err(_poisoned) => Ok(()),
            },
            None => io::stdout().write_all(line.as_bytes()),
        };
        if let Err(error) = written {
            eprintln!("the log takes no more: {error}");
        }
    }
}
