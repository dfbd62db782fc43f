//! A customer's input against a model: `{"model": …, "input": …}`, or any bytes against the model that they choose.

use std::sync::LazyLock;

use kie_catalogue::{Catalogue, Model};
use serde_json::Value;

static CATALOGUE: LazyLock<Catalogue> =
    LazyLock::new(|| Catalogue::packed().unwrap_or_else(|error| panic!("{error}")));

pub(crate) fn run(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
    let named = value.get("model").and_then(Value::as_str).and_then(|id| CATALOGUE.get(id));
    if let (Some(model), Some(input)) = (named, value.get("input")) {
        return judge(model, input);
    }
    let sum = data.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    if let Some(model) = CATALOGUE.models().nth(sum % CATALOGUE.models().count().max(1)) {
        judge(model, &value);
    }
}

fn judge(model: &Model, input: &Value) {
    match model.validate(input.clone()) {
        Ok(valid) => {
            assert!((1..=32).contains(&valid.outputs()), "{}", valid.outputs());
            let cost = valid.cost();
            let filled = valid.value().clone();
            let again = model
                .validate(filled.clone())
                .unwrap_or_else(|faults| panic!("filled, then refused: {faults:?}"));
            assert_eq!((again.value(), again.cost()), (&filled, cost), "filling twice changes something");
        }
        Err(faults) => {
            assert!((1..=50).contains(&faults.len()), "{} faults", faults.len());
            for fault in &faults {
                assert!(!fault.message.is_empty() && fault.message.len() <= 4096, "{fault:?}");
                assert!(fault.pointer.is_empty() || fault.pointer.starts_with('/'), "{fault:?}");
            }
        }
    }
}
