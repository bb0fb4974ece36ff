//! Clients in other languages, generated from `docs/openapi.json`, against a real machine; every request of that document, fuzzed; and
//! E2B's own client by the exec relay.
//!
//! Their tools lie in `client-tools` of the target directory, where `scripts/client-tools.sh` puts them.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Output, Stdio};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use contract::client::Client;
use contract::port::PortName;
use harness::daemon::Daemon;
use harness::error::HarnessError;
use harness::machine::{Machine, small};
use harness::program::target_dir;
use tokio::process::Command;

use super::support::{Place, in_place};

/// One run of a tool.
const RUN: Duration = Duration::from_secs(150);
/// For how long requests are made up.
const FUZZ_SECONDS: u32 = 60;
const TOKEN: &str = "a-token-of-a-test-that-nobody-else-has";

/// A host that listens on TCP too, as other languages like it, and a machine on it.
struct Listening {
    host: Daemon,
    machine: Machine,
    url: String,
    dir: Utf8PathBuf,
}

impl Listening {
    async fn start(place: &Place) -> Result<Self, HarnessError> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .map_err(HarnessError::io("find a free port"))?
            .port();
        let dir = place.storage.path()?.join("clients");
        let token = dir.join("token");
        std::fs::create_dir_all(&dir).map_err(HarnessError::io(format!("make {dir}")))?;
        write_private(&token, TOKEN)?;
        let settings = [
            format!("listen.address=\"127.0.0.1:{port}\""),
            format!("listen.token_file=\"{token}\""),
        ];
        let settings = settings.each_ref().map(String::as_str);
        let host =
            Daemon::start_with(place.storage.path()?, "a", &place.image.images, &settings).await?;
        let machine = host.launch(small("box", &place.image)?).await?;
        Ok(Self { host, machine, url: format!("http://127.0.0.1:{port}"), dir })
    }

    /// Runs a tool to its end; what it wrote.
    async fn run(&self, program: &Utf8Path, arguments: &[&str]) -> Result<Output, HarnessError> {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.dir);
        command.env("HOST_URL", &self.url).env("HOST_TOKEN", TOKEN);
        ended(program, command).await
    }

    /// The same of a tool that has to succeed.
    async fn succeed(&self, program: &Utf8Path, arguments: &[&str]) -> Result<(), HarnessError> {
        let output = self.run(program, arguments).await?;
        succeeded(&format!("{program} {}", arguments.join(" ")), output)
    }
}

async fn ended(program: &Utf8Path, mut command: Command) -> Result<Output, HarnessError> {
    let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
    tokio::time::timeout(RUN, running)
        .await
        .map_err(|_| HarnessError::Deadline { what: program.to_string(), deadline: RUN })?
        .map_err(HarnessError::io(format!("run {program}")))
}

fn succeeded(what: &str, output: Output) -> Result<(), HarnessError> {
    if output.status.success() {
        return Ok(());
    }
    let [out, err] = [output.stdout, output.stderr].map(|bytes| text(&bytes));
    Err(HarnessError::value(what, format!("{out}\n{err}")))
}

