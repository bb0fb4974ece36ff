//! Guests made before there was an agent: told who they are at create and again after a restore, and ready when their ports accept.

use contract::ErrorCode;
use contract::machine::{CreateMachineRequest, GuestConfig, GuestProtocol, Identity, Phase};

use super::support::{beyond, in_network, in_place};

/// A key that may log in.
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHThG2GNUEfcr16rHkxUriBq8lpBMsn5qs1jk2RTu12L me";

#[test]
fn a_machine_of_the_protocol_mmds_is_told_who_it_is_and_its_clone_too() {
    in_network(async |place| {
        let host = place.host("a").await?;
        let request = CreateMachineRequest {
            guest_protocol: GuestProtocol::Mmds,
            ready_ports: vec![2222, 6080],
            guest_config: Some(GuestConfig {
                authorized_keys: vec![KEY.parse().unwrap()],
                ..GuestConfig::default()
            }),
            ..place.request("box")?
        };
        let machine = host.launch(request).await?;
        let record = machine.show().await?;
        assert_eq!((record.phase, record.identity), (Phase::Running, None));
        beyond(&host, &machine, 3).await?;

        let saved = machine.snapshot("saved").await?.snapshot.id;
        let clone = host.restore(&saved, "clone", &place.image).await?;
        assert_eq!(clone.show().await?.identity, Some(Identity::Unconfirmed));
        let error = clone.run(&["true"]).await.unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::NoAgent));
        host.finish().await
    });
}

#[test]
fn promise_p14_a_machine_whose_ports_never_accept_fails_with_that_reason() {
    in_place(async |place| {
        let host = place.host_with("a", &["deadlines.start_ms=4000"]).await?;
        let request =
            CreateMachineRequest { guest_protocol: GuestProtocol::Agent, ..place.request("mute")? };

        let error = host.launch(request).await.unwrap_err().chain();

        assert!(error.contains("not ready within its deadline"), "{error}");
        assert!(error.contains("TICK n="), "the last console lines are kept: {error}");
        host.finish().await
    });
}
