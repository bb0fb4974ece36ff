//! Runs all checks and shows what they found.

use std::fmt;

use contract::client::Client;
use serde::Serialize;

use super::{
    arguments::DoctorArguments,
    check::{Check, Status},
    daemon, kernel, probe, storage, tools,
};
use crate::output;

/// What all checks found: `Display` is for people, `Serialize` for programs.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether machines can run.
    pub ok: bool,
    /// Every check, in the order in which to mend.
    pub checks: Vec<Check>,
}

/// Checks this host and the daemon that `client` reaches, then boots a machine there, which is gone again when this returns.
pub async fn run(arguments: DoctorArguments, client: &Client) -> Report {
    let root_dir = arguments.root_dir;
    let image_dir = arguments.image_dir.unwrap_or_else(|| root_dir.join("images"));
    let images = image_dir.clone();
    let host = tokio::task::spawn_blocking(move || {
        [kernel::checks(), tools::checks(), storage::checks(&root_dir, &image_dir)].concat()
    });
    let daemon = daemon::check(client).await;
    let mut checks = match host.await {
        Ok(checks) => checks,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    };
    let may_boot = !arguments.no_probe && daemon.status == Status::Good;
    checks.push(daemon);
    if may_boot {
        checks.push(probe::check(client, &images).await);
    }
    Report::new(checks)
}

impl Report {
    fn new(checks: Vec<Check>) -> Self {
        Self { ok: checks.iter().all(|check| check.status != Status::Missing), checks }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = output::table(["CHECK", "", "FOUND"]);
        for check in &self.checks {
            let word = match check.status {
                Status::Good => "good",
                Status::Limited => "limited",
                Status::Missing => "MISSING",
            };
            table.add_row([check.name, word, &check.found]);
        }
        writeln!(formatter, "{table}")?;
        for check in &self.checks {
            if let Some(remedy) = &check.remedy {
                writeln!(formatter, "{}: {remedy}", check.name)?;
            }
        }
        let verdict = if self.ok {
            "this host can run machines"
        } else {
            "this host cannot run machines yet"
        };
        formatter.write_str(verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_keeps_a_host_from_running_machines() {
        let good = Check::good("one", "there");
        let limited = Check::limited("two", "slow", "buy more");
        let missing = Check::missing("three", "gone", "bring it back");
        let report = Report::new(vec![good.clone(), limited.clone()]);
        assert!(report.ok);
        assert!(report.to_string().contains("two: buy more"));
        let report = Report::new(vec![good, limited, missing]);
        assert!(!report.ok);
        assert!(report.to_string().ends_with("this host cannot run machines yet"));
    }

    #[test]
    fn a_report_in_json_has_a_remedy_only_where_one_is_needed() {
        let report = Report::new(vec![Check::good("one", "there")]);
        let json = serde_json::to_string(&report).expect("it serializes");
        let expected = r#"{"ok":true,"checks":[{"name":"one","status":"good","found":"there"}]}"#;
        assert_eq!(json, expected);
    }
}
