//! Firecracker's command line, as far as it is in use.

use camino::Utf8PathBuf;

/// What the process is told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Arguments {
    /// The instance, as the jailer names it.
    pub(super) id: Option<String>,
    /// Where the API listens.
    pub(super) api_socket: Utf8PathBuf,
    /// A machine to boot at once.
    pub(super) config_file: Option<Utf8PathBuf>,
    /// Where the log goes; standard output without it.
    pub(super) log_path: Option<Utf8PathBuf>,
    /// Where metrics go.
    pub(super) metrics_path: Option<Utf8PathBuf>,
}

/// What a command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Serve.
    Run(Arguments),
    /// Say the version.
    Version,
}

/// Options with a value that change nothing here.
const WITHOUT_EFFECT: [&str; 5] = [
    "--level",
    "--start-time-us",
    "--start-time-cpu-us",
    "--parent-cpu-time-us",
    "--seccomp-filter",
];

impl Asked {
    /// Reads the words behind the program's name.
    pub(super) fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut arguments =
            Arguments { api_socket: "/run/firecracker.socket".into(), ..Arguments::default() };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            if word == "--version" {
                return Ok(Self::Version);
            }
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            match word.as_str() {
                "--id" => arguments.id = Some(value),
                "--api-sock" => arguments.api_socket = value.into(),
                "--config-file" => arguments.config_file = Some(value.into()),
                "--log-path" => arguments.log_path = Some(value.into()),
                "--metrics-path" => arguments.metrics_path = Some(value.into()),
                known if WITHOUT_EFFECT.contains(&known) => {}
                _ => return Err(format!("Found argument '{word}' which wasn't expected")),
            }
        }
        Ok(Self::Run(arguments))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_that_firecracker_does_not_know_is_refused() {
        let parse = |words: &[&str]| Asked::parse(words.iter().map(|&word| word.to_owned()));

        let asked = parse(&["--id", "box", "--api-sock", "a", "--level", "Warning"]).unwrap();
        let expected =
            Arguments { id: Some("box".into()), api_socket: "a".into(), ..Arguments::default() };
        assert_eq!(asked, Asked::Run(expected));
        assert!(parse(&["--enable-magic", "1"]).is_err());
        assert!(parse(&["--api-sock"]).is_err());
    }
}
