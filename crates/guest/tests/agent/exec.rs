//! Commands: streams, exit, surroundings, timeouts, limits.

use std::time::Duration;

use guest::client::{Command, Event, Stdin};
use guest::limits;
use tonic::Code;

use crate::support::*;

#[tokio::test]
async fn a_command_answers_stdout_stderr_and_exit_code_over_both_transports() {
    for transport in [Transport::Plain, Transport::Framed] {
        let agent = Agent::start(transport);
        let client = agent.client().await;
        let output = run(&client, "one", "echo out; echo error >&2; exit 7").await;
        assert_eq!(output.stdout, b"out\n");
        assert_eq!(output.stderr, b"error\n");
        assert_eq!(exit_code(&output), 7);
        assert!(client.list_sessions(SOON).await.expect("a list").is_empty());
    }
}

#[tokio::test]
async fn environment_and_directory_are_those_asked_for_and_nothing_of_the_agents() {
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    let command = Command::new(["/usr/bin/env"]).env("COLOUR", "blue").env("HOME", "/elsewhere");
    let output = client.run("env", command, SOON, MOST_BYTES).await.expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let mut names: Vec<&str> =
        text.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    names.sort_unstable();
    assert_eq!(names, ["COLOUR", "HOME", "LOGNAME", "PATH", "SHELL", "USER"]);
    assert!(text.contains("COLOUR=blue\n") && text.contains("HOME=/elsewhere\n"));

    let command = Command::new(["pwd"]).cwd("/usr/bin");
    let output = client.run("pwd", command, SOON, MOST_BYTES).await.expect("it runs");
    assert_eq!(output.stdout, b"/usr/bin\n");
}

#[tokio::test]
async fn a_command_runs_as_the_user_asked_for_with_that_users_groups() {
    if lacks_root() {
        return;
    }
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    let command = Command::new(["sh", "-c", "id -u; id -g; id -G"]).user("daemon").cwd("/");
    let output = client.run("id", command, SOON, MOST_BYTES).await.expect("it runs");
    assert_eq!(output.stdout, b"1\n1\n1\n");
    let command = Command::new(["id", "-u"]).user("1").cwd("/");
    let output = client.run("id-by-number", command, SOON, MOST_BYTES).await.expect("it runs");
    assert_eq!(output.stdout, b"1\n");
}

#[tokio::test]
async fn what_cannot_be_started_is_refused_with_its_kind() {
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    let cases = [
        (Command::new(["no-such-program"]), Code::NotFound),
        (Command::new(["/etc/passwd"]), Code::PermissionDenied),
        (Command::new(["true"]).user("no-such-user"), Code::NotFound),
        (Command::new(["true"]).cwd("/no/such/directory"), Code::NotFound),
        (Command::new([""; 0]), Code::InvalidArgument),
        (Command::new(["a\0b"]), Code::InvalidArgument),
        (Command::new(["true"]).env("A=B", "c"), Code::InvalidArgument),
    ];
    for (command, code) in cases {
        let shown = format!("{command:?}");
        let error = client.start("refused", command, SOON).await.expect_err(&shown);
        assert_eq!(error.code(), Some(code), "{shown}: {error}");
    }
    let error = client.start("../x", Command::new(["true"]), SOON).await.expect_err("no id");
    assert_eq!(error.code(), Some(Code::InvalidArgument));
    assert!(client.list_sessions(SOON).await.expect("a list").is_empty());
}

#[tokio::test]
async fn a_signal_that_ends_a_command_is_told() {
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    let session = client.start("sleeper", shell("exec sleep 600"), SOON).await.expect("it starts");
    let control = session.control();
    assert!(control.signal(libc::SIGTERM, SOON).await.expect("an answer"));
    let exit = control.wait(SOON).await.expect("it ends");
    assert_eq!((exit.exit_code, exit.signal), (128 + libc::SIGTERM, libc::SIGTERM));
    assert!(!control.signal(libc::SIGTERM, SOON).await.expect("an answer"));
    session.remove(SOON).await.expect("it is gone");
}

#[tokio::test]
async fn a_timeout_ends_the_whole_tree_and_keeps_what_was_said_promise_p14() {
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    // A descendant that left the process group, so that only its cgroup finds it.
    let mark = agent.path("mark");
    let script = format!(
        "echo before; setsid sh -c 'echo $$ >{0}.new; mv {0}.new {0}; exec sleep 600' & sleep 600",
        mark.display()
    );
    let command = Command::new(["sh", "-c", &script]).timeout(Duration::from_millis(700));
    let output = client.run("slow", command, SOON, MOST_BYTES).await.expect("it runs");
    let exit = output.exit.expect("it ended");
    assert!(exit.timed_out);
    assert_eq!(exit.signal, libc::SIGKILL);
    assert_eq!(output.stdout, b"before\n");
    assert!((600..30_000).contains(&exit.duration_ms), "{} ms", exit.duration_ms);
    if lacks_cgroups(&client).await {
        return;
    }
    let pid = std::fs::read_to_string(mark).expect("the descendant ran");
    eventually("the descendant ends too", async || {
        !std::path::Path::new("/proc").join(pid.trim()).exists()
    })
    .await;
}

