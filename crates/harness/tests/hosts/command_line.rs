//! `computer` as a person has it, against a real daemon, a real guest and a real object store.

use std::process::{Output, Stdio};
use std::time::Duration;

use harness::daemon::Daemon;
use harness::error::HarnessError;
use harness::machine::small;
use harness::program::program;
use harness::store_server::StoreServer;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::support::{Place, in_place};

/// One command: `doctor` boots a guest.
const RUN: Duration = Duration::from_secs(200);

/// A shell at a host, with the variables of an object store.
struct Shell {
    variables: Vec<(&'static str, String)>,
}

impl Shell {
    fn at(host: &Daemon, place: &Place, store: &StoreServer) -> Self {
        let mut variables = store.environment().to_vec();
        variables.push(("COMPUTER_SOCKET", host.socket().into_string()));
        variables.push(("COMPUTER_IMAGE_DIR", place.image.images.clone().into_string()));
        variables.push(("COMPUTER_ROOT_DIR", host.root().to_string()));
        Self { variables }
    }

    fn command(&self, words: &str) -> Result<Command, HarnessError> {
        let mut command = Command::new(program("computer")?);
        command.args(words.split(' ')).envs(self.variables.iter().cloned());
        command.stdin(Stdio::null()).kill_on_drop(true);
        Ok(command)
    }

    /// The JSON of a command that has to succeed.
    async fn json(&self, words: &str) -> Result<Value, HarnessError> {
        parsed(words, self.text(words).await?.as_bytes())
    }

    async fn output(&self, words: &str) -> Result<Output, HarnessError> {
        let running = self.command(words)?.output();
        tokio::time::timeout(RUN, running)
            .await
            .map_err(|_| HarnessError::Deadline { what: words.to_owned(), deadline: RUN })?
            .map_err(HarnessError::io(format!("run computer {words}")))
    }

    async fn text(&self, words: &str) -> Result<String, HarnessError> {
        let output = self.output(words).await?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(HarnessError::value(words, String::from_utf8_lossy(&said)))
    }

    fn start(&self, words: &str) -> Result<Child, HarnessError> {
        let spawned = self.command(words)?.stdout(Stdio::piped()).spawn();
        spawned.map_err(HarnessError::io(format!("run computer {words}")))
    }
}

fn parsed(words: &str, text: &[u8]) -> Result<Value, HarnessError> {
    serde_json::from_slice(text).map_err(|error| HarnessError::value(words, error))
}

#[test]
fn a_persons_commands_do_what_they_say_on_a_real_host() {
    in_place(async |place| {
        let store = StoreServer::start(&place.storage.path()?.join("store")).await?;
        let host = place.host("a").await?;
        host.launch(small("box", &place.image)?).await?;
        let shell = Shell::at(&host, place, &store);
        changes_are_watched_to_the_end(&shell).await?;
        chunked_forms_go_out_and_come_back(&shell, &store).await?;

        let relay = shell.json("exec-relay box").await?;
        let ports = relay["machine"]["ports"].as_array().cloned().unwrap_or_default();
        assert!(ports.iter().any(|port| port["name"] == "exec"), "{relay}");
        let refused = shell.text("mount add box webdav /etc/dav --id d --endpoint http://d.test");
        let refused = refused.await.err().map(|error| error.chain()).unwrap_or_default();
        assert!(refused.contains("target_path"), "{refused}");
        shell.text("delete box again").await?;

        // What a probe leaves is nothing.
        let doctor = parsed("doctor", &shell.output("doctor").await?.stdout)?;
        let checks = doctor["checks"].as_array().cloned().unwrap_or_default();
        let of = |name: &str| checks.iter().find(|check| check["name"] == name).cloned();
        assert!(of("probe machine").is_some_and(|probe| probe["status"] == "good"), "{doctor}");
        assert_eq!(shell.json("list").await?["machines"], serde_json::json!([]));
        host.finish().await
    });
}

/// Until the machine stops; only what others may know of.
async fn changes_are_watched_to_the_end(shell: &Shell) -> Result<(), HarnessError> {
    let mut watching = shell.start("watch box:")?;
    let seen = watching.stdout.take().ok_or_else(|| HarnessError::value("watch", "no output"))?;
    let mut lines = BufReader::new(seen).lines();
    let mut next = async || -> Result<Option<Value>, HarnessError> {
        let line = tokio::time::timeout(RUN, lines.next_line()).await;
        let line = line
            .map_err(|_| HarnessError::Deadline { what: "a change".into(), deadline: RUN })?
            .map_err(HarnessError::io("read what is watched"))?;
        let parse = |line: String| serde_json::from_str(&line);
        line.map(parse).transpose().map_err(|error| HarnessError::value("a change", error))
    };
    let first = next().await?;
    assert!(first.as_ref().is_some_and(|first| first["change"] == "watching"), "{first:?}");
    shell.text("exec box -- touch workspace/there").await?;
    loop {
        let change = next().await?.ok_or_else(|| HarnessError::value("watch", "it ended"))?;
        if change["change"] == "created" && change["path"] == "there" {
            break;
        }
    }
    shell.text("stop box").await?;
    while next().await?.is_some() {}
    let ended = tokio::time::timeout(RUN, watching.wait()).await;
    let ended = ended
        .map_err(|_| HarnessError::Deadline { what: "the end of watch".into(), deadline: RUN })?
        .map_err(HarnessError::io("wait for watch"))?;
    assert!(ended.success(), "{ended}");
    shell.text("start box").await.map(drop)
}

async fn chunked_forms_go_out_and_come_back(
    shell: &Shell,
    store: &StoreServer,
) -> Result<(), HarnessError> {
    let bucket = format!("{}/boxes", store.bucket_url());
    shell.text("exec --user root box -- sh -c echo${IFS}kept>/root/kept").await?;
    shell.json("snapshot create box --snapshot-id before").await?;
    shell.json(&format!("snapshot upload before --chunked --bucket {bucket}")).await?;
    let checked = shell.json("store fsck").await?;
    assert!(checked["packs"].as_u64().is_some_and(|packs| packs > 0), "{checked}");
    assert_eq!(checked["problems"].as_array().map(Vec::len).unwrap_or_default(), 0, "{checked}");
    shell.text("snapshot delete before").await?;
    let collected = shell.json("store gc").await?;
    assert_eq!(collected["removed_sets"], 0, "its packs went with the snapshot: {collected}");
    assert_eq!(shell.json("store fsck").await?["packs"], 0);
    let restore = "snapshot restore --chunked --snapshot-id before --machine-id again";
    shell.json(&format!("{restore} --bucket {bucket}")).await?;
    let kept = shell.text("exec --user root again -- cat /root/kept").await?;
    assert_eq!(kept, "kept\n");
    Ok(())
}
