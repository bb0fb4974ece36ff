//! The OpenAPI 3.1 document, built from the table of endpoints.

mod examples;

use std::collections::BTreeMap;

use http::Method;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem,
    PathsBuilder,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, KnownFormat, LicenseBuilder, ObjectBuilder, OpenApi,
    OpenApiBuilder, Ref, RefOr, Required, Response, ResponseBuilder, Schema, SchemaFormat,
    SecurityRequirement, Type,
};
use utoipa::{PartialSchema, ToSchema};

use crate::endpoint::body::Content;
use crate::endpoint::{ENDPOINTS, EndpointInfo};
use crate::error::{ErrorBody, ErrorCode};
use crate::exec_stream::{ExecControl, ExecEvent, ExecStart};
use crate::operation::{IdempotencyKey, OPERATION_ID_HEADER};
use examples::Example;

const BEARER: &str = "bearer";

/// The document.
#[must_use]
pub fn document() -> OpenApi {
    let mut paths = PathsBuilder::new();
    for endpoint in ENDPOINTS {
        paths = paths
            .path(endpoint.path, PathItem::new(http_method(&endpoint.method), operation(endpoint)));
    }
    let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas())
        .security_scheme(BEARER, bearer)
        .build();
    let info = InfoBuilder::new()
        .title("computer-host")
        .version("1")
        .description(Some("Turns one Linux machine into a host for computers."))
        .license(Some(
            LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build(),
        ))
        .build();
    OpenApiBuilder::new()
        .info(info)
        .paths(paths.build())
        .components(Some(components))
        .security(Some([SecurityRequirement::new(BEARER, [""; 0])]))
        .build()
}

/// The document as it is checked in: JSON with two spaces and a line break at its end.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn document_text() -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string_pretty(&document())? + "\n")
}

fn http_method(method: &Method) -> HttpMethod {
    match *method {
        Method::POST => HttpMethod::Post,
        Method::DELETE => HttpMethod::Delete,
        Method::PUT => HttpMethod::Put,
        Method::PATCH => HttpMethod::Patch,
        _ => HttpMethod::Get,
    }
}

fn operation(endpoint: &EndpointInfo) -> Operation {
    let Example { request: example, answer } = Example::of(endpoint.name);
    let mut operation = OperationBuilder::new()
        .operation_id(Some(endpoint.name))
        .summary(Some(endpoint.summary))
        .tag(endpoint.tag.as_str())
        .parameters(Some(parameters(endpoint)))
        .request_body(match (endpoint.request)() {
            Content::Json { name, .. } => Some(
                RequestBodyBuilder::new()
                    .content(
                        "application/json",
                        ContentBuilder::new()
                            .schema(Some(reference(&name())))
                            .example(example)
                            .build(),
                    )
                    .required(Some(Required::True))
                    .build(),
            ),
            Content::Bytes => Some(
                RequestBodyBuilder::new()
                    .content("application/octet-stream", binary())
                    .required(Some(Required::True))
                    .build(),
            ),
            Content::Nothing | Content::Lines { .. } | Content::WebSocket => None,
        })
        .response(endpoint.success.as_str(), success(endpoint, answer))
        .response("default", error());
    if matches!((endpoint.answer)(), Content::Bytes) {
        operation = operation.response("206", bytes("The range that was asked for."));
    }
    operation.build()
}

fn parameters(endpoint: &EndpointInfo) -> Vec<Parameter> {
    let mut parameters: Vec<Parameter> = (endpoint.path_parameters)()
        .into_iter()
        .map(|parameter| {
            ParameterBuilder::new()
                .name(parameter.name)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(Some(parameter.schema))
                .build()
        })
        .collect();
    parameters.extend((endpoint.query)());
    if endpoint.is_mutation() {
        parameters.push(header("Idempotency-Key", IdempotencyKey::schema()));
    }
    if matches!((endpoint.answer)(), Content::Bytes) {
        parameters.push(header("Range", text()));
    }
    parameters
}

fn header(name: &str, schema: RefOr<Schema>) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .schema(Some(schema))
        .build()
}

fn text() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).into()
}

fn reference(name: &str) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(name))
}

fn success(endpoint: &EndpointInfo, example: Option<serde_json::Value>) -> Response {
    let mut response = match (endpoint.answer)() {
        Content::Nothing => ResponseBuilder::new().description("Done."),
        Content::Json { name, .. } => ResponseBuilder::new()
            .description("Done.")
            .content("application/json", ContentBuilder::new().schema(Some(reference(&name()))).example(example).build()),
        Content::Lines { name, .. } => ResponseBuilder::new()
            .description("One JSON value a line, for as long as the connection lasts.")
            .content("application/x-ndjson", ContentBuilder::new().schema(Some(reference(&name()))).example(example).build()),
        Content::Bytes => return bytes("All of it."),
        Content::WebSocket => ResponseBuilder::new().description(
            "A WebSocket. The client first sends an ExecStart as text, then ExecControl as text and binary messages \
             whose first byte is 0 for standard input; the server sends ExecEvent as text and binary messages whose \
             first byte is 1 for standard output or 2 for standard error.",
        ),
    };
    if endpoint.is_mutation() {
        let operation_id = utoipa::openapi::HeaderBuilder::new().schema(Some(text())).build();
        response = response.header(OPERATION_ID_HEADER, operation_id);
    }
    response.build()
}

fn bytes(description: &str) -> Response {
    ResponseBuilder::new()
        .description(description)
        .content("application/octet-stream", binary())
        .build()
}

fn binary() -> utoipa::openapi::Content {
    let binary = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)));
    ContentBuilder::new().schema(Some(binary)).build()
}

fn error() -> Response {
    let codes: Vec<String> =
        ErrorCode::ALL.iter().map(|code| format!("{} {code}", code.status().as_u16())).collect();
    ResponseBuilder::new()
        .description(format!("Not done. Statuses and codes: {}.", codes.join(", ")))
        .content(
            "application/json",
            ContentBuilder::new()
                .schema(Some(reference(&ErrorBody::name())))
                .example(Some(serde_json::json!({
                    "error": "no machine box",
                    "code": ErrorCode::NotFound.as_str(),
                })))
                .build(),
        )
        .build()
}

/// Every type that the document names, each once, in order of name.
fn schemas() -> BTreeMap<String, RefOr<Schema>> {
    let mut schemas = Vec::new();
    for endpoint in ENDPOINTS {
        for content in [(endpoint.request)(), (endpoint.answer)()] {
            if let Content::Json { schemas: collect, .. }
            | Content::Lines { schemas: collect, .. } = content
            {
                collect(&mut schemas);
            }
        }
    }
    add::<ErrorBody>(&mut schemas);
    add::<ExecStart>(&mut schemas);
    add::<ExecControl>(&mut schemas);
    add::<ExecEvent>(&mut schemas);
    schemas.into_iter().collect()
}

fn add<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}
