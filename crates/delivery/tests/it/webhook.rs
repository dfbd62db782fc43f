//! Webhooks: what receivers get, and what their answers mean.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use delivery::{Channel, Outcome, Webhooks, webhook_secret};
use domain::{DeliveryEvent, JobState, Timestamp};
use outbound::Guard;
use serde_json::json;

use crate::{
    receiver::{Receiver, start_resetting},
    sample::{KEY, Sample},
};

const AT: &str = "2026-11-20T10:05:00.5Z";

fn webhooks(allow: SocketAddr) -> Webhooks {
    let guard = Guard::new(allow.to_string().parse().unwrap());
    Webhooks::with_time_limit(&guard, Duration::from_secs(3)).unwrap()
}

async fn deliver(address: SocketAddr, path: &str) -> Outcome {
    let sample = Sample::done(&format!("http://{address}{path}"));
    webhooks(address).deliver(&sample.message(AT.parse().unwrap())).await
}

#[tokio::test]
async fn the_body_is_thin_and_the_id_is_the_delivery_s_at_every_try() {
    let (receiver, address) = Receiver::start().await;
    let mut sample = Sample::done(&format!("http://{address}/status/200?shop=1"));
    let channel = webhooks(address);
    let first: Timestamp = AT.parse().unwrap();
    let replay: Timestamp = "2026-12-01T00:00:00Z".parse().unwrap();
    for at in [first, replay] {
        assert_eq!(channel.deliver(&sample.message(at)).await, Outcome::Delivered);
    }
    (sample.job.state, sample.job.gift, sample.job.batch) = (JobState::Failed, true, None);
    sample.delivery.event = DeliveryEvent::JobFailed;
    assert_eq!(channel.deliver(&sample.message(first)).await, Outcome::Delivered);

    let calls = receiver.calls();
    let (job, batch) = (sample.job.id, Sample::done("").job.batch.unwrap());
    let bodies: Vec<serde_json::Value> =
        calls.iter().map(|c| serde_json::from_slice(&c.body).unwrap()).collect();
    let done = json!({
        "type": "job.done",
        "timestamp": "2026-11-20T10:00:00Z",
        "data": {"id": job, "state": "done", "gift": false, "batch_id": batch},
    });
    let failed = json!({
        "type": "job.failed",
        "timestamp": "2026-11-20T10:00:00Z",
        "data": {"id": job, "state": "failed", "gift": true, "batch_id": null},
    });
    assert_eq!(bodies, [done.clone(), done, failed]);
    let header = |name: &str| calls.iter().map(|c| c.headers[name].to_str().unwrap()).collect::<Vec<_>>();
    let id = sample.delivery.id.to_string();
    assert_eq!(header("webhook-id"), [&id; 3]);
    assert_eq!(header("webhook-timestamp"), ["1795169100", "1796083200", "1795169100"]);
    assert_eq!(header("content-type"), ["application/json"; 3]);
    assert!(header("user-agent")[0].starts_with("kie-delivery/"));
}

#[tokio::test]
async fn the_reference_library_verifies_the_signature() {
    let (receiver, address) = Receiver::start().await;
    let sample = Sample::done(&format!("http://{address}/status/204"));
    #[expect(clippy::disallowed_methods, reason = "the reference library compares with the system's clock")]
    let now = Timestamp::now();
    assert_eq!(webhooks(address).deliver(&sample.message(now)).await, Outcome::Delivered);

    let call = receiver.calls().remove(0);
    let oracle = standardwebhooks::Webhook::new(&webhook_secret(&KEY)).unwrap();
    oracle.verify(&call.body, &call.headers).unwrap();
    let forged = [call.body.as_ref(), b" "].concat();
    assert!(oracle.verify(&forged, &call.headers).is_err());
    let stranger = standardwebhooks::Webhook::new(&webhook_secret(&[1; 32])).unwrap();
    assert!(stranger.verify(&call.body, &call.headers).is_err());
}

