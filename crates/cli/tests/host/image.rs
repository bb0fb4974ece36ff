//! Images, from this host's own apt sources.

use std::{fs, path::Path, process::Command};

use cli::image::{
    ImageDescription, ImageError, ImageRequest, ImageStore, KernelFormat, Profile, Rebuild, build,
};

use crate::lacks;

type Outcome = Result<(), Box<dyn std::error::Error>>;

const TOOLS: [&str; 4] = ["mmdebstrap", "mke2fs", "depmod", "debugfs"];

/// The beginning of a static executable: nothing here boots it.
fn stand_in(directory: &Path, tail: &str) -> std::io::Result<std::path::PathBuf> {
    let mut elf = vec![0; 0x40];
    elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
    elf.extend(tail.as_bytes());
    let path = directory.join("agent");
    fs::write(&path, elf)?;
    Ok(path)
}

fn request(agent: &Path) -> Result<ImageRequest, Box<dyn std::error::Error>> {
    Ok(ImageRequest {
        name: "tried".parse()?,
        profile: Profile::Minimal,
        agent: Some(agent.to_owned()),
        size: None,
        kernel_format: Some(KernelFormat::Vmlinux),
        packages: vec![],
        suite: None,
        rebuild: Rebuild::IfChanged,
    })
}

/// What debugfs says of a path within the image's root file system.
fn stat(store: &ImageStore, image: &ImageDescription, path: &str) -> std::io::Result<String> {
    let root = store.path(&image.name).join(&image.root.file);
    let output =
        Command::new("debugfs").arg("-R").arg(format!("stat {path}")).arg(root).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn a_minimal_image_is_built_and_kept_until_something_else_is_asked() -> Outcome {
    if let Some(reason) = lacks(&TOOLS) {
        println!("skipped: {reason}");
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let store = ImageStore::new(directory.path().join("images"));
    let agent = stand_in(directory.path(), "first")?;

    let built = match build(&store, request(&agent)?) {
        Err(error @ (ImageError::UnknownSuite | ImageError::NoSources { .. })) => {
            println!("skipped: {error}");
            return Ok(());
        }
        built => built?,
    };

    assert_eq!(built.kernel.format, KernelFormat::Vmlinux);
    assert!(stat(&store, &built, "/usr/sbin/computer-agent")?.contains("Mode: 0755"));
    assert!(stat(&store, &built, "/home/node/workspace")?.contains("User: 1000 Group: 1000"));
    assert!(stat(&store, &built, "/usr/bin/sh")?.contains("Type: symlink"));
    assert!(!stat(&store, &built, "/etc/apt")?.contains("Inode"));

    assert_eq!(build(&store, request(&agent)?)?, built, "nothing changed");
    stand_in(directory.path(), "second")?;
    let rebuilt = build(&store, request(&agent)?)?;
    assert_ne!(rebuilt.agent_sha256, built.agent_sha256);
    assert_eq!(store.list()?, [rebuilt]);
    Ok(())
}

#[test]
fn an_agent_that_needs_libraries_is_refused_before_anything_is_made() -> Outcome {
    let directory = tempfile::tempdir()?;
    let store = ImageStore::new(directory.path().join("images"));
    let agent = directory.path().join("agent");
    fs::write(&agent, "#!/bin/sh\n")?;
    let request = ImageRequest { suite: Some("bookworm".to_owned()), ..request(&agent)? };

    assert!(matches!(build(&store, request), Err(ImageError::AgentNotStatic { .. })));

    assert!(!directory.path().join("images").exists());
    Ok(())
}
