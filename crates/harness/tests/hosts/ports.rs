//! Relays and published ports into real guests: by port, by host name, over restarts, and closed with the machine.

use std::time::Duration;

use contract::MachineId;
use contract::port::PortProtocol;
use contract::published_port::CreatePublishedPortRequest;
use harness::daemon::Daemon;
use harness::error::HarnessError;
use harness::machine::{Machine, running, small};
use harness::wait::until;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::support::in_place;

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn promise_p4_p11_a_published_port_leads_to_its_guest_over_every_restart_and_ends_with_it() {
    in_place(async |place| {
        let mut host = place.host("a").await?;
        let machine = host.launch(small("box", &place.image)?).await?;
        serve(&machine).await?;
        let request = CreatePublishedPortRequest {
            published_port_id: "web".parse().expect("an id"),
            name: None,
            port: 8080,
            protocol: PortProtocol::Tcp,
            http: true,
        };
        let port = host.client().publish_port(&machine.id, &request).await?;
        let by_port =
            async || page(TcpStream::connect(("127.0.0.1", port.host_port)).await.ok()?).await;
        assert!(until("the page by its port", PATIENCE, by_port).await?.ends_with("hello"));
        let named = by_name(&host, "8080--box.computers.test").await;
        assert!(named.is_some_and(|page| page.ends_with("hello")), "by its host name");

        host.stop().await?;
        assert!(by_port().await.is_none(), "relays end with the daemon");
        host.restart().await?;
        until("the page after a restart of the daemon", PATIENCE, by_port).await?;

        let mut open = TcpStream::connect(("127.0.0.1", port.host_port))
            .await
            .map_err(HarnessError::io("connect to a published port"))?;
        host.client().stop_machine(&machine.id).await?;
        let ended = tokio::time::timeout(PATIENCE, open.read(&mut [0])).await;
        assert!(matches!(ended, Ok(Ok(0) | Err(_))), "a connection ends with its machine");
        assert!(by_port().await.is_none(), "nothing leads to a machine that is stopped");

        host.client().start_machine(&machine.id, &running()).await?;
        serve(&machine.through(&host)).await?;
        until("the page after a restart of the machine", PATIENCE, by_port).await?;
        same_ports(&host, &machine.id, port.host_port).await?;
        host.finish().await
    });
}

async fn serve(machine: &Machine) -> Result<(), HarnessError> {
    let serve = "mkdir -p /run/www && printf hello > /run/www/index.html && \
        busybox httpd -p 8080 -h /run/www";
    machine.exec(serve).await.map(drop)
}

async fn same_ports(host: &Daemon, id: &MachineId, port: u16) -> Result<(), HarnessError> {
    let listed = host.client().list_published_ports(id).await?;
    assert_eq!(listed.iter().map(|it| it.host_port).collect::<Vec<_>>(), [port]);
    Ok(())
}

async fn by_name(host: &Daemon, name: &str) -> Option<String> {
    let mut stream = UnixStream::connect(host.socket()).await.ok()?;
    let ask = format!("GET / HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.ok()?;
    whole(&mut stream).await
}

async fn page(mut stream: TcpStream) -> Option<String> {
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.ok()?;
    // The other direction stays open for the answer.
    stream.shutdown().await.ok()?;
    whole(&mut stream).await
}

async fn whole(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<String> {
    let mut answer = String::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
    matches!(read, Ok(Ok(count)) if count > 0).then_some(answer)
}
