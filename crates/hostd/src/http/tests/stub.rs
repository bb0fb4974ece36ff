//! The smallest host: a real store in a temporary directory, and ports that say yes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use camino::{Utf8Path, Utf8PathBuf};
use contract::artifact::ArtifactId;
use contract::lazy::Touched;
use contract::machine::Egress;
use contract::{MachineId, OperationId, PresignedUrl, Secret, Sha256Hex};
use engine::host::Host;
use engine::layout::Layout;
use engine::plan::{Capacity, Deadlines, Defaults, Overcommit, Settings};
use engine::port::{
    CheckDepth, Chunks, DiskSource, DownloadTarget, Fault, Files, Fill, FillRequest, Filling,
    FillingPlace, GrownDisk, Launch, LaunchSpec, Network, Observation, OpenRelay, Opened, OriginOf,
    PartSink, PortError, Relay, RunState, SealRequest, UploadJob, Vmm, VmmHandle,
};
use engine::record::{ArtifactSum, Manifest, Origin, SealedArtifact, Shape, Slot, VmmKind};
use engine::runner::Runner;
use engine::testing::{ManualClock, block, journal};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use crate::config::Limits;
use crate::http::{Agents, Api, Room, router};
use crate::mint::SystemMint;
use crate::store::SqliteStore;

/// A port that says yes to everything, unless it is told to fail.
#[derive(Debug, Default)]
pub(super) struct Yes {
    pub(super) launch_fails: AtomicBool,
    pub(super) never_ends: AtomicBool,
    pub(super) commands: AtomicUsize,
    pub(super) commands_are_late: AtomicBool,
}

pub(super) type Done<T = ()> = Result<T, PortError>;

pub(super) fn absent<T>() -> Done<T> {
    Err(PortError::plain(Fault::Absent, "find what a stub does not have"))
}

#[async_trait]
impl Vmm for Yes {
    async fn origin(&self, shape: &Shape, _: OriginOf<'_>) -> Done<Origin> {
        Ok(Origin { shape: *shape, ..journal::a_snapshot().origin.host })
    }
    async fn launch(&self, _: &LaunchSpec) -> Done<VmmHandle> {
        if self.launch_fails.load(Ordering::Relaxed) {
            return Err(PortError::plain(Fault::NoRoom, "launch a VMM"));
        }
        Ok(engine::testing::run("box").handle)
    }
    async fn observe(&self, _: &Launch, _: &VmmHandle) -> Done<Observation> {
        Ok(Observation::Alive(RunState::Running))
    }
    async fn pause(&self, _: &Launch) -> Done<Duration> {
        Ok(Duration::ZERO)
    }
    async fn resume(&self, _: &Launch) -> Done {
        Ok(())
    }
    async fn capture(&self, _: &Launch, _: &Utf8Path) -> Done {
        Ok(())
    }
    async fn collect_memory(&self, _: &Launch, _: &Utf8Path) -> Done {
        Ok(())
    }
    async fn discard_capture(&self, _: &Launch) -> Done {
        Ok(())
    }
    async fn extend_disk(&self, _: &Launch, _: GrownDisk) -> Done {
        Ok(())
    }
    async fn press_power_button(&self, _: &Launch) -> Done {
        Ok(())
    }
    async fn wait_ended(&self, _: &Launch, _: Duration) -> Done<bool> {
        if self.never_ends.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        Ok(true)
    }
    async fn end(&self, _: &Launch) -> Done {
        Ok(())
    }
    async fn console_tail(&self, _: &Launch, _: usize) -> String {
        String::new()
    }
    async fn carried_launches(&self) -> Done<Vec<OperationId>> {
        Ok(vec![])
    }
    async fn end_orphan(&self, _: &OperationId) -> Done {
        Ok(())
    }
}

