//! An agent that is no friend: the host's end holds it to the limits (promise P10).

use std::path::Path;
use std::time::Duration;

use guest::client::{Client, ClientError, Target};
use guest::limits;
use guest::proto::sessions_server::{Sessions, SessionsServer};
use guest::proto::*;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::{Request, Response, Status, Streaming};

use crate::support::*;

/// Answers with whatever does harm.
#[derive(Debug)]
struct Hostile;

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Sessions for Hostile {
    type AttachStream = ReceiverStream<Result<AttachEvent, Status>>;

    async fn start(&self, _request: Request<StartRequest>) -> Answer<StartResponse> {
        Ok(Response::new(StartResponse::default()))
    }

    /// Output that leaves bytes out.
    async fn attach(
        &self,
        _request: Request<Streaming<AttachRequest>>,
    ) -> Answer<Self::AttachStream> {
        let (sender, events) = tokio::sync::mpsc::channel(1);
        let chunk =
            OutputChunk { stream: OutputStream::Stdout.into(), offset: 5, data: "x".into() };
        let event = AttachEvent { event: Some(attach_event::Event::Chunk(chunk)) };
        sender.send(Ok(event)).await.expect("there is room");
        Ok(Response::new(ReceiverStream::new(events)))
    }

    /// Takes more than it was given.
    async fn write_stdin(&self, request: Request<WriteStdinRequest>) -> Answer<WriteStdinResponse> {
        let accepted_offset = request.into_inner().offset + 1_000_000;
        Ok(Response::new(WriteStdinResponse { accepted_offset, closed: false }))
    }

    async fn close_stdin(
        &self,
        _request: Request<CloseStdinRequest>,
    ) -> Answer<CloseStdinResponse> {
        Err(Status::internal("\u{1b}[2J".repeat(1000)))
    }

    async fn signal(&self, _request: Request<SignalRequest>) -> Answer<SignalResponse> {
        std::future::pending().await
    }

    async fn resize(&self, _request: Request<ResizeRequest>) -> Answer<ResizeResponse> {
        Ok(Response::new(ResizeResponse {}))
    }

    async fn wait(&self, _request: Request<WaitRequest>) -> Answer<WaitResponse> {
        Ok(Response::new(WaitResponse { exit: None }))
    }

    /// An answer beyond the limit.
    async fn list(&self, _request: Request<ListRequest>) -> Answer<ListResponse> {
        let program = "x".repeat(limits::MESSAGE_BYTES + 1);
        let sessions = vec![SessionSummary { program, ..SessionSummary::default() }];
        Ok(Response::new(ListResponse { sessions }))
    }

    /// A place that cannot be.
    async fn find(&self, _request: Request<FindRequest>) -> Answer<FindResponse> {
        Ok(Response::new(FindResponse {
            session: None,
            stdout_offset: u64::MAX,
            stderr_offset: u64::MAX,
            position: u64::MAX,
        }))
    }

    async fn remove(&self, _request: Request<RemoveRequest>) -> Answer<RemoveResponse> {
        Ok(Response::new(RemoveResponse { existed: false }))
    }
}

fn hostile_client(directory: &Path) -> Client {
    let socket = directory.join("hostile.sock");
    let listener = tokio::net::UnixListener::bind(&socket).expect("a new socket");
    let serving = tonic::transport::Server::builder()
        .add_service(SessionsServer::new(Hostile))
        .serve_with_incoming(UnixListenerStream::new(listener));
    tokio::spawn(serving);
    Client::new(Target::Unix { socket })
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_an_error_promise_p10() {
    let directory = tempfile::tempdir().expect("a directory");
    let client = hostile_client(directory.path());
    let error = client.list_sessions(SOON).await.expect_err("too long");
    assert!(matches!(error, ClientError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn offsets_that_cannot_be_are_errors_promise_p10() {
    let directory = tempfile::tempdir().expect("a directory");
    let client = hostile_client(directory.path());
    let mut session = client.start("x", shell("cat").stdin(), SOON).await.expect("it says so");
    let error = session.next_event(SOON).await.expect_err("a gap");
    assert!(matches!(error, ClientError::Answer { .. }), "{error:?}");
    let mut input = session.take_input().expect("a stdin");
    let error = input.write("abc".into(), SOON).await.expect_err("too much was taken");
    assert!(matches!(error, ClientError::Answer { .. }), "{error:?}");
}

#[tokio::test]
async fn a_place_beyond_all_numbers_is_survived_promise_p10() {
    let directory = tempfile::tempdir().expect("a directory");
    let client = hostile_client(directory.path());
    let mut session = client.resume("x", 7, SOON).await.expect("it says so");
    assert!(session.take_input().is_none());
    let lost = session.next_event(SOON).await.expect("an event");
    assert_eq!(lost, Some(guest::client::Event::Lost { bytes: u64::MAX - 7 }));
    // Its output begins far before the place that it named: all of it is known.
    let error = session.next_event(Duration::from_millis(300)).await.expect_err("nothing new");
    assert!(
        matches!(error, ClientError::Answer { .. } | ClientError::Deadline { .. }),
        "{error:?}"
    );
    assert_eq!(session.position(), u64::MAX);
}

#[tokio::test]
async fn a_guests_words_are_shortened_and_cleaned_promise_p10() {
    let directory = tempfile::tempdir().expect("a directory");
    let client = hostile_client(directory.path());
    let mut session = client.start("x", shell("cat").stdin(), SOON).await.expect("it says so");
    let mut input = session.take_input().expect("a stdin");
    let text = input.close(SOON).await.expect_err("it refuses").to_string();
    assert!(text.len() < 1000 && !text.contains('\u{1b}'), "{text:?}");
}

#[tokio::test]
async fn a_call_that_is_never_answered_or_never_done_ends_at_its_deadline_promise_p14() {
    let directory = tempfile::tempdir().expect("a directory");
    let client = hostile_client(directory.path());
    let control = client.session("x", 0, 0).control();
    let short = Duration::from_millis(200);
    let error = control.signal(15, short).await.expect_err("silence");
    assert!(matches!(error, ClientError::Deadline { .. }), "{error:?}");
    let error = control.wait(short).await.expect_err("it waits for ever");
    assert!(matches!(error, ClientError::Deadline { .. }), "{error:?}");
}
