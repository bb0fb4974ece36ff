//! What plans do about files that are still being filled.
//!
//! While a machine runs from them it uses the shown files, at whose other end they are filled. Nothing else does: whoever wants the
//! files otherwise waits until they are full, and finds plain files where they always lie.

use contract::ErrorCode;
use contract::artifact::ArtifactId;
use contract::chunked::ChunkedSource;
use contract::lazy::LazyRestore;
use contract::operation::OperationKind;
use contract::restore::RestoreSnapshotRequest;

use crate::claim::Claim;
use crate::layout::machine_file;
use crate::port::{Boot, FillRequest, FilledFile, FillingPlace, GuestMemory, LaunchSpec, PackPut};
use crate::record::{FillingRecord, Machine, Manifest, Slot, VmmKind};
use crate::step::Step;

use super::restore::{Source, form_url};
use super::{Change, Facts, Hold, Plan, Refusal};

/// Longest wait for the rest of the files, before a snapshot or a start.
const FILL_DEADLINE_MS: u64 = 30 * 60 * 1000;

/// Where the files of a machine that this operation restores are filled.
pub(super) fn place_of(machine: &Machine, facts: &Facts<'_>) -> FillingPlace {
    FillingPlace {
        operation: facts.operation.clone(),
        dir: facts.settings.layout.machine(&machine.id).join(machine_file::FILLING),
    }
}

/// How the files come while the machine runs, where that is asked for. A snapshot that lies here has nothing to wait for.
pub(super) fn asked<'a>(
    request: &'a RestoreSnapshotRequest,
    source: &Source<'a>,
    vmm: VmmKind,
) -> Result<Option<(&'a LazyRestore, &'a ChunkedSource)>, Refusal> {
    let refused = |why: &str| Err(Refusal::new(ErrorCode::Refused, why));
    let (Some(lazy), Source::Durable(durable)) = (&request.lazy, source) else { return Ok(None) };
    let Some(chunked) = &durable.chunked else {
        return refused("lazy restores are made from the chunked form; leave `lazy` out");
    };
    if vmm == VmmKind::Firecracker {
        return refused("lazy restores are not offered under this VMM yet; leave `lazy` out");
    }
    if !chunked.key.is_empty() {
        return refused(
            "lazy restores of sealed forms are not offered, since the key is never kept; leave `lazy` out",
        );
    }
    Ok(Some((lazy, chunked)))
}

/// The steps that begin to fill all files. `file` says where an artifact lies and how large it is to be.
pub(super) fn begin(
    (lazy, source): (&LazyRestore, &ChunkedSource),
    place: &FillingPlace,
    manifest: &Manifest,
    slot: &Slot,
    facts: &Facts<'_>,
    file: impl Fn(ArtifactId) -> FilledFile,
) -> Vec<Step> {
    let dir = place.dir.parent().map(ToOwned::to_owned).unwrap_or_default();
    let packs = source
        .packs
        .iter()
        .map(|pack| PackPut { pack: pack.pack_id.clone(), url: pack.download_url.clone() });
    vec![
        Step::FetchForm { form: Box::new(form_url(source)), dir: dir.clone() },
        Step::StartFilling {
            request: Box::new(FillRequest {
                place: place.clone(),
                document: dir,
                packs: packs.collect(),
                files: manifest.files.iter().map(|sealed| file(sealed.artifact)).collect(),
                owner: slot.uid,
                // Beyond the uids of all slots: nobody else's.
                server_uid: slot.uid + facts.settings.addresses.slots(),
                renewal_url: lazy.renewal_url.clone(),
                working_set: lazy.working_set.clone(),
            }),
        },
    ]
}

/// Has a launch use the shown files.
pub(super) fn show(spec: &mut LaunchSpec, place: &FillingPlace) {
    if let GuestMemory::Own { path } = &mut spec.memory {
        *path = place.shown(path);
    }
    for disk in &mut spec.disks {
        disk.path = place.shown(&disk.path);
    }
    if let Boot::Restore { vmstate, .. } = &mut spec.boot {
        *vmstate = place.shown(vmstate);
    }
}

/// The steps after which the files of a machine at rest are plain ones.
pub(super) fn settled(machine: &Machine) -> Vec<Step> {
    let steps = machine.filling.as_ref().map(|filling| {
        let place = filling.place.clone();
        [waited(filling), Step::EndFilling { place }]
    });
    steps.into_iter().flatten().collect()
}

/// The step after which the files are full, and still shown.
pub(super) fn waited(filling: &FillingRecord) -> Step {
    Step::AwaitFilled { place: filling.place.clone(), deadline_ms: FILL_DEADLINE_MS }
}

/// Refuses what needs files that nobody fills.
pub(super) fn is_over(machine: &Machine, what: &str) -> Result<(), Refusal> {
    match &machine.filling {
        None => Ok(()),
        Some(_) => Err(Refusal::new(
            ErrorCode::Busy,
            format!(
                "the files of machine {} are still being filled, and it cannot {what} meanwhile",
                machine.id
            ),
        )),
    }
}

/// Ends a filling that is full and whose machine is at rest.
pub fn end(machine: &Machine, filling: &FillingRecord, facts: &Facts<'_>) -> Plan {
    Plan {
        operation: facts.operation.clone(),
        kind: OperationKind::RetireMachine,
        resource_id: machine.id.to_string(),
        claims: vec![Claim::machine(&machine.id)],
        hold: Hold::UntilClose,
        prepare: vec![],
        commit: Change::FillingEnded {
            machine: machine.id.clone(),
            operation: filling.place.operation.clone(),
        },
        finish: vec![Step::EndFilling { place: filling.place.clone() }],
    }
}
