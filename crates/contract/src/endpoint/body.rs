//! What a request or an answer carries.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::{RefOr, Schema};

/// A kind of body, as a type.
pub trait Body {
    /// Describes it.
    fn content() -> Content;
}

/// A kind of body, as a value.
#[derive(Clone, Copy)]
pub enum Content {
    /// None at all.
    Nothing,
    /// JSON of one type.
    Json {
        /// The name of the type.
        name: fn() -> Cow<'static, str>,
        /// Collects the schemas of the type and of all within it.
        schemas: fn(&mut Vec<(String, RefOr<Schema>)>),
        /// Reads a value of the type and writes it again.
        rewrite: fn(&serde_json::Value) -> Result<serde_json::Value, serde_json::Error>,
    },
    /// Bytes, of which a range may be asked for.
    Bytes,
    /// JSON of one type, one value a line, for as long as the connection lasts.
    Lines {
        /// The name of the type.
        name: fn() -> Cow<'static, str>,
        /// Collects the schemas of the type and of all within it.
        schemas: fn(&mut Vec<(String, RefOr<Schema>)>),
        /// Reads a value of the type and writes it again.
        rewrite: fn(&serde_json::Value) -> Result<serde_json::Value, serde_json::Error>,
    },
    /// A WebSocket.
    WebSocket,
}

impl fmt::Debug for Content {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => formatter.write_str("Nothing"),
            Self::Json { name, .. } => write!(formatter, "Json({})", name()),
            Self::Lines { name, .. } => write!(formatter, "Lines({})", name()),
            Self::Bytes => formatter.write_str("Bytes"),
            Self::WebSocket => formatter.write_str("WebSocket"),
        }
    }
}

/// No body.
#[derive(Debug)]
pub enum Nothing {}

/// A body of JSON.
#[derive(Debug)]
pub struct Json<T>(PhantomData<T>);

/// A body of JSON values, one a line.
#[derive(Debug)]
pub struct Lines<T>(PhantomData<T>);

/// A body of bytes, of which a range may be asked for.
#[derive(Debug)]
pub enum Bytes {}

/// A WebSocket instead of an answer.
#[derive(Debug)]
pub enum WebSocket {}

impl Body for Nothing {
    fn content() -> Content {
        Content::Nothing
    }
}

impl<T: ToSchema + Serialize + DeserializeOwned> Body for Json<T> {
    fn content() -> Content {
        Content::Json { name: T::name, schemas: collect::<T>, rewrite: rewrite::<T> }
    }
}

impl<T: ToSchema + Serialize + DeserializeOwned> Body for Lines<T> {
    fn content() -> Content {
        Content::Lines { name: T::name, schemas: collect::<T>, rewrite: rewrite::<T> }
    }
}

impl Body for Bytes {
    fn content() -> Content {
        Content::Bytes
    }
}

impl Body for WebSocket {
    fn content() -> Content {
        Content::WebSocket
    }
}

/// A kind of body that is sent and read whole, as one value.
pub trait Whole: Body {
    /// The type of the value.
    type Value;

    /// The value as it is sent.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    fn encode(value: &Self::Value) -> Result<Vec<u8>, serde_json::Error>;

    /// Reads a value that was received.
    ///
    /// # Errors
    /// When the bytes are not JSON of that type.
    fn decode(bytes: &[u8]) -> Result<Self::Value, serde_json::Error>;
}

impl Whole for Nothing {
    type Value = ();

    fn encode((): &()) -> Result<Vec<u8>, serde_json::Error> {
        Ok(Vec::new())
    }

    fn decode(_: &[u8]) -> Result<(), serde_json::Error> {
        Ok(())
    }
}

impl<T: ToSchema + Serialize + DeserializeOwned> Whole for Json<T> {
    type Value = T;

    fn encode(value: &T) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(value)
    }

    fn decode(bytes: &[u8]) -> Result<T, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

fn collect<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}

fn rewrite<T: Serialize + DeserializeOwned>(
    value: &serde_json::Value,
) -> Result<serde_json::Value, serde_json::Error> {
    serde_json::to_value(T::deserialize(value)?)
}

/// Nothing after the path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoQuery {}

impl utoipa::IntoParams for NoQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        Vec::new()
    }
}
