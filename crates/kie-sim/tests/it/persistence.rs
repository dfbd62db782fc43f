//! Tasks, balance and uploads survive a restart.

use std::io::Write;

use serde_json::json;

use crate::support::{Bench, Receiver, quick};
use kie_sim::SimConfig;

#[tokio::test]
async fn tasks_go_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let config = || SimConfig { folder: Some(folder.path().to_owned()), credits: 10_000_000, ..quick() };
    let receiver = Receiver::start(&[]).await;
    let bench = Bench::with(config()).await;
    let done = bench.accepted("done", None).await;
    bench.finished(&done).await;
    let failed = bench.accepted("failed [sim:fail=500:no]", None).await;
    bench.finished(&failed).await;
    let pending = bench.accepted("pending [sim:duration=3s]", Some(&receiver.url)).await;
    let upload = json!({"base64Data": "aGVsbG8=", "uploadPath": "texts", "fileName": "a.txt"});
    let uploaded = Bench::envelope(bench.post("api/file-base64-upload", &upload)).await;
    let balance = bench.sim.credits_micro();
    let addr = bench.sim.addr();
    bench.sim.stop().await;
    assert!(receiver.arrived().is_empty());

    let bench = Bench::with(SimConfig { listen: addr, ..config() }).await;
    assert_eq!(bench.sim.tasks().len(), 3);
    assert_eq!((bench.sim.credits_micro(), balance), (balance, 10_000_000 - 2 * 800_000));
    assert_eq!(bench.finished(&done).await["state"], "success");
    assert_eq!(bench.finished(&failed).await["failMsg"], "no");
    assert_eq!(bench.finished(&pending).await["state"], "success");
    assert_eq!(receiver.wait_for(1).await[0].json()["data"]["taskId"], pending);
    let fresh = bench.accepted("fresh", None).await;
    assert!(![&done, &failed, &pending].contains(&&fresh));
    let text = bench.http.get(uploaded["data"]["downloadUrl"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(text.text().await.unwrap(), "hello");
}

#[tokio::test]
async fn a_cut_line_is_dropped_and_callbacks_that_were_told_stay_told() {
    let folder = tempfile::tempdir().unwrap();
    let config = || SimConfig { folder: Some(folder.path().to_owned()), ..quick() };
    let receiver = Receiver::start(&[]).await;
    let bench = Bench::with(config()).await;
    let id = bench.accepted("kite", Some(&receiver.url)).await;
    bench.until("told", |sim| sim.find_task(&id).unwrap().told).await;
    bench.sim.stop().await;
    let log = folder.path().join("tasks.jsonl");
    std::fs::OpenOptions::new()
        .append(true)
        .open(&log)
        .unwrap()
        .write_all(b"{\"created\":{\"id\":\"x")
        .unwrap();
    let bench = Bench::with(config()).await;
    assert_eq!(bench.sim.tasks().len(), 1);
    let next = bench.accepted("next", None).await;
    bench.finished(&next).await;
    bench.sim.stop().await;
    let bench = Bench::with(config()).await;
    assert_eq!(bench.sim.tasks().len(), 2);
    assert_eq!(receiver.arrived().len(), 1);
    bench.sim.reset().unwrap();
    bench.sim.stop().await;
    let bench = Bench::with(config()).await;
    assert!(bench.sim.tasks().is_empty());
}