#[async_trait]
impl Files for Yes {
    async fn make_dir(&self, _: &Utf8Path, _: &OperationId) -> Done {
        Ok(())
    }
    async fn remove_made_dir(&self, _: &Utf8Path, _: &OperationId) -> Done {
        Ok(())
    }
    async fn remove_tree(&self, _: &Utf8Path, _: &Utf8Path) -> Done {
        Ok(())
    }
    async fn place_artifact(&self, _: &DiskSource, _: &Utf8Path) -> Done<ArtifactSum> {
        Ok(ArtifactSum { sha256: Sha256Hex::from_bytes(&[0; 32]), size_bytes: 1 })
    }
    async fn clone_disk(
        &self,
        _: &DiskSource,
        _: &Utf8Path,
        _: Option<u64>,
        _: Option<u32>,
    ) -> Done {
        Ok(())
    }
    async fn keep_secret(&self, _: &Utf8Path, _: &Secret) -> Done {
        Ok(())
    }
    async fn read_secret(&self, _: &Utf8Path) -> Done<Secret> {
        absent()
    }
    async fn forget_secret(&self, _: &Utf8Path) -> Done {
        Ok(())
    }
    async fn format_disk(&self, _: &Utf8Path, _: u64, _: &str) -> Done {
        Ok(())
    }
    async fn grow_file(&self, _: &Utf8Path, _: u64) -> Done {
        Ok(())
    }
    async fn remove_file(&self, _: &Utf8Path) -> Done {
        Ok(())
    }
    async fn give_to(&self, _: &[Utf8PathBuf], _: u32) -> Done {
        Ok(())
    }
    async fn sync_dirty(&self, _: &[Utf8PathBuf]) -> Done {
        Ok(())
    }
    async fn carried_scratch(&self) -> Done<Vec<OperationId>> {
        Ok(vec![])
    }
    async fn remove_scratch(&self, _: &OperationId) -> Done {
        Ok(())
    }
}

#[async_trait]
impl Network for Yes {
    async fn ensure_host(&self) -> Done {
        Ok(())
    }
    async fn build(&self, _: &Slot) -> Done {
        Ok(())
    }
    async fn open(&self, _: &Slot, _: Egress) -> Done {
        Ok(())
    }
    async fn open_relay(&self, _: &Slot, _: Relay) -> Done<Opened> {
        Ok(Opened::Serves)
    }
    async fn close_relay(&self, _: u16) -> Done {
        Ok(())
    }
    async fn open_relays(&self) -> Done<Vec<OpenRelay>> {
        Ok(vec![])
    }
    async fn listening_ports(&self) -> Done<BTreeSet<u16>> {
        Ok(BTreeSet::from([20_000]))
    }
    async fn accepts(&self, _: &Slot, _: u16, _: Duration) -> Done<bool> {
        Ok(true)
    }
    async fn destroy(&self, _: &Slot) -> Done {
        Ok(())
    }
    async fn carried_slots(&self) -> Done<Vec<u32>> {
        Ok(vec![])
    }
    async fn destroy_orphan(&self, _: u32) -> Done {
        Ok(())
    }
}

impl Agents for Yes {
    fn client(&self, launch: &Launch) -> guest::client::Client {
        let socket = launch.dir.join("agent.sock").into();
        guest::client::Client::new(guest::client::Target::Unix { socket })
    }
}

#[async_trait]
impl Filling for Yes {
    async fn start_filling(&self, _: &FillRequest) -> Done {
        Ok(())
    }
    async fn filling(&self, _: &FillingPlace) -> Done<Fill> {
        Ok(Fill::Full)
    }
    async fn await_filled(&self, _: &FillingPlace, _: Duration) -> Done {
        Ok(())
    }
    async fn working_set(&self, _: &FillingPlace) -> Done<Vec<Touched>> {
        Ok(vec![])
    }
    async fn end_filling(&self, _: &FillingPlace) -> Done {
        Ok(())
    }
    async fn carried_fillings(&self) -> Done<Vec<OperationId>> {
        Ok(vec![])
    }
    async fn end_orphan_filling(&self, _: &OperationId) -> Done {
        Ok(())
    }
}

#[async_trait]
impl Chunks for Yes {
    async fn seal(&self, _: &SealRequest, _: &OperationId) -> Done<Vec<SealedArtifact>> {
        Ok(vec![])
    }
    async fn publish(&self, _: &Utf8Path, _: &Utf8Path) -> Done {
        Ok(())
    }
    async fn unpublish(&self, _: &Utf8Path, _: &OperationId) -> Done {
        Ok(())
    }
    async fn read_manifest(&self, _: &Utf8Path) -> Done<Manifest> {
        absent()
    }
    async fn fetch_manifest(&self, _: &PresignedUrl, _: &Sha256Hex) -> Done<Manifest> {
        Err(PortError::plain(Fault::Upstream, "fetch a manifest"))
    }
    async fn keep_manifest(&self, _: &PresignedUrl, _: &Sha256Hex, _: &Utf8Path) -> Done {
        Ok(())
    }
    async fn check_sealed(&self, _: &Utf8Path, _: CheckDepth) -> Done {
        Ok(())
    }
    async fn sum(&self, _: &Utf8Path, _: ArtifactId) -> Done<ArtifactSum> {
        Ok(ArtifactSum { sha256: Sha256Hex::from_bytes(&[0; 32]), size_bytes: 1 })
    }
    async fn upload(&self, _: &UploadJob, _: &dyn PartSink) -> Done {
        Ok(())
    }
    async fn download(&self, _: &DownloadTarget, _: &Utf8Path) -> Done {
        Ok(())
    }
}

