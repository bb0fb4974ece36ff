//! Mounting a bucket.

use clap::{Args, ValueEnum};
use contract::Secret;
use contract::client::Client;
use contract::id::{MachineId, MountId};
use contract::mount::{CreateMountRequest, MountConfig, MountKind};

use super::shown::ShownMount;
use crate::error::CliError;

/// Who the guest is to the store: never an argument, which others on this host could read.
const ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";

/// What to mount.
#[derive(Debug, Clone, Args)]
pub(crate) struct AddArguments {
    /// The machine.
    pub(crate) machine: MachineId,
    /// The kind of store.
    pub(crate) kind: KindArgument,
    /// The directory of the machine at which it appears.
    pub(crate) target: String,
    /// The bucket, or the path beneath the endpoint.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) bucket: String,
    /// The address of the store.
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    pub(crate) endpoint: String,
    /// The region of the store.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) region: String,
    /// The id of the mount; the bucket's name when it is not given.
    #[arg(long)]
    pub(crate) id: Option<MountId>,
    /// The machine may only read.
    #[arg(long)]
    pub(crate) read_only: bool,
    /// How writes are cached: off, minimal, writes or full.
    #[arg(long, value_name = "MODE", default_value = "", hide_default_value = true)]
    pub(crate) vfs_cache_mode: String,
    /// A further flag of rclone that the daemon allows; may be repeated.
    #[arg(long = "flag", value_name = "FLAG", allow_hyphen_values = true)]
    pub(crate) extra_flags: Vec<String>,
}

/// The kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindArgument {
    /// Cloudflare R2.
    R2,
    /// Amazon S3, or what speaks as it does.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// WebDAV.
    Webdav,
}

/// Mounts it. Whether that worked shows a moment later in `computer mount list`.
pub(super) async fn add(client: &Client, arguments: AddArguments) -> Result<ShownMount, CliError> {
    let (machine, request) = request(arguments, |name| std::env::var(name).unwrap_or_default())?;
    Ok(ShownMount { mount: client.create_mount(&machine, &request).await? })
}

fn request(
    arguments: AddArguments,
    environment: impl Fn(&str) -> String,
) -> Result<(MachineId, CreateMountRequest), CliError> {
    let mount_id = match arguments.id {
        Some(id) => id,
        None => arguments.bucket.parse().map_err(|_error| CliError::MountUnnamed)?,
    };
    let kind = match arguments.kind {
        KindArgument::R2 => MountKind::R2,
        KindArgument::S3 => MountKind::S3,
        KindArgument::Gcs => MountKind::Gcs,
        KindArgument::Webdav => MountKind::Webdav,
    };
    let config = MountConfig {
        bucket: arguments.bucket,
        endpoint: arguments.endpoint,
        region: arguments.region,
        access_key_id: environment(ACCESS_KEY_ID),
        secret_access_key: Secret::new(environment(SECRET_ACCESS_KEY)),
        vfs_cache_mode: arguments.vfs_cache_mode,
        extra_flags: arguments.extra_flags,
    };
    let (target_path, read_only) = (arguments.target, arguments.read_only);
    Ok((arguments.machine, CreateMountRequest { mount_id, kind, target_path, read_only, config }))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        arguments: AddArguments,
    }

    fn parse(words: &[&str]) -> AddArguments {
        Line::try_parse_from(words).unwrap().arguments
    }

    #[test]
    fn promise_p11_credentials_come_from_the_environment_and_nowhere_else() {
        let line =
            ["add", "box", "s3", "/mnt/data", "--bucket", "data", "--flag", "--dir-cache-time=5s"];
        let (machine, request) = request(parse(&line), |name| format!("the {name}")).unwrap();
        assert_eq!((machine.as_str(), request.mount_id.as_str()), ("box", "data"));
        assert_eq!(request.config.access_key_id, "the AWS_ACCESS_KEY_ID");
        assert_eq!(request.config.secret_access_key.reveal(), "the AWS_SECRET_ACCESS_KEY");
        assert_eq!(request.config.extra_flags, ["--dir-cache-time=5s"]);
        Line::try_parse_from(line.into_iter().chain(["--secret-access-key", "x"])).unwrap_err();
    }

    #[test]
    fn a_mount_of_no_bucket_needs_an_id() {
        let line = ["add", "box", "webdav", "/mnt/dav", "--endpoint", "https://dav.example"];
        request(parse(&line), |_| String::new()).unwrap_err();
        let named: Vec<_> = line.into_iter().chain(["--id", "dav"]).collect();
        request(parse(&named), |_| String::new()).unwrap();
    }
}
