//! The process: from its command line to its exit.

use std::io::BufReader;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::ExitCode;

use super::agent;
use super::answer::{Answer, Refusal, with};
use super::api::Instance;
use super::arguments::{Arguments, Asked};
use super::configuration::Configuration;
use super::http;
use super::log::Log;
use super::machine::Machine;

/// The status with which Firecracker leaves when it does not know an argument.
const BAD_ARGUMENTS: u8 = 153;

/// How a connection ended.
enum Next {
    Connection,
    Exit(ExitCode),
}

/// Is Firecracker, with these words behind its name.
pub fn firecracker(words: impl IntoIterator<Item = String>) -> ExitCode {
    let mut words = words.into_iter().peekable();
    match words.peek().map(String::as_str) {
        Some(agent::WORD) => return agent::run(words.skip(1)),
        Some(agent::POWER_OFF) => return agent::power_off(),
        _ => {}
    }
    let arguments = match Asked::parse(words) {
        Ok(Asked::Run(arguments)) => arguments,
        Ok(Asked::Version) => {
            println!("Firecracker v{}\n\n{}", super::VERSION, super::SIMULATED);
            return ExitCode::SUCCESS;
        }
        Err(reason) => {
            eprintln!("Arguments parsing error: {reason}");
            return ExitCode::from(BAD_ARGUMENTS);
        }
    };
    let id = arguments.id.clone().unwrap_or_else(|| "anonymous-instance".to_owned());
    let log = match Log::open(arguments.log_path.as_deref(), &id) {
        Ok(log) => log,
        Err(error) => {
            eprintln!("Could not initialize logger: {error}");
            return ExitCode::FAILURE;
        }
    };
    serve(&arguments, id, &log).unwrap_or_else(|reason| {
        log.error(&format!("Firecracker exiting with error. {reason}"));
        ExitCode::FAILURE
    })
}

/// The socket is made first, as Firecracker does; it is answered once the machine is built.
fn serve(arguments: &Arguments, id: String, log: &Log) -> Result<ExitCode, String> {
    let socket = &arguments.api_socket;
    let listener = UnixListener::bind(socket).map_err(with(format!("Failed to open {socket}")))?;
    if let Some(path) = &arguments.metrics_path {
        std::fs::File::create(path)
            .map_err(with(format!("Could not initialize metrics {path}")))?;
    }
    let machine = arguments.config_file.as_ref().map(|path| {
        let text = std::fs::read(path).map_err(with(format!("Unable to open {path}")))?;
        let configuration: Configuration = serde_json::from_slice(&text).map_err(|error| {
            format!("Configuration for VMM from one single json failed: {error}")
        })?;
        Machine::boot(configuration)
            .map_err(|reason| format!("Building VMM configured from json failed: {reason}"))
    });
    let mut instance = Instance::new(id, machine.transpose()?);
    loop {
        let (stream, _peer) = listener.accept().map_err(with("Failed to accept"))?;
        match converse(stream, &mut instance, log) {
            Ok(Next::Connection) => {}
            Ok(Next::Exit(code)) => return Ok(code),
            // A client's trouble is its own.
            Err(error) => log.error(&format!("a connection to the API broke: {error}")),
        }
    }
}

fn converse(stream: UnixStream, instance: &mut Instance, log: &Log) -> std::io::Result<Next> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = http::read(&mut stream)? {
        let stream = stream.get_ref();
        match instance.handle(&request) {
            Ok(Answer::Done) => http::write(stream, "204 No Content", None)?,
            Ok(Answer::Value(value)) => http::write(stream, "200 OK", Some(&value.to_string()))?,
            Ok(Answer::DoneAndEnd) => {
                http::write(stream, "204 No Content", None)?;
                return Ok(Next::Exit(ExitCode::SUCCESS));
            }
            Err(refusal) => {
                let (Refusal::Goes(reason) | Refusal::Ends(reason)) = &refusal;
                log.error(&format!(
                    "Received Error. Status code: 400 Bad Request. Message: {reason}"
                ));
                http::write(stream, "400 Bad Request", Some(&refusal.body().to_string()))?;
                if matches!(refusal, Refusal::Ends(_)) {
                    return Ok(Next::Exit(ExitCode::FAILURE));
                }
            }
        }
    }
    Ok(Next::Connection)
}
