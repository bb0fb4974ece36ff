//! `computer exec-relay`: a port of this host at which programs run commands in a machine, as E2B's clients do.

use std::fmt;

use clap::Args;
use contract::client::Client;
use contract::id::MachineId;
use contract::machine::Machine;
use contract::port::PortName;
use serde::Serialize;

use crate::error::CliError;

const EXAMPLES: &str = "\
Examples:
  Open it, and list what runs there:
    port=$(computer exec-relay box --json | jq '.machine.ports[] | select(.name == \"exec\").host_port')
    curl -u node: -H 'content-type: application/json' -d '{}' http://127.0.0.1:$port/process.Process/List

  Run a command with E2B's own client:
    E2B_DEBUG=true E2B_SANDBOX_URL=http://127.0.0.1:$port python3 -c '
    from e2b import Sandbox
    print(Sandbox.create().commands.run(\"uname -a\", user=\"node\").stdout)'

It speaks Connect RPC (process.Process), on loopback unless the daemon's `relay.address` says otherwise. Where the daemon has
`guest.exec_secret_file`, clients show a token in X-Access-Token, another one for each machine:
    printf box | openssl dgst -sha256 -hmac \"$(cat FILE)\"";

/// Open a port at which programs run commands in a machine, as E2B's clients do.
///
/// A machine keeps the port once it has it, over restarts too.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct RelayArguments {
    /// The machine.
    pub(crate) machine: MachineId,
}

/// A machine with its exec port, to be shown.
#[derive(Debug, Serialize)]
pub(crate) struct ShownRelay {
    machine: Machine,
}

/// Opens it, where it is not open yet.
pub(crate) async fn relay(
    client: &Client,
    arguments: RelayArguments,
) -> Result<ShownRelay, CliError> {
    Ok(ShownRelay { machine: client.open_exec_relay(&arguments.machine).await? })
}

impl fmt::Display for ShownRelay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, phase) = (&self.machine.id, self.machine.phase.as_str());
        let mut ports = self.machine.ports.iter().filter(|port| port.name == PortName::Exec);
        match ports.find_map(|port| port.host_port) {
            Some(port) => write!(formatter, "commands for {id} ({phase}) are taken at port {port}"),
            None => write!(formatter, "{id} ({phase}) has no port for commands yet"),
        }
    }
}
