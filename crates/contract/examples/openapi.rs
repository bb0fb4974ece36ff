//! Writes the OpenAPI document to standard output: `cargo run -p contract --example openapi > docs/openapi.json`.

use std::io::Write as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let text = contract::openapi::document_text()?;
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}
