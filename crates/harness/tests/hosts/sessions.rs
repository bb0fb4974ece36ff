//! Commands that outlive whoever started them, and guests that make trouble with commands.

use std::time::{Duration, Instant};

use contract::ErrorCode;
use contract::client::{ExecConnection, ExecReceived};
use contract::exec::ExecRequest;
use contract::exec_stream::{ExecControl, ExecEvent, ExecStart, TerminalSize};
use contract::id::ExecSessionId;
use harness::daemon::Daemon;
use harness::error::HarnessError;
use harness::machine::{Machine, small};
use rustix::process::{Pid, Signal, kill_process};

use super::support::in_place;

/// For one thing that a guest does.
const SOON: Duration = Duration::from_secs(60);
/// Far below what the commands take that must not be waited for.
const AT_ONCE: Duration = Duration::from_secs(10);

fn start(script: &str) -> ExecStart {
    ExecStart {
        command: ["sh", "-c", script].map(String::from).to_vec(),
        cwd: Some("/".into()),
        user: Some("root".into()),
        stdin: true,
        ..ExecStart::default()
    }
}

async fn next(connection: &mut ExecConnection) -> Result<Option<ExecReceived>, HarnessError> {
    let received = tokio::time::timeout(SOON, connection.receiver.next()).await;
    Ok(received.map_err(|_| HarnessError::value("a session", "nothing comes"))??)
}

/// The name that the first message tells.
async fn started(connection: &mut ExecConnection) -> Result<ExecSessionId, HarnessError> {
    match next(connection).await? {
        Some(ExecReceived::Event(ExecEvent::Started { session_id, .. })) => Ok(session_id),
        other => Err(HarnessError::value("a session", format!("began with {other:?}"))),
    }
}

/// Output until so much came, or until the end; and how it ended.
async fn read(
    connection: &mut ExecConnection,
    most: usize,
) -> Result<(Vec<u8>, Option<i32>), HarnessError> {
    let mut output = Vec::new();
    while output.len() < most {
        match next(connection).await? {
            Some(ExecReceived::Output(frame)) => output.extend_from_slice(&frame.data),
            Some(ExecReceived::Event(ExecEvent::Exited { exit_code, .. })) => {
                connection.sender.close().await?;
                return Ok((output, Some(exit_code)));
            }
            other => return Err(HarnessError::value("a session", format!("said {other:?}"))),
        }
    }
    Ok((output, None))
}

#[test]
fn promise_p4_a_session_outlives_its_client_and_the_daemon() {
    in_place(async |place| {
        let mut host = place.host("a").await?;
        let machine = host.launch(small("box", &place.image)?).await?;
        let script = "for i in 1 2 3; do echo out $i; echo error $i >&2; done; \
                      read word; echo got $word; exit 5";
        let begun = "out 1\nerror 1\n".len();
        let mut first = host.client().exec_stream(&machine.id, &start(script)).await?;
        let id = started(&mut first).await?;
        let (before, _) = read(&mut first, begun).await?;
        drop(first);
        host.kill().await?;
        host.restart().await?;

        let sessions = host.client().exec_sessions(&machine.id).await?;
        assert_eq!((&sessions[0].id, sessions[0].exit_code), (&id, None));
        assert!(sessions[0].stdin && !sessions[0].tty);
        // From the middle of what was sent, which this daemon never saw.
        let offset = Some(before.len() as u64 - 3);
        let again = ExecStart { session_id: Some(id.clone()), offset, ..ExecStart::default() };
        let mut second = host.client().exec_stream(&machine.id, &again).await?;
        started(&mut second).await?;
        second.sender.input("on\n".into()).await?;
        let (after, exit_code) = read(&mut second, usize::MAX).await?;
        assert_eq!(exit_code, Some(5));
        assert!(after.starts_with(&before[before.len() - 3..]));
        let all = [&before[..before.len() - 3], &after].concat();
        assert!(all.ends_with(b"got on\n"), "{}", String::from_utf8_lossy(&all));
        let count = |wanted: &str| String::from_utf8_lossy(&all).matches(wanted).count();
        assert_eq!((count("out "), count("error "), count("got ")), (3, 3, 1));

        a_terminal_is_left_and_ended(&host, &machine).await?;
        let unknown = ExecStart { session_id: Some(id), ..ExecStart::default() };
        let mut gone = host.client().exec_stream(&machine.id, &unknown).await?;
        assert!(
            matches!(
                next(&mut gone).await?,
                Some(ExecReceived::Event(ExecEvent::Error { code: ErrorCode::NotFound, .. }))
            ),
            "the end was heard, and the session forgotten"
        );
        host.finish().await
    });
}

async fn a_terminal_is_left_and_ended(
    host: &Daemon,
    machine: &Machine,
) -> Result<(), HarnessError> {
    let tty = Some(TerminalSize { columns: 80, rows: 24 });
    let shell = ExecStart { tty, ..start("stty size; read x; stty size; exec sleep 600") };
    let mut first = host.client().exec_stream(&machine.id, &shell).await?;
    let id = started(&mut first).await?;
    let (size, _) = read(&mut first, 7).await?;
    assert_eq!(size, b"24 80\r\n");
    let again = ExecStart { session_id: Some(id.clone()), ..ExecStart::default() };
    let mut second = host.client().exec_stream(&machine.id, &again).await?;
    started(&mut second).await?;
    let taken_over = next(&mut first).await?;
    assert!(
        matches!(
            taken_over,
            Some(ExecReceived::Event(ExecEvent::Error { code: ErrorCode::Busy, .. }))
        ),
        "{taken_over:?}"
    );
    let larger = ExecControl::Resize(TerminalSize { columns: 132, rows: 50 });
    second.sender.control(&larger).await?;
    second.sender.input("\n".into()).await?;
    let (seen, _) = read(&mut second, "24 80\r\n\r\n50 132\r\n".len()).await?;
    assert_eq!(String::from_utf8_lossy(&seen), "24 80\r\n\r\n50 132\r\n");
    host.client().end_exec_session(&machine.id, &id).await?;
    host.client().end_exec_session(&machine.id, &id).await?;
    let left = host.client().exec_sessions(&machine.id).await?;
    assert!(left.iter().all(|session| session.id != id), "{left:?}");
    Ok(())
}

