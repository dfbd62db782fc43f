//! What must not be seen: secrets in logs, other people's jobs.

use acceptance::{HMAC_KEY, IMAGE, KIE_KEY, SECRET_KEY, World, prompt, stories};
use reqwest::Method;
use serde_json::json;

stories! {
    async fn f57_no_secret_is_in_the_log_of_the_program(db) {
        let mut world = World::builder(db).programs(1).log("debug").start().await;
        let customer = world.account_with("10.00").await;
        let mut secrets = vec![KIE_KEY.to_owned(), HMAC_KEY.to_owned(), SECRET_KEY.to_owned(), customer.token.clone()];
        let whsec = customer.get("/v1/webhook-secret").await.expect(200)["secret"].as_str().unwrap().to_owned();
        secrets.push(whsec.trim_start_matches("whsec_").to_owned());
        for mark in ["plain", "[sim:create=429:times=1]", "[sim:create=500:Bad key]", "[sim:record=401:times=2]", "[sim:callback=bad-signature]", "[sim:result=403:times=2]"] {
            let job = customer.order(IMAGE, prompt(mark)).await;
            customer.until_told(job.id()).await;
            secrets.extend(links_of(&customer.job(job.id()).await.0));
        }
        let mut stranger = customer.clone();
        "kie_not-a-token-canary".clone_into(&mut stranger.token);
        assert_eq!(stranger.get("/v1/balance").await.status, 401);
        for task in world.sim.tasks() {
            let callback = task.callback_url.unwrap();
            secrets.push(callback.rsplit('-').next().unwrap().to_owned());
        }
        secrets.push("kie_not-a-token-canary".to_owned());
        let status = world.program(0).terminate().await;
        assert!(status.success());
        let log = world.program(0).log();
        assert!(log.lines().count() > 20, "the program logs something");
        for secret in secrets {
            let line = log.lines().find(|line| line.contains(&secret));
            assert!(line.is_none(), "the log shows {secret}: {}", line.unwrap_or_default());
        }
        world.restart_program(0).await;
        world.finish().await;
    }

    async fn f57_another_customers_job_is_not_there(db) {
        let world = World::builder(db).start().await;
        let owner = world.account_with("1.00").await;
        let stranger = world.account_with("1.00").await;
        let job = owner.order_and_wait(IMAGE, prompt("mine alone")).await;
        let id = job.id();
        for path in ["", "/timeline", "/receipt"] {
            assert_eq!(stranger.get(&format!("/v1/jobs/{id}{path}")).await.status, 404, "{path}");
        }
        for path in ["confirm", "cancel", "redeliver", "sync", "restore"] {
            assert_eq!(stranger.act(&format!("/v1/jobs/{id}/{path}")).await.status, 404, "{path}");
        }
        for (method, body) in [(Method::PATCH, json!({ "hidden": true })), (Method::DELETE, json!({}))] {
            let request = stranger.request(method, &format!("/v1/jobs/{id}")).json(&body);
            assert_eq!(stranger.send(request).await.status, 404);
        }
        for (path, body) in [
            ("refund", json!({ "reason": "greed" })),
            ("resolve", json!({ "action": "release", "reason": "greed" })),
            ("retry", json!({})),
        ] {
            assert_eq!(stranger.post(&format!("/v1/jobs/{id}/{path}"), Some("k"), &body).await.status, 403, "{path}");
        }
        let listed = stranger.get("/v1/jobs").await.expect(200);
        assert_eq!(listed["items"].as_array().unwrap().len(), 0);
        let bare = job.outputs()[0]["url"].as_str().unwrap().split('?').next().unwrap().to_owned();
        let path = bare.strip_prefix(&world.url).unwrap().to_owned();
        assert_eq!(owner.get(&path).await.status, 200, "the owner's token opens the file");
        assert_eq!(stranger.get(&path).await.status, 404);
        assert_eq!(owner.job(id).await.0["hidden"], false);
        world.finish().await;
    }
}

/// Signatures of the links in a job.
fn links_of(job: &serde_json::Value) -> Vec<String> {
    let urls = job["outputs"].as_array().into_iter().flatten().filter_map(|output| output["url"].as_str());
    urls.filter_map(|url| url.split("sig=").nth(1)).map(str::to_owned).collect()
}
