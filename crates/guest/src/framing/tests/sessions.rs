//! Both ends over a stream in memory.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::super::{HelloError, Presence, QUEUE_BYTES, SessionStream, open, serve};
use super::*;

const SOON: Duration = Duration::from_secs(10);

/// An agent's end that is served, and what it hands out.
struct GuestEnd {
    sessions: mpsc::Receiver<SessionStream>,
    presence: Presence,
}

fn guest_end(stream: DuplexStream) -> GuestEnd {
    let (sender, sessions) = mpsc::channel(4);
    let presence = Presence::default();
    let serving = presence.clone();
    tokio::spawn(async move { serve(stream, &sender, &serving).await });
    GuestEnd { sessions, presence }
}

impl GuestEnd {
    async fn session(&mut self) -> SessionStream {
        timeout(SOON, self.sessions.recv()).await.expect("a session in time").expect("a session")
    }
}

async fn host_end(stream: DuplexStream, nonce: u64) -> SessionStream {
    open(stream, nonce, Instant::now() + SOON).await.expect("the agent answers")
}

async fn read(stream: &mut SessionStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    timeout(SOON, stream.read_exact(&mut bytes)).await.expect("in time").expect("all bytes");
    bytes
}

#[tokio::test]
async fn bytes_pass_in_both_directions_in_order() {
    let (host, guest) = duplex(1000);
    let mut guest_end = guest_end(guest);
    let mut host = host_end(host, 1).await;
    let mut guest = guest_end.session().await;
    let sent: Vec<u8> = (0..200_000_u32).map(|index| index as u8).collect();
    let copy = sent.clone();
    let echo = tokio::spawn(async move {
        let bytes = read(&mut guest, copy.len()).await;
        guest.write_all(&bytes).await.expect("the host reads");
        guest.flush().await.expect("the host reads");
        guest
    });
    host.write_all(&sent).await.expect("the agent reads");
    assert_eq!(read(&mut host, sent.len()).await, sent);
    drop(host);
    let mut guest = echo.await.expect("the echo");
    assert_eq!(guest.read(&mut [0]).await.expect("a clean end"), 0);
}

#[tokio::test]
async fn a_new_hello_ends_the_session_before_it_and_its_late_data_is_ignored() {
    let (mut host, guest) = duplex(100_000);
    let mut guest_end = guest_end(guest);
    host.write_all(&wire(&frame(Kind::Hello, 1, &[1]))).await.expect("room");
    host.write_all(&wire(&frame(Kind::Data, 1, b"old"))).await.expect("room");
    let mut first = guest_end.session().await;
    assert_eq!(read(&mut first, 3).await, b"old");

    // Half a frame of the old session, as a snapshot leaves it, then the new host.
    let half = wire(&frame(Kind::Data, 1, b"more of the old"));
    host.write_all(&half[..half.len() / 2]).await.expect("room");
    host.write_all(&wire(&frame(Kind::Hello, 2, &[1]))).await.expect("room");
    host.write_all(&wire(&frame(Kind::Data, 1, b"late"))).await.expect("room");
    host.write_all(&wire(&frame(Kind::Data, 2, b"new"))).await.expect("room");
    let mut second = guest_end.session().await;
    assert_eq!(read(&mut second, 3).await, b"new");
    let error = first.read(&mut [0]).await.expect_err("superseded");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(guest_end.presence.watch().borrow().sessions, 2);
}

#[tokio::test]
async fn a_repeated_hello_is_answered_and_changes_nothing() {
    let (mut host, guest) = duplex(100_000);
    let mut guest_end = guest_end(guest);
    for _ in 0..3 {
        host.write_all(&wire(&frame(Kind::Hello, 1, &[1]))).await.expect("room");
    }
    host.write_all(&wire(&frame(Kind::Data, 1, b"data"))).await.expect("room");
    let mut session = guest_end.session().await;
    assert_eq!(read(&mut session, 4).await, b"data");
    assert!(guest_end.sessions.try_recv().is_err());
}

#[tokio::test]
async fn data_of_an_unknown_session_is_answered_with_a_close() {
    let (mut host, guest) = duplex(100_000);
    let _guest_end = guest_end(guest);
    host.write_all(&wire(&frame(Kind::Data, 5, b"who"))).await.expect("room");
    let mut bytes = vec![0; wire(&frame(Kind::Close, 5, &[])).len()];
    timeout(SOON, host.read_exact(&mut bytes)).await.expect("in time").expect("a frame");
    assert_eq!(decode_all([bytes.as_slice()]), [frame(Kind::Close, 5, &[])]);
}

