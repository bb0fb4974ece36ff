//! The work in the demo's computer: a number that lives only in a process's memory, and a file on the disk that it is written to.

use super::prompt::Prompt;
use crate::error::HarnessError;

/// Counts in a shell variable; tells it on a file system in memory, and writes it to a file on the disk.
const WORKER: &str = "\
#!/bin/sh
n=0
while :; do
  n=$((n + 1))
  echo $n >> /run/counter
  echo $n >> /home/node/workspace/diary
  sleep 0.1
done
";

/// Runs in every clone before its processes go on: what counter and diary were at the instant of the snapshot.
const WITNESS: &str = "\
#!/bin/sh
tail -q -n 1 /run/counter /home/node/workspace/diary > /run/at-snapshot
";

const WORKER_PATH: &str = "/usr/local/bin/worker";
const WITNESS_PATH: &str = "/etc/computer/clone.d/50-witness";

/// Puts both programs in and starts the worker.
pub(super) async fn start(prompt: &Prompt, machine: &str) -> Result<(), HarnessError> {
    println!("  The worker:\n{}", indented(WORKER));
    install(prompt, machine, WORKER_PATH, "worker.sh", WORKER).await?;
    println!(
        "  and a program that every clone runs before its processes go on:\n{}",
        indented(WITNESS)
    );
    install(prompt, machine, WITNESS_PATH, "witness.sh", WITNESS).await?;
    let command = format!("setsid {WORKER_PATH} > /dev/null 2>&1 < /dev/null &");
    prompt.run(&["exec", "--user", "root", machine, "--", "sh", "-c", &command]).await.map(drop)
}

async fn install(
    prompt: &Prompt,
    machine: &str,
    path: &str,
    file: &str,
    text: &str,
) -> Result<(), HarnessError> {
    let command = format!("install -D -m 755 /dev/stdin {path}");
    let arguments = ["exec", "--user", "root", machine, "--", "sh", "-c", &command];
    prompt.run_with(&arguments, file, text).await.map(drop)
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("      {line}\n")).collect()
}
