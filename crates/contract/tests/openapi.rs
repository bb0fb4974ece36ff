//! The checked-in OpenAPI document is the one that the table of endpoints says.

use std::fs;
use std::path::Path;

#[test]
fn the_openapi_document_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let checked_in = fs::read_to_string(&path).unwrap();
    assert!(
        checked_in == contract::openapi::document_text().unwrap(),
        "docs/openapi.json is not what the endpoints say; \
         write it anew with `cargo run -p contract --example openapi > docs/openapi.json`"
    );
}

#[test]
fn every_schema_that_is_named_is_there() {
    let document = serde_json::to_value(contract::openapi::document()).unwrap();
    let text = document.to_string();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
    }
}
