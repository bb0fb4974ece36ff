//! `computer operations`: what the daemon did and is doing.

use std::fmt;

use clap::Args;
use contract::client::Client;
use contract::id::OperationId;
use contract::operation::{IdempotencyKey, Operation};
use serde::Serialize;

use crate::error::CliError;
use crate::output::{shown_time, table};

/// Which operations.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  computer operations
  computer operations --key deploy-17")]
pub(crate) struct OperationsArguments {
    /// Only this one.
    pub(crate) operation: Option<OperationId>,
    /// Only those of requests with this idempotency key.
    #[arg(long, conflicts_with = "operation")]
    pub(crate) key: Option<IdempotencyKey>,
}

/// Operations, to be shown.
#[derive(Debug, Serialize)]
pub(crate) struct ShownOperations {
    operations: Vec<Operation>,
}

/// Lists operations.
pub(crate) async fn list(
    client: &Client,
    arguments: &OperationsArguments,
) -> Result<ShownOperations, CliError> {
    let operations = match &arguments.operation {
        Some(operation) => vec![client.show_operation(operation).await?],
        None => client.list_operations(arguments.key.clone()).await?,
    };
    Ok(ShownOperations { operations })
}

impl fmt::Display for ShownOperations {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.operations.is_empty() {
            return formatter.write_str("no operations");
        }
        let mut table = table(["OPERATION", "KIND", "STATE", "OF", "STARTED", "ERROR"]);
        for operation in &self.operations {
            table.add_row([
                operation.id.to_string(),
                operation.kind.as_str().to_owned(),
                operation.state.as_str().to_owned(),
                operation.resource_id.clone(),
                shown_time(operation.started_at),
                operation.error.clone().unwrap_or_default(),
            ]);
        }
        table.fmt(formatter)
    }
}
