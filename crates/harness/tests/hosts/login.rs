//! Who may log in, and who is told: certificates, host keys, the login webhook, at create and after a restore.

use std::process::Output;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use contract::Secret;
use contract::machine::{GuestConfig, LoginWebhook, Machine as Record};
use harness::daemon::Daemon;
use harness::error::HarnessError;
use harness::guest_image::GuestImage;
use harness::machine::{Machine, restore_request, small};
use harness::program::run;
use harness::wait::until;

use super::support::{Place, in_place_with};

/// From a machine that runs to an SSH server that answers, emulated.
const SERVES: Duration = Duration::from_secs(120);
const TOKEN: &str = "the-token-of-the-webhook";
/// What the default image needs to be at ease.
const MEMORY_MIB: u64 = 384;

/// A certificate authority, and a user with a certificate of it.
struct Authority {
    dir: Utf8PathBuf,
}

impl Authority {
    fn make(dir: Utf8PathBuf) -> Result<Self, HarnessError> {
        std::fs::create_dir_all(&dir).map_err(HarnessError::io(format!("make {dir}")))?;
        let authority = Self { dir };
        for name in ["ca", "user"] {
            let key = authority.path(name);
            run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", key.as_str()])?;
        }
        let (ca, user) = (authority.path("ca"), authority.path("user.pub"));
        let sign = ["-q", "-s", ca.as_str(), "-I", "test", "-n", "node", "-V", "-1d:+1d"];
        run("ssh-keygen", &[&sign[..], &[user.as_str()]].concat())?;
        Ok(authority)
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        self.dir.join(name)
    }

    /// What a guest is told: this authority, and a webhook inside the guest itself.
    fn config(&self) -> Result<GuestConfig, HarnessError> {
        let path = self.path("ca.pub");
        let key =
            std::fs::read_to_string(&path).map_err(HarnessError::io(format!("read {path}")))?;
        let key = key.parse().map_err(|error| HarnessError::value(path.as_str(), error))?;
        let url = "http://127.0.0.1:9999/login";
        let url = url.parse().map_err(|error| HarnessError::value(url, error))?;
        Ok(GuestConfig {
            hostname: Some("box.example".parse().map_err(|e| HarnessError::value("box", e))?),
            authorized_keys: vec![],
            trusted_user_ca_keys: vec![key],
            login_webhook: Some(LoginWebhook { url, bearer_token: Secret::new(TOKEN) }),
        })
    }

    /// Logs in as the user with the certificate, to a server that has to show the key that the record tells.
    async fn log_in(&self, record: &Record, command: &str) -> Result<Output, HarnessError> {
        let address = record.runtime_host.map(|address| address.to_string()).unwrap_or_default();
        let key = record.guest_ssh_host_public_key.clone().unwrap_or_default();
        let known = self.path("known_hosts");
        std::fs::write(&known, format!("[{address}]:2222 {key}\n"))
            .map_err(HarnessError::io(format!("write {known}")))?;
        let mut ssh = tokio::process::Command::new("ssh");
        ssh.args(["-F", "none", "-p", "2222", "-i", self.path("user").as_str()])
            .args(["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"])
            .args(["-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=20"])
            .args(["-o", &format!("UserKnownHostsFile={known}")])
            .arg(format!("node@{address}"))
            .arg(command)
            .kill_on_drop(true);
        let ended = tokio::time::timeout(SERVES, ssh.output()).await;
        let ended = ended.map_err(|_| HarnessError::value("ssh", "it does not end"))?;
        ended.map_err(HarnessError::io("run ssh"))
    }

    /// The same once the server answers at all.
    async fn log_in_once_served(
        &self,
        record: &Record,
        command: &str,
    ) -> Result<Output, HarnessError> {
        until("an SSH server", SERVES, async || {
            let output = self.log_in(record, command).await.ok()?;
            let is_served = !String::from_utf8_lossy(&output.stderr).contains("port 2222: Conn");
            is_served.then_some(output)
        })
        .await
    }
}

