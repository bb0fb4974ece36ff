//! Turns a tree of packages into the root of a guest: removes what must not be in an image, adds the agent, accounts and settings.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::Path,
};

use super::{
    error::{ImageError, at, doing},
    guest_files::{Content, GuestFile, Owner, guest_files},
    profile::{Installation, Profile},
    sources::without_credentials,
};
use crate::tool::Tool;

/// Where the agent is in the guest; the initramfs starts it as the first process.
const AGENT_PATH: &str = "usr/sbin/computer-agent";

/// What the host lent to the build, and what packages made that has to be each machine's own.
const NEVER_IN_AN_IMAGE: [&str; 9] = [
    "etc/apt/auth.conf",
    "etc/apt/auth.conf.d",
    "etc/apt/apt.conf.d/99mmdebstrap",
    "etc/ssh/ssh_host_ecdsa_key",
    "etc/ssh/ssh_host_ecdsa_key.pub",
    "etc/ssh/ssh_host_ed25519_key",
    "etc/ssh/ssh_host_ed25519_key.pub",
    "etc/ssh/ssh_host_rsa_key",
    "etc/ssh/ssh_host_rsa_key.pub",
];

/// What an image of unpacked packages does without.
const NOT_IN_A_MINIMAL_IMAGE: [&str; 10] = [
    "etc/apt",
    "etc/resolv.conf",
    "usr/share/bug",
    "usr/share/doc-base",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
    "var/cache",
    "var/lib/apt",
];

/// Makes `tree` the root of a guest of `profile`.
pub(crate) fn furnish(tree: &Path, profile: Profile, agent: &[u8]) -> Result<(), ImageError> {
    remove(tree, &NEVER_IN_AN_IMAGE)?;
    match profile.installation() {
        Installation::Installed => clean_sources(&tree.join("etc/apt/sources.list.d"))?,
        Installation::Unpacked => {
            remove(tree, &NOT_IN_A_MINIMAL_IMAGE)?;
            link_shell_and_applets(tree)?;
        }
    }
    for directory in ["dev", "proc", "sys", "run", "tmp", "mnt", "home", "root"] {
        let path = tree.join(directory);
        fs::create_dir_all(&path).map_err(at("make", &path))?;
    }
    let agent_path = tree.join(AGENT_PATH);
    fs::write(&agent_path, agent).map_err(at("write", &agent_path))?;
    set_mode(&agent_path, 0o755)?;
    guest_files(profile).iter().try_for_each(|file| place(tree, file))
}

fn remove(tree: &Path, paths: &[&str]) -> Result<(), ImageError> {
    for path in paths.iter().map(|path| tree.join(path)) {
        let removed = match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&path),
            Ok(_) => fs::remove_file(&path),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(at("remove", &path)(error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// The guest keeps the host's mirrors, but not the passwords in their addresses.
fn clean_sources(directory: &Path) -> Result<(), ImageError> {
    for entry in fs::read_dir(directory).map_err(at("list", directory))? {
        let path = entry.map_err(at("list", directory))?.path();
        let text = fs::read_to_string(&path).map_err(at("read", &path))?;
        fs::write(&path, without_credentials(&text)).map_err(at("write", &path))?;
    }
    Ok(())
}

/// What maintainer scripts would have linked: `sh`, and busybox under every name that no package has.
fn link_shell_and_applets(tree: &Path) -> Result<(), ImageError> {
    let busybox = tree.join("usr/bin/busybox");
    let applets = Tool::new("chroot", "coreutils")
        .argument(tree)
        .arguments(["/bin/busybox", "--list"])
        .run()
        .map_err(doing("list the applets of busybox"))?;
    if !busybox.exists() {
        return Err(at("find", &busybox)(io::Error::from(io::ErrorKind::NotFound)));
    }
    link_if_absent(tree, "sh", "dash")?;
    applets.lines().try_for_each(|applet| link_if_absent(tree, applet, "busybox"))
}

fn link_if_absent(tree: &Path, name: &str, target: &str) -> Result<(), ImageError> {
    let is_there = |directory: &str| fs::symlink_metadata(tree.join(directory).join(name)).is_ok();
    if is_there("usr/bin") || is_there("usr/sbin") {
        return Ok(());
    }
    let link = tree.join("usr/bin").join(name);
    symlink(target, &link).map_err(at("link", &link))
}

fn place(tree: &Path, file: &GuestFile) -> Result<(), ImageError> {
    let path = tree.join(file.path);
    write_content(tree, file)?;
    let id = match file.owner {
        Owner::Root => 0,
        Owner::Node => 1000,
    };
    if !matches!(file.content, Content::Appended(_)) {
        chown(&path, Some(id), Some(id)).map_err(at("own", &path))?;
        set_mode(&path, file.mode)?;
    }
    Ok(())
}

fn write_content(tree: &Path, file: &GuestFile) -> Result<(), ImageError> {
    let path = tree.join(file.path);
    match &file.content {
        Content::Directory => fs::create_dir_all(&path).map_err(at("make", &path)),
        Content::Text(text) => {
            remove(tree, &[file.path])?;
            fs::write(&path, text).map_err(at("write", &path))
        }
        Content::Appended(text) => OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut open| open.write_all(text.as_bytes()))
            .map_err(at("write", &path)),
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<(), ImageError> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(at("protect", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn what_the_host_lent_and_what_identifies_a_machine_is_removed() -> Outcome {
        let tree = tempfile::tempdir()?;
        for directory in ["etc/apt/auth.conf.d", "etc/ssh"] {
            fs::create_dir_all(tree.path().join(directory))?;
        }
        fs::write(tree.path().join("etc/apt/auth.conf.d/mirror"), "machine m login l password p")?;
        fs::write(tree.path().join("etc/ssh/ssh_host_rsa_key"), "key")?;
        fs::write(tree.path().join("etc/ssh/moduli"), "kept")?;
        remove(tree.path(), &NEVER_IN_AN_IMAGE)?;
        assert!(!tree.path().join("etc/apt/auth.conf.d").exists());
        assert!(!tree.path().join("etc/ssh/ssh_host_rsa_key").exists());
        assert!(tree.path().join("etc/ssh/moduli").exists());
        Ok(())
    }

    #[test]
    fn a_link_in_the_tree_is_replaced_and_never_followed() -> Outcome {
        let tree = tempfile::tempdir()?;
        let outside = tree.path().join("outside");
        fs::write(&outside, "untouched")?;
        fs::create_dir(tree.path().join("etc"))?;
        symlink(&outside, tree.path().join("etc/resolv.conf"))?;
        let file = GuestFile {
            path: "etc/resolv.conf",
            mode: 0o644,
            owner: Owner::Root,
            content: Content::Text("new".to_owned()),
        };
        write_content(tree.path(), &file)?;
        assert_eq!(fs::read_to_string(&outside)?, "untouched");
        assert_eq!(fs::read_to_string(tree.path().join("etc/resolv.conf"))?, "new");
        Ok(())
    }
}
