//! Handshake, identity, clock, randomness, renewal.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::time::Duration;

use guest::client::{Client, ClientError, Renewal, Target};
use guest::proto::{AuthorizedKeys, Identity, LoginWebhook, ShutdownMode, TrustedUserCaKeys};
use tonic::Code;

use crate::support::*;

const HOOK_DEADLINE: Duration = Duration::from_secs(20);

fn identity() -> Identity {
    Identity {
        hostname: Some("clone-1".into()),
        machine_id: Some("0123456789abcdef0123456789abcdef".into()),
        authorized_keys: Some(AuthorizedKeys { keys: vec!["ssh-ed25519 AAAA one".into()] }),
        trusted_user_ca_keys: Some(TrustedUserCaKeys { keys: vec!["ssh-ed25519 BBBB ca".into()] }),
        login_webhook: Some(LoginWebhook {
            url: "http://127.0.0.1:1/login".into(),
            bearer_token: "secret-token".into(),
        }),
        regenerate_ssh_host_keys: true,
        exec_server: None,
    }
}

fn renewal() -> Renewal {
    Renewal { seed: vec![7; 32].into(), identity: identity(), hook_deadline: HOOK_DEADLINE }
}

fn hook(agent: &Agent, name: &str, script: &str) {
    let path = agent.root().join("etc/computer/clone.d").join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
}

/// Renewal sets clock and entropy of this machine (the clock to what it is).
async fn cannot_renew(client: &Client) -> bool {
    match client.set_clock(SOON).await {
        Ok(_) => false,
        Err(error) => {
            println!("skipped: no right to set the clock here ({error})");
            true
        }
    }
}

#[tokio::test]
async fn the_handshake_says_who_answers() {
    for transport in [Transport::Plain, Transport::Framed] {
        let agent = Agent::start(transport);
        let client = agent.client().await;
        let answer = client.handshake(SOON).await.expect("an answer");
        assert_eq!(answer.agent_version, env!("CARGO_PKG_VERSION"));
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a boot id");
        assert_eq!(answer.boot_id, boot_id.trim());
        assert!(!answer.frozen);
        let info = client.info(SOON).await.expect("an answer");
        assert!(info.memory_total_bytes > info.memory_available_bytes);
        assert!(info.root_total_bytes > 0 && info.uptime_ms > 0);
    }
}

