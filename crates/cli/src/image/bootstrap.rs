//! Debian's packages, by mmdebstrap and the host's own apt configuration: the tree of the root file system, and beside it the
//! packages that only the boot needs (kernel and busybox), unpacked without their maintainer scripts.
//!
//! mmdebstrap runs in mount and process namespaces of its own and dies with this process, so that whatever happens nothing stays
//! mounted in the tree and nobody goes on writing to it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    error::{ImageError, at, doing},
    profile::{Installation, Profile},
    sources::HostSources,
};
use crate::tool::Tool;

const APT_DIR: &str = "/etc/apt";
const OS_RELEASE: &str = "/etc/os-release";
const MERGED_USR_HOOK: &str = "/usr/share/mmdebstrap/hooks/merged-usr/setup00.sh";
const KERNEL_PACKAGE: &str = "linux-image-cloud-amd64";
const DEADLINE: Duration = Duration::from_secs(1200);

/// Gives the new tree the host's passwords of mirrors, for as long as it is made.
const SETUP_HOOK: &str = r#"#!/bin/sh
set -eu
for file in /etc/apt/auth.conf /etc/apt/auth.conf.d; do
	if [ -e "$file" ]; then cp -r "$file" "$1/etc/apt/"; fi
done
"#;

/// Downloads the packages that only the boot needs, by the sources and signatures of the new tree.
pub(crate) const BOOT_PACKAGES_HOOK: &str = r#"#!/bin/sh
set -eu
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
cd "$COMPUTER_BOOT_PACKAGES"
kernel=$(apt-cache depends --no-recommends --no-suggests "$COMPUTER_KERNEL_PACKAGE" |
	sed -n 's/^.*Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
apt-get --quiet --quiet download "$kernel" busybox-static
"#;

/// What documentation a guest does without. Licences stay.
const DPKG_OPTIONS: [&str; 5] = [
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
];

/// The parts of the host's apt settings that reach its mirrors.
const APT_SETTINGS: [&str; 6] = [
    "Acquire::http::",
    "Acquire::https::",
    "Acquire::Check-",
    "Acquire::ForceIPv",
    "Acquire::Retries",
    "Acquire::Proxy",
];

/// What to make a tree of.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) profile: Profile,
    pub(crate) packages: &'a [String],
    pub(crate) suite: &'a str,
}

/// What was made, in directories within the scratch.
#[derive(Debug)]
pub(crate) struct Bootstrapped {
    /// The root file system, without devices.
    pub(crate) tree: PathBuf,
    /// The unpacked kernel and busybox.
    pub(crate) boot: PathBuf,
}

/// The release of Debian that this host runs.
pub(crate) fn host_suite() -> Result<String, ImageError> {
    let text = fs::read_to_string(OS_RELEASE).map_err(at("read", OS_RELEASE))?;
    suite_of(&text).ok_or(ImageError::UnknownSuite)
}

fn suite_of(os_release: &str) -> Option<String> {
    let value = |key: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.map(|value| value.trim_matches('"'))
    };
    let suite = value("VERSION_CODENAME")?;
    (value("ID") == Some("debian")).then(|| suite.to_owned())
}

