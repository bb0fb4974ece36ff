//! Whether computerd answers.

use contract::client::{Client, ClientError};

use super::check::Check;

/// Asks the daemon for its health.
pub(super) async fn check(client: &Client) -> Check {
    let address = client.address();
    match client.health().await {
        Ok(()) => Check::good("computerd", format!("answers at {address}")),
        Err(error) => unreachable_at(&address.to_string(), &error),
    }
}

fn unreachable_at(address: &str, error: &ClientError) -> Check {
    let found = format!("no answer at {address}: {}", whole_chain(error));
    Check::missing("computerd", found, "start computerd")
}

fn whole_chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