#[test]
fn promise_p14_a_command_that_makes_trouble_makes_it_for_nobody_else() {
    in_place(async |place| {
        let host = place.host("a").await?;
        let machine = host.launch(small("box", &place.image)?).await?;
        // It leaves processes behind that hold its output open.
        let began = Instant::now();
        let forked = machine.run(&["sh", "-c", "sleep 600 & sleep 600 & echo done"]).await?;
        assert_eq!((forked.exit_code, forked.stdout.as_str()), (0, "done\n"));
        assert!(began.elapsed() < AT_ONCE);
        // Bytes that are no text, and more than is kept.
        let binary = machine.run(&["printf", "a\\377\\000b"]).await?;
        assert_eq!((binary.stdout.as_str(), binary.truncated), ("a\u{fffd}\0b", false));
        let flood = machine.run(&["sh", "-c", "head -c 9000000 /dev/zero; echo end >&2"]).await?;
        assert!(flood.truncated && flood.stdout.len() < 9_000_000);
        assert_eq!((flood.exit_code, flood.stderr.as_str()), (0, "end\n"));
        a_command_that_forks_and_hangs_is_ended_whole(&host, &machine).await?;
        while_a_command_hangs_others_are_answered(&host, &machine).await?;
        a_guest_that_stands_still_answers_504(&host, &machine).await?;
        host.finish().await
    });
}

/// Children that left its group and session, and hold its output open.
async fn a_command_that_forks_and_hangs_is_ended_whole(
    host: &Daemon,
    machine: &Machine,
) -> Result<(), HarnessError> {
    let script = "for i in $(seq 50); do setsid sleep 601 & done; echo begun; wait";
    let began = Instant::now();
    let ended = host.client().exec(&machine.id, &request(script, 5000)).await;
    let error = ended.err().ok_or_else(|| HarnessError::value("exec", "it ended by itself"))?;
    assert_eq!(error.code(), Some(ErrorCode::Deadline), "{error}");
    let partial = error.refusal().and_then(|refusal| refusal.partial.clone());
    assert_eq!(partial.map(|partial| partial.stdout).as_deref(), Some("begun\n"));
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    let left = machine.exec("pgrep -fx 'sleep 601' || true").await?;
    assert_eq!(left, "", "all that it started is gone");
    Ok(())
}

async fn while_a_command_hangs_others_are_answered(
    host: &Daemon,
    machine: &Machine,
) -> Result<(), HarnessError> {
    let slow = {
        let (client, id) = (host.client(), machine.id.clone());
        tokio::spawn(async move { client.exec(&id, &request("sleep 600", 20_000)).await })
    };
    let began = Instant::now();
    machine.exec("true").await?;
    machine.show().await?;
    machine.snapshot("while-it-hangs").await?;
    assert!(began.elapsed() < Duration::from_secs(19), "{:?}", began.elapsed());
    let ended = slow.await.map_err(|error| HarnessError::value("the slow command", error))?;
    assert_eq!(ended.err().and_then(|error| error.code()), Some(ErrorCode::Deadline));
    Ok(())
}

fn request(script: &str, timeout_ms: u64) -> ExecRequest {
    ExecRequest {
        command: ["sh", "-c", script].map(String::from).to_vec(),
        timeout_ms: Some(timeout_ms),
        user: Some("root".into()),
        cwd: Some("/".into()),
        ..ExecRequest::default()
    }
}

async fn a_guest_that_stands_still_answers_504(
    host: &Daemon,
    machine: &Machine,
) -> Result<(), HarnessError> {
    let vmm = vmm_of(&host.host_id()?)?;
    let signal = |signal| {
        kill_process(vmm, signal).map_err(|error| HarnessError::value("signal QEMU", error))
    };
    signal(Signal::STOP)?;
    let began = Instant::now();
    let asked = host.client().exec(&machine.id, &request("true", 1000)).await;
    let shown = machine.show().await;
    signal(Signal::CONT)?;
    shown?;
    let error = asked.err().ok_or_else(|| HarnessError::value("exec", "it was answered"))?;
    assert_eq!(error.code(), Some(ErrorCode::Deadline), "{error}");
    assert!(error.refusal().is_some_and(|refusal| refusal.partial.is_some()), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let again = tokio::time::timeout(SOON, machine.exec("echo on")).await;
    let again = again.map_err(|_| HarnessError::value("exec", "it does not go on"))?;
    assert_eq!(again?, "on\n");
    Ok(())
}

/// The QEMU of the only machine of a host.
fn vmm_of(host_id: &str) -> Result<Pid, HarnessError> {
    let processes = std::fs::read_dir("/proc").map_err(HarnessError::io("list /proc"))?;
    let found = processes.filter_map(Result::ok).find_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let read = |name: &str| std::fs::read_to_string(entry.path().join(name)).ok();
        let is_ours = read("cgroup")?.contains(host_id) && read("comm")?.starts_with("qemu");
        is_ours.then(|| Pid::from_raw(pid)).flatten()
    });
    found.ok_or_else(|| HarnessError::value("QEMU", "no process of this host"))
}
