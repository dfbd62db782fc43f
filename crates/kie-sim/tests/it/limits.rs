//! Rates, youth, expiry and the loopback guard.

use std::time::Duration;

use serde_json::Value;

use crate::support::{Bench, KEY, image, quick};
use kie_sim::{ShortText, Sim, SimConfig};

#[tokio::test]
async fn the_twenty_first_order_in_ten_seconds_is_refused() {
    let bench = Bench::with(SimConfig { creates_per_10s: 20, ..quick() }).await;
    for _ in 0..20 {
        assert_eq!(bench.picture("a kite").await["code"], 200);
    }
    let refused = bench.picture("a kite").await;
    assert_eq!(refused["code"], 429);
    assert_eq!(refused["msg"], "Your call frequency is too high. Please try again later.");
    assert_eq!(bench.sim.tasks().len(), 20);
}

#[tokio::test]
async fn an_excess_can_be_an_http_status() {
    let bench = Bench::with(SimConfig { creates_per_10s: 1, http_429: true, ..quick() }).await;
    bench.picture("a kite").await;
    let refused = bench.post("api/v1/jobs/createTask", &image("x", None)).send().await.unwrap();
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.json::<Value>().await.unwrap()["msg"], "Rate limit exceeded");
}

#[tokio::test]
async fn reads_of_one_task_are_limited() {
    let bench = Bench::with(SimConfig { reads_per_second: 2, ..quick() }).await;
    let id = bench.accepted("a kite", None).await;
    let mut codes = vec![];
    for _ in 0..8 {
        codes.push(bench.record(&id).await["code"].as_i64().unwrap());
    }
    assert!(codes.contains(&429) && codes[0] == 200, "{codes:?}");
}

#[tokio::test]
async fn young_and_unknown_tasks_have_no_record() {
    let bench = Bench::with(SimConfig { young: Duration::from_hours(1), ..quick() }).await;
    let id = bench.accepted("a kite", None).await;
    let young = bench.record(&id).await;
    assert_eq!((young["code"].as_i64(), young["msg"].as_str()), (Some(422), Some("recordInfo is null")));
    assert_eq!(bench.record("5e0b7c1d9f2a4836b1c0d2e3f4a59687").await["code"], 422);
    let bench = Bench::with(SimConfig { young: Duration::from_millis(300), ..quick() }).await;
    let id = bench.accepted("a kite", None).await;
    bench.until_code(&format!("api/v1/jobs/recordInfo?taskId={id}"), 200, true).await;
    assert_eq!(bench.finished(&id).await["state"], "success");
    let no_id = Bench::envelope(bench.get("api/v1/jobs/recordInfo")).await;
    assert_eq!(no_id["code"], 400);
}

#[tokio::test]
async fn a_lack_of_credits_can_be_a_500() {
    let bench = Bench::with(SimConfig { credits: 0, short_text: ShortText::Observed, ..quick() }).await;
    let short = bench.picture("a kite").await;
    assert_eq!((short["code"].as_i64(), short["msg"].as_str()), (Some(500), Some("Credits insufficient")));
}

#[tokio::test]
async fn results_and_links_expire() {
    let link_to = async |bench: &Bench, url: &str| {
        let body = serde_json::json!({"url": url});
        let answer = Bench::envelope(bench.post("api/v1/common/download-url", &body)).await;
        answer["data"].as_str().unwrap().to_owned()
    };
    let bench = Bench::start().await;
    let url = bench.urls("a kite").await.remove(0);
    assert_eq!(bench.http.get(&url).send().await.unwrap().status(), 200);
    let link = link_to(&bench, &url).await;
    assert_eq!(bench.http.get(&link).send().await.unwrap().status(), 200);
    let forged = link.replace("sign=", "sign=0");
    assert_eq!(bench.http.get(&forged).send().await.unwrap().status(), 403);
    let instant = Duration::from_millis(1);
    let dead_links = Bench::with(SimConfig { link_life: instant, ..quick() }).await;
    let url = dead_links.urls("a kite").await.remove(0);
    dead_links.until_status(&link_to(&dead_links, &url).await, 403).await;
    assert_eq!(dead_links.http.get(&url).send().await.unwrap().status(), 200);
    let dead_results = Bench::with(SimConfig { result_life: instant, ..quick() }).await;
    let url = dead_results.urls("a kite").await.remove(0);
    dead_results.until_status(&url, 404).await;
    // A link is given all the same, and is as dead as the result.
    let late = link_to(&dead_results, &url).await;
    let refused = dead_results.http.get(&late).send().await.unwrap();
    assert_eq!(refused.status(), 404);
    assert!(refused.text().await.unwrap().contains("NoSuchKey"));
    let foreign = serde_json::json!({"url": "https://elsewhere.example/x.png"});
    let wrong = Bench::envelope(bench.post("api/v1/common/download-url", &foreign)).await;
    assert_eq!((wrong["code"].as_i64(), wrong["msg"].as_str()), (Some(422), Some("url is wrong")));
}

#[tokio::test]
async fn a_public_address_must_be_allowed() {
    let open = "0.0.0.0:0".parse().unwrap();
    let refused = Sim::start(SimConfig { listen: open, ..quick() }).await.unwrap_err();
    assert!(refused.to_string().contains("loopback"));
    let sim = Sim::start(SimConfig { listen: open, public: true, ..quick() }).await.unwrap();
    let base = format!("http://127.0.0.1:{}/sim/tasks", sim.addr().port());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(http.get(&base).send().await.unwrap().status(), 401);
    assert_eq!(http.get(&base).bearer_auth(KEY).send().await.unwrap().status(), 200);
    sim.stop().await;
}
