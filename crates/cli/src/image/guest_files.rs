//! What an image has beside its packages: accounts, names, the SSH server's settings. Pure: every file as a value.
//!
//! Nothing here is a machine's own. Host keys, the machine-id and the hostname are made per machine by the agent (P8).

use super::profile::{Installation, Profile};

/// Who owns a file of the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// uid and gid 0.
    Root,
    /// The user `node`: uid and gid 1000.
    Node,
}

/// What is at a path of the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// A directory.
    Directory,
    /// A file of this text, in place of an older one.
    Text(String),
    /// A file that ends in this text: added to what the packages wrote.
    Appended(String),
}

/// One file or directory of the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GuestFile {
    /// The path below the root, without a leading slash.
    pub(crate) path: &'static str,
    /// Its permissions.
    pub(crate) mode: u32,
    /// Its owner.
    pub(crate) owner: Owner,
    /// Its content.
    pub(crate) content: Content,
}

/// The gateway of every guest forwards names to the host's resolvers.
const RESOLVER: &str = "nameserver 172.16.0.1\n";

const HOSTS: &str = "\
127.0.0.1 localhost
127.0.1.1 computer
::1 localhost ip6-localhost ip6-loopback
";

const SSHD: &str = "\
# Made by `computer image build`. Host keys are each machine's own; logins are by key or by a certificate of a trusted authority.
Port 2222
HostKey /etc/ssh/ssh_host_ed25519_key
TrustedUserCAKeys /etc/ssh/trusted_user_ca_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin no
AllowUsers node
";

/// Every login is told to the agent, which tells the machine's webhook where it has one. A login waits for nothing of that.
const PAM_SSHD: &str = "\
# Made by `computer image build`: tells the agent of logins.
session optional pam_exec.so quiet /usr/sbin/computer-agent --report-login
";

const ROOT_PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n";
const NODE_PASSWD: &str = "node:x:1000:1000:node:/home/node:/bin/bash\n";
const ROOT_GROUP: &str = "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n";
const NODE_GROUP: &str = "node:x:1000:\n";
/// No password fits `*`, yet the account is not locked: keys are accepted.
const ROOT_SHADOW: &str = "root:*:19000:0:99999:7:::\n";
const NODE_SHADOW: &str = "node:*:19000:0:99999:7:::\n";

/// Everything that is written into a tree of `profile`, parents before what they hold.
pub(crate) fn guest_files(profile: Profile) -> Vec<GuestFile> {
    let mut files = accounts(profile.installation());
    files.extend([
        text("etc/hostname", 0o644, "computer\n"),
        text("etc/hosts", 0o644, HOSTS),
        text("etc/resolv.conf", 0o644, RESOLVER),
        text("etc/machine-id", 0o444, ""),
        text("etc/fstab", 0o644, ""),
        directory("etc/computer", 0o755, Owner::Root),
        directory("etc/computer/clone.d", 0o755, Owner::Root),
        directory("home/node", 0o755, Owner::Node),
        directory("home/node/workspace", 0o755, Owner::Node),
    ]);
    if profile == Profile::Default {
        files.extend([
            text("etc/ssh/sshd_config.d/computer.conf", 0o644, SSHD),
            text("etc/ssh/trusted_user_ca_keys", 0o644, ""),
            GuestFile {
                path: "etc/pam.d/sshd",
                mode: 0o644,
                owner: Owner::Root,
                content: Content::Appended(PAM_SSHD.to_owned()),
            },
            text("etc/sudoers.d/node", 0o440, "node ALL=(ALL:ALL) NOPASSWD: ALL\n"),
            text("etc/default/locale", 0o644, "LANG=C.UTF-8\n"),
            directory("home/node/.ssh", 0o700, Owner::Node),
        ]);
    }
    files
}

fn accounts(installation: Installation) -> Vec<GuestFile> {
    let databases = [
        ("etc/passwd", 0o644, ROOT_PASSWD, NODE_PASSWD),
        ("etc/group", 0o644, ROOT_GROUP, NODE_GROUP),
        ("etc/shadow", 0o640, ROOT_SHADOW, NODE_SHADOW),
    ];
    let file = |(path, mode, root, node): (&'static str, u32, &str, &str)| GuestFile {
        path,
        mode,
        owner: Owner::Root,
        content: match installation {
            Installation::Installed => Content::Appended(node.to_owned()),
            Installation::Unpacked => Content::Text([root, node].concat()),
        },
    };
    databases.map(file).into()
}

fn text(path: &'static str, mode: u32, text: &str) -> GuestFile {
    GuestFile { path, mode, owner: Owner::Root, content: Content::Text(text.to_owned()) }
}

fn directory(path: &'static str, mode: u32, owner: Owner) -> GuestFile {
    GuestFile { path, mode, owner, content: Content::Directory }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(profile: Profile, path: &str) -> Option<GuestFile> {
        guest_files(profile).into_iter().find(|file| file.path == path)
    }

    #[test]
    fn both_profiles_have_the_user_node_with_a_workspace() {
        for profile in [Profile::Default, Profile::Minimal] {
            let workspace = find(profile, "home/node/workspace").expect("it is there");
            assert_eq!((workspace.owner, workspace.content), (Owner::Node, Content::Directory));
            let passwd = find(profile, "etc/passwd").expect("it is there").content;
            let (Content::Text(text) | Content::Appended(text)) = passwd else {
                panic!("passwd is a file");
            };
            assert!(text.ends_with(NODE_PASSWD));
        }
    }

    #[test]
    fn accounts_of_installed_packages_are_kept() {
        let group = find(Profile::Default, "etc/group").expect("it is there");
        assert_eq!(group.content, Content::Appended(NODE_GROUP.to_owned()));
    }

    #[test]
    fn nothing_in_an_image_identifies_a_machine_promise_p8() {
        for profile in [Profile::Default, Profile::Minimal] {
            let id = find(profile, "etc/machine-id").expect("it is there");
            assert_eq!(id.content, Content::Text(String::new()));
            assert!(!guest_files(profile).iter().any(|file| file.path.contains("ssh_host")));
        }
    }

    #[test]
    fn logins_are_told_to_the_agent_and_go_on_when_that_fails() {
        let file = find(Profile::Default, "etc/pam.d/sshd").expect("it is there");
        let Content::Appended(text) = file.content else { panic!("what Debian has is kept") };
        assert!(text.contains("session optional pam_exec.so quiet /usr/sbin/computer-agent"));
        assert_eq!(find(Profile::Minimal, "etc/pam.d/sshd"), None);
    }

    #[test]
    fn the_ssh_server_takes_no_passwords() {
        let config = find(Profile::Default, "etc/ssh/sshd_config.d/computer.conf");
        let Some(GuestFile { content: Content::Text(text), .. }) = config else {
            panic!("the configuration is a text");
        };
        for line in ["Port 2222", "PasswordAuthentication no", "KbdInteractiveAuthentication no"] {
            assert!(text.lines().any(|one| one == line), "{line}");
        }
        assert_eq!(find(Profile::Minimal, "etc/ssh/sshd_config.d/computer.conf"), None);
    }
}
