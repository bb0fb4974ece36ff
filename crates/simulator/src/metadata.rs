//! The store of the metadata service.

use serde_json::Value;

use super::answer::{Answer, Refusal};

/// The longest text that it keeps.
const LIMIT_BYTES: usize = 51_200;

/// Kept beside the machine: a snapshot keeps its configuration, and never its data.
#[derive(Debug, Default)]
pub(super) struct Metadata(Option<Value>);

impl Metadata {
    /// `GET /mmds`.
    pub(super) fn show(&self) -> Answer {
        Answer::Value(self.0.clone().unwrap_or(Value::Null))
    }

    /// `PUT /mmds`.
    pub(super) fn put(&mut self, value: Value) -> Result<Answer, Refusal> {
        if !value.is_object() {
            return Err(Refusal::goes("The MMDS data store takes an object"));
        }
        if value.to_string().len() > LIMIT_BYTES {
            return Err(Refusal::goes("The MMDS patch request doesn't fit."));
        }
        self.0 = Some(value);
        Ok(Answer::Done)
    }

    /// `PATCH /mmds`: refused where nothing was put, as after a restore.
    pub(super) fn patch(&mut self, value: &Value) -> Result<Answer, Refusal> {
        let Some(data) = &mut self.0 else {
            return Err(Refusal::goes("The MMDS data store is not initialized."));
        };
        merge(data, value);
        Ok(Answer::Done)
    }
}

/// RFC 7396.
fn merge(onto: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *onto = patch.clone();
        return;
    };
    if !onto.is_object() {
        *onto = Value::Object(serde_json::Map::new());
    }
    if let Value::Object(target) = onto {
        for (name, value) in fields {
            if value.is_null() {
                target.remove(name);
            } else {
                merge(target.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
    }
}
