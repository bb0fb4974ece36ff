//! Guests are hostile (P10), and so are identifiers (P1).

use contract::ErrorCode;
use harness::machine::small;

use super::support::in_place;

/// Tries to open a TCP connection from the guest; whether it could.
const PROBE: &str =
    r#"timeout 3 bash -c "exec 3<>/dev/tcp/$0/$1" 2>/dev/null && echo open || echo closed"#;

#[test]
fn promise_p10_a_guest_reaches_no_host_no_neighbour_and_no_metadata() {
    in_place(async |place| {
        let host = place.host("a").await?;
        let listener = std::net::TcpListener::bind(("0.0.0.0", 0)).unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let (guest, neighbour) = tokio::join!(
            host.launch(small("guest", &place.image)?),
            host.launch(small("neighbour", &place.image)?)
        );
        let (guest, neighbour) = (guest?, neighbour?);
        let near = neighbour.show().await?.runtime_host.unwrap().to_string();
        let own = guest.show().await?.runtime_host.unwrap();
        let std::net::IpAddr::V4(own) = own else { panic!("an IPv4 address") };
        let host_end = std::net::Ipv4Addr::from(u32::from(own) - 1).to_string();
        let targets = [
            (host_end.as_str(), port.as_str()),
            ("172.16.0.1", port.as_str()),
            (near.as_str(), "2222"),
            (near.as_str(), "22"),
            ("169.254.169.254", "80"),
            ("10.0.0.1", "80"),
            ("192.168.0.1", "80"),
        ];
        for (address, port) in targets {
            let answer = guest.run(&["bash", "-c", PROBE, address, port]).await?;
            assert_eq!(answer.stdout.trim(), "closed", "{address}:{port} is within reach");
        }
        host.finish().await
    });
}

#[test]
fn promise_p10_a_guest_that_floods_its_console_fills_no_disk() {
    in_place(async |place| {
        let host = place.host("a").await?;
        let machine = host.launch(small("box", &place.image)?).await?;
        machine.exec("timeout 5 sh -c 'yes flood > /dev/ttyS0' || true").await?;
        let logs = host.root().join("machines/box/logs");
        let kept: u64 = logs
            .read_dir_utf8()
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum();
        assert!(kept < 4 << 20, "{kept} bytes of logs");
        machine.exec("true").await?;
        host.finish().await
    });
}

#[test]
fn promise_p1_hostile_paths_are_not_found_and_touch_nothing() {
    in_place(async |place| {
        let host = place.host("a").await?;
        let marker = host.root().join("state/host_id");
        let before = std::fs::read(&marker).unwrap();
        for path in ["machines/..%2fstate", "machines/%2e%2e", "snapshots/a%00b", "machines/a%0ab"]
        {
            let url = format!("http://localhost/{path}");
            let socket = host.socket();
            let arguments = ["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-X", "DELETE"];
            let status = std::process::Command::new("curl")
                .args(arguments)
                .args(["--path-as-is", "--unix-socket", socket.as_str(), &url])
                .output()
                .unwrap();
            let status = String::from_utf8_lossy(&status.stdout).into_owned();
            assert!(matches!(status.as_str(), "400" | "404" | "422"), "{path}: {status}");
        }
        assert_eq!(std::fs::read(&marker).unwrap(), before);
        let absent = harness::machine::machine_id("absent")?;
        let error = host.client().show_machine(&absent).await.unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::NotFound));
        host.finish().await
    });
}
