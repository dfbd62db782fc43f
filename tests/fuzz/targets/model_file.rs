//! A model file, alone and laid over a sound one.

use kie_catalogue::Catalogue;

pub(crate) fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let catalogue = Catalogue::load([("fuzz/file.json".to_owned(), text.clone())]);
    for fault in catalogue.faults() {
        assert!(!fault.reason.is_empty() && fault.reason.len() <= 16 << 10, "{} bytes", fault.reason.len());
    }
    assert!(catalogue.models().count() <= 1 && catalogue.models().count() + catalogue.faults().len() >= 1);
    for model in catalogue.models() {
        if model.is_sellable() {
            let valid = model.validate(model.example().clone()).unwrap_or_else(|faults| panic!("{faults:?}"));
            assert!(valid.cost().upper().is_some() && valid.outputs() >= 1);
            assert!(model.validate(model.bad_example().clone()).is_err());
            assert!(!model.price_words().is_empty());
        }
        let _ = catalogue.nearest("z-imge");
        for input in
            [serde_json::json!({}), serde_json::json!({"prompt": null, "x": [[]]}), serde_json::json!(1)]
        {
            if let Ok(valid) = model.validate(input) {
                let _ = (valid.cost(), valid.outputs());
            }
        }
    }
    let over = catalogue.with_overlay([("fuzz/file.json".to_owned(), text)]);
    assert_eq!(over.version().len(), 12);
}
