//! Storage in a file, mounted through a loop device.

use std::path::Path;

use cli::{
    ByteSize,
    setup::{self, SetupAnswer, SetupArguments, SetupCommand, StorageArguments},
};

use crate::lacks;

#[tokio::test]
async fn storage_is_set_up_once_found_again_and_removed() -> Result<(), Box<dyn std::error::Error>>
{
    let lack = lacks(&["mkfs.xfs", "mount", "umount"]);
    let no_loop =
        || (!Path::new("/dev/loop-control").exists()).then(|| "no loop devices".to_owned());
    if let Some(reason) = lack.or_else(no_loop) {
        println!("skipped: {reason}");
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("store.xfs");
    let storage = |remove| SetupArguments {
        command: SetupCommand::Storage(StorageArguments {
            size: ByteSize::from_mib(300),
            path: file.clone(),
            mount: directory.path().join("mounted"),
            persist: false,
            remove,
        }),
    };

    let made = setup::run(storage(false)).await.map(has_changed);
    let made_again = setup::run(storage(false)).await.map(has_changed);
    let removed = setup::run(storage(true)).await.map(has_changed);
    let removed_again = setup::run(storage(true)).await.map(has_changed);

    assert_eq!((made?, made_again?, removed?, removed_again?), (true, false, true, false));
    assert!(!file.exists());
    Ok(())
}

fn has_changed(answer: SetupAnswer) -> bool {
    match answer {
        SetupAnswer::Storage { changed, .. } | SetupAnswer::Removed { changed, .. } => changed,
    }
}
