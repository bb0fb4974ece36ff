//! `computer create`: make a machine and boot it.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use clap::{Args, ValueEnum};
use contract::client::Client;
use contract::endpoint::table::CreateMachine;
use contract::id::{MachineId, OperationId, VolumeId};
use contract::machine::{CreateMachineRequest, Egress, GuestProtocol};
use contract::operation::IdempotencyKey;

use super::artifact::ArtifactArguments;
use super::guest::GuestArguments;
use super::lifecycle::WaitArguments;
use super::shown::{ShownMachine, running};
use super::tuning::TuningArguments;
use crate::byte_size::ByteSize;
use crate::error::CliError;
use crate::image::ImageName;
use crate::progress::Progress;

/// The image that is booted when nothing else is said.
const DEFAULT_IMAGE: &str = "default";

/// What machine to make.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  computer create box                          the image `default`, the usual size
  computer create box --image minimal --memory 512M --vcpus 1 --egress none
  computer create box --kernel https://i.example/vmlinux --rootfs https://i.example/root.img
  computer create --json | jq -r .machine.id   let the machine be named for you")]
pub(crate) struct CreateArguments {
    /// The machine's name: letters, digits and '-' [default: one is made up].
    pub(crate) machine: Option<MachineId>,
    /// Guest memory, such as 512M or 2G [default: the daemon's].
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<ByteSize>,
    /// Virtual CPUs [default: the daemon's].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) vcpus: Option<u32>,
    /// Size of the system disk, such as 10G [default: the daemon's].
    #[arg(long, value_name = "SIZE")]
    pub(crate) disk: Option<ByteSize>,
    /// What the guest may reach.
    #[arg(long, value_enum, default_value = "open")]
    pub(crate) egress: EgressArgument,
    /// How the daemon speaks to the guest.
    #[arg(long, value_enum, default_value = "agent")]
    pub(crate) guest_protocol: GuestProtocolArgument,
    /// A guest port that must accept before the machine counts as running; may be repeated.
    #[arg(long = "ready-port", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) ready_ports: Vec<u16>,
    /// An existing volume to attach as a further disk; may be repeated.
    #[arg(long = "volume", value_name = "VOLUME")]
    pub(crate) volumes: Vec<VolumeId>,
    /// A key by which this command can be repeated without making a second machine.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<IdempotencyKey>,
    /// How long to wait.
    #[command(flatten)]
    pub(crate) wait: WaitArguments,
    /// What it boots.
    #[command(flatten)]
    pub(crate) artifact: ArtifactArguments,
    /// How fast it may be.
    #[command(flatten)]
    pub(crate) tuning: TuningArguments,
    /// What the guest is told.
    #[command(flatten)]
    pub(crate) guest: GuestArguments,
}

/// What a guest may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EgressArgument {
    /// Public addresses.
    Open,
    /// Nothing.
    None,
}

/// How the daemon speaks to a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GuestProtocolArgument {
    /// Through our agent.
    Agent,
    /// Through the metadata service of guests made before there was an agent.
    Mmds,
    /// Not at all.
    None,
}

/// Makes a machine and, unless told otherwise, waits until its guest is ready.
pub(crate) async fn create(
    client: &Client,
    arguments: CreateArguments,
) -> Result<ShownMachine, CliError> {
    let wait = arguments.wait.query();
    let key = arguments.key.clone();
    let request = request(arguments)?;
    let progress = Progress::start(format!("making machine {}", request.machine_id));
    let call = client.call(CreateMachine, &()).query(&wait).body(&request).key(key);
    let machine = call.send().await?.value.machine;
    drop(progress);
    running(machine)
}

