//! The jailer's command line.

use camino::Utf8PathBuf;
use rustix::process::Resource;

/// What it is told.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub(super) id: String,
    pub(super) exec_file: Utf8PathBuf,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) chroot_base: Utf8PathBuf,
    pub(super) netns: Option<Utf8PathBuf>,
    pub(super) has_new_pid_ns: bool,
    pub(super) limits: Vec<(Resource, u64)>,
    /// The program's own arguments, behind `--`.
    pub(super) further: Vec<String>,
}

/// What a command line asks for.
#[derive(Debug)]
pub(super) enum Asked {
    Run(Arguments),
    Version,
}

impl Asked {
    /// Reads the words behind the program's name.
    pub(super) fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Arguments { chroot_base: "/srv/jailer".into(), ..Arguments::default() };
        let (mut uid, mut gid) = (None, None);
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--version" => return Ok(Self::Version),
                "--new-pid-ns" => arguments.has_new_pid_ns = true,
                "--id" => arguments.id = value()?,
                "--exec-file" => arguments.exec_file = value()?.into(),
                "--uid" => uid = Some(number(&word, &value()?)?),
                "--gid" => gid = Some(number(&word, &value()?)?),
                "--chroot-base-dir" => arguments.chroot_base = value()?.into(),
                "--netns" => arguments.netns = Some(value()?.into()),
                "--resource-limit" => arguments.limits.push(limit(&value()?)?),
                "--" => break,
                _ => return Err(format!("Found argument '{word}' which wasn't expected")),
            }
        }
        arguments.further = words.collect();
        arguments.uid = uid.ok_or("The following required argument is missing: --uid")?;
        arguments.gid = gid.ok_or("The following required argument is missing: --gid")?;
        if !is_valid(&arguments.id) {
            return Err(format!("Invalid instance ID: {:?}", arguments.id));
        }
        Ok(Self::Run(arguments))
    }
}

impl Arguments {
    /// The name of the program, which the jailer wants to be Firecracker's.
    pub(super) fn program_name(&self) -> Result<&str, String> {
        let name = self.exec_file.file_name().filter(|name| name.contains("firecracker"));
        name.ok_or_else(|| {
            format!(
                "Invalid filename. The filename of {} should contain firecracker",
                self.exec_file
            )
        })
    }
}

/// The rule for ids: 1 to 64 letters, digits and hyphens.
fn is_valid(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn number(option: &str, text: &str) -> Result<u32, String> {
    text.parse().map_err(|error| format!("Failed to parse {option}: {error}"))
}

fn limit(text: &str) -> Result<(Resource, u64), String> {
    let wrong = || format!("Invalid resource argument: {text}");
    let (name, bound) = text.split_once('=').ok_or_else(wrong)?;
    let resource = match name {
        "no-file" => Resource::Nofile,
        "fsize" => Resource::Fsize,
        _ => return Err(wrong()),
    };
    Ok((resource, bound.parse().map_err(|_| wrong())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Asked, String> {
        Asked::parse(words.iter().map(|&word| word.to_owned()))
    }

    #[test]
    fn what_stands_behind_two_hyphens_is_the_programs() {
        let words = ["--id", "box", "--uid", "7", "--gid", "8", "--", "--api-sock", "a"];

        let Ok(Asked::Run(arguments)) = parse(&words) else { panic!("it is in order") };

        assert_eq!((arguments.uid, arguments.gid), (7, 8));
        assert_eq!(arguments.further, ["--api-sock", "a"]);
    }

    #[test]
    fn an_id_that_could_be_a_path_is_refused() {
        for id in ["", "a/b", "..", &"x".repeat(65)] {
            assert!(parse(&["--id", id, "--uid", "7", "--gid", "8"]).is_err(), "{id}");
        }
    }
}
