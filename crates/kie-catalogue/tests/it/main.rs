//! The catalogue as its users see it.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod faults;
mod fill;
mod overlay;
mod prices;
mod random;
mod source;

use kie_catalogue::{Catalogue, InputFault, Model, ValidInput};
use serde_json::Value;
use std::sync::OnceLock;

fn catalogue() -> &'static Catalogue {
    static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
    CATALOGUE.get_or_init(|| Catalogue::packed().unwrap())
}

fn model(id: &str) -> &'static Model {
    catalogue().get(id).unwrap_or_else(|| panic!("no model {id}"))
}

fn valid(id: &str, input: Value) -> ValidInput {
    model(id).validate(input).unwrap_or_else(|faults| panic!("{id}: {faults:?}"))
}

fn refused(id: &str, input: Value) -> Vec<InputFault> {
    model(id).validate(input).expect_err("the input should be refused")
}

fn shown(faults: &[InputFault]) -> Vec<String> {
    faults.iter().map(ToString::to_string).collect()
}
