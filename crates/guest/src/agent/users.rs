//! Users by /etc/passwd and /etc/group themselves: a static binary has no name service.

use std::fs;
use std::io;
use std::path::PathBuf;

use rustix::process::{Gid, Uid};

use super::places::Places;
use crate::sys::child::Credentials;

/// A user of the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// With `gid` among them.
    pub(crate) groups: Vec<u32>,
    pub(crate) home: PathBuf,
    pub(crate) shell: String,
}

/// Why there is no such user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UserError {
    #[error("read /etc/passwd")]
    Read(#[source] io::Error),
    #[error("no user {0:?} in /etc/passwd")]
    Unknown(String),
}

/// Supplementary groups that the kernel takes.
const MOST_GROUPS: usize = 65_536;

impl User {
    /// Finds a user by name or number; the empty name is the agent's own user.
    pub(crate) fn find(places: &Places, name: &str) -> Result<User, UserError> {
        let passwd = fs::read_to_string(places.path("/etc/passwd")).map_err(UserError::Read)?;
        let group = fs::read_to_string(places.path("/etc/group")).unwrap_or_default();
        let own_uid = rustix::process::geteuid().as_raw();
        let found = match name {
            "" => parse(&passwd, |entry| entry.uid == own_uid),
            name => parse(&passwd, |entry| entry.name == name).or_else(|| {
                let uid: u32 = name.parse().ok()?;
                parse(&passwd, |entry| entry.uid == uid)
            }),
        };
        let mut user = found.ok_or_else(|| UserError::Unknown(name.to_owned()))?;
        let others: Vec<u32> = groups_of(&group, &user).collect();
        user.groups.extend(others);
        user.groups.truncate(MOST_GROUPS);
        Ok(user)
    }

    /// What a child of the agent has to become; nothing where it is that already and cannot become anything else.
    pub(crate) fn credentials(&self) -> Option<Credentials> {
        let own_uid = rustix::process::geteuid();
        if !own_uid.is_root() && own_uid.as_raw() == self.uid {
            return None;
        }
        Some(Credentials {
            uid: Uid::from_raw(self.uid),
            gid: Gid::from_raw(self.gid),
            groups: self.groups.iter().map(|gid| Gid::from_raw(*gid)).collect(),
        })
    }
}

fn parse(passwd: &str, is_wanted: impl Fn(&User) -> bool) -> Option<User> {
    passwd.lines().filter_map(parse_line).find(|user| is_wanted(user))
}

fn parse_line(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let (name, _password) = (fields.next()?, fields.next()?);
    let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let (_comment, home) = (fields.next()?, fields.next()?);
    let shell = fields.next().filter(|shell| !shell.is_empty()).unwrap_or("/bin/sh");
    Some(User {
        name: name.to_owned(),
        uid,
        gid,
        groups: vec![gid],
        home: PathBuf::from(if home.is_empty() { "/" } else { home }),
        shell: shell.to_owned(),
    })
}

fn groups_of<'a>(group: &'a str, user: &'a User) -> impl Iterator<Item = u32> + 'a {
    group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let gid = fields.nth(2)?.parse().ok()?;
        let mut members = fields.next()?.split(',');
        (gid != user.gid && members.any(|member| member == user.name)).then_some(gid)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> (tempfile::TempDir, Places) {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        fs::write(
            root.path().join("etc/passwd"),
            "root:x:0:0:root:/root:/bin/bash\nbroken:line\nnode:x:1000:1000::/home/node:\n",
        )
        .unwrap();
        fs::write(
            root.path().join("etc/group"),
            "root:x:0:\nnode:x:1000:node\nsudo:x:27:other,node\naudio:x:29:nodes\n",
        )
        .unwrap();
        let places = Places::new(root.path().to_owned(), "/".into());
        (root, places)
    }

    #[test]
    fn a_user_is_found_by_name_and_number_with_all_groups() {
        let (_root, places) = places();
        let node = User::find(&places, "node").unwrap();
        assert_eq!((node.uid, node.gid), (1000, 1000));
        assert_eq!(node.groups, [1000, 27]);
        assert_eq!(node.shell, "/bin/sh");
        assert_eq!(User::find(&places, "1000").unwrap(), node);
    }

    #[test]
    fn an_unknown_user_is_an_error() {
        let (_root, places) = places();
        assert!(matches!(User::find(&places, "nobody"), Err(UserError::Unknown(_))));
        assert!(matches!(User::find(&places, "broken"), Err(UserError::Unknown(_))));
    }
}
