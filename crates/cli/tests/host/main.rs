//! What the command line does to a real host: images from Debian's packages, storage on loop devices. Needs root; says what it skips.

mod image;
mod storage;

/// Why a test cannot run here: no root, or a program that is not installed.
fn lacks(programs: &[&str]) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("needs root".to_owned());
    }
    let directories = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(std::path::Path::new);
    let is_absent = |program: &&&str| !directories.iter().any(|one| one.join(program).is_file());
    programs.iter().find(is_absent).map(|program| format!("{program} is not installed"))
}
