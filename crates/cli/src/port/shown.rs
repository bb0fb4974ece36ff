//! Published ports as people see them.

use std::fmt;

use contract::published_port::PublishedPort;
use serde::Serialize;

use crate::output::{properties, shown_time, table};

/// One published port, to be shown.
#[derive(Debug, Serialize)]
pub(super) struct ShownPort {
    pub(super) port: PublishedPort,
}

/// Published ports, to be shown.
#[derive(Debug, Serialize)]
pub(super) struct ShownPorts {
    pub(super) ports: Vec<PublishedPort>,
}

impl fmt::Display for ShownPort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = &self.port;
        properties([
            ("Published port", Some(port.id.to_string())),
            ("Machine", Some(port.machine_id.to_string())),
            ("Name", Some(port.name.clone())),
            ("Port in the machine", Some(port.port.to_string())),
            ("Port of this host", Some(port.host_port.to_string())),
            ("Host name", port.host_name.clone()),
            ("Published", Some(shown_time(port.created_at))),
        ])
        .fmt(formatter)
    }
}

impl fmt::Display for ShownPorts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ports.is_empty() {
            return formatter.write_str("no published ports");
        }
        let mut table = table(["PUBLISHED PORT", "NAME", "IN THE MACHINE", "ON THIS HOST", "HTTP"]);
        for port in &self.ports {
            table.add_row([
                port.id.to_string(),
                port.name.clone(),
                port.port.to_string(),
                port.host_port.to_string(),
                port.host_name.clone().unwrap_or_default(),
            ]);
        }
        table.fmt(formatter)
    }
}