/// Writes a file that nobody else may read.
fn write_private(path: &Utf8Path, text: &str) -> Result<(), HarnessError> {
    std::fs::write(path, text).map_err(HarnessError::io(format!("write {path}")))?;
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(path, private).map_err(HarnessError::io(format!("close {path}")))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A tool, if `scripts/client-tools.sh` could install it.
fn tool(path: &str) -> Option<Utf8PathBuf> {
    let tool = target_dir().ok()?.join("client-tools").join(path);
    if tool.is_file() {
        return Some(tool);
    }
    println!("skipped: {path} is not there, see scripts/client-tools.sh");
    None
}

fn ours(path: &str) -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn document() -> Utf8PathBuf {
    ours("../../docs/openapi.json")
}

#[test]
fn a_generated_python_client_drives_a_machine() {
    let tools = (tool("python/bin/openapi-python-client"), tool("python/bin/python"));
    let (Some(generator), Some(python)) = tools else { return };
    in_place(async |place| {
        let host = Listening::start(place).await?;
        let document = document();
        let generate = [
            "generate",
            "--path",
            document.as_str(),
            "--meta",
            "none",
            "--overwrite",
            "--output-path",
            "computer_host_client",
        ];
        host.succeed(&generator, &generate).await?;
        let script = host.dir.join("drive.py");
        std::fs::copy(ours("clients/drive.py"), &script)
            .map_err(HarnessError::io(format!("copy to {script}")))?;
        host.succeed(&python, &[script.as_str(), "box"]).await?;
        let written = host.machine.exec("cat /home/node/workspace/python.txt").await?;
        assert_eq!(written, "written by a client");
        host.host.finish().await
    });
}

#[test]
fn a_generated_typescript_client_drives_a_machine() {
    let tools = (
        tool("node/node_modules/openapi-typescript/bin/cli.js"),
        tool("node/node_modules/typescript/bin/tsc"),
    );
    let (Some(generator), Some(compiler)) = tools else { return };
    in_place(async |place| {
        let host = Listening::start(place).await?;
        let node = Utf8Path::new("node");
        let (document, schema) = (document(), host.dir.join("schema.ts"));
        host.succeed(node, &[generator.as_str(), document.as_str(), "-o", schema.as_str()]).await?;
        let program = host.dir.join("drive.ts");
        std::fs::copy(ours("clients/drive.ts"), &program)
            .map_err(HarnessError::io(format!("copy to {program}")))?;
        let modules = target_dir()?.join("client-tools/node/node_modules");
        std::os::unix::fs::symlink(&modules, host.dir.join("node_modules"))
            .map_err(HarnessError::io("link the modules"))?;
        let package = host.dir.join("package.json");
        std::fs::write(&package, r#"{"type": "module"}"#)
            .map_err(HarnessError::io(format!("write {package}")))?;
        let compile = [
            compiler.as_str(),
            "--strict",
            "--noUncheckedIndexedAccess",
            "--target",
            "es2022",
            "--module",
            "nodenext",
            "--skipLibCheck",
            "drive.ts",
        ];
        host.succeed(node, &compile).await?;
        host.succeed(node, &["drive.js", "box"]).await?;
        let written = host.machine.exec("cat /home/node/workspace/typescript.txt").await?;
        assert_eq!(written, "written by TypeScript");
        host.host.finish().await
    });
}

#[test]
fn promise_p1_fuzzed_requests_find_no_500_and_change_nothing_outside() {
    let Some(fuzzer) = tool("python/bin/st") else { return };
    in_place(async |place| {
        let host = Listening::start(place).await?;
        let beside = place.storage.path()?.join("beside");
        std::fs::write(&beside, "untouched").map_err(HarnessError::io("write a file"))?;
        let (config, document) = (ours("clients/schemathesis.toml"), document());
        let (seconds, header) =
            (FUZZ_SECONDS.to_string(), format!("Authorization: Bearer {TOKEN}"));
        // Always the same requests, as far as the time reaches: what fails here fails again.
        let fuzz = [
            "--config-file",
            config.as_str(),
            "run",
            document.as_str(),
            "--url",
            &host.url,
            "--header",
            &header,
            "--max-time",
            &seconds,
            "--seed",
            "20261125",
            "--exclude-operation-id",
            "ExecStream",
            "--exclude-operation-id",
            "WatchFiles",
        ];
        host.succeed(&fuzzer, &fuzz).await?;
        Client::unix(host.host.socket()).health().await?;
        let names = names_in(place.storage.path()?)?;
        assert_eq!(names, ["a", "a.log", "beside", "clients"]);
        assert_eq!(std::fs::read_to_string(&beside).ok().as_deref(), Some("untouched"));
        host.host.finish().await
    });
}

/// What `guest.exec_secret_file` holds, and the token of the machine `box` by it: `printf box | openssl dgst -sha256 -hmac ...`.
const EXEC_SECRET: &str = "0123456789abcdef";
const EXEC_TOKEN: &str = "a145c03eda6509442bf1684b3ba4bcc662d42dcbbcecb8863437ac664385e9ff";

#[test]
fn e2bs_own_client_runs_commands_by_the_exec_relay() {
    let Some(python) = tool("python/bin/python") else { return };
    in_place(async |place| {
        let secret = place.storage.path()?.join("secret");
        write_private(&secret, EXEC_SECRET)?;
        let setting = format!("guest.exec_secret_file=\"{secret}\"");
        let images = &place.image.images;
        let host = Daemon::start_with(place.storage.path()?, "a", images, &[&setting]).await?;
        let machine = host.launch(small("box", &place.image)?).await?;
        let opened = host.client().open_exec_relay(&machine.id).await?;
        let port = opened.ports.iter().find(|port| port.name == PortName::Exec);
        let port = port
            .and_then(|port| port.host_port)
            .ok_or_else(|| HarnessError::value("the exec port", "it is not there"))?;
        let script = ours("clients/drive_e2b.py");
        for version in ["1.1", "2"] {
            let mut command = Command::new(&python);
            command.arg(&script).env("RELAY_URL", format!("http://127.0.0.1:{port}"));
            command.env("RELAY_TOKEN", EXEC_TOKEN).env("RELAY_HTTP_VERSION", version);
            succeeded(&format!("{script} by HTTP {version}"), ended(&python, command).await?)?;
        }
        let left = host.client().exec_sessions(&machine.id).await?;
        assert!(left.iter().all(|session| session.exit_code.is_some()), "{left:?}");
        host.finish().await
    });
}

fn names_in(dir: &Utf8Path) -> Result<Vec<String>, HarnessError> {
    let entries = dir.read_dir_utf8().map_err(HarnessError::io(format!("list {dir}")))?;
    let mut names: Vec<String> =
        entries.filter_map(Result::ok).map(|entry| entry.file_name().to_owned()).collect();
    names.sort();
    Ok(names)
}
