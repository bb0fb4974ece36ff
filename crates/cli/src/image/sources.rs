//! The host's own apt sources, narrowed to what an image of one suite is made from.
//!
//! An image comes from the same mirrors as the host: nothing here names a registry. Third-party repositories are left out (they have
//! neither the suite nor the component `main`), and so are removable media. Both of apt's formats are read: one line per source
//! (`*.list`) and stanzas (`*.sources`, deb822).

use std::{fs, path::Path};

use super::error::{ImageError, at};

/// The component of Debian's archive that an image is made from.
const COMPONENT: &str = "main";

/// The host's sources for one suite, in apt's two formats; either may be empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct HostSources {
    /// Lines in the one-line format.
    pub(crate) lines: String,
    /// Stanzas in the deb822 format.
    pub(crate) stanzas: String,
}

impl HostSources {
    /// Reads the sources configured below `apt_dir` (`/etc/apt`) and keeps those of `suite`.
    pub(crate) fn read(apt_dir: &Path, suite: &str) -> Result<Self, ImageError> {
        let mut paths = vec![apt_dir.join("sources.list")];
        let parts = apt_dir.join("sources.list.d");
        if parts.is_dir() {
            let entries = fs::read_dir(&parts).map_err(at("list", &parts))?;
            for entry in entries {
                paths.push(entry.map_err(at("list", &parts))?.path());
            }
        }
        paths.sort();
        let mut sources = Self::default();
        for path in paths.iter().filter(|path| path.is_file()) {
            let text = || fs::read_to_string(path).map_err(at("read", path));
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("list") => sources.lines.push_str(&lines_of(&text()?, suite)),
                Some("sources") => sources.stanzas.push_str(&stanzas_of(&text()?, suite)),
                _ => {}
            }
        }
        if sources == Self::default() {
            return Err(ImageError::NoSources { suite: suite.to_owned() });
        }
        Ok(sources)
    }
}

/// The text with the user and password of every address removed, as it may stay in an image.
pub(crate) fn without_credentials(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, after) = rest.split_at(start + "://".len());
        clean.push_str(before);
        let end = after.find(|c: char| c == '/' || c.is_whitespace()).unwrap_or(after.len());
        let host = after[..end].rfind('@').map_or(0, |at| at + 1);
        rest = &after[host..];
    }
    clean + rest
}

fn lines_of(text: &str, suite: &str) -> String {
    let wanted = text.lines().map(str::trim).filter(|line| is_wanted_line(line, suite));
    wanted.flat_map(|line| [line, "\n"]).collect()
}

fn is_wanted_line(line: &str, suite: &str) -> bool {
    let Some(rest) = line.strip_prefix("deb").filter(|rest| rest.starts_with([' ', '\t'])) else {
        return false;
    };
    let rest = rest.trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(options) => options.split_once(']').map_or("", |(_, rest)| rest),
        None => rest,
    };
    let rest = rest.split('#').next().unwrap_or_default();
    let mut words = rest.split_whitespace();
    let (uri, of_suite) = (words.next(), words.next());
    uri.is_some_and(is_reachable)
        && of_suite.is_some_and(|of| is_of_suite(of, suite))
        && words.any(|component| component == COMPONENT)
}

fn stanzas_of(text: &str, suite: &str) -> String {
    let without_comments: String =
        text.lines().filter(|line| !line.starts_with('#')).flat_map(|line| [line, "\n"]).collect();
    let wanted = without_comments
        .split("\n\n")
        .map(|stanza| stanza.trim_matches('\n'))
        .filter(|stanza| is_wanted_stanza(stanza, suite));
    wanted.flat_map(|stanza| [stanza, "\n\n"]).collect()
}

fn is_wanted_stanza(stanza: &str, suite: &str) -> bool {
    let has = |name, wanted: &dyn Fn(&str) -> bool| {
        field(stanza, name).is_some_and(|value| value.split_whitespace().any(wanted))
    };
    let is_enabled = !has("enabled", &|value| ["no", "false", "0"].contains(&value));
    is_enabled
        && has("types", &|value| value == "deb")
        && has("uris", &is_reachable)
        && has("suites", &|value| is_of_suite(value, suite))
        && has("components", &|value| value == COMPONENT)
}

