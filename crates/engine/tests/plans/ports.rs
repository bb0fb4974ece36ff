//! Ports of the host: published, added, moved, and never given twice.

use contract::ErrorCode;
use contract::operation::OperationKind;
use contract::port::{PortName, PortProtocol};
use contract::published_port::CreatePublishedPortRequest;
use engine::claim::Claim;
use engine::phase::Phase;
use engine::plan::{Change, Hold, MovedPort, Plan, machine, published_port, relay};
use engine::port::Relay;
use engine::record::{PublishedPort, RelayPort};
use engine::step::Step;

use super::facts::{Moment, machine_id, now, relays, run_of, slot, this};
use super::machines::request as machine_request;

fn request(id: &str, port: u16) -> CreatePublishedPortRequest {
    CreatePublishedPortRequest {
        published_port_id: id.parse().unwrap(),
        name: None,
        port,
        protocol: PortProtocol::Tcp,
        http: false,
    }
}

fn published(id: &str, port: u16, host_port: u16) -> PublishedPort {
    PublishedPort {
        id: id.parse().unwrap(),
        machine: machine_id("box"),
        name: None,
        port,
        host_port,
        is_http: false,
        created_at: now(),
    }
}

#[test]
fn publishing_reserves_a_port_opens_it_and_then_records_it() {
    let moment = Moment::with_box();
    let plan =
        published_port::create(&moment.machines[0], &request("web", 80), &moment.facts()).unwrap();
    let id = machine_id("box");
    let expected = Plan {
        operation: this(),
        kind: OperationKind::CreatePublishedPort,
        resource_id: "web".into(),
        claims: vec![
            Claim::add_to_machine(&id),
            Claim::published_port(&id, &"web".parse().unwrap()),
        ],
        hold: Hold::UntilCommit,
        prepare: vec![Step::OpenRelay {
            slot: slot(0),
            relay: Relay { host_port: 20_000, guest_port: 80 },
        }],
        commit: Change::PublishedPortAdded { port: published("web", 80, 20_000) },
        finish: vec![Step::ServeRelays { machine: id }],
    };
    assert_eq!(plan, expected);
}

#[test]
fn a_port_of_a_machine_that_does_not_run_is_only_reserved() {
    let mut moment = Moment::with_box();
    moment.machines[0].phase = Phase::Stopped { reason: None };
    let plan =
        published_port::create(&moment.machines[0], &request("web", 80), &moment.facts()).unwrap();
    assert_eq!(plan.prepare, []);
}

#[test]
fn taking_a_published_port_back_commits_first_and_closes_after() {
    let moment = Moment::with_box();
    let plan = published_port::delete(&published("web", 80, 20_007), &moment.facts());
    assert_eq!((plan.hold, plan.prepare), (Hold::UntilClose, vec![]));
    assert_eq!(plan.finish, [Step::CloseRelay { host_port: 20_007 }]);
    let (machine, port) = (machine_id("box"), "web".parse().unwrap());
    assert_eq!(plan.commit, Change::PublishedPortRemoved { machine, port });
}

#[test]
fn promise_p13_no_port_is_given_that_a_record_a_plan_or_a_foreign_listener_has() {
    let mut moment = Moment::with_box();
    moment.published_ports.push(published("web", 80, 20_000));
    moment.listening.extend([20_001, 40_001]);
    let next = published_port::create(&moment.machines[0], &request("api", 81), &moment.facts());
    moment.open.push(next.unwrap());
    let plan = machine::create(&machine_request("new"), &moment.facts()).unwrap();
    let ports = plan.commit.host_ports();
    assert_eq!(ports, [40_002, 45_001]);
    moment.open.push(plan);
    let next = published_port::create(&moment.machines[0], &request("ssh", 22), &moment.facts());
    assert_eq!(next.unwrap().commit.host_ports(), [20_003], "20002 is reserved by a plan");
    let plan = machine::create(&machine_request("newer"), &moment.facts()).unwrap();
    assert_eq!(plan.commit.host_ports(), [40_003, 45_002]);
}

#[test]
fn promise_p13_when_a_range_is_full_it_is_told_at_once() {
    let mut moment = Moment::with_box();
    moment.listening.extend(moment.settings.relays.published.ports());
    let refused = published_port::create(&moment.machines[0], &request("web", 80), &moment.facts());
    assert_eq!(refused.unwrap_err().code, ErrorCode::TooManyRequests);
}

