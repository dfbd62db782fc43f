//! What an operator changes with `kie-reconciler`: a dry run refuses what the deed refuses, and no deed is without its trace.

use acceptance::{Customer, Db, IMAGE, Job, VIDEO, World, prompt, stories, until};
use domain::{Account, DeliveryState, TimelineEntry};
use serde_json::{Value, json};

stories! {
    async fn a_dry_run_refuses_what_the_deed_refuses_in_the_same_words(db) {
        let world = World::builder(db).callbacks(false).start().await;
        let customer = world.account_with("9.00").await;
        let done = customer.order_and_wait(IMAGE, prompt("left alone")).await;
        customer.until_told(done.id()).await;
        let other = world.row(done.id()).await.task_id.unwrap();
        let unclear = customer.order(IMAGE, prompt("[sim:create=reset:none:times=1] never")).await;
        customer.until_state(unclear.id(), "unclear").await;
        let quiet = json!({ "model": IMAGE, "input": prompt("nobody is told") });
        let quiet = Job(customer.post("/v1/jobs", Some("quiet"), &quiet).await.expect(201));
        customer.until_final(quiet.id()).await;
        let id = customer.id.to_string();
        world.reconciler(&["account", "topup", &id, "1.00", "--key", "t1"]).await.expect(0);
        world.reconciler(&["account", "add", "--external", "theirs", "--telegram", "77", "--yes"]).await.expect(0);
        let before = everything(&world, &customer, [&done, &unclear, &quiet]).await;
        let nobody = "01990000-0000-7000-8000-000000000001";
        let (done, unclear, quiet) = (done.id(), unclear.id(), quiet.id());
        let refused: [(&[&str], &str); 16] = [
            (&["resolve", done, "--release"], "only an unclear job can be decided"),
            (&["resolve", done, "--adopt", "nonsense"], "the job is done"),
            (&["resolve", unclear, "--adopt", "nonsense"], "could not be read"),
            (&["resolve", unclear, "--adopt", &other], "does not belong to the job"),
            (&["refund", done, "--amount", "99.00", "--key", "k"], "only what was captured"),
            (&["refund", unclear, "--key", "k"], "only what was captured"),
            (&["refund", done, "--amount", "much", "--key", "k"], "`much` is not an amount"),
            (&["account", "topup", &id, "2.00", "--key", "t1"], "used for another movement"),
            (&["account", "topup", nobody, "2.00", "--key", "t2"], "there is no account"),
            (&["account", "adjust", &id, "-5000.00", "--key", "k"], "the balance does not suffice"),
            (&["account", "token", nobody, "--role", "customer"], "there is no account"),
            (&["account", "recount", nobody], "there is no account"),
            (&["account", "add", "--external", "mine", "--telegram", "77"], "telegram id belongs to another row"),
            (&["smoke", "--account", nobody], "there is no account"),
            (&["redeliver", quiet], "has no deliveries"),
            (&["retry", done], "nothing is left to do for it"),
        ];
        for (words, why) in refused {
            let dry: Vec<&str> = words.iter().copied().chain(["--dry-run"]).collect();
            let (tried, meant) = (world.reconciler(&dry).await, world.reconciler(words).await);
            assert!(tried.code == 2 && tried.out.is_empty() && tried.err.contains(why), "{words:?} {tried:?}");
            assert_eq!((meant.code, meant.err), (2, tried.err), "{words:?}");
        }
        assert_eq!(everything(&world, &customer, [done, unclear, quiet].map(|id| Job(json!({ "id": id }))).each_ref()).await, before);
        let refused = world.reconciler(&["account", "topup", &id, "1.00", "--key", "", "--json"]).await;
        let error: Value = serde_json::from_str(refused.err.trim()).unwrap();
        assert!(refused.code == 2 && error["error"].is_string(), "{refused:?}");
        world.reconciler(&["resolve", unclear, "--release"]).await.expect(0);
        customer.until_told(unclear).await;
        world.finish().await;
    }

    async fn a_dry_run_says_what_would_be_done_and_does_nothing(db) {
        let world = World::builder(db).callbacks(false).start().await;
        let customer = world.account_with("5.00").await;
        let done = customer.order_and_wait(IMAGE, prompt("left alone")).await;
        customer.until_told(done.id()).await;
        let slow = customer.order(IMAGE, prompt("[sim:duration=1h] slow")).await;
        customer.until_state(slow.id(), "running").await;
        let lost = customer.order(IMAGE, prompt("[sim:create=reset] lost")).await;
        customer.until_state(lost.id(), "unclear").await;
        let is_lost = |input: &Value| input.to_string().contains("] lost");
        let tasks = world.sim.tasks();
        let found = tasks.iter().find(|task| is_lost(&Value::Object(task.input.clone()))).unwrap().id.clone();
        let file = object(&world, &done).await;
        let whole = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        world.edit("update kie.account set available = available + 777").await;
        let id = customer.id.to_string();
        let token = world.store.list_tokens(customer.id).await.unwrap()[0].id.to_string();
        let before = everything(&world, &customer, [&done, &slow, &lost]).await;
        let dry: [(&[&str], &str); 13] = [
            (&["account", "add", "--name", "nobody"], "open an account (nobody)"),
            (&["account", "token", &id, "--role", "operator"], "with the role operator"),
            (&["account", "revoke", &id, &token], "revoke token"),
            (&["account", "topup", &id, "100.00", "--key", "k"], "available would be 109.77 RUB"),
            (&["account", "adjust", &id, "-1", "--key", "k"], "by -1.00 RUB; available would be 8.77 RUB"),
            (&["account", "recount", &id], "available 9.77 RUB → 2.00 RUB, held 2.00 RUB → 2.00 RUB"),
            (&["account", "erase", &id], "it has 9.77 RUB available and 2.00 RUB held, and 2 open jobs"),
            (&["refund", done.id(), "--key", "k"], "refund 1.00 RUB of job"),
            (&["redeliver", done.id()], "send 1 delivery of job"),
            (&["retry", done.id()], "fetch 1 file of job"),
            (&["retry", slow.id()], "(running): a worker takes its next step"),
            (&["resolve", lost.id(), "--adopt", &found], "let it follow task"),
            (&["smoke"], "order z-image"),
        ];
        for (words, would) in dry {
            let words: Vec<&str> = words.iter().copied().chain(["--dry-run", "--json"]).collect();
            let said = world.reconciler(&words).await.json(0);
            assert_eq!((&said["dry_run"], &said["done_before"]), (&json!(true), &json!(false)), "{words:?}");
            assert!(said["would"].as_str().unwrap().contains(would), "{words:?} {said}");
        }
        let recount = world.reconciler(&["account", "recount", &id, "--dry-run", "--json"]).await.json(0);
        assert_eq!(recount["details"]["after"], json!({ "available": 200, "held": 200 }), "{recount}");
        assert_eq!(everything(&world, &customer, [&done, &slow, &lost]).await, before);
        assert!(!file.exists());
        world.reconciler(&["account", "recount", &id]).await.expect(0);
        world.reconciler(&["account", "topup", &id, "1.00", "--key", "t1"]).await.expect(0);
        let again = world.reconciler(&["account", "topup", &id, "1.00", "--key", "t1", "--dry-run"]).await.expect(0);
        assert!(again.contains("nothing would change"), "{again}");
        // A task that was just adopted is adopted.
        world.reconciler(&["resolve", lost.id(), "--adopt", &found]).await.expect(0);
        let twice = world.reconciler(&["resolve", lost.id(), "--adopt", &found]).await.expect(0);
        assert!(twice.contains("was done before"), "{twice}");
        customer.until_told(lost.id()).await;
        std::fs::write(&file, &whole).unwrap();
        let slow_task = world.row(slow.id()).await.task_id.unwrap();
        assert!(world.sim.finish_now(&slow_task));
        customer.until_told(slow.id()).await;
        world.finish().await;
    }

    async fn money_that_was_made_by_hand_and_spent_can_be_set_right(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("1.00").await;
        world.edit("update kie.account set available = available + 150").await;
        for number in 0..2 {
            let job = customer.order_and_wait(IMAGE, prompt(&format!("spent {number}"))).await;
            customer.until_told(job.id()).await;
        }
        assert_eq!(customer.balance().await, (50, 0));
        let id = customer.id.to_string();
        for words in [&["account", "recount", &id][..], &["account", "recount", &id, "--dry-run"]] {
            let refused = world.reconciler(words).await;
            let advice = format!("`account adjust {id} +1.00 --key KEY`, then `account recount {id}`");
            assert!(refused.code == 2 && refused.err.contains(&advice), "{refused:?}");
        }
        assert_eq!(world.store.list_acts(10).await.unwrap(), []);
        world.reconciler(&["account", "adjust", &id, "+1.00", "--key", "by-hand"]).await.expect(0);
        world.reconciler(&["account", "recount", &id]).await.expect(0);
        assert_eq!(customer.balance().await, (0, 0));
        world.finish().await;
    }

    async fn no_deed_upon_a_job_is_without_its_trace(db) {
        let world = World::builder(db).callbacks(false).start().await;
        let customer = world.account_with("5.00").await;
        let done = customer.order_and_wait(IMAGE, prompt("told")).await;
        customer.until_told(done.id()).await;
        let slow = customer.order(IMAGE, prompt("[sim:duration=1h] slow")).await;
        customer.until_state(slow.id(), "running").await;
        let lost = customer.order(IMAGE, prompt("[sim:create=reset] lost")).await;
        customer.until_state(lost.id(), "unclear").await;
        let tasks = world.sim.tasks();
        let slow_task = world.row(slow.id()).await.task_id.unwrap();
        let done_task = world.row(done.id()).await.task_id.unwrap();
        let found = tasks.iter().find(|task| task.id != slow_task && task.id != done_task).unwrap().id.clone();
        let file = object(&world, &done).await;
        std::fs::remove_file(&file).unwrap();
        let before = everything(&world, &customer, [&done, &slow, &lost]).await;
        world.edit(match db {
            Db::Sqlite => {
                "create trigger full before insert on timeline when new.source = 'operator' begin select raise(abort, 'full'); end"
            }
            Db::Postgres => "alter table kie.timeline add constraint is_full check (source <> 'operator') not valid",
        }).await;
        let deeds: [&[&str]; 5] = [
            &["retry", slow.id()],
            &["retry", done.id()],
            &["resolve", lost.id(), "--adopt", &found],
            &["resolve", lost.id(), "--release"],
            &["redeliver", done.id()],
        ];
        for words in deeds {
            let said = world.reconciler(words).await;
            assert_eq!((said.code, said.out.as_str()), (2, ""), "{words:?} {said:?}");
        }
        assert_eq!(everything(&world, &customer, [&done, &slow, &lost]).await, before);
        assert!(!file.exists());
        world.edit(match db {
            Db::Sqlite => "drop trigger full",
            Db::Postgres => "alter table kie.timeline drop constraint is_full",
        }).await;
        world.reconciler(&["retry", done.id(), "--reason", "the bucket lost it"]).await.expect(0);
        world.reconciler(&["redeliver", done.id(), "--reason", "they are back"]).await.expect(0);
        world.reconciler(&["resolve", lost.id(), "--adopt", &found, "--reason", "seen there"]).await.expect(0);
        assert!(file.exists());
        let traces = decided(&world, &done).await;
        let details: Vec<_> = traces.iter().map(|line| line.detail.as_deref().unwrap()).collect();
        assert!(details[0].contains("restore of 1 files: the bucket lost it"), "{details:?}");
        assert_eq!(details[1], "redeliver: they are back");
        assert_eq!(decided(&world, &lost).await[0].detail.as_deref(), Some("adopt: seen there"));
        assert!(world.sim.finish_now(&slow_task));
        for job in [&done, &slow, &lost] {
            customer.until_told(job.id()).await;
        }
        until("the second call came", async || {
            let calls = world.store.deliveries_of(&[done.id().parse().unwrap()]).await.unwrap();
            calls.iter().all(|one| one.state == DeliveryState::Done).then_some(())
        })
        .await;
        world.finish().await;
    }

    async fn no_deed_is_without_its_trace(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("1.00").await;
        let id = customer.id.to_string();
        let tokens = world.store.list_tokens(customer.id).await.unwrap();
        for _ in 0..3 {
            world.store.count_refusal(VIDEO, 3, world.now()).await.unwrap();
        }
        world.edit("update kie.account set available = available + 1").await;
        world.edit(match db {
            Db::Sqlite => "create trigger full before insert on act begin select raise(abort, 'full'); end",
            Db::Postgres => "alter table kie.act add constraint is_full check (false) not valid",
        }).await;
        let token = tokens[0].id.to_string();
        let deeds: [&[&str]; 5] = [
            &["account", "token", &id, "--role", "operator"],
            &["account", "revoke", &id, &token],
            &["account", "recount", &id],
            &["account", "erase", &id],
            &["catalogue", "sell", VIDEO],
        ];
        for words in deeds {
            let said = world.reconciler(words).await;
            assert_eq!((said.code, said.out.as_str()), (2, ""), "{words:?} {said:?}");
        }
        assert_eq!(world.store.list_tokens(customer.id).await.unwrap(), tokens);
        let account = world.store.find_account(customer.id).await.unwrap().unwrap();
        assert_eq!((account.closed_at, account.available.minor()), (None, 101));
        assert_eq!(world.store.models_off_sale().await.unwrap().len(), 1);
        world.edit(match db {
            Db::Sqlite => "drop trigger full",
            Db::Postgres => "alter table kie.act drop constraint is_full",
        }).await;
        world.reconciler(&["account", "recount", &id]).await.expect(0);
        let acts = world.store.list_acts(10).await.unwrap();
        assert!(acts.len() == 1 && acts[0].subject.contains("available 1.01 RUB"), "{acts:?}");
        let right = world.reconciler(&["account", "recount", &id]).await.expect(0);
        assert!(right.contains("nothing was changed"), "{right}");
        world.reconciler(&["account", "erase", &id]).await.expect(0);
        let again = world.reconciler(&["account", "erase", &id]).await.expect(0);
        assert!(again.contains("was erased already"), "{again}");
        let closed = world.reconciler(&["account", "topup", &id, "1.00", "--key", "late"]).await;
        assert!(closed.code == 2 && closed.err.contains("is closed: nothing more can be given to it"), "{closed:?}");
        let closed = world.reconciler(&["account", "token", &id, "--role", "customer"]).await;
        assert!(closed.code == 2 && closed.err.contains("is closed"), "{closed:?}");
        assert_eq!(world.store.list_acts(10).await.unwrap().len(), 2, "nor a trace without its deed");
        world.finish().await;
    }
}