impl Room for Yes {
    fn capacity(&self) -> Done<Capacity> {
        Ok(Capacity { memory_bytes: 64 << 30, disk_bytes: 1 << 40, disk_free_bytes: 1 << 40 })
    }
}

/// A daemon of one test.
pub(super) struct Stub {
    pub(super) api: Api,
    pub(super) yes: Arc<Yes>,
    pub(super) root: Utf8PathBuf,
    _directory: tempfile::TempDir,
}

/// What was answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) bytes: Vec<u8>,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    pub(super) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap().to_owned()
    }

    pub(super) fn operation(&self) -> String {
        self.headers["operation-id"].to_str().unwrap().to_owned()
    }
}

impl Stub {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(directory.path().to_owned()).unwrap();
        let clock = Arc::new(ManualClock::new(journal::start_of_time()));
        let store =
            SqliteStore::open(&root.join("computerd.db"), Arc::<ManualClock>::clone(&clock));
        let yes = Arc::new(Yes::default());
        let vmm: Arc<dyn Vmm> = Arc::<Yes>::clone(&yes);
        let host = Host {
            watch: Arc::new(engine::watch::StepLog),
            journal: Arc::new(store.unwrap()),
            vmms: HashMap::from([(VmmKind::Qemu, vmm)]),
            files: Arc::<Yes>::clone(&yes),
            network: Arc::<Yes>::clone(&yes),
            guest: Arc::<Yes>::clone(&yes),
            chunks: Arc::<Yes>::clone(&yes),
            clock,
            settings: Arc::new(settings(&root)),
        };
        let limits = Limits { request_bytes: 64 << 10, ..Limits::default() };
        let api = Api::new(
            Runner::new(host),
            Arc::new(SystemMint),
            Arc::<Yes>::clone(&yes),
            Arc::<Yes>::clone(&yes),
            crate::file_uses::FileUses::default(),
            limits,
        );
        Self { api, yes, root, _directory: directory }
    }

    pub(super) fn router(&self) -> Router {
        router::local(self.api.clone())
    }

    pub(super) async fn ask(&self, request: Request<Body>) -> Answer {
        answer(self.router(), request).await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(Request::post(path).body(Body::from(body.to_string())).unwrap()).await
    }

    pub(super) async fn post_with_key(&self, path: &str, key: &str, body: &Value) -> Answer {
        let request = Request::post(path).header("idempotency-key", key);
        self.ask(request.body(Body::from(body.to_string())).unwrap()).await
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        self.ask(Request::delete(path).body(Body::empty()).unwrap()).await
    }
}

pub(super) async fn answer(router: Router, request: Request<Body>) -> Answer {
    let response = router.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes().to_vec();
    Answer { status: parts.status, headers: parts.headers, bytes }
}

/// A request for a machine of this name.
pub(super) fn a_machine(id: &str) -> Value {
    let _: MachineId = id.parse().unwrap();
    serde_json::json!({
        "machine_id": id,
        "artifact": {
            "kernel_image_url": "http://images.test/kernel",
            "rootfs_url": "http://images.test/root.img"
        },
        "memory_mib": 256
    })
}

fn settings(root: &Utf8Path) -> Settings {
    Settings {
        layout: Layout::new(root),
        host_id: "00000000".into(),
        addresses: block(),
        relays: engine::testing::relays(),
        first_uid: 200_000,
        vmm: VmmKind::Qemu,
        defaults: Defaults { vcpus: 2, memory_mib: 3072, storage_bytes: 10 << 30 },
        overcommit: Overcommit { memory: 1.0, disk: 1.0 },
        deadlines: Deadlines {
            start_ms: 60_000,
            stop_ms: 1000,
            agent_ms: 1000,
            self_thaw_ms: 1000,
        },
        image_dirs: vec![],
        login_ca_public_keys: vec![],
        keep_failed: false,
        may_raise_limits: true,
    }
}
