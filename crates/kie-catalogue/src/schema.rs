//! Compiling input schemas: draft 2020-12, formats asserted, linear patterns, no references to elsewhere.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::address::is_address;

/// The compiled schema, or a clause saying why there is none.
pub(crate) fn compile(schema: &Value) -> Result<Validator, String> {
    jsonschema::draft202012::options()
        .should_validate_formats(true)
        .with_format("uri", is_address)
        .with_pattern_options(PatternOptions::regex())
        .build(schema)
        .map_err(|error| format!("the input schema does not compile: {error}"))
}