/// Makes the tree and the boot files in `scratch`, telling what happens.
pub(crate) fn bootstrap(
    request: &Request<'_>,
    scratch: &Path,
    tell: impl FnMut(&str),
) -> Result<Bootstrapped, ImageError> {
    let tree = scratch.join("tree");
    let packages = scratch.join("packages");
    fs::create_dir(&packages).map_err(at("make", &packages))?;
    let sources = HostSources::read(Path::new(APT_DIR), request.suite)?;
    let settings = write(scratch, "apt.conf", &reaching_settings(&dump_settings()?))?;
    let setup_hook = write_script(scratch, "setup-hook", SETUP_HOOK)?;
    let boot_hook = write_script(scratch, "boot-packages-hook", BOOT_PACKAGES_HOOK)?;

    let mut tool = Tool::new("setpriv", "util-linux")
        .named("mmdebstrap")
        .arguments(["--pdeathsig", "KILL"])
        .arguments(["unshare", "--mount", "--propagation", "private"])
        .arguments(["--pid", "--fork", "--kill-child=KILL", "--mount-proc"])
        .argument("mmdebstrap")
        .arguments(["--mode=root", "--format=directory", "--skip=output/dev"])
        .argument(format!("--variant={}", request.profile.installation().variant()))
        .argument(format!("--include={}", request.packages.join(",")))
        .argument("--aptopt=APT::Install-Recommends \"false\"")
        .argument(option("--aptopt=", &settings));
    if request.profile.installation() == Installation::Installed {
        tool = tool.arguments(DPKG_OPTIONS.map(|value| format!("--dpkgopt={value}")));
    }
    if Path::new(MERGED_USR_HOOK).is_file() {
        tool = tool.argument(format!("--setup-hook={MERGED_USR_HOOK}"));
    }
    tool = tool
        .argument(option("--setup-hook=", &setup_hook))
        .argument(option("--extract-hook=", &boot_hook))
        .argument(request.suite)
        .argument(&tree);
    for (file, text) in [("host.list", &sources.lines), ("host.sources", &sources.stanzas)] {
        if !text.is_empty() {
            tool = tool.argument(write(scratch, file, text)?);
        }
    }
    tool.variable("COMPUTER_BOOT_PACKAGES", &packages)
        .variable("COMPUTER_KERNEL_PACKAGE", KERNEL_PACKAGE)
        .variable("LC_ALL", "C.UTF-8")
        .deadline(DEADLINE)
        .run_telling(tell)
        .map_err(doing("make a tree of Debian packages"))?;
    let boot = unpack_all(&packages, &scratch.join("boot"))?;
    Ok(Bootstrapped { tree, boot })
}

fn option(name: &str, path: &Path) -> std::ffi::OsString {
    let mut option = std::ffi::OsString::from(name);
    option.push(path);
    option
}

/// Unpacks every package of a directory into one tree.
fn unpack_all(packages: &Path, into: &Path) -> Result<PathBuf, ImageError> {
    for entry in fs::read_dir(packages).map_err(at("list", packages))? {
        let package = entry.map_err(at("list", packages))?.path();
        Tool::new("dpkg-deb", "dpkg")
            .argument("--extract")
            .argument(&package)
            .argument(into)
            .run()
            .map_err(doing("unpack the kernel and busybox"))?;
    }
    Ok(into.to_owned())
}

fn dump_settings() -> Result<String, ImageError> {
    Tool::new("apt-config", "apt")
        .arguments(["dump", "Acquire"])
        .run()
        .map_err(doing("read the host's apt settings"))
}

/// The settings, of all that apt-config dumps, by which the host reaches its mirrors: proxies, certificates, time checks.
fn reaching_settings(dump: &str) -> String {
    let reaches = |line: &&str| {
        APT_SETTINGS.iter().any(|name| line.starts_with(name)) && !line.ends_with(" \"\";")
    };
    dump.lines().filter(reaches).flat_map(|line| [line, "\n"]).collect()
}

fn write(directory: &Path, name: &str, text: &str) -> Result<PathBuf, ImageError> {
    let path = directory.join(name);
    fs::write(&path, text).map_err(at("write", &path))?;
    Ok(path)
}

fn write_script(directory: &Path, name: &str, text: &str) -> Result<PathBuf, ImageError> {
    let path = write(directory, name, text)?;
    let permissions = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&path, permissions).map_err(at("protect", &path))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suite_is_the_hosts_debian_release() {
        let debian = "NAME=\"Debian GNU/Linux\"\nVERSION_CODENAME=bookworm\nID=debian\n";
        assert_eq!(suite_of(debian).as_deref(), Some("bookworm"));
        let other = "ID=other\nID_LIKE=debian\nVERSION_CODENAME=noble\n";
        assert_eq!(suite_of(other), None);
        assert_eq!(suite_of("ID=debian\n"), None);
    }

    #[test]
    fn only_settings_that_reach_the_mirrors_are_taken_over() {
        let dump = "Acquire \"\";\nAcquire::Languages \"none\";\nAcquire::http \"\";\n\
                    Acquire::http::Proxy \"http://proxy.test:3128\";\nAcquire::http::Other \"\";\n\
                    Acquire::Check-Valid-Until \"false\";\n";
        assert_eq!(
            reaching_settings(dump),
            "Acquire::http::Proxy \"http://proxy.test:3128\";\nAcquire::Check-Valid-Until \"false\";\n"
        );
    }
}
