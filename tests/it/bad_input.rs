//! What a customer is told about an input that no model would take: every model's bad example, through the API.

use acceptance::World;
use kie_catalogue::Model;
use serde_json::{Value, json};

acceptance::stories! {
    async fn f06_every_bad_example_is_refused_in_words_and_leaves_no_trace(db) {
        let catalogue = kie_catalogue::Catalogue::packed().unwrap();
        let world = World::builder(db).start().await;
        let customer = world.account_with("100.00").await;
        let mut told = 0;
        for model in catalogue.models() {
            let body = customer.order_body(model.id(), model.bad_example());
            // The key of a refused order is free again.
            let answer = customer.post("/v1/jobs", Some("always-the-same"), &body).await;
            assert_eq!((answer.status, &answer.body["type"]), (422, &json!("invalid")), "{}: {}", model.id(), answer.body);
            assert_is_understood(model, &answer.body["errors"]);
            told += 1;
        }
        assert_eq!(told, 197);
        let why_not = async |model: &Model| {
            let body = customer.order_body(model.id(), model.example());
            let answer = customer.post("/v1/jobs", Some("always-the-same"), &body).await;
            assert_eq!((answer.status, &answer.body["type"]), (409, &json!("not-for-sale")), "{}", model.id());
            answer.body["detail"].as_str().unwrap().to_owned()
        };
        for model in catalogue.models().filter(|model| !model.is_listed()) {
            assert!(why_not(model).await.ends_with("the provider no longer offers it"), "{}", model.id());
        }
        for model in catalogue.models().filter(|model| model.is_listed() && !model.is_sellable()) {
            assert!(why_not(model).await.contains("no price is known"), "{}", model.id());
        }
        assert_eq!(customer.balance().await, (10_000, 0));
        assert_eq!(customer.get("/v1/jobs").await.expect(200)["items"], json!([]));
        assert_eq!(world.creates(), 0);
        let model = catalogue.get(acceptance::IMAGE).unwrap();
        let body = customer.order_body(model.id(), model.example());
        let job = customer.post("/v1/jobs", Some("always-the-same"), &body).await.expect(201);
        assert_eq!(customer.until_final(job["id"].as_str().unwrap()).await.state(), "done");
        world.finish().await;
    }
}

/// Every fault points into the input and says in words what would be right; the planted one is among them.
fn assert_is_understood(model: &Model, errors: &Value) {
    let id = model.id();
    let errors = errors.as_array().unwrap_or_else(|| panic!("{id}: no errors"));
    let planted = format!("/input/{}", model.bad_reason().split('`').nth(1).unwrap());
    assert!(
        errors.iter().any(|error| error["pointer"].as_str().unwrap().starts_with(&planted)),
        "{id}: {errors:?} and not {planted}"
    );
    for error in errors {
        let (pointer, detail) = (error["pointer"].as_str().unwrap(), error["detail"].as_str().unwrap());
        assert!(pointer.starts_with("/input"), "{id}: {pointer}");
        let says_what_to_do = [
            "must ",
            "is required",
            "did you mean",
            "there is no such field",
            "give ",
            "leave out",
            "not possible",
        ]
        .iter()
        .any(|words| detail.contains(words));
        assert!(says_what_to_do, "{id} {pointer}: {detail}");
        for word in ["schema", "anyOf", "oneOf", "null", "JSON", "\\"] {
            assert!(!detail.contains(word), "{id} {pointer}: {detail}");
        }
        assert!(detail.len() <= 400, "{id} {pointer}: {detail}");
    }
}
