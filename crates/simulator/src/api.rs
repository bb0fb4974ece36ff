//! What each request does, in each state.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answer::{Answer, Refusal, with};
use super::configuration::Configuration;
use super::http::Request;
use super::machine::{Machine, RunState};
use super::metadata::Metadata;
use super::snapshot;

const BEFORE_START: &str = "The requested operation is not supported before starting the microVM.";
const AFTER_START: &str = "The requested operation is not supported after starting the microVM.";
const AFTER_CONFIGURING: &str = "Load snapshot error: Loading a microVM snapshot not allowed after configuring boot-specific resources.";

/// The instance behind the API.
#[derive(Debug)]
pub(super) struct Instance {
    id: String,
    /// What requests have configured of a machine that was not booted.
    prepared: Option<Configuration>,
    machine: Option<Machine>,
    metadata: Metadata,
}

impl Instance {
    /// One that has a machine, or will be told of one.
    pub(super) fn new(id: String, machine: Option<Machine>) -> Self {
        Self { id, prepared: None, machine, metadata: Metadata::default() }
    }

    /// Carries a request out.
    pub(super) fn handle(&mut self, request: &Request) -> Result<Answer, Refusal> {
        let body = || serde_json::from_slice::<Value>(&request.body).map_err(malformed);
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/") => Ok(self.describe()),
            ("GET", "/version") => {
                Ok(Answer::Value(json!({ "firecracker_version": super::VERSION })))
            }
            ("PATCH", "/vm") => self.set_state(&body()?),
            ("PUT", "/actions") => self.act(&body()?),
            ("PUT", "/snapshot/create") => self.create_snapshot(decode(body()?)?),
            ("PUT", "/snapshot/load") => self.load_snapshot(&decode(body()?)?),
            ("GET", "/mmds") => Ok(self.metadata.show()),
            ("PUT", "/mmds") => self.metadata.put(body()?),
            ("PATCH", "/mmds") => self.metadata.patch(&body()?),
            ("PUT", path) => self.configure(path, body()?),
            (method, path) => {
                Err(Refusal::goes(format!("Invalid request method and/or path: {method} {path}.")))
            }
        }
    }

    fn describe(&self) -> Answer {
        let state = match self.machine.as_ref().map(|machine| machine.lock().state) {
            None => "Not started",
            Some(RunState::Running) => "Running",
            Some(RunState::Paused) => "Paused",
        };
        Answer::Value(json!({
            "id": self.id,
            "state": state,
            "vmm_version": super::VERSION,
            "app_name": "Firecracker",
        }))
    }

    fn started(&self) -> Result<&Machine, Refusal> {
        self.machine.as_ref().ok_or_else(|| Refusal::goes(BEFORE_START))
    }

    fn set_state(&self, body: &Value) -> Result<Answer, Refusal> {
        let state = match body["state"].as_str() {
            Some("Paused") => RunState::Paused,
            Some("Resumed") => RunState::Running,
            _ => return Err(Refusal::goes("An error occurred when deserializing the json body")),
        };
        let set = self.started()?.set(state).map_err(with("The state cannot be changed"));
        set.map(|()| Answer::Done).map_err(Refusal::Goes)
    }

    fn act(&mut self, body: &Value) -> Result<Answer, Refusal> {
        match body["action_type"].as_str() {
            Some("InstanceStart") if self.machine.is_some() => Err(Refusal::goes(AFTER_START)),
            Some("InstanceStart") => {
                let prepared = self.prepared.clone().unwrap_or_default();
                self.machine = Some(Machine::boot(prepared).map_err(Refusal::Goes)?);
                Ok(Answer::Done)
            }
            // The three keys reach a guest that runs; the one here resets its CPU, which ends Firecracker.
            Some("SendCtrlAltDel") => {
                drop(self.started()?.wait_running());
                println!("RESET");
                Ok(Answer::DoneAndEnd)
            }
            Some("FlushMetrics") => self.started().map(|_machine| Answer::Done),
            _ => Err(Refusal::goes("An error occurred when deserializing the json body")),
        }
    }

    fn create_snapshot(&self, create: snapshot::Create) -> Result<Answer, Refusal> {
        let mut inner = self.started()?.lock();
        snapshot::create(&mut inner, &create).map(|()| Answer::Done).map_err(Refusal::Goes)
    }

    /// A load that fails leaves nothing that another could be loaded into.
    fn load_snapshot(&mut self, load: &snapshot::Load) -> Result<Answer, Refusal> {
        if self.machine.is_some() {
            return Err(Refusal::goes(AFTER_START));
        }
        if self.prepared.is_some() {
            return Err(Refusal::goes(AFTER_CONFIGURING));
        }
        let loaded = snapshot::load(load);
        self.machine = Some(loaded.map_err(|reason| {
            Refusal::Ends(format!("Load snapshot error: Failed to restore from snapshot: {reason}"))
        })?);
        Ok(Answer::Done)
    }

    fn configure(&mut self, path: &str, body: Value) -> Result<Answer, Refusal> {
        if self.machine.is_some() {
            return Err(Refusal::goes(AFTER_START));
        }
        let mut prepared = self.prepared.clone().unwrap_or_default();
        match path {
            "/boot-source" => prepared.boot_source = Some(decode(body)?),
            "/machine-config" => prepared.machine_config = decode(body)?,
            "/vsock" => prepared.vsock = Some(decode(body)?),
            "/entropy" => prepared.entropy = Some(body),
            "/balloon" => prepared.balloon = Some(decode(body)?),
            "/mmds/config" => prepared.mmds_config = Some(decode(body)?),
            path if path.starts_with("/drives/") => prepared.drives.push(decode(body)?),
            path if path.starts_with("/network-interfaces/") => {
                prepared.network_interfaces.push(decode(body)?);
            }
            _ => {
                return Err(Refusal::goes(format!(
                    "Invalid request method and/or path: PUT {path}."
                )));
            }
        }
        if let Some(objection) = prepared.objection() {
            return Err(Refusal::Goes(objection));
        }
        self.prepared = Some(prepared);
        Ok(Answer::Done)
    }
}

fn decode<T: DeserializeOwned>(body: Value) -> Result<T, Refusal> {
    serde_json::from_value(body).map_err(malformed)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn malformed(error: serde_json::Error) -> Refusal {
    Refusal::goes(format!(
        "An error occurred when deserializing the json body of a request: {error}."
    ))
}
