//! A machine that is booted, asked for something, and deleted: what all other checks only guess at.

use std::path::Path;
use std::time::{Duration, Instant};

use contract::ErrorCode;
use contract::client::{Client, ClientError};
use contract::exec::ExecRequest;
use contract::id::MachineId;
use contract::machine::{CreateMachineRequest, Egress, GuestProtocol, Machine, Phase};
use contract::operation::{Wait, WaitQuery};

use super::check::Check;
use crate::error::CliError;
use crate::image::{ImageName, ImageStore};
use crate::machine::{artifact_of_image, made_up_name};

const NAME: &str = "probe machine";
const MEMORY_MIB: u64 = 256;
/// For all of it: an emulated guest takes half a minute.
const PROBE: Duration = Duration::from_secs(180);

/// Boots a machine of an image of this host.
pub(super) async fn check(client: &Client, image_dir: &Path) -> Check {
    let store = ImageStore::new(image_dir);
    let image = match tokio::task::spawn_blocking(move || store.list()).await {
        Ok(Ok(images)) => images.into_iter().next().map(|image| image.name),
        Ok(Err(_)) | Err(_) => None,
    };
    let Some(image) = image else {
        let remedy = "computer image build default, then computer doctor again";
        return Check::limited(NAME, "not tried: there is no image", remedy);
    };
    let began = Instant::now();
    let id = made_up_name();
    let probed = tokio::time::timeout(PROBE, probe(client, &id, image_dir, &image)).await;
    let took = began.elapsed();
    let deleted = client.delete_machine(&id).await;
    match (probed, deleted) {
        (Ok(Ok(())), Ok(())) => {
            let seconds = took.as_secs_f64();
            Check::good(NAME, format!("{image} booted and ran a command in {seconds:.1} s"))
        }
        (Ok(Ok(())), Err(error)) => Check::limited(
            NAME,
            format!("it ran, but could not be deleted: {error}"),
            format!("computer delete {id}"),
        ),
        (Ok(Err(trouble)), _) => Check::missing(NAME, trouble.found, trouble.remedy),
        (Err(_elapsed), _) => {
            let found = format!("not ready within {} s", PROBE.as_secs());
            Check::missing(NAME, found, "look at the log of computerd")
        }
    }
}

/// Why it did not go well, and what may mend it.
#[derive(Debug, PartialEq, Eq)]
struct Trouble {
    found: String,
    remedy: String,
}

async fn probe(
    client: &Client,
    id: &MachineId,
    image_dir: &Path,
    image: &ImageName,
) -> Result<(), Trouble> {
    let request = CreateMachineRequest {
        machine_id: id.clone(),
        artifact: artifact_of_image(image_dir, image).map_err(|error| unfit(image, &error))?,
        memory_mib: Some(MEMORY_MIB),
        storage_bytes: None,
        user_volume_ids: vec![],
        guest_config: None,
        vcpus: Some(1),
        guest_protocol: GuestProtocol::Agent,
        ready_ports: vec![],
        egress: Egress::None,
        rate_limits: None,
        cpu_template: None,
    };
    let wait = WaitQuery { wait: Some(Wait::Running) };
    let machine = client.create_machine(&request, &wait).await.map_err(|error| refused(&error))?;
    running(&machine)?;
    let command = ["true"].map(String::from).to_vec();
    let exec = ExecRequest {
        command,
        user: Some("root".into()),
        cwd: Some("/".into()),
        ..ExecRequest::default()
    };
    let ran = client.exec(id, &exec).await.map_err(|error| refused(&error))?;
    if ran.exit_code == 0 {
        return Ok(());
    }
    let found = format!("`true` ended with {}: {}", ran.exit_code, ran.stderr.trim());
    Err(Trouble { found, remedy: format!("computer image build {image}") })
}

fn unfit(image: &ImageName, error: &CliError) -> Trouble {
    Trouble {
        found: format!("image {image}: {error}"),
        remedy: format!("computer image build {image}"),
    }
}

fn running(machine: &Machine) -> Result<(), Trouble> {
    if machine.phase == Phase::Running {
        return Ok(());
    }
    let reason = machine.error.as_deref().unwrap_or("without a reason");
    let remedy =
        "build the image anew with `computer image build`, and look at the log of computerd";
    Err(Trouble { found: format!("it failed: {reason}"), remedy: remedy.into() })
}

fn refused(error: &ClientError) -> Trouble {
    let remedy = match error.code() {
        Some(ErrorCode::NoRoom) => {
            "stop or delete machines, or raise overcommit in the configuration"
        }
        Some(ErrorCode::Forbidden | ErrorCode::Refused) => {
            "let computerd read the directory of images: `image_dirs` in its configuration"
        }
        Some(_) | None => "look at the log of computerd",
    };
    Trouble { found: error.to_string(), remedy: remedy.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_an_image_nothing_is_booted_and_the_remedy_is_told() {
        let empty = tempfile::tempdir().unwrap();
        let client = Client::unix("/nowhere/computerd.sock");
        let check = check(&client, empty.path()).await;
        assert_eq!(check.status, crate::doctor::Status::Limited);
        assert!(check.remedy.unwrap().starts_with("computer image build"), "{}", check.found);
    }
}
