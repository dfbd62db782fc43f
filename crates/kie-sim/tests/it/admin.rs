//! The admin paths, as another language uses them.

use serde_json::{Value, json};

use crate::support::{Bench, Receiver};

#[tokio::test]
async fn scripts_are_added_shown_and_cleared() {
    let bench = Bench::start().await;
    let script = json!({"fault": "create=429", "model": "z-image", "times": 1});
    let added: Value =
        bench.http.post(bench.at("sim/script")).json(&script).send().await.unwrap().json().await.unwrap();
    assert_eq!(added["ids"], json!([1]));
    assert_eq!(bench.picture("kite").await["code"], 429);
    assert_eq!(bench.picture("kite").await["code"], 200);
    let shown: Value = bench.get("sim/script").send().await.unwrap().json().await.unwrap();
    assert_eq!((&shown[0]["fault"], &shown[0]["struck"]), (&json!("create=429"), &json!(1)));
    let several = json!([{"fault": "answer=500", "route": "credit"}, {"fault": "record=null", "probability": 1.0, "seed": 3}]);
    bench.http.post(bench.at("sim/script")).json(&several).send().await.unwrap();
    assert_eq!(Bench::envelope(bench.get("api/v1/chat/credit")).await["code"], 500);
    bench.http.delete(bench.at("sim/script")).send().await.unwrap();
    assert_eq!(Bench::envelope(bench.get("api/v1/chat/credit")).await["code"], 200);
}

#[tokio::test]
async fn a_misspelt_script_is_refused_by_the_name_of_what_is_wrong() {
    let bench = Bench::start().await;
    for (bad, name) in [
        (json!({"fault": "create=nonsense"}), "`create=nonsense`"),
        (json!({"falt": "x"}), "`falt`"),
        (json!({"times": 1}), "`fault`"),
        (json!({"fault": "record=500", "tmes": 1}), "`tmes`"),
        (json!([{"fault": "record=500"}, {"fault": "record=500", "modle": "x"}]), "`modle`"),
        (json!({"fault": "record=500", "route": "recrd"}), "`recrd`"),
        (json!({"fault": "create=timeout:bogus"}), "`create=timeout:bogus`"),
        (json!({"fault": "create=429:p=7"}), "`:p=7`"),
        (json!({"fault": "create=429", "probability": 7}), "`:p=7`"),
        (json!({"fault": "create=429:time=1"}), "`:time=1`"),
    ] {
        let refused = bench.http.post(bench.at("sim/script")).json(&bad).send().await.unwrap();
        assert_eq!(refused.status(), 400, "{bad}");
        let words = refused.json::<Value>().await.unwrap()["error"].as_str().unwrap().to_owned();
        assert!(words.contains(name) && words.contains("kie-sim --help"), "{bad}: {words}");
    }
    let shown: Value = bench.get("sim/script").send().await.unwrap().json().await.unwrap();
    assert_eq!(shown, json!([]));
    let plain = bench.http.post(bench.at("sim/script")).body("{\"fault\":\"create=429\"}").send();
    assert_eq!(plain.await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_misspelt_mark_is_shown_with_its_task() {
    let bench = Bench::start().await;
    let id = bench
        .accepted("kite [sim:crete=429] [sim:cost=0.5] [sim:create=429:p=7] [sim:create=timeout:bogus]", None)
        .await;
    let task: Value = bench.get(&format!("sim/tasks/{id}")).send().await.unwrap().json().await.unwrap();
    let unknown = json!(["[sim:crete=429]", "[sim:create=429:p=7]", "[sim:create=timeout:bogus]"]);
    assert_eq!(task["unknownMarks"], unknown);
    assert_eq!(bench.sim.tasks()[0].unknown_marks.len(), 3);
    let id = bench.accepted("kite [sim:cost=0.5]", None).await;
    assert!(bench.sim.find_task(&id).unwrap().unknown_marks.is_empty());
}

#[tokio::test]
async fn what_has_no_place_is_refused_in_words() {
    let bench = Bench::start().await;
    let refusal = async |path: &str, body: Value| {
        let answer = bench.http.post(bench.at(path)).json(&body).send().await.unwrap();
        let status = answer.status();
        (status.as_u16(), answer.json::<Value>().await.unwrap()["error"].as_str().unwrap().to_owned())
    };
    let script = json!({"fault": "record=500"});
    let full = bench.http.post(bench.at("sim/script")).json(&vec![&script; 10_000]).send().await.unwrap();
    assert_eq!(full.json::<Value>().await.unwrap()["ids"].as_array().unwrap().len(), 10_000);
    let (status, words) = refusal("sim/script", script).await;
    assert!(status == 422 && words.contains("10000 scripts"), "{status} {words}");
    let record = json!({"path": "/api/v1/veo/record-info", "task": "", "answer": {}});
    let (status, words) = refusal("sim/records", record).await;
    assert!(status == 422 && words.contains("task id"), "{status} {words}");
    let (status, words) = refusal("sim/records", json!({"path": "/x", "task": "a1", "answer": {}})).await;
    assert!(status == 422 && words.contains("no path of a family"), "{status} {words}");
}

#[tokio::test]
async fn tasks_are_seen_ended_and_forgotten() {
    let bench = Bench::start().await;
    let receiver = Receiver::start(&[]).await;
    let first = bench.accepted("one [sim:duration=1h]", Some(&receiver.url)).await;
    let second = bench.accepted("two [sim:duration=1h]", None).await;
    let act =
        async |path: String, body: Value| bench.http.post(bench.at(&path)).json(&body).send().await.unwrap();
    assert_eq!(act(format!("sim/tasks/{first}/finish"), json!({})).await.status(), 200);
    assert_eq!(act(format!("sim/tasks/{first}/finish"), json!({})).await.status(), 409);
    assert_eq!(act("sim/tasks/none/finish".to_owned(), json!({})).await.status(), 404);
    act(format!("sim/tasks/{second}/fail"), json!({"code": "400", "message": "no"})).await;
    assert_eq!(bench.finished(&second).await["failMsg"], "no");
    receiver.wait_for(1).await;
    let get = async |path: &str| bench.get(path).send().await.unwrap().json::<Value>().await.unwrap();
    assert_eq!(get("sim/tasks?state=fail").await["tasks"][0]["id"], second);
    assert_eq!(get(&format!("sim/tasks/{first}")).await["state"], "success");
    bench.until("told", |sim| sim.find_task(&first).unwrap().told).await;
    assert_eq!(get(&format!("sim/callbacks?task={first}")).await["callbacks"][0]["status"], 200);
    let creates = get("sim/requests?path=/api/v1/jobs/createTask").await;
    assert_eq!(creates["requests"].as_array().unwrap().len(), 2);
    act("sim/credits".to_owned(), json!({"micro": 5_916_250_000u64})).await;
    assert_eq!(Bench::envelope(bench.get("api/v1/chat/credit")).await["data"], 5916.25);
    assert_eq!(act("sim/reset".to_owned(), json!({})).await.status(), 204);
    assert_eq!(get("sim/health").await["tasks"], 0);
    assert!(bench.sim.requests().is_empty());
}
