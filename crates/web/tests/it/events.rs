//! Server-sent events: live, resumed, reset, ended.

use std::time::Duration;

use reqwest::Response;
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
    let (id, told) = stream.until("job").await;
    assert_eq!((&told["id"], &told["version"]), (&job["id"], &job["version"]));
    assert_eq!(stream.until("balance").await.1["available"], 937);
    drop(stream);
    let mut resumed = Stream::open(&shop, &customer, Some(&id)).await;
    assert_eq!(resumed.until("job").await.1["id"], job["id"]);
    let mut lost = Stream::open(&shop, &customer, Some("1")).await;
    assert_eq!(lost.next().await.unwrap().0, "reset");
    let mut odd = Stream::open(&shop, &customer, Some("nonsense")).await;
    assert_eq!(odd.next().await.unwrap().0, "reset");
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
