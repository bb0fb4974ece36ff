//! The webhook as the host configured it, and how curl is told to call it.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;

use super::report::Login;
use crate::agent::helper::is_program;
use crate::agent::places::Places;

/// What calls webhooks.
pub(super) const CURL: &str = "/usr/bin/curl";

/// Where the webhook is kept, readable by root alone.
const FILE: &str = "/etc/computer/login-webhook.json";

/// Whom to tell.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Webhook {
    url: String,
    bearer_token: String,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Webhook").finish_non_exhaustive()
    }
}

/// What the image lacks for a webhook, when it lacks something.
pub(crate) fn missing() -> Option<&'static str> {
    (!is_program(Path::new(CURL))).then_some("the image has no curl")
}

impl Webhook {
    /// As it was configured; `None` when it was not.
    pub(super) fn read(places: &Places) -> io::Result<Option<Webhook>> {
        match fs::read(places.path(FILE)) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Fit for a configuration of curl: one line each.
    pub(crate) fn is_fit(url: &str, bearer_token: &str) -> bool {
        const MOST_BYTES: usize = 8192;
        [url, bearer_token].iter().all(|text| {
            text.len() <= MOST_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic())
        })
    }

    /// The configuration that curl reads: what to post, where, and for how long to try.
    pub(super) fn curl_config(&self, login: &Login, hostname: &str, unix_time_ms: u64) -> String {
        let body = serde_json::json!({
            "event": "login",
            "hostname": hostname,
            "user": login.user,
            "source": login.source,
            "unix_time_ms": unix_time_ms,
        });
        let mut config = [
            "silent",
            "fail",
            "output = /dev/null",
            "proto = \"=http,https\"",
            "max-time = 10",
            "retry = 4",
            "retry-connrefused",
            "retry-max-time = 40",
            "header = \"Content-Type: application/json\"",
        ]
        .join("\n");
        let mut set = |option: &str, value: &str| {
            config.push_str(&format!("\n{option} = {}", quoted(value)));
        };
        set("url", &self.url);
        if !self.bearer_token.is_empty() {
            set("header", &format!("Authorization: Bearer {}", self.bearer_token));
        }
        set("data-raw", &body.to_string());
        config.push('\n');
        config
    }
}

/// By the rules of curl's configuration files.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_user_is_called_stays_in_the_body_promise_p11() {
        let webhook =
            Webhook { url: "https://hooks.example/x?a=\"b".into(), bearer_token: "to\\ken".into() };
        let login = Login { user: "a\"\nurl = \"evil".into(), source: "10.0.0.1".into() };
        let config = webhook.curl_config(&login, "box", 7);
        let lines: Vec<&str> = config.lines().collect();
        assert!(lines.contains(&r#"url = "https://hooks.example/x?a=\"b""#), "{config}");
        assert!(lines.contains(&r#"header = "Authorization: Bearer to\\ken""#), "{config}");
        let data = r#"data-raw = "{\"event\":\"login\",\"hostname\":\"box\",\"source\":\"10.0.0.1\",\"unix_time_ms\":7,\"user\":\"a\\\"\\nurl = \\\"evil\"}""#;
        assert_eq!(lines.last(), Some(&data));
        assert!(!format!("{webhook:?}").contains("ken"));
    }

    #[test]
    fn what_does_not_fit_a_line_is_unfit() {
        assert!(Webhook::is_fit("https://hooks.example/x", "abc"));
        assert!(!Webhook::is_fit("https://hooks.example/x", "a\nb"));
        assert!(!Webhook::is_fit(&"x".repeat(10_000), ""));
    }
}