#[test]
fn a_machine_keeps_its_ports_over_a_restart_but_for_those_that_others_took() {
    let mut moment = Moment::with_box();
    moment.machines[0].phase = Phase::Stopped { reason: None };
    moment.machines[0].relays = relays(7);
    let plan = machine::start(&moment.machines[0], &moment.facts()).unwrap();
    assert_eq!(plan.commit.host_ports(), [40_007, 45_007]);
    moment.listening.insert(45_007);
    let plan = machine::start(&moment.machines[0], &moment.facts()).unwrap();
    assert_eq!(plan.commit.host_ports(), [40_007, 45_000]);
}

#[test]
fn a_record_of_a_daemon_without_relays_gets_them_with_the_next_start() {
    let mut moment = Moment::with_box();
    moment.machines[0].phase = Phase::Stopped { reason: None };
    moment.machines[0].relays = vec![];
    let plan = machine::start(&moment.machines[0], &moment.facts()).unwrap();
    assert_eq!(plan.commit.host_ports(), [40_000, 45_000]);
}

#[test]
fn an_exec_relay_is_added_for_as_long_as_the_machine_exists() {
    let moment = Moment::with_box();
    let plan = relay::add(&moment.machines[0], PortName::Exec, &moment.facts()).unwrap();
    let added = RelayPort { name: PortName::Exec, host_port: 50_000 };
    let machine = machine_id("box");
    assert_eq!(plan.commit, Change::RelayAdded { machine, relay: added });
    let opened = Relay { host_port: 50_000, guest_port: 49_983 };
    assert_eq!(plan.prepare, [Step::OpenRelay { slot: slot(0), relay: opened }]);
}

#[test]
fn promise_p13_relays_move_away_from_a_foreign_listener_within_their_ranges() {
    let mut moment = Moment::with_box();
    moment.published_ports.push(published("web", 80, 20_000));
    moment.listening.extend([40_000, 20_000]);
    let machine = &moment.machines[0];
    let facts = moment.facts();
    let plan = relay::move_away(machine, run_of(machine), &[40_000, 20_000], &facts);
    let plan = plan.unwrap().unwrap();
    let moved = [(40_000, 40_001), (20_000, 20_001)].map(|(from, to)| MovedPort { from, to });
    let opens = [(40_001, 2222), (20_001, 80)].map(|(host_port, guest_port)| Step::OpenRelay {
        slot: slot(0),
        relay: Relay { host_port, guest_port },
    });
    assert_eq!(plan.prepare, opens);
    let machine_id = machine_id("box");
    assert_eq!(plan.commit, Change::PortsMoved { machine: machine_id, moved: moved.to_vec() });
    let nothing = relay::move_away(machine, run_of(machine), &[9], &facts).unwrap();
    assert_eq!(nothing, None);
}

#[test]
fn names_of_http_ports_are_labels_of_host_names_and_unique() {
    let mut moment = Moment::with_box();
    let http = |id: &str, name: Option<&str>| CreatePublishedPortRequest {
        name: name.map(str::to_owned),
        http: true,
        ..request(id, 80)
    };
    let create = |moment: &Moment, request: &CreatePublishedPortRequest| {
        published_port::create(&moment.machines[0], request, &moment.facts())
            .map(|plan| plan.commit)
            .map_err(|refusal| refusal.code)
    };
    for name in ["a--b", "-a", "a b", "a.b", &"a".repeat(64)] {
        assert_eq!(create(&moment, &http("x", Some(name))), Err(ErrorCode::Refused), "{name}");
    }
    let Ok(Change::PublishedPortAdded { port }) = create(&moment, &http("x", Some("Web-1"))) else {
        panic!("it is a sound name")
    };
    assert_eq!(port.host_label(), "Web-1--box");
    moment.published_ports.push(port);
    assert_eq!(create(&moment, &http("y", Some("web-1"))), Err(ErrorCode::Exists));
    assert_eq!(create(&moment, &http("x", Some("other"))), Err(ErrorCode::Exists), "its id");
    create(&moment, &http("y", None)).unwrap();
}
