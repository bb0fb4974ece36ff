//! The endpoints, each declared once.
//!
//! [`table`] has one line per endpoint. From it come a type per endpoint, which the client calls and the router serves
//! with its path, query, request and answer types, and [`ENDPOINTS`], from which the OpenAPI document is built and the
//! router checks that it serves them all.

pub mod body;
pub mod path;
pub mod table;

use http::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use body::{Body, Content};
use path::{PathParameter, PathParameters};

pub use table::ENDPOINTS;

/// One endpoint, as a type.
pub trait Endpoint {
    /// The identifiers in its path.
    type Path: PathParameters;
    /// What may follow its path after `?`.
    type Query: Serialize + DeserializeOwned + IntoParams;
    /// What it is sent.
    type Request: Body;
    /// What it answers.
    type Answer: Body;

    /// Its name: that of the type.
    const NAME: &str;
    /// Its method.
    const METHOD: Method;
    /// Its path, with the names of identifiers in braces, as axum and OpenAPI write it.
    const PATH: &str;
    /// The status of its answer when all went well.
    const SUCCESS: StatusCode;
}

/// One endpoint, as a value.
#[derive(Debug)]
pub struct EndpointInfo {
    /// Its name, unique among all.
    pub name: &'static str,
    /// What it does, in a sentence or two.
    pub summary: &'static str,
    /// What it is about.
    pub tag: Tag,
    /// Its method.
    pub method: Method,
    /// Its path, with the names of identifiers in braces.
    pub path: &'static str,
    /// The status of its answer when all went well.
    pub success: StatusCode,
    /// The identifiers in its path.
    pub path_parameters: fn() -> Vec<PathParameter>,
    /// What may follow its path after `?`.
    pub query: fn() -> Vec<Parameter>,
    /// What it is sent.
    pub request: fn() -> Content,
    /// What it answers.
    pub answer: fn() -> Content,
}

impl EndpointInfo {
    /// Describes an endpoint.
    #[must_use]
    pub const fn of<E: Endpoint>(tag: Tag, summary: &'static str) -> Self {
        Self {
            name: E::NAME,
            summary,
            tag,
            method: E::METHOD,
            path: E::PATH,
            success: E::SUCCESS,
            path_parameters: E::Path::describe,
            query: query_of::<E::Query>,
            request: E::Request::content,
            answer: E::Answer::content,
        }
    }

    /// Whether it changes something, so that it takes an `Idempotency-Key` and answers an `Operation-Id`.
    #[must_use]
    pub fn is_mutation(&self) -> bool {
        self.method != Method::GET
    }
}

fn query_of<Q: IntoParams>() -> Vec<Parameter> {
    Q::into_params(|| Some(ParameterIn::Query))
}

/// What an endpoint is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tag {
    /// The host itself.
    Host,
    /// Machines.
    Machines,
    /// What runs in guests, and their files.
    Guests,
    /// Snapshots.
    Snapshots,
    /// Volumes.
    Volumes,
    /// Published ports.
    PublishedPorts,
    /// Mounts.
    Mounts,
    /// Operations.
    Operations,
}

impl Tag {
    /// The tag as OpenAPI writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Machines => "machines",
            Self::Guests => "guests",
            Self::Snapshots => "snapshots",
            Self::Volumes => "volumes",
            Self::PublishedPorts => "published ports",
            Self::Mounts => "mounts",
            Self::Operations => "operations",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_and_routes_are_unique() {
        let names: BTreeSet<_> = ENDPOINTS.iter().map(|endpoint| endpoint.name).collect();
        let routes: BTreeSet<_> =
            ENDPOINTS.iter().map(|endpoint| (endpoint.method.as_str(), endpoint.path)).collect();
        assert_eq!(names.len(), ENDPOINTS.len());
        assert_eq!(routes.len(), ENDPOINTS.len());
    }

    #[test]
    fn the_identifiers_of_each_path_are_those_of_its_type() {
        for endpoint in ENDPOINTS {
            let names: Vec<_> = endpoint
                .path
                .split('/')
                .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
                .collect();
            let declared: Vec<_> =
                (endpoint.path_parameters)().iter().map(|parameter| parameter.name).collect();
            assert_eq!(names, declared, "{}", endpoint.name);
        }
    }
}
