//! Downloads: ranges, exact lengths, gigabytes, and faults.

use std::time::{Duration, Instant};

use futures_util::StreamExt;

use crate::support::{Bench, quick, result_urls};
use kie_sim::SimConfig;

#[tokio::test]
async fn ranges_are_served() {
    let bench = Bench::start().await;
    let url = bench.urls("a kite").await.remove(0);
    let whole = bench.http.get(&url).send().await.unwrap().bytes().await.unwrap();
    let head = bench.http.head(&url).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], whole.len().to_string().as_str());
    assert_eq!(head.headers()["accept-ranges"], "bytes");
    let part = bench.http.get(&url).header("range", "bytes=10-19").send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.headers()["content-range"], format!("bytes 10-19/{}", whole.len()).as_str());
    assert_eq!(part.bytes().await.unwrap(), whole.slice(10..20));
    let tail = bench.http.get(&url).header("range", "bytes=-5").send().await.unwrap().bytes().await.unwrap();
    assert_eq!(tail, whole.slice(whole.len() - 5..));
    let beyond =
        bench.http.get(&url).header("range", format!("bytes={}-", whole.len())).send().await.unwrap();
    assert_eq!(beyond.status(), 416);
    assert_eq!(bench.http.get(url.replace("/0.png", "/9.png")).send().await.unwrap().status(), 404);
    assert_eq!(bench.http.get(url.replace("/0.png", "/..png")).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_gigabyte_is_streamed_with_its_exact_length() {
    let bench = Bench::start().await;
    let input = serde_json::json!({"prompt": "big [sim:size=1GiB]", "aspect_ratio": "1:1", "duration": "5", "sound": false});
    let order = bench.order(&serde_json::json!({"model": "kling-2.6/text-to-video", "input": input})).await;
    let data = bench.finished(order["data"]["taskId"].as_str().unwrap()).await;
    let answer = bench.http.get(&result_urls(&data)[0]).send().await.unwrap();
    assert_eq!(answer.content_length(), Some(1 << 30));
    let mut pieces = answer.bytes_stream();
    let mut bytes = 0u64;
    while let Some(piece) = pieces.next().await {
        bytes += piece.unwrap().len() as u64;
    }
    assert_eq!(bytes, 1 << 30);
}

#[tokio::test]
async fn padded_files_stay_decodable_in_every_format() {
    let bench = Bench::with(SimConfig { result_bytes: Some(3 << 20), ..quick() }).await;
    for format in ["png", "jpeg", "webp"] {
        let input = serde_json::json!({"prompt": "kite", "aspect_ratio": "1:1", "output_format": format});
        let order = bench.order(&serde_json::json!({"model": "z-image", "input": input})).await;
        let data = bench.finished(order["data"]["taskId"].as_str().unwrap()).await;
        let bytes = bench.http.get(&result_urls(&data)[0]).send().await.unwrap().bytes().await.unwrap();
        assert_eq!(bytes.len(), 3 << 20, "{format}");
        assert!(image::load_from_memory(&bytes).is_ok(), "{format}");
    }
}

#[tokio::test]
async fn downloads_fail_in_every_way() {
    let bench = Bench::start().await;
    let get = async |fault: &str| {
        let url = bench.urls(&format!("kite [sim:result={fault}]")).await.remove(0);
        let plain = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        plain.get(url).timeout(Duration::from_secs(2)).send().await
    };
    for status in [403, 404, 410, 500] {
        assert_eq!(get(&status.to_string()).await.unwrap().status(), status);
    }
    let html = get("html").await.unwrap();
    assert_eq!(html.status(), 200);
    assert!(html.text().await.unwrap().contains("<html>"));
    assert!(get("json").await.unwrap().text().await.unwrap().starts_with('{'));
    let empty = get("empty").await.unwrap();
    assert_eq!((empty.status().as_u16(), empty.text().await.unwrap().len()), (200, 0));
    let cut = get("truncated").await.unwrap();
    assert!(cut.content_length().unwrap() > 1000);
    assert!(cut.bytes().await.is_err());
    let stalled = get("stall").await.unwrap();
    assert!(stalled.bytes().await.unwrap_err().is_timeout());
    let moved = get("redirect:http://10.0.0.1/x").await.unwrap();
    assert_eq!(
        (moved.status().as_u16(), moved.headers()["location"].to_str().unwrap()),
        (302, "http://10.0.0.1/x")
    );
    assert_eq!(get("wrong-type").await.unwrap().headers()["content-type"], "text/plain");
    assert!(!get("no-type").await.unwrap().headers().contains_key("content-type"));
    let unknown = get("no-length").await.unwrap();
    assert_eq!(unknown.content_length(), None);
    assert!(image::load_from_memory(&unknown.bytes().await.unwrap()).is_ok());
    assert_eq!(get("needs-agent").await.unwrap().status(), 403);
    assert!(get("reset").await.is_err());
    assert_eq!(bench.urls("kite [sim:result=private]").await, ["http://169.254.169.254/latest/meta-data/"]);
    assert_eq!(
        bench.urls("kite [sim:result=private:http://10.0.0.1/x.png]").await,
        ["http://10.0.0.1/x.png"]
    );
    let asked = Instant::now();
    let slow = get("slow:300ms").await.unwrap();
    assert!(asked.elapsed() >= Duration::from_millis(300));
    assert!(image::load_from_memory(&slow.bytes().await.unwrap()).is_ok());
    assert!(get("timeout").await.unwrap_err().is_timeout());
    let url = bench.urls("kite [sim:result=no-range]").await.remove(0);
    let whole = bench.http.get(&url).header("range", "bytes=10-19").send().await.unwrap();
    assert_eq!((whole.status().as_u16(), whole.headers().get("accept-ranges")), (200, None));
    assert!(image::load_from_memory(&whole.bytes().await.unwrap()).is_ok());
    let url = bench.urls("kite [sim:size=192KiB] [sim:result=pace:512KiB]").await.remove(0);
    let asked = Instant::now();
    assert_eq!(bench.http.get(url).send().await.unwrap().bytes().await.unwrap().len(), 192 << 10);
    assert!(asked.elapsed() >= Duration::from_millis(300), "{:?}", asked.elapsed());
    bench.sim.stop().await;
}

#[tokio::test]
async fn a_dead_link_is_renewed_by_download_url() {
    let bench = Bench::start().await;
    let url = bench.urls("kite [sim:result=expired]").await.remove(0);
    assert_eq!(bench.http.get(&url).send().await.unwrap().status(), 403);
    let answer =
        Bench::envelope(bench.post("api/v1/common/download-url", &serde_json::json!({"url": url}))).await;
    let fresh = bench.http.get(answer["data"].as_str().unwrap()).send().await.unwrap();
    assert!(image::load_from_memory(&fresh.bytes().await.unwrap()).is_ok());
    let healed = bench.urls("kite [sim:result=404:times=2]").await.remove(0);
    let mut statuses = vec![];
    for _ in 0..3 {
        statuses.push(bench.http.get(&healed).send().await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [404, 404, 200]);
    let python = bench.http.get(&healed).header("user-agent", "Python-urllib/3.12").send().await.unwrap();
    assert_eq!(python.status(), 403);
}