#[tokio::test]
async fn without_an_agent_every_call_ends_at_its_deadline_promise_p14() {
    let directory = tempfile::tempdir().expect("a directory");
    let nobody = directory.path().join("nobody.sock");
    let client = Client::new(Target::Unix { socket: nobody });
    let error = client.info(Duration::from_millis(200)).await.expect_err("nobody");
    assert!(matches!(error, ClientError::Connect { .. }), "{error:?}");
    assert!(client.wait_ready(Duration::from_millis(200)).await.is_err());

    // A socket that takes connections and never says a word.
    let silent = directory.path().join("silent.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&silent).expect("a socket");
    for target in [
        Target::Unix { socket: silent.clone() },
        Target::VirtioSerial { socket: silent.clone() },
        Target::Vsock { socket: silent, port: 1024 },
    ] {
        let client = Client::new(target);
        let error = client.handshake(Duration::from_millis(300)).await.expect_err("silence");
        assert!(
            matches!(
                error,
                ClientError::Deadline { .. }
                    | ClientError::Hello { .. }
                    | ClientError::Connect { .. }
            ),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn an_identity_is_written_with_the_right_owners_and_modes_promise_p11() {
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    let report = client.configure(identity(), SOON).await.expect("it is applied");
    let root = agent.root();
    let read = |path: &str| fs::read_to_string(root.join(path)).expect(path);
    assert_eq!(read("etc/hostname"), "clone-1\n");
    assert_eq!(read("etc/machine-id"), "0123456789abcdef0123456789abcdef\n");
    assert_eq!(read("etc/ssh/trusted_user_ca_keys"), "ssh-ed25519 BBBB ca\n");
    assert_eq!(read("home/node/.ssh/authorized_keys"), "ssh-ed25519 AAAA one\n");
    let keys = fs::metadata(root.join("home/node/.ssh/authorized_keys")).expect("keys");
    assert_eq!(keys.mode() & 0o777, 0o600);
    if rustix::process::geteuid().is_root() {
        assert_eq!((keys.uid(), keys.gid()), (12345, 12345));
    }
    let webhook = fs::metadata(root.join("etc/computer/login-webhook.json")).expect("a webhook");
    assert_eq!(webhook.mode() & 0o777, 0o600);
    assert!(read("etc/computer/login-webhook.json").contains("secret-token"));
    assert_eq!(
        &report.applied[..4],
        ["hostname", "machine_id", "authorized_keys", "trusted_user_ca_keys"]
    );

    // Empty means none: it is removed.
    let none = Identity { login_webhook: Some(LoginWebhook::default()), ..Identity::default() };
    client.configure(none, SOON).await.expect("it is applied");
    assert!(!root.join("etc/computer/login-webhook.json").exists());
    assert_eq!(read("etc/hostname"), "clone-1\n", "what is absent stays");
}

#[tokio::test]
async fn ssh_host_keys_are_new_each_time_and_the_images_own_are_gone_promise_p8() {
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    let ssh = agent.root().join("etc/ssh");
    fs::write(ssh.join("ssh_host_rsa_key"), "of the image").expect("a file");
    let wanted = Identity { regenerate_ssh_host_keys: true, ..Identity::default() };
    let first = client.configure(wanted.clone(), SOON).await.expect("it is applied");
    if !first.skipped.is_empty() {
        println!("skipped: {}", first.skipped[0].reason);
        return;
    }
    assert!(first.ssh_host_public_key.starts_with("ssh-ed25519 "), "{first:?}");
    assert!(!ssh.join("ssh_host_rsa_key").exists());
    let second = client.configure(wanted, SOON).await.expect("it is applied");
    assert_ne!(first.ssh_host_public_key, second.ssh_host_public_key);
    let kept = client.configure(Identity::default(), SOON).await.expect("it is applied");
    assert_eq!(kept.ssh_host_public_key, second.ssh_host_public_key);
    let mode = fs::metadata(ssh.join("ssh_host_ed25519_key")).expect("a key").mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn an_identity_that_is_no_identity_changes_nothing() {
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    let two_lines = AuthorizedKeys { keys: vec!["a\nb".into()] };
    for bad in [
        Identity { hostname: Some("../x".into()), ..identity() },
        Identity { machine_id: Some("0".into()), ..identity() },
        Identity { authorized_keys: Some(two_lines), ..identity() },
    ] {
        let error = client.configure(bad, SOON).await.expect_err("it is refused");
        assert_eq!(error.code(), Some(Code::InvalidArgument));
    }
    assert!(!agent.root().join("etc/hostname").exists());
}

#[tokio::test]
async fn a_renewal_runs_everything_once_and_is_counted_promise_p8() {
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    if cannot_renew(&client).await {
        return;
    }
    let log = agent.path("log");
    hook(&agent, "10-first", &format!("echo first >>{}", log.display()));
    hook(&agent, "20-second", &format!("echo second >>{}", log.display()));
    fs::write(agent.root().join("etc/computer/clone.d/README"), "no program").expect("a file");
    let (who, response) = client.renew(renewal(), SOON).await.expect("it is renewed");
    assert_eq!(fs::read_to_string(&log).expect("a log"), "first\nsecond\n");
    assert_eq!(who.agent_version, env!("CARGO_PKG_VERSION"));
    let names: Vec<_> = response.hooks.iter().map(|hook| hook.name.as_str()).collect();
    assert_eq!(names, ["10-first", "20-second"]);
    assert!(response.clock_stepped_ns.abs() < 500_000_000, "{}", response.clock_stepped_ns);
    assert!(response.identity.is_some_and(|report| report.applied.contains(&"hostname".into())));
    assert_eq!(client.handshake(SOON).await.expect("an answer").renewals, 1);
}

#[tokio::test]
async fn a_renewal_with_a_failing_or_endless_hook_fails_promise_p8() {
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    if cannot_renew(&client).await {
        return;
    }
    hook(&agent, "10-fails", "exit 1");
    let error = client.renew(renewal(), SOON).await.expect_err("the hook fails");
    assert_eq!(error.code(), Some(Code::Aborted));
    assert!(error.to_string().contains("10-fails"), "{error}");
    hook(&agent, "10-fails", "exec sleep 600");
    let quick = Renewal { hook_deadline: Duration::from_millis(300), ..renewal() };
    let error = client.renew(quick, SOON).await.expect_err("the hook does not end");
    assert_eq!(error.code(), Some(Code::Aborted));
    let bad_seed = Renewal { seed: vec![7; 31].into(), ..renewal() };
    let error = client.renew(bad_seed, SOON).await.expect_err("too little randomness");
    assert_eq!(error.code(), Some(Code::Aborted));
    assert_eq!(client.handshake(SOON).await.expect("an answer").renewals, 0);
}

#[tokio::test]
async fn an_agent_that_is_no_init_does_not_shut_its_machine_down() {
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    let error = client.shutdown(ShutdownMode::PowerOff, Duration::ZERO, SOON).await;
    assert_eq!(error.expect_err("it cannot").code(), Some(Code::FailedPrecondition));
}

#[test]
fn secrets_are_not_printed_promise_p11() {
    let text = format!("{:?} {:?}", renewal(), identity());
    assert!(!text.contains("secret-token"), "{text}");
    assert!(!text.contains("7, 7"), "{text}");
}
