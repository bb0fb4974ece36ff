//! An example of each request and answer, from `examples.json`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

/// What one endpoint may be sent and may answer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Example {
    /// What it is sent, where that is JSON.
    #[serde(default)]
    pub(super) request: Option<Value>,
    /// What it answers, where that is JSON.
    #[serde(default)]
    pub(super) answer: Option<Value>,
}

static EXAMPLES: LazyLock<BTreeMap<String, Example>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("examples.json"))
        .expect("the examples are JSON, see the tests of this file")
});

impl Example {
    /// That of the endpoint with this name.
    pub(super) fn of(name: &str) -> Self {
        EXAMPLES.get(name).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::ENDPOINTS;
    use crate::endpoint::body::Content;

    fn check(name: &str, content: Content, example: Option<Value>) {
        match (content, example) {
            (Content::Json { rewrite, .. } | Content::Lines { rewrite, .. }, Some(example)) => {
                let rewritten = rewrite(&example).unwrap_or_else(|error| panic!("{name}: {error}"));
                let fields = example.as_object().unwrap();
                for field in fields.keys() {
                    assert!(rewritten.get(field).is_some(), "{name} has no field {field}");
                }
            }
            (Content::Json { .. } | Content::Lines { .. }, None) => panic!("{name} has no example"),
            (Content::Nothing | Content::Bytes | Content::WebSocket, None) => {}
            (Content::Nothing | Content::Bytes | Content::WebSocket, Some(_)) => {
                panic!("{name} has an example of what is no JSON")
            }
        }
    }

    #[test]
    fn every_request_and_answer_in_json_has_an_example_that_is_one() {
        for endpoint in ENDPOINTS {
            let example = Example::of(endpoint.name);
            check(&format!("{}'s request", endpoint.name), (endpoint.request)(), example.request);
            check(&format!("{}'s answer", endpoint.name), (endpoint.answer)(), example.answer);
        }
        for name in EXAMPLES.keys() {
            assert!(ENDPOINTS.iter().any(|endpoint| endpoint.name == name), "no endpoint {name}");
        }
    }
}
