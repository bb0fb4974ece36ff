//! Decoding that takes an empty value for an absent one.
//!
//! Clients in languages without optionals send zero values for what they leave unset. Each function here is used as
//! `#[serde(default, deserialize_with = "...")]` on a field.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// Whether a JSON value says nothing: `null`, `""`, `0`, `false`, `[]`, or an object of nothing but these.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
    }
}

/// An optional field: an empty value is `None`.
pub(crate) fn optional<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = Value::deserialize(deserializer)?;
    if is_empty(&value) {
        return Ok(None);
    }
    T::deserialize(value).map(Some).map_err(D::Error::custom)
}

/// A field with a default (a list, a flag, a choice): an empty value is the default.
pub(crate) fn defaulted<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    Ok(optional(deserializer)?.unwrap_or_default())
}

/// A field whose own content may be empty, such as a map of empty strings or a text: only `null` is absent.
pub(crate) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Writes an absent value as `""`, for answer fields that are always present.
pub(crate) fn or_empty_text<S, T>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error>
where
    S: Serializer,
    T: Serialize,
{
    match value {
        Some(value) => value.serialize(serializer),
        None => serializer.serialize_str(""),
    }
}

/// Whether a flag is off; off is how an absent flag is read, so it is left out of what we send.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
pub(crate) fn is_off(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    struct Inner {
        #[serde(default, deserialize_with = "optional")]
        name: Option<String>,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    struct Outer {
        #[serde(default, deserialize_with = "optional")]
        number: Option<u64>,
        #[serde(default, deserialize_with = "optional")]
        text: Option<String>,
        #[serde(default, deserialize_with = "optional")]
        inner: Option<Inner>,
        #[serde(default, deserialize_with = "defaulted")]
        list: Vec<String>,
        #[serde(default, deserialize_with = "nullable")]
        content: Option<String>,
    }

    #[test]
    fn empty_values_and_unknown_fields_mean_absent() {
        for empty in [
            json!({}),
            json!({"number": null, "text": null, "inner": null, "list": null, "content": null}),
            json!({"number": 0, "text": "", "inner": {}, "list": [], "another": 7}),
            json!({"inner": {"name": "", "keys": [], "deep": {"flag": false, "port": 0}}}),
        ] {
            assert_eq!(serde_json::from_value::<Outer>(empty).unwrap(), Outer::default());
        }
    }

    #[test]
    fn values_that_say_something_are_kept() {
        let outer: Outer = serde_json::from_value(json!({
            "number": 7, "text": "a", "inner": {"name": "b"}, "list": [""], "content": ""
        }))
        .unwrap();

        assert_eq!(
            outer,
            Outer {
                number: Some(7),
                text: Some("a".into()),
                inner: Some(Inner { name: Some("b".into()) }),
                list: vec![String::new()],
                content: Some(String::new()),
            }
        );
    }

    #[test]
    fn a_value_of_the_wrong_type_is_refused() {
        for wrong in [json!({"number": "seven"}), json!({"number": -1}), json!({"list": "a"})] {
            serde_json::from_value::<Outer>(wrong).unwrap_err();
        }
    }
}