/// The value of a stanza's field, its continuation lines joined.
fn field(stanza: &str, name: &str) -> Option<String> {
    let mut lines = stanza.lines().skip_while(|line| {
        line.split_once(':').is_none_or(|(key, _)| !key.trim_end().eq_ignore_ascii_case(name))
    });
    let (_, first) = lines.next()?.split_once(':')?;
    let more = lines.take_while(|line| line.starts_with([' ', '\t']));
    Some(std::iter::once(first).chain(more).collect::<Vec<_>>().join(" "))
}

fn is_reachable(uri: &str) -> bool {
    !uri.starts_with("cdrom:")
}

/// `bookworm`, `bookworm-updates` and `bookworm-security` are all of `bookworm`; so is `bookworm/updates`.
fn is_of_suite(candidate: &str, suite: &str) -> bool {
    candidate
        .strip_prefix(suite)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '/']))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANZAS: &str = "\
Types: deb
# a comment within
URIs: http://mirror.test/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By:
 /usr/share/keyrings/one.gpg

Types: deb
URIs: http://third.test/linux
Suites: bookworm
Components: stable

types: deb-src deb
uris: http://mirror.test/security
suites: bookworm-security
components: contrib main
Enabled: yes

Types: deb
URIs: http://mirror.test/debian
Suites: bookworm
Components: main
Enabled: no
";

    #[test]
    fn only_enabled_stanzas_of_the_suite_and_component_are_kept() {
        let kept = stanzas_of(STANZAS, "bookworm");
        assert_eq!(
            kept,
            "Types: deb\nURIs: http://mirror.test/debian\nSuites: bookworm bookworm-updates\n\
             Components: main\nSigned-By:\n /usr/share/keyrings/one.gpg\n\n\
             types: deb-src deb\nuris: http://mirror.test/security\nsuites: bookworm-security\n\
             components: contrib main\nEnabled: yes\n\n"
        );
        assert_eq!(stanzas_of(STANZAS, "trixie"), "");
    }

    #[test]
    fn only_lines_of_the_suite_and_component_are_kept() {
        let text = "\
deb http://mirror.test/debian bookworm main contrib # comment
deb [arch=amd64 signed-by=/k.gpg] http://mirror.test/debian bookworm-security main
deb-src http://mirror.test/debian bookworm main
# deb http://mirror.test/debian bookworm main
deb http://third.test/docker bookworm stable
deb http://third.test/docker bookworm stable # not main
deb cdrom:[Debian]/ bookworm main
deb http://mirror.test/debian bookwormish main
";
        let kept = lines_of(text, "bookworm");
        assert_eq!(
            kept,
            "deb http://mirror.test/debian bookworm main contrib # comment\n\
             deb [arch=amd64 signed-by=/k.gpg] http://mirror.test/debian bookworm-security main\n"
        );
    }

    #[test]
    fn files_of_other_extensions_are_not_sources() -> Result<(), Box<dyn std::error::Error>> {
        let apt = tempfile::tempdir()?;
        let parts = apt.path().join("sources.list.d");
        fs::create_dir(&parts)?;
        fs::write(parts.join("debian.sources"), STANZAS)?;
        fs::write(parts.join("other.list.disabled"), "deb http://mirror.test/d bookworm main\n")?;
        let sources = HostSources::read(apt.path(), "bookworm")?;
        assert_eq!(sources.lines, "");
        assert!(sources.stanzas.contains("mirror.test"));
        let none = HostSources::read(apt.path(), "trixie");
        assert!(matches!(none, Err(ImageError::NoSources { suite }) if suite == "trixie"));
        Ok(())
    }

    #[test]
    fn passwords_of_mirrors_do_not_stay_in_an_image() {
        let text =
            "deb https://user:p@ss@mirror.test/debian bookworm main\nURIs: http://a@b.test\n";
        assert_eq!(
            without_credentials(text),
            "deb https://mirror.test/debian bookworm main\nURIs: http://b.test\n"
        );
        assert_eq!(without_credentials("mail a@b c"), "mail a@b c");
    }
}