fn request(arguments: CreateArguments) -> Result<CreateMachineRequest, CliError> {
    let artifact = match arguments.artifact.given()? {
        Some(artifact) => artifact,
        None => {
            let default: ImageName =
                DEFAULT_IMAGE.parse().expect("the default image has a valid name");
            arguments.artifact.of_image(&default)?
        }
    };
    Ok(CreateMachineRequest {
        machine_id: arguments.machine.unwrap_or_else(made_up_name),
        artifact,
        memory_mib: arguments.memory.map(|size| size.bytes().div_ceil(1 << 20)),
        storage_bytes: arguments.disk.map(ByteSize::bytes),
        user_volume_ids: arguments.volumes,
        guest_config: arguments.guest.config()?,
        vcpus: arguments.vcpus,
        guest_protocol: match arguments.guest_protocol {
            GuestProtocolArgument::Agent => GuestProtocol::Agent,
            GuestProtocolArgument::Mmds => GuestProtocol::Mmds,
            GuestProtocolArgument::None => GuestProtocol::None,
        },
        ready_ports: arguments.ready_ports,
        egress: match arguments.egress {
            EgressArgument::Open => Egress::Open,
            EgressArgument::None => Egress::None,
        },
        rate_limits: arguments.tuning.rate_limits(),
        cpu_template: arguments.tuning.cpu_template.map(Into::into),
    })
}

/// A name that no other machine is likely to have: `computer-` and 40 random bits in base 32.
pub(crate) fn made_up_name() -> MachineId {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&RandomState::new().build_hasher().finish().to_be_bytes());
    let text = OperationId::from_parts(0, random);
    format!("computer-{}", &text.as_str()[18..]).parse().expect("letters and digits name a machine")
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn parse(line: &[&str]) -> Result<CreateArguments, clap::Error> {
        let line = ["computer", "create"].iter().chain(line);
        match Arguments::try_parse_from(line)?.command {
            Command::Create(arguments) => Ok(*arguments),
            other => panic!("{other:?}"),
        }
    }

    const URLS: [&str; 4] = ["--kernel", "https://i.example/k", "--rootfs", "https://i.example/r"];

    #[test]
    fn sizes_and_choices_become_a_request() {
        let line = [
            &["box", "--memory", "512M", "--vcpus", "4", "--disk", "10G", "--egress", "none"][..],
            &["--hostname", "box.example", "--ready-port", "80", "--volume", "data"],
            &URLS,
        ];
        let request = request(parse(&line.concat()).unwrap()).unwrap();
        assert_eq!(request.machine_id.as_str(), "box");
        assert_eq!((request.memory_mib, request.vcpus), (Some(512), Some(4)));
        assert_eq!(request.storage_bytes, Some(10 << 30));
        assert_eq!((request.egress, request.guest_protocol), (Egress::None, GuestProtocol::Agent));
        assert_eq!(request.guest_config.unwrap().hostname.unwrap().as_str(), "box.example");
        assert_eq!((request.ready_ports, request.user_volume_ids.len()), (vec![80], 1));
        assert_eq!(request.artifact.kernel_image_url.as_str(), "https://i.example/k");
    }

    #[test]
    fn a_machine_without_a_name_gets_one_of_its_own() {
        let one = request(parse(&URLS).unwrap()).unwrap().machine_id;
        let other = request(parse(&URLS).unwrap()).unwrap().machine_id;
        assert!(one.as_str().starts_with("computer-") && one.as_str().len() == 17, "{one}");
        assert_ne!(one, other);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for line in [
            &["a/../b"][..],
            &["box", "--kernel", "https://i.example/k"],
            &[
                "box",
                "--image",
                "a",
                "--kernel",
                "https://i.example/k",
                "--rootfs",
                "https://i.example/r",
            ],
            &["box", "--kernel", "ftp://i.example/k", "--rootfs", "https://i.example/r"],
            &["box", "--memory", "much"],
            &["box", "--vcpus", "0"],
            &["box", "--ready-port", "0"],
            &["box", "--key", ""],
        ] {
            parse(line).expect_err(&format!("{line:?}"));
        }
    }
}
