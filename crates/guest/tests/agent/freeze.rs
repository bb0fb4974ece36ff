//! Freeze, thaw, and the rules of thawing by itself (promises P3 and P8).

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use guest::client::{Client, Renewal};
use guest::proto::Identity;
use tonic::Code;

use crate::support::*;

const LONG: Duration = Duration::from_secs(600);

/// A command that counts in a file as fast as it can.
struct Counter {
    file: PathBuf,
}

impl Counter {
    async fn start(agent: &Agent, client: &Client) -> Counter {
        let file = agent.path("count");
        let script = format!(
            "i=0; while :; do i=$((i+1)); echo $i >{0}.new; mv {0}.new {0}; done",
            file.display()
        );
        client.start("counter", shell(&script), SOON).await.expect("it starts");
        let counter = Counter { file };
        counter.moves().await;
        counter
    }

    fn value(&self) -> u64 {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    async fn moves(&self) {
        let before = self.value();
        eventually("the counter goes on", async || self.value() > before).await;
    }

    /// While the agent works off a few calls nothing moves.
    async fn stands(&self, client: &Client) {
        let before = self.value();
        for _ in 0..20 {
            client.info(SOON).await.expect("the agent is not frozen");
        }
        assert_eq!(self.value(), before, "the counter goes on");
    }
}

#[tokio::test]
async fn frozen_processes_stand_until_they_are_thawed_promise_p8() {
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    if lacks_cgroups(&client).await {
        return;
    }
    let counter = Counter::start(&agent, &client).await;
    client.freeze(SOON, LONG).await.expect("it freezes");
    assert!(client.handshake(SOON).await.expect("an answer").frozen);
    counter.stands(&client).await;
    client.freeze(SOON, LONG).await.expect("freezing twice is fine");
    assert!(client.thaw(SOON).await.expect("it thaws").was_frozen);
    counter.moves().await;
    assert!(!client.thaw(SOON).await.expect("thawing twice is fine").was_frozen);
    assert!(!client.handshake(SOON).await.expect("an answer").frozen);
}

#[tokio::test]
async fn a_frozen_source_thaws_by_itself_when_its_host_answers_the_probe_promise_p3() {
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    if lacks_cgroups(&client).await {
        return;
    }
    let counter = Counter::start(&agent, &client).await;
    client.freeze(SOON, Duration::from_millis(200)).await.expect("it freezes");
    counter.moves().await;
}

#[tokio::test]
async fn a_frozen_source_thaws_by_itself_when_its_host_dies_promise_p3() {
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    if lacks_cgroups(&client).await {
        return;
    }
    let counter = Counter::start(&agent, &client).await;
    client.freeze(SOON, Duration::from_millis(200)).await.expect("it freezes");
    client.disconnect().await;
    counter.moves().await;
}

#[tokio::test]
async fn a_clone_does_not_thaw_by_itself_before_its_renewal_promise_p8() {
    let agent = Agent::start(Transport::Framed);
    let source = agent.client().await;
    if lacks_cgroups(&source).await {
        return;
    }
    let counter = Counter::start(&agent, &source).await;
    let self_thaw = Duration::from_millis(300);
    source.freeze(SOON, self_thaw).await.expect("it freezes");
    source.disconnect().await;
    // What a restored machine's host is to the agent in its memory: a session that it never saw.
    let clone = agent.client().await;
    let passed = tokio::time::Instant::now() + 3 * self_thaw;
    while tokio::time::Instant::now() < passed {
        counter.stands(&clone).await;
    }
    assert!(clone.handshake(SOON).await.expect("an answer").frozen);
    let renewal =
        Renewal { seed: vec![7; 32].into(), identity: Identity::default(), hook_deadline: SOON };
    match clone.renew(renewal, SOON).await {
        Ok((_who, response)) => assert!(response.was_frozen),
        Err(error) => {
            println!("skipped the renewal: {error}");
            clone.thaw(SOON).await.expect("it thaws");
        }
    }
    counter.moves().await;
}

#[tokio::test]
async fn a_clone_whose_host_comes_late_is_still_frozen_promise_p8() {
    let agent = Agent::start(Transport::Framed);
    let source = agent.client().await;
    if lacks_cgroups(&source).await {
        return;
    }
    let counter = Counter::start(&agent, &source).await;
    source.freeze(SOON, Duration::from_millis(100)).await.expect("it freezes");
    source.disconnect().await;
    // The timer ends with the link lost, as when a clone resumes before its host connects.
    let before = counter.value();
    let late = tokio::time::Instant::now() + Duration::from_millis(500);
    while tokio::time::Instant::now() < late {
        assert_eq!(counter.value(), before, "it thawed by itself");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let clone = agent.client().await;
    counter.stands(&clone).await;
    assert!(clone.handshake(SOON).await.expect("an answer").frozen);
    clone.thaw(SOON).await.expect("it thaws");
}

#[tokio::test]
async fn a_failed_renewal_leaves_the_clone_frozen_promise_p8() {
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    if lacks_cgroups(&client).await {
        return;
    }
    let counter = Counter::start(&agent, &client).await;
    client.freeze(SOON, LONG).await.expect("it freezes");
    let renewal =
        Renewal { seed: vec![7; 3].into(), identity: Identity::default(), hook_deadline: SOON };
    let error = client.renew(renewal, SOON).await.expect_err("too little randomness");
    assert_eq!(error.code(), Some(Code::Aborted));
    counter.stands(&client).await;
    client.thaw(SOON).await.expect("it thaws");
}

#[tokio::test]
async fn a_command_started_while_frozen_waits_and_holds_nobody_up() {
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    if lacks_cgroups(&client).await {
        return;
    }
    client.freeze(SOON, LONG).await.expect("it freezes");
    let other = client.clone();
    let running = tokio::spawn(async move { run(&other, "late", "echo ran").await });
    for _ in 0..20 {
        client.info(SOON).await.expect("the agent answers meanwhile");
    }
    assert!(client.list_sessions(SOON).await.expect("a list").is_empty());
    client.thaw(SOON).await.expect("it thaws");
    assert_eq!(running.await.expect("it runs").stdout, b"ran\n");
}

#[tokio::test]
async fn a_frozen_command_can_be_killed() {
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    if lacks_cgroups(&client).await {
        return;
    }
    let session = client.start("sleeper", shell("exec sleep 600"), SOON).await.expect("it starts");
    client.freeze(SOON, LONG).await.expect("it freezes");
    assert!(session.control().kill(SOON).await.expect("an answer"));
    assert_eq!(session.control().wait(SOON).await.expect("it ends").signal, libc::SIGKILL);
    client.thaw(SOON).await.expect("it thaws");
}

#[tokio::test]
async fn nothing_is_frozen_without_an_end_promise_p3() {
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    let error = client.freeze(SOON, Duration::ZERO).await.expect_err("it is refused");
    assert_eq!(error.code(), Some(Code::InvalidArgument));
}
