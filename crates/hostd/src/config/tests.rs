use std::error::Error;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use super::super::{DiskClone, LogFormat};
use super::*;

fn file(text: &str) -> (tempfile::NamedTempFile, Sources) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let path = Utf8PathBuf::from_path_buf(file.path().to_owned()).unwrap();
    (file, Sources { path: Some(path), ..Sources::default() })
}

fn refused(text: &str) -> String {
    let (_file, sources) = file(text);
    let error = sources.load().unwrap_err();
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    format!("{error}: {cause}")
}

#[test]
fn an_empty_file_is_the_defaults_and_they_pass_their_own_check() {
    let (_file, sources) = file("");
    assert_eq!(sources.load().unwrap(), Config::default());
}

#[test]
fn flags_override_the_environment_which_overrides_the_file() {
    let (_file, mut sources) = file("root = '/a'\nfirst_uid = 300000\n[overcommit]\ndisk = 2.0\n");
    sources.environment = vec![
        ("COMPUTERD_ROOT".into(), "/b".into()),
        ("COMPUTERD_OVERCOMMIT__MEMORY".into(), "1.5".into()),
        ("COMPUTERD_IMAGE_DIRS".into(), "['/images']".into()),
        ("PATH".into(), "/bin".into()),
    ];
    sources.settings = vec!["root=/c".into(), "disk_clone=copy".into(), "log.format=json".into()];
    let config = sources.load().unwrap();
    assert_eq!(config.root, "/c");
    assert_eq!(config.first_uid, 300_000);
    assert_eq!((config.overcommit.memory, config.overcommit.disk), (1.5, 2.0));
    assert_eq!(config.image_dirs, ["/images"]);
    assert_eq!((config.disk_clone, config.log.format), (DiskClone::Copy, LogFormat::Json));
}

#[test]
fn unknown_keys_are_errors_wherever_they_come_from() {
    assert!(refused("rooot = '/a'").contains("rooot"));
    assert!(refused("[network]\nspeed = 1").contains("speed"));
    let (_file, mut sources) = file("");
    sources.settings = vec!["limits.request_byte=1".into()];
    assert!(matches!(sources.load(), Err(ConfigError::Values(_))));
    sources.settings = vec!["root".into()];
    assert!(matches!(sources.load(), Err(ConfigError::Key(_))));
    sources.settings = vec!["root.path=/a".into()];
    assert!(sources.load().is_err());
    sources.settings.clear();
    sources.environment = vec![("COMPUTERD_ROOTS".into(), "/b".into())];
    assert!(matches!(sources.load(), Err(ConfigError::Values(_))));
}

#[test]
fn a_file_that_was_asked_for_must_be_there() {
    let sources = Sources { path: Some("/nowhere/computerd.toml".into()), ..Sources::default() };
    assert!(matches!(sources.load(), Err(ConfigError::Read { .. })));
}

#[test]
fn what_types_do_not_say_is_checked_and_told_by_its_key() {
    for (text, key) in [
        ("root = 'relative'", "root"),
        ("root = '/'", "root"),
        ("image_dirs = ['/images/../etc']", "image_dirs"),
        ("first_uid = 0", "first_uid"),
        ("first_uid = 4294967000", "first_uid"),
        ("[overcommit]\nmemory = nan", "overcommit.memory"),
        ("[overcommit]\ndisk = 0.0", "overcommit.disk"),
        ("[network]\naddress_block = '8.8.8.0/24'", "network.address_block"),
        ("[relay]\nssh = { first = 2, last = 1 }", "relay"),
        ("[relay]\nssh = { first = 30000, last = 41000 }", "relay"),
        ("[deadlines]\nstart_ms = 0", "deadlines"),
        ("[listen]\naddress = '127.0.0.1:1'\ntoken_file = '/nowhere'", "listen.token_file"),
    ] {
        assert!(refused(text).starts_with(key), "{text}: {}", refused(text));
    }
}

#[test]
fn promise_p11_a_token_that_others_can_read_is_refused() {
    let mut token = tempfile::NamedTempFile::new().unwrap();
    token.write_all(b"0123456789abcdef\n").unwrap();
    let text =
        format!("[listen]\naddress = '127.0.0.1:7070'\ntoken_file = '{}'", token.path().display());
    let (_file, sources) = file(&text);
    sources.load().unwrap();
    let readable = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(token.path(), readable).unwrap();
    assert!(refused(&text).contains("chmod 600"));
}
