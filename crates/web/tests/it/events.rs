//! Server-sent events: live, resumed, reset, ended.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

use crate::shop::{Person, Shop, open};

struct Stream {
    response: Response,
    text: String,
}

impl Stream {
    async fn open(shop: &Shop, who: &Person, last: Option<&str>) -> Self {
        let request = shop.get(who, "/v1/events");
        let request = last.map_or(request.try_clone().unwrap(), |last| request.header("Last-Event-ID", last));
        Self::of(request).await
    }

    async fn open_at(shop: &Shop, who: &Person, query: &str) -> Self {
        Self::of(shop.get(who, &format!("/v1/events{query}"))).await
    }

    async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    /// The next event: name, id, data. None at the end of the stream.
    async fn next(&mut self) -> Option<(String, String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let line = event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                    line.unwrap_or_default().to_owned()
                };
                let found = (
                    field("event"),
                    field("id"),
                    serde_json::from_str(&field("data")).unwrap_or(Value::Null),
                );
                self.text = rest.to_string();
                if found.0.is_empty() {
                    continue;
                }
                return Some(found);
            }
            let chunk = tokio::time::timeout(Duration::from_secs(10), self.response.chunk()).await;
            match chunk.expect("an event within ten seconds") {
                Ok(Some(bytes)) => self.text.push_str(std::str::from_utf8(&bytes).unwrap()),
                Ok(None) | Err(_) => return None,
            }
        }
    }

    async fn until(&mut self, name: &str) -> (String, Value) {
        loop {
            let (event, id, data) = self.next().await.expect("the stream goes on");
            if event == name {
                return (id, data);
            }
        }
    }
}

#[tokio::test]
async fn changes_are_told_and_come_again_on_resume() {
    let shop = open().await;
    let (customer, stranger) = (shop.customer(1000).await, shop.customer(1000).await);
    let mut stream = Stream::open(&shop, &customer, None).await;
    assert_eq!(stream.until("balance").await.1["available"], 1000);
    shop.ordered(&stranger, "not-mine").await;
    let job = shop.ordered(&customer, "k").await;
    // Job and balance are told as they are found, in either order.
    let (mut seen, mut paid) = (None, false);
    while seen.is_none() || !paid {
        let (event, id, data) = stream.next().await.expect("the stream goes on");
        paid |= event == "balance" && data["available"] == 937;
        if event == "job" {
            assert_eq!((&data["id"], &data["version"]), (&job["id"], &job["version"]));
            seen = Some(id);
        }
    }
    let id = seen.unwrap();
    drop(stream);
    let mut resumed = Stream::open(&shop, &customer, Some(&id)).await;
    assert_eq!(resumed.until("job").await.1["id"], job["id"]);
    let mut lost = Stream::open(&shop, &customer, Some("1")).await;
    assert_eq!(lost.next().await.unwrap().0, "reset");
    let mut odd = Stream::open(&shop, &customer, Some("nonsense")).await;
    assert_eq!(odd.next().await.unwrap().0, "reset");
}

#[tokio::test]
async fn whoever_comes_a_moment_late_hears_what_just_changed() {
    let shop = open().await;
    let (customer, other) = (shop.customer(1000).await, shop.customer(1000).await);
    let mut first = Stream::open(&shop, &customer, None).await;
    let job = shop.ordered(&customer, "k").await;
    assert_eq!(first.until("job").await.1["id"], job["id"]);
    // Between a page and its stream: nothing may fall there.
    let mut second = Stream::open(&shop, &customer, None).await;
    assert_eq!(second.until("job").await.1["id"], job["id"]);
    let mut operator =
        Stream::open_at(&shop, &shop.operator, &format!("?account={}", customer.account)).await;
    assert_eq!(operator.until("job").await.1["id"], job["id"]);
    let mut stranger = Stream::open(&shop, &other, None).await;
    let own = shop.ordered(&other, "k").await;
    assert_eq!(stranger.until("job").await.1["id"], own["id"], "its own, and nobody else's");
}

#[tokio::test]
async fn streams_end_when_the_server_stops() {
    let shop = open().await;
    let customer = shop.customer(0).await;
    let mut stream = Stream::open(&shop, &customer, None).await;
    stream.until("balance").await;
    shop.stop.cancel();
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_stream_ends_after_five_minutes_so_that_its_token_is_judged_anew() {
    let shop = open().await;
    let customer = shop.customer(0).await;
    // The shop's own client would give up first.
    let client = reqwest::Client::builder().build().unwrap();
    let request = client.request(Method::GET, format!("{}/v1/events", shop.url));
    let mut response = request.bearer_auth(&customer.token).send().await.unwrap();
    assert!(response.chunk().await.unwrap().is_some(), "the balance");
    let begun = tokio::time::Instant::now();
    loop {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(10)).await;
        tokio::time::resume();
        let next = tokio::time::timeout(Duration::from_millis(20), response.chunk()).await;
        if let Ok(None) = next.map(|piece| piece.expect("it ends in order")) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_mins(6), "the stream goes on");
    }
    assert!(begun.elapsed() >= Duration::from_mins(4), "{:?}", begun.elapsed());
}