#[tokio::test]
async fn answers_mean_what_the_specification_says() {
    let (_receiver, address) = Receiver::start().await;
    for code in [200, 201, 202, 204, 299] {
        assert_eq!(deliver(address, &format!("/status/{code}")).await, Outcome::Delivered, "{code}");
    }
    for code in [304, 400, 401, 404, 413, 429, 500, 502, 503] {
        let outcome = deliver(address, &format!("/status/{code}")).await;
        let Outcome::Retry { after: None, error } = &outcome else { panic!("{code}: {outcome:?}") };
        assert!(error.contains(&code.to_string()), "{error}");
    }
    let gone = Outcome::Gone { error: "the receiver answered 410".to_owned() };
    assert_eq!(deliver(address, "/status/410").await, gone);
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_nobody_follows_it() {
    let (receiver, address) = Receiver::start().await;
    let outcome = deliver(address, "/moved").await;
    let error = "the receiver answered 301; redirects are not followed".to_owned();
    assert_eq!(outcome, Outcome::Retry { after: None, error });
    assert!(receiver.calls().is_empty());
}

#[tokio::test]
async fn a_receiver_may_ask_for_a_wait() {
    let (_receiver, address) = Receiver::start().await;
    let outcome = deliver(address, "/busy").await;
    let error = "the receiver answered 503".to_owned();
    assert_eq!(outcome, Outcome::Retry { after: Some(Duration::from_mins(2)), error });
}

#[tokio::test]
async fn silence_ends_at_the_limit() {
    let (_receiver, address) = Receiver::start().await;
    let guard = Guard::new(address.to_string().parse().unwrap());
    let channel = Webhooks::with_time_limit(&guard, Duration::from_millis(200)).unwrap();
    let sample = Sample::done(&format!("http://{address}/silent?token=hunter2"));
    let outcome = channel.deliver(&sample.message(AT.parse().unwrap())).await;
    let Outcome::Retry { after: None, error } = &outcome else { panic!("{outcome:?}") };
    assert!(error.starts_with("target did not answer in time"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_long_or_endless_answer_is_taken_and_left_unread() {
    let (_receiver, address) = Receiver::start().await;
    for path in ["/huge", "/endless"] {
        let begun = Instant::now();
        assert_eq!(deliver(address, path).await, Outcome::Delivered, "{path}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{path}");
    }
}

#[tokio::test]
async fn broken_and_refused_connections_are_tried_again_and_tell_no_secret() {
    let resetting = start_resetting().await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refusing = closed.local_addr().unwrap();
    drop(closed);
    for address in [resetting, refusing] {
        let outcome = deliver(address, "/secret-path?token=hunter2#part").await;
        let Outcome::Retry { after: None, error } = &outcome else { panic!("{outcome:?}") };
        assert!(
            error.starts_with("exchange with") || error.starts_with("target cannot be reached"),
            "{error}"
        );
        assert!(
            error.len() <= 200 && !error.contains("hunter2") && !error.contains("secret-path"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn private_addresses_are_refused_at_each_try() {
    let (receiver, address) = Receiver::start().await;
    let channel = Webhooks::new(&Guard::default()).unwrap();
    let port = address.port();
    let refused = [
        format!("http://{address}/status/200"),
        format!("https://{address}/status/200"),
        format!("https://user:hunter2@{address}/status/200"),
        format!("https://[::ffff:127.0.0.1]:{port}/status/200"),
        "no url".to_owned(),
    ];
    for url in refused {
        let sample = Sample::done(&url);
        let outcome = channel.deliver(&sample.message(AT.parse().unwrap())).await;
        let Outcome::Gone { error } = &outcome else { panic!("{url}: {outcome:?}") };
        assert!(!error.contains("hunter2"), "{error}");
    }
    // What a name resolves to may change, so such a delivery is tried again.
    let sample = Sample::done(&format!("https://localhost:{port}/status/200"));
    let outcome = channel.deliver(&sample.message(AT.parse().unwrap())).await;
    assert!(matches!(outcome, Outcome::Retry { after: None, .. }), "{outcome:?}");
    assert!(receiver.calls().is_empty());
}
