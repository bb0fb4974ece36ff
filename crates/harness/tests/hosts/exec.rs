//! Commands in a guest: exit codes, output, time-outs, and streams with standard input.

use std::time::Duration;

use bytes::Bytes;
use contract::ErrorCode;
use contract::client::ExecReceived;
use contract::exec::ExecRequest;
use contract::exec_stream::{ExecControl, ExecEvent, ExecStart};
use harness::error::HarnessError;
use harness::machine::{Machine, small};

use super::support::in_place;

#[test]
fn commands_answer_their_exit_code_and_both_outputs() {
    in_place(async |place| {
        let host = place.host("a").await?;
        let machine = host.launch(small("box", &place.image)?).await?;
        let ended = machine.run(&["sh", "-c", "echo out; echo err >&2; exit 7"]).await?;
        assert_eq!(
            (ended.exit_code, ended.stdout.as_str(), ended.stderr.as_str()),
            (7, "out\n", "err\n")
        );
        let killed = machine.run(&["sh", "-c", "kill -9 $$"]).await?;
        assert_eq!(killed.exit_code, 128 + 9);
        promise_p14_a_command_that_takes_too_long_is_ended_with_what_it_wrote(&machine, &host)
            .await?;
        host.finish().await
    });
}

async fn promise_p14_a_command_that_takes_too_long_is_ended_with_what_it_wrote(
    machine: &Machine,
    host: &harness::daemon::Daemon,
) -> Result<(), HarnessError> {
    let request = ExecRequest {
        command: ["sh", "-c", "echo begun; sleep 600"].map(String::from).to_vec(),
        timeout_ms: Some(1500),
        user: Some("root".into()),
        cwd: Some("/".into()),
        ..ExecRequest::default()
    };
    let error = host.client().exec(&machine.id, &request).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::Deadline), "{error}");
    let partial = error.refusal().and_then(|refusal| refusal.partial.clone());
    assert_eq!(partial.map(|partial| partial.stdout), Some("begun\n".into()));
    let left = machine.run(&["sh", "-c", "pgrep -f 'sleep 600' || true"]).await?;
    assert_eq!(left.stdout.trim(), "", "the command is gone");
    Ok(())
}

#[test]
fn standard_input_and_output_are_binary_and_whole() {
    in_place(async |place| {
        let host = place.host("a").await?;
        let machine = host.launch(small("box", &place.image)?).await?;
        // Every byte value, and more than any buffer on the way holds.
        let sent: Vec<u8> = (0..=255_u8).cycle().take(1 << 20).collect();
        let (received, exit_code) = through_cat(&host, &machine, &sent).await?;
        assert_eq!(exit_code, 0);
        assert!(received == sent, "{} of {} bytes came back", received.len(), sent.len());
        host.finish().await
    });
}

async fn through_cat(
    host: &harness::daemon::Daemon,
    machine: &Machine,
    sent: &[u8],
) -> Result<(Vec<u8>, i32), HarnessError> {
    let start = ExecStart {
        command: vec!["cat".into()],
        cwd: Some("/".into()),
        user: Some("root".into()),
        stdin: true,
        ..ExecStart::default()
    };
    let connection = host.client().exec_stream(&machine.id, &start).await?;
    let (mut sender, mut receiver) = (connection.sender, connection.receiver);
    let sent = Bytes::copy_from_slice(sent);
    let sending = async move {
        sender.input(sent).await?;
        sender.control(&ExecControl::StdinClose).await?;
        Ok::<_, contract::client::ClientError>(sender)
    };
    let receiving = async move {
        let mut received = Vec::new();
        loop {
            match receiver.next().await? {
                Some(ExecReceived::Output(frame)) => received.extend_from_slice(&frame.data),
                Some(ExecReceived::Event(ExecEvent::Exited { exit_code, .. })) => {
                    return Ok::<_, contract::client::ClientError>((received, exit_code));
                }
                Some(ExecReceived::Event(_)) => {}
                None => return Ok((received, -1)),
            }
        }
    };
    let both = async { tokio::join!(sending, receiving) };
    let (sent, received) = tokio::time::timeout(Duration::from_secs(120), both)
        .await
        .map_err(|_| HarnessError::value("cat", "it did not end"))?;
    drop(sent?);
    Ok(received?)
}