#[tokio::test]
async fn a_hello_of_another_framing_version_is_refused() {
    let (mut host, guest) = duplex(100_000);
    let mut guest_end = guest_end(guest);
    host.write_all(&wire(&frame(Kind::Hello, 5, &[2]))).await.expect("room");
    let mut bytes = vec![0; wire(&frame(Kind::Close, 5, &[])).len()];
    timeout(SOON, host.read_exact(&mut bytes)).await.expect("in time").expect("a frame");
    assert_eq!(decode_all([bytes.as_slice()]), [frame(Kind::Close, 5, &[])]);
    assert!(guest_end.sessions.try_recv().is_err());
}

#[tokio::test]
async fn without_an_agent_the_hello_ends_at_its_deadline_promise_p14() {
    let (host, _guest) = duplex(100_000);
    let outcome = open(host, 1, Instant::now() + Duration::from_millis(300)).await;
    assert!(matches!(outcome, Err(HelloError::Deadline)));
}

#[tokio::test]
async fn a_stream_that_ends_fails_the_hello_at_once() {
    let (host, guest) = duplex(100_000);
    drop(guest);
    let outcome = timeout(SOON, open(host, 1, Instant::now() + SOON * 2)).await.expect("at once");
    assert!(matches!(outcome, Err(HelloError::Ended(_))));
}

#[tokio::test]
async fn a_peer_that_sends_more_than_it_may_is_cut_off_promise_p10() {
    let (mut host, guest) = duplex(1_000_000);
    let mut guest_end = guest_end(guest);
    host.write_all(&wire(&frame(Kind::Hello, 1, &[1]))).await.expect("room");
    let mut session = guest_end.session().await;
    let data = wire(&frame(Kind::Data, 1, &[7; 16 * 1024]));
    for _ in 0..=QUEUE_BYTES / (16 * 1024) {
        host.write_all(&data).await.expect("the link reads on");
    }
    // A later hello still gets through.
    host.write_all(&wire(&frame(Kind::Hello, 2, &[1]))).await.expect("the link reads on");
    guest_end.session().await;
    let mut taken = Vec::new();
    session.read_to_end(&mut taken).await.expect_err("cut off");
    assert!(taken.len() <= QUEUE_BYTES);
}

#[tokio::test]
async fn what_nobody_reads_waits_in_the_queue_and_holds_up_no_writer() {
    let (host, guest) = duplex(1000);
    let mut guest_end = guest_end(guest);
    let mut first = host_end(host, 1).await;
    let _unread = guest_end.session().await;
    timeout(SOON, first.write_all(&vec![1; 100_000]))
        .await
        .expect("in time")
        .expect("it is queued");
}

#[tokio::test]
async fn the_host_of_a_session_answers_a_probe_and_no_other_does() {
    let (host, guest) = duplex(100_000);
    let mut guest_end = guest_end(guest);
    let host = host_end(host, 1).await;
    let _session = guest_end.session().await;
    let mut status = guest_end.presence.watch();
    guest_end.presence.probe();
    let answered = timeout(SOON, status.wait_for(|status| status.probes_answered == 1)).await;
    answered.expect("in time").expect("the link lives");
    drop(host);
    let gone = timeout(SOON, status.wait_for(|status| !status.is_connected)).await;
    gone.expect("in time").expect("the link lives");
}

#[tokio::test]
async fn a_guest_that_reads_nothing_does_not_keep_a_dropped_session_open_promise_p14() {
    let (host, mut guest) = duplex(100);
    let opening = tokio::spawn(host_end(host, 1));
    let hello = wire(&frame(Kind::Hello, 1, &[1]));
    timeout(SOON, guest.read_exact(&mut vec![0; hello.len()])).await.expect("in time").expect("it");
    guest.write_all(&wire(&frame(Kind::HelloAck, 1, &[]))).await.expect("room");
    let mut host = opening.await.expect("it opens");
    host.write_all(&[7; 10_000]).await.expect("it is queued");
    drop(host);
    let closed = async { while guest.write_all(&[0; 50]).await.is_ok() {} };
    timeout(SOON, closed).await.expect("the host's end closes");
}
