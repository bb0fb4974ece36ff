//! Relays between ports of the loopback; these need no root.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};

use crate::network::{Relay, RelayError, RelaySettings};

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(10);

fn settings(target: SocketAddr) -> RelaySettings {
    RelaySettings {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        target,
        connect_timeout: PATIENCE,
        idle_timeout: PATIENCE,
        connection_limit: 2,
    }
}

/// A relay that has all the places it wants.
async fn start(settings: RelaySettings) -> Result<Relay, RelayError> {
    Relay::start(settings, Arc::new(Semaphore::new(16))).await
}

/// A server and where it listens.
async fn server() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Both ends of a connection through the relay.
async fn connected(relay: &Relay, server: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(relay.address()).await.unwrap();
    let (served, _) = timeout(PATIENCE, server.accept()).await.unwrap().unwrap();
    (client, served)
}

/// True when the other side has ended the connection, orderly or not.
async fn has_ended(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    match timeout(PATIENCE, stream.read(&mut byte)).await.unwrap() {
        Ok(count) => count == 0,
        Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
    }
}

#[tokio::test]
async fn a_client_that_has_said_everything_still_gets_its_answer() {
    let (server, target) = server().await;
    let relay = start(settings(target)).await.unwrap();
    let (mut client, mut served) = connected(&relay, &server).await;
    let question = vec![7; 300_000];
    let ask = async {
        client.write_all(&question).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        answer
    };
    let answer = async {
        let mut heard = Vec::new();
        served.read_to_end(&mut heard).await.unwrap();
        served.write_all(&heard).await.unwrap();
        served.shutdown().await.unwrap();
    };
    let (answer, ()) = timeout(PATIENCE, async { tokio::join!(ask, answer) }).await.unwrap();
    assert!(answer == question);
    relay.stop().await;
}

#[tokio::test]
async fn a_port_that_another_listens_on_is_reported_as_busy_promise_p13() {
    let (_foreign, taken) = server().await;
    let busy = start(RelaySettings { listen: taken, ..settings(taken) }).await;
    assert!(matches!(busy, Err(RelayError::Busy { address }) if address == taken));
}

#[tokio::test]
async fn one_connection_too_many_is_closed_at_once_and_a_place_is_free_again_promise_p10() {
    let (server, target) = server().await;
    let relay = start(settings(target)).await.unwrap();
    let first = connected(&relay, &server).await;
    let _second = connected(&relay, &server).await;
    let mut third = TcpStream::connect(relay.address()).await.unwrap();
    assert!(has_ended(&mut third).await);

    drop(first);
    let mut fourth = TcpStream::connect(relay.address()).await.unwrap();
    // The place is free once the relay has seen the first one end.
    let place = async {
        while has_ended(&mut fourth).await {
            fourth = TcpStream::connect(relay.address()).await.unwrap();
        }
    };
    let accepted = async {
        let (mut served, _) = server.accept().await.unwrap();
        served.write_all(b"x").await.unwrap();
    };
    timeout(PATIENCE, async { tokio::join!(place, accepted) }).await.unwrap();
    relay.stop().await;
}

#[tokio::test]
async fn a_silent_connection_is_ended_promise_p14() {
    let (server, target) = server().await;
    let idle_timeout = Duration::from_millis(50);
    let relay = start(RelaySettings { idle_timeout, ..settings(target) }).await.unwrap();
    let (mut client, mut served) = connected(&relay, &server).await;
    assert!(has_ended(&mut client).await);
    assert!(has_ended(&mut served).await);
    relay.stop().await;
}

#[tokio::test]
async fn a_target_that_refuses_ends_the_clients_connection() {
    let (server, target) = server().await;
    drop(server);
    let relay = start(settings(target)).await.unwrap();
    let mut client = TcpStream::connect(relay.address()).await.unwrap();
    assert!(has_ended(&mut client).await);
    relay.stop().await;
}

#[tokio::test]
async fn a_relay_that_was_stopped_has_closed_its_connections_and_freed_its_port_promise_p2() {
    let (server, target) = server().await;
    let relay = start(settings(target)).await.unwrap();
    let address = relay.address();
    let (mut client, mut served) = connected(&relay, &server).await;
    timeout(PATIENCE, relay.stop()).await.unwrap();
    assert!(has_ended(&mut client).await);
    assert!(has_ended(&mut served).await);
    let again = RelaySettings { listen: address, ..settings(target) };
    start(again).await.unwrap().stop().await;
}

#[tokio::test]
async fn relays_together_carry_no_more_than_there_are_places_promise_p10() {
    let (server, target) = server().await;
    let places = Arc::new(Semaphore::new(1));
    let one = Relay::start(settings(target), Arc::clone(&places)).await.unwrap();
    let other = Relay::start(settings(target), Arc::clone(&places)).await.unwrap();
    let first = connected(&one, &server).await;
    let mut second = TcpStream::connect(other.address()).await.unwrap();
    assert!(has_ended(&mut second).await);
    drop(first);
    let _place = timeout(PATIENCE, places.acquire()).await.unwrap().unwrap();
    one.stop().await;
    other.stop().await;
}
