//! Chunked forms: what is known, what is claimed, and what goes with a snapshot.

use contract::chunked::{ChunkSnapshotRequest, PackUpload, UploadChunkedRequest};
use contract::{ErrorCode, OperationId, PackId, Sha256Hex};
use engine::claim::Claim;
use engine::plan::{Change, Hold, Plan, Refusal, chunked, snapshot as life};
use engine::port::KnownForm;
use engine::record::{ChunkedForm, Snapshot, SnapshotState};
use engine::step::Step;

use super::facts::{Moment, snapshot, snapshot_id, this};

fn set(number: u8) -> OperationId {
    engine::testing::operation(number)
}

fn form(number: u8, needs: &[u8]) -> ChunkedForm {
    ChunkedForm {
        set: set(number),
        needs: needs.iter().copied().map(set).collect(),
        document_sha256: Sha256Hex::from_bytes(&[number; 32]),
        document_bytes: 1,
        new_bytes: 1,
        key_name: None,
    }
}

fn with_form(name: &str, number: u8, needs: &[u8]) -> Snapshot {
    Snapshot { chunked: Some(form(number, needs)), ..snapshot(name) }
}

fn cut(of: &Snapshot, moment: &Moment) -> Result<Option<Plan>, Refusal> {
    chunked::cut(of, &ChunkSnapshotRequest::default(), None, &moment.facts())
}

#[test]
fn what_is_cut_knows_the_forms_of_others_and_claims_those_that_it_may_refer_to_promise_p9() {
    let mut moment = Moment::empty();
    let mut child = snapshot("child");
    child.origin.parent = Some(snapshot_id("parent"));
    let mut parent = with_form("parent", 8, &[7]);
    parent.origin.machine = "elsewhere".parse().unwrap();
    let other = with_form("other", 9, &[]);
    let other = Snapshot {
        origin: engine::record::SnapshotOrigin {
            machine: "third".parse().unwrap(),
            ..other.origin.clone()
        },
        ..other
    };
    let mut sealed = with_form("sealed", 6, &[]);
    sealed.chunked.as_mut().unwrap().key_name = Some("tenant".into());
    let bad = SnapshotState::Quarantined { reason: "changed".into() };
    let spoilt = Snapshot { state: bad, ..with_form("spoilt", 5, &[]) };
    moment.snapshots = vec![other, sealed, spoilt, parent, child.clone()];

    let plan = cut(&child, &moment).unwrap().unwrap();

    let known = |plan: &Plan| {
        plan.prepare.iter().find_map(|step| match step {
            Step::Cut { job } => Some(job.known.clone()),
            _ => None,
        })
    };
    let expected =
        [("parent", 8, vec![set(7)]), ("other", 9, vec![])].map(|(name, number, needs)| {
            KnownForm { snapshot: snapshot_id(name), set: set(number), needs }
        });
    assert_eq!(known(&plan).unwrap(), expected);
    assert_eq!(
        plan.claims,
        [
            Claim::chunked_form(&snapshot_id("child")),
            Claim::read_snapshot(&snapshot_id("child")),
            Claim::read_snapshot(&snapshot_id("parent")),
            Claim::read_snapshot(&snapshot_id("other")),
        ]
    );
    assert_eq!(plan.hold, Hold::UntilClose);
    let published = plan.prepare.last().unwrap();
    let layout = &moment.settings.layout;
    let place = Step::Publish { from: layout.scratch(&this()), to: layout.set(&this()) };
    assert_eq!(*published, place);
}

#[test]
fn a_form_that_is_there_is_answered_and_one_of_another_key_refused() {
    let moment = Moment::empty();
    let saved = with_form("saved", 1, &[]);
    assert_eq!(cut(&saved, &moment).unwrap(), None);
    let request = ChunkSnapshotRequest::default();
    let refused = chunked::cut(&saved, &request, Some("tenant"), &moment.facts()).unwrap_err();
    assert_eq!(refused.code, ErrorCode::WrongState);
}

#[test]
fn only_packs_named_once_of_a_form_that_is_there_are_sent() {
    let moment = Moment::empty();
    let pack = |url: &str| PackUpload {
        pack_id: PackId::from_bytes(&[1; 32]),
        upload_url: url.parse().unwrap(),
    };
    let one =
        UploadChunkedRequest { packs: vec![pack("https://store.test/a")], manifest_url: None };
    let refusal =
        |of: &Snapshot, request| chunked::send(of, request, &moment.facts()).unwrap_err().code;
    assert_eq!(refusal(&snapshot("saved"), &one), ErrorCode::WrongState);
    let saved = with_form("saved", 1, &[2]);
    let none = UploadChunkedRequest::default();
    assert_eq!(refusal(&saved, &none), ErrorCode::Malformed);
    let twice = UploadChunkedRequest {
        packs: vec![pack("https://store.test/a"), pack("https://store.test/b")],
        manifest_url: None,
    };
    assert_eq!(refusal(&saved, &twice), ErrorCode::Refused);
    let plan = chunked::send(&saved, &one, &moment.facts()).unwrap();
    assert_eq!(plan.claims, [Claim::read_snapshot(&snapshot_id("saved"))]);
    assert_eq!(plan.commit, Change::FormSent { snapshot: snapshot_id("saved"), sent: None });
}

#[test]
fn promise_p9_a_collection_takes_what_no_record_and_no_open_operation_needs() {
    let mut moment = Moment::empty();
    moment.snapshots = vec![with_form("saved", 1, &[2])];
    let lying = [set(1), set(2), set(3)];
    let dropped = |plan: &Plan| -> Vec<OperationId> {
        let steps = plan.finish.iter().filter_map(|step| match step {
            Step::DropSet { set, .. } => Some(set.clone()),
            _ => None,
        });
        steps.collect()
    };
    let plan = chunked::collect(&lying, &moment.facts()).unwrap();
    assert_eq!(dropped(&plan), [set(3)]);
    assert_eq!(chunked::collect(&lying[..2], &moment.facts()), None);
    // An operation that is open has perhaps just published its set.
    let open = Plan { operation: set(3), ..plan };
    moment.open = vec![open];
    assert_eq!(chunked::collect(&lying, &moment.facts()), None);

    let plan = life::delete(&moment.snapshots[0], &moment.facts()).unwrap();
    assert_eq!(dropped(&plan), [set(2), set(1)]);
}