/// What deeds upon these jobs and their account would change: the account, its money and tokens, the jobs' own columns, what
/// operators wrote into their histories, tasks of attempts, deliveries, acts.
async fn everything(world: &World, customer: &Customer, jobs: [&Job; 3]) -> (Account, Vec<String>) {
    let store = &world.store;
    let account = store.find_account(customer.id).await.unwrap().unwrap();
    let filter = store::TransferFilter { account: Some(customer.id), limit: 100, ..Default::default() };
    let mut seen = vec![
        format!("{:?}", store.list_transfers(&filter).await.unwrap()),
        format!("{:?}", store.list_tokens(customer.id).await.unwrap()),
        format!("{:?}", store.list_accounts(None, 10).await.unwrap().len()),
        format!("{:?}", store.list_acts(10).await.unwrap()),
    ];
    for job in jobs {
        let row = world.row(job.id()).await;
        seen.push(format!("{} {:?} {} {}", row.state, row.task_id, row.wake_seq, row.refunded.minor()));
        seen.push(format!("{:?}", store.attempts(row.id).await.unwrap()));
        seen.push(format!("{:?}", decided(world, job).await));
        let deliveries = store.deliveries_of(&[row.id]).await.unwrap();
        seen.extend(deliveries.iter().map(|one| format!("{} {}", one.state, one.attempts)));
    }
    (account, seen)
}

/// What operators wrote into a job's history.
async fn decided(world: &World, job: &Job) -> Vec<TimelineEntry> {
    let mut lines = world.store.timeline(job.id().parse().unwrap()).await.unwrap();
    lines.retain(|line| line.event == "job.decided");
    lines
}

/// Where the only output of a job lies, in a local folder.
async fn object(world: &World, job: &Job) -> std::path::PathBuf {
    let asset = world.store.assets_of(&[job.id().parse().unwrap()]).await.unwrap().remove(0);
    world.path("media").join(asset.object)
}
