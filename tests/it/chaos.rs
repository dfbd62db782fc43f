//! A short storm over a whole shop of real processes; `make chaos` is the long one.

use std::time::Duration;

use acceptance::chaos::{Scale, run};

#[expect(clippy::disallowed_methods, reason = "a switch of this test, not configuration")]
fn seed() -> u64 {
    std::env::var("CHAOS_SEED").ok().map_or(1, |text| text.parse().unwrap())
}

/// `CHAOS_SEED=…` repeats another storm.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f52_a_storm_loses_nothing_and_does_nothing_twice() {
    let scale = Scale { seed: seed(), jobs: 150, kills: 13, storm: Duration::from_secs(12) };
    let report = run(&scale).await;
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.jobs, 150, "{report}");
    assert!(report.kills >= 10, "{report}");
}
