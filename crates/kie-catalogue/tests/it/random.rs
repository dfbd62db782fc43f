//! Any JSON is judged without a panic, and what passes can be priced.

use proptest::prelude::*;
use serde_json::{Map, Number, Value};

use crate::catalogue;

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| Number::from_f64(number).map_or(Value::Null, Value::Number)),
        ".{0,20}".prop_map(Value::from),
        Just(Value::from("https://a.example/in.png")),
        prop_oneof![Just("5"), Just("10"), Just("720p"), Just("1:1"), Just("")].prop_map(Value::from),
    ]
}

fn json() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((".{0,12}", inner), 0..6).prop_map(|entries| entries.into_iter().collect()),
        ]
    })
}

/// An example of some model with some of its fields replaced.
fn near_example() -> impl Strategy<Value = (usize, Value)> {
    (0..catalogue().models().count(), prop::collection::vec((any::<prop::sample::Index>(), json()), 0..4))
        .prop_map(|(index, changes)| {
            let model = catalogue().models().nth(index).unwrap();
            let fields: Vec<&String> = model.schema()["properties"].as_object().unwrap().keys().collect();
            let mut input: Map<String, Value> = model.example().as_object().unwrap().clone();
            for (field, value) in changes {
                input.insert((*field.get(&fields)).clone(), value);
            }
            (index, Value::Object(input))
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn any_json_is_judged((index, input) in (0..catalogue().models().count(), json())) {
        judge(index, input)?;
    }

    #[test]
    fn any_change_of_an_example_is_judged((index, input) in near_example()) {
        judge(index, input)?;
    }

    #[test]
    fn any_text_is_read_as_a_file(name in ".{0,30}", text in ".{0,200}") {
        let loaded = kie_catalogue::Catalogue::load([(name, text)]);
        prop_assert_eq!(loaded.faults().len(), 1);
    }
}

fn judge(index: usize, input: Value) -> Result<(), TestCaseError> {
    let model = catalogue().models().nth(index).unwrap();
    match model.validate(input) {
        Ok(input) => {
            prop_assert!((1..=32).contains(&input.outputs()));
            let _ = (input.cost(), input.price_options(), input.prompt());
            prop_assert!(model.validate(input.value().clone()).is_ok());
        }
        Err(faults) => {
            prop_assert!((1..=50).contains(&faults.len()));
            for fault in faults {
                prop_assert!(fault.pointer.is_empty() || fault.pointer.starts_with('/'));
                prop_assert!(!fault.message.is_empty() && fault.message.chars().count() < 1500, "{}", fault);
            }
        }
    }
    Ok(())
}
