//! Every request and answer in use, held against Firecracker's own OpenAPI document.
//!
//! `firecracker_api.json` is that document (`src/firecracker/swagger/firecracker.yaml` of github.com/firecracker-microvm/firecracker at
//! 1.17.0-dev, Apache-2.0, as its `info.license` says), as JSON and otherwise unchanged.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::{Value, json};
use vmm::firecracker::api::{
    Action, InstanceInfo, InstanceState, MemoryBackend, Request, SnapshotCreate, SnapshotLoad,
    VmState, VmmVersion,
};
use vmm::firecracker::{BootConfig, Devices, DiskCache, IoEngine};

fn document() -> Value {
    serde_json::from_str(include_str!("firecracker_api.json")).unwrap()
}

/// The schema that a reference leads to, or the one that is there.
fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// What of `value` is not as `schema` says.
fn objections(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let schema = resolve(document, schema);
    let mut found = Vec::new();
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        found.push(format!("{at}: {value} is none of {allowed:?}"));
    }
    let is_of_type = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_u64() || value.is_i64(),
        Some("boolean") => value.is_boolean(),
        other => panic!("{at}: an unknown type {other:?}"),
    };
    if !is_of_type {
        found.push(format!("{at}: {value} is no {}", schema["type"]));
    }
    if let Some(items) = value.as_array() {
        found
            .extend(items.iter().flat_map(|item| objections(document, &schema["items"], item, at)));
    }
    if let Some(fields) = value.as_object()
        && schema["additionalProperties"] != json!(true)
    {
        for (name, value) in fields {
            match &schema["properties"][name] {
                Value::Null => found.push(format!("{at}: there is no {name}")),
                property => {
                    found.extend(objections(document, property, value, &format!("{at}.{name}")));
                }
            }
        }
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().unwrap()).is_none() {
            found.push(format!("{at}: {name} is missing"));
        }
    }
    found
}

fn requests() -> Vec<Request> {
    vec![
        Request::Describe,
        Request::Version,
        Request::PatchVm(VmState::Paused),
        Request::PatchVm(VmState::Resumed),
        Request::Act(Action::SendCtrlAltDel),
        Request::CreateSnapshot(SnapshotCreate {
            snapshot_type: "Diff".into(),
            snapshot_path: "capture/vmstate".into(),
            mem_file_path: "capture/memory".into(),
        }),
        Request::LoadSnapshot(SnapshotLoad {
            snapshot_path: "vmstate".into(),
            mem_backend: MemoryBackend {
                backend_type: "File".into(),
                backend_path: "memory".into(),
            },
            track_dirty_pages: true,
            resume_vm: false,
        }),
        Request::PutMetadata(json!({ "latest": {} })),
    ]
}

#[test]
fn every_request_is_one_of_the_document_with_a_body_as_it_says() {
    let document = document();
    for request in requests() {
        let method = request.method().as_str().to_lowercase();
        let operation = &document["paths"][request.path()][&method];
        assert!(operation.is_object(), "{method} {} is not there", request.path());
        let parameters = operation["parameters"].as_array();
        let body = parameters.into_iter().flatten().find(|parameter| parameter["in"] == "body");
        match (body, request.body().unwrap()) {
            (None, None) => {}
            (Some(parameter), Some(body)) => {
                let body = serde_json::from_slice(&body).unwrap();
                let found = objections(&document, &parameter["schema"], &body, request.path());
                assert_eq!(found, [""; 0]);
            }
            (wanted, sent) => panic!("{}: wanted {wanted:?}, sent {sent:?}", request.path()),
        }
        let success = if method == "get" { "200" } else { "204" };
        assert!(operation["responses"][success].is_object(), "{method} {}", request.path());
    }
}

#[test]
fn every_answer_that_the_document_allows_is_understood() {
    let document = document();
    let info = json!({ "app_name": "Firecracker", "id": "box", "state": "Running", "vmm_version": "1.15.1" });
    let schema = &document["definitions"]["InstanceInfo"];
    assert_eq!(objections(&document, schema, &info, "InstanceInfo"), [""; 0]);
    for state in schema["properties"]["state"]["enum"].as_array().unwrap() {
        let mut info = info.clone();
        info["state"] = state.clone();
        let info: InstanceInfo = serde_json::from_value(info).unwrap();
        assert_eq!(serde_json::to_value(info.state).unwrap(), *state);
    }
    assert_eq!(serde_json::to_value(InstanceState::NotStarted).unwrap(), "Not started");

    let version = json!({ "firecracker_version": "1.15.1" });
    let schema = &document["definitions"]["FirecrackerVersion"];
    assert_eq!(objections(&document, schema, &version, "FirecrackerVersion"), [""; 0]);
    serde_json::from_value::<VmmVersion>(version).unwrap();
    assert!(document["definitions"]["Error"]["properties"]["fault_message"].is_object());
}

#[test]
fn every_section_of_a_configuration_file_is_as_the_document_says() {
    let document = document();
    let devices = Devices {
        io_engine: IoEngine::Async,
        disk_cache: DiskCache::Unsafe,
        disk_bytes_per_second: Some(1),
        disk_operations_per_second: Some(1),
        network_bytes_per_second: Some(1),
        cpu_template: Some("T2".into()),
        has_balloon: true,
    };
    let config = BootConfig {
        vcpus: 2,
        memory_mib: 256,
        disks: 2,
        has_initrd: true,
        kernel_arguments: "quiet",
        devices: &devices,
    };
    let file: Value = serde_json::from_str(&config.to_json().unwrap()).unwrap();

    let sections = &document["definitions"]["FullVmConfiguration"]["properties"];
    for (name, section) in file.as_object().unwrap() {
        let schema = &sections[name];
        assert!(schema.is_object(), "there is no section {name} among {sections}");
        assert_eq!(objections(&document, schema, section, name), [""; 0]);
    }
}

#[test]
fn the_check_sees_what_is_wrong() {
    let document = document();
    let schema = &document["definitions"]["SnapshotCreateParams"];
    let wrong = json!({ "snapshot_path": 1, "snapshot_type": "Half", "speed": "fast" });
    assert_eq!(objections(&document, schema, &wrong, "").len(), 4);
}