#[tokio::test]
async fn stdin_arrives_whole_and_its_end_is_seen() {
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    let mut session = client.start("cat", shell("cat").stdin(), SOON).await.expect("it starts");
    let mut input = session.take_input().expect("a stdin");
    let sent: Vec<u8> = (0..1_000_000_u32).map(|index| (index / 7) as u8).collect();
    let data = sent.clone();
    let writing = tokio::spawn(async move {
        assert_eq!(input.write(data.into(), SOON).await.expect("it reads"), Stdin::Open);
        input.close(SOON).await.expect("it closes");
    });
    let mut received = Vec::new();
    while let Some(event) = session.next_event(SOON).await.expect("an event") {
        match event {
            Event::Stdout(data) => received.extend_from_slice(&data),
            Event::Exit(exit) => assert_eq!(exit.exit_code, 0),
            other => panic!("{other:?}"),
        }
    }
    writing.await.expect("all is written");
    assert!(received == sent, "{} of {} bytes", received.len(), sent.len());
}

#[tokio::test]
async fn a_command_that_reads_nothing_holds_up_no_more_than_a_bounded_stdin_promise_p10() {
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    let command = shell("exec sleep 600").stdin();
    let mut session = client.start("deaf", command, SOON).await.expect("it starts");
    let mut input = session.take_input().expect("a stdin");
    let much = vec![1; 2 * limits::STDIN_BYTES + 200_000];
    let error = input.write(much.into(), Duration::from_secs(1)).await.expect_err("it is deaf");
    assert!(matches!(error, guest::client::ClientError::Deadline { .. }), "{error}");
    let session_list = client.list_sessions(SOON).await.expect("a list");
    let accepted = session_list[0].stdin_accepted as usize;
    assert!(accepted <= limits::STDIN_BYTES + (64 << 10) + limits::CHUNK_BYTES, "{accepted}");
    // And one that ended takes nothing more.
    session.control().kill(SOON).await.expect("it is killed");
    session.control().wait(SOON).await.expect("it ends");
    let taken = input.write(b"more".as_slice().into(), SOON).await.expect("an answer");
    assert_eq!(taken, Stdin::Closed);
}

#[tokio::test]
async fn a_background_process_does_not_hold_the_answer_up_and_lives_on() {
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    let mark = agent.path("mark");
    let gate = agent.path("gate");
    let made = std::process::Command::new("mkfifo").arg(&gate).status().expect("mkfifo");
    assert!(made.success());
    // It writes to the session's stdout long after the session is gone: that must not end it.
    let script = format!(
        "echo hi; (read line <{}; echo late; echo later; echo alive >{}) & exit 3",
        gate.display(),
        mark.display()
    );
    let output = run(&client, "parent", &script).await;
    assert_eq!((output.stdout.as_slice(), exit_code(&output)), (b"hi\n".as_slice(), 3));
    std::fs::write(&gate, "go\n").expect("it reads the gate");
    eventually("the background process writes its mark", async || mark.exists()).await;
}

#[tokio::test]
async fn orphans_are_reaped() {
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    let script = "for i in 1 2 3 4 5 6 7 8; do (sh -c 'exit 1' & exit 0) & done; wait; echo done";
    for round in 0..5 {
        assert_eq!(run(&client, &format!("round-{round}"), script).await.stdout, b"done\n");
    }
    let children = format!("/proc/{0}/task/{0}/children", agent.pid());
    eventually("no child is left, dead or alive", async || {
        std::fs::read_to_string(&children).expect("the agent runs").trim().is_empty()
    })
    .await;
}

#[tokio::test]
async fn many_commands_at_once_each_get_their_own_answer() {
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    let running: Vec<_> = (0..40)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move {
                let script = format!("echo {number}; exit {number}");
                let output = run(&client, &format!("number-{number}"), &script).await;
                assert_eq!(output.stdout, format!("{number}\n").as_bytes());
                assert_eq!(exit_code(&output), number);
            })
        })
        .collect();
    for task in running {
        task.await.expect("its own answer");
    }
}

#[tokio::test]
async fn the_number_of_sessions_is_bounded_promise_p10() {
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    for number in 0..limits::SESSIONS {
        let command = shell("exec sleep 600");
        client.start(&format!("number-{number}"), command, SOON).await.expect("there is room");
    }
    let error = client.start("more", shell("true"), SOON).await.expect_err("no room");
    assert_eq!(error.code(), Some(Code::ResourceExhausted));
    client.session("number-0", 0, 0).remove(SOON).await.expect("it is removed");
    client.start("more", shell("true"), SOON).await.expect("there is room again");
}