/// One request, kept as a file in the guest.
async fn serve_webhook(machine: &Machine) -> Result<(), HarnessError> {
    let script = r#"use IO::Socket::INET;
        my $s = IO::Socket::INET->new(LocalPort => 9999, Listen => 5, ReuseAddr => 1) or die;
        open(my $r, ">", "/run/hook.ready"); close $r;
        my $c = $s->accept; my $b = "";
        until ($b =~ /\}$/) { sysread($c, $b, 65536, length $b) or last; }
        open(my $f, ">", "/run/hook.new"); print $f $b; close $f;
        rename "/run/hook.new", "/run/hook";
        print $c "HTTP/1.1 204 fine\r\nContent-Length: 0\r\n\r\n"; close $c;"#;
    let start = format!("rm -f /run/hook*; setsid perl -e '{script}' >/dev/null 2>&1 </dev/null &");
    machine.exec(&start).await?;
    until("a webhook", SERVES, async || machine.exec("cat /run/hook.ready").await.ok()).await?;
    Ok(())
}

#[test]
fn promise_p8_certificates_and_webhooks_are_each_machines_own() {
    if std::process::Command::new("ssh").arg("-V").output().is_err() {
        println!("skipped: no ssh");
        return;
    }
    in_place_with(GuestImage::full, async |place| {
        let first = Authority::make(place.storage.path()?.join("first"))?;
        let second = Authority::make(place.storage.path()?.join("second"))?;
        let host = place.host("a").await?;
        let mut request = small("box", &place.image)?;
        request.memory_mib = Some(MEMORY_MIB);
        request.storage_bytes = Some(2 << 30);
        request.guest_config = Some(first.config()?);
        let machine = host.launch(request).await?;
        let record = machine.show().await?;

        serve_webhook(&machine).await?;
        let output = first.log_in_once_served(&record, "id -un; hostname").await?;
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "node\nbox.example\n", "{error}");
        let told =
            until("the webhook", SERVES, async || machine.exec("cat /run/hook").await.ok()).await?;
        assert!(told.starts_with("POST /login HTTP/1.1"), "{told}");
        assert!(told.contains(&format!("Authorization: Bearer {TOKEN}")), "{told}");
        assert!(told.contains(r#""user":"node""#), "{told}");
        let stranger = second.log_in(&record, "true").await?;
        assert!(!stranger.status.success(), "another authority's certificate is worth nothing");

        machine.snapshot("taken").await?;
        a_clone_takes_its_own_users_and_not_those_of_its_source(
            place, &host, &record, &first, &second,
        )
        .await?;
        host.finish().await
    });
}

async fn a_clone_takes_its_own_users_and_not_those_of_its_source(
    place: &Place,
    host: &Daemon,
    source: &Record,
    first: &Authority,
    second: &Authority,
) -> Result<(), HarnessError> {
    let snapshot = harness::machine::snapshot_id("taken")?;
    let mut request = restore_request(&snapshot, "twin", &place.image)?;
    request.guest_config = Some(second.config()?);
    let client = host.client();
    let twin = client.restore_snapshot(&snapshot, &request, &harness::machine::running()).await?;
    assert_ne!(twin.guest_ssh_host_public_key, source.guest_ssh_host_public_key);
    let welcome = second.log_in_once_served(&twin, "id -un").await?;
    let error = String::from_utf8_lossy(&welcome.stderr).into_owned();
    assert_eq!(String::from_utf8_lossy(&welcome.stdout), "node\n", "{error}");
    let stranger = first.log_in(&twin, "true").await?;
    assert!(!stranger.status.success(), "the source's users are no users of the clone");
    Ok(())
}

/// The certificate lies where `ssh -i` looks for it by itself.
#[test]
fn a_certificate_lies_beside_its_key() {
    if std::process::Command::new("ssh-keygen").arg("-?").output().is_err() {
        println!("skipped: no ssh-keygen");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = Utf8Path::from_path(directory.path()).unwrap().join("authority");
    let authority = Authority::make(path).unwrap_or_else(|error| panic!("{}", error.chain()));
    assert!(authority.path("user-cert.pub").exists());
}
