//! Old tasks of the dedicated families: what the provider was seen to say of them, served by the simulator and read by
//! the client.

use std::path::Path;

use kie_client::{Client, Family, ReadError, Record, RetryPolicy, TaskId};
use kie_sim::{Sim, SimConfig};
use serde_json::Value;

/// The exchanges of a family's status path.
fn recorded(family: Family) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../source_of_truth/exchanges");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let exchange: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            let asked = format!("GET {}", family.record_path());
            if exchange["endpoint"]
                .as_str()
                .is_some_and(|endpoint| endpoint.split('?').next() == Some(&asked))
            {
                found.push(exchange);
            }
        }
    }
    found
}

fn client_of(sim: &Sim) -> Client {
    Client::builder(sim.api_key()).base_url(sim.url()).retry(RetryPolicy::never()).build().unwrap()
}

#[tokio::test]
async fn every_family_is_read_from_the_simulator_as_from_the_provider() {
    let sim = Sim::start(SimConfig::default()).await.unwrap();
    let client = client_of(&sim);
    for family in Family::ALL {
        let exchanges = recorded(family);
        // Luma's record was never seen; only its callbacks were.
        assert!(!exchanges.is_empty() || family == Family::Luma, "{family:?} has no exchange");
        for exchange in exchanges {
            let body = exchange["body"].to_string();
            let parsed = Record::parse_family(family, body.as_bytes());
            let id =
                exchange["body"]["data"]["taskId"].as_str().unwrap_or("5e0b7c1d9f2a4836b1c0d2e3f4a59687");
            sim.put_record(family.record_path(), id, exchange["body"].clone()).unwrap();
            let read = client.family_record(family, &TaskId::new(id).unwrap()).await;
            let name = &exchange["name"];
            match (read, parsed) {
                (Ok(read), Ok(parsed)) => assert_eq!(read, parsed, "{name}"),
                (Err(read), Err(parsed)) => assert_eq!(read.to_string(), parsed.to_string(), "{name}"),
                (read, parsed) => panic!("{name}: {read:?} but {parsed:?}"),
            }
        }
    }
    sim.stop().await;
}

#[tokio::test]
async fn an_unknown_task_of_any_family_is_not_found() {
    let sim = Sim::start(SimConfig::default()).await.unwrap();
    let client = client_of(&sim);
    for family in Family::ALL {
        let unknown =
            client.family_record(family, &TaskId::new("0123456789abcdef").unwrap()).await.unwrap_err();
        assert!(matches!(unknown, ReadError::NotFound { .. }), "{family:?}: {unknown}");
    }
    assert!(sim.put_record("/api/v1/jobs/recordInfo", "a1", serde_json::json!({})).is_err());
    sim.stop().await;
}
