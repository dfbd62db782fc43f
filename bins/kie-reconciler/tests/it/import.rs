//! `import` as an operator types it: dry run, import, finishing by `once`, the second pass, the audit.

use std::path::Path;
use std::process::{Command, Output};

use kie_sim::{Sim, SimConfig};
use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

const OLD: &str = "create table users (user_id integer primary key, balance_rub real, hold_rub real);
    create table jobs (id integer primary key, user_id integer, kie_task_id text, idempotency_key text, chat_id integer,
      delivered_at text, status text, price real);
    insert into users values (1, 12.5, 0), (2, 1, 0);
    insert into jobs values (1, 1, 'gone-1', 'k1', null, null, 'done', 5), (2, 2, null, 'k2', null, null, 'failed', 5),
      (3, 2, null, 'k3', null, null, 'melted', 5);";

struct Shop {
    sim: Sim,
    folder: tempfile::TempDir,
}

impl Shop {
    async fn start() -> Self {
        let sim =
            Sim::start(SimConfig { api_key: "test-key".to_owned(), ..SimConfig::default() }).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("old.db");
        let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
        let mut old = options.connect().await.unwrap();
        sqlx::raw_sql(OLD).execute(&mut old).await.unwrap();
        old.close().await.unwrap();
        Self { sim, folder }
    }

    async fn run(&self, words: &[&str]) -> Output {
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_kie-reconciler"));
        command.args(words).env_clear().current_dir(self.folder.path());
        for (name, value) in [
            ("DATABASE_URL", format!("sqlite://{}", at("kie.db"))),
            ("MEDIA_URL", format!("file://{}", at("media"))),
            ("KIE_API_KEY", "test-key".to_owned()),
            ("KIE_BASE_URL", self.sim.url().to_string()),
            ("SECRET_KEY", "7f3a9c1e5b8d2046f1e3c5a79b8d6042aa51".to_owned()),
        ] {
            command.env(name, value);
        }
        if let Some(certificates) = std::env::var_os("SSL_CERT_FILE") {
            command.env("SSL_CERT_FILE", certificates);
        }
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("{output:?}"))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_takes_a_shop_over() {
    let shop = Shop::start().await;
    let unsaid = shop.run(&["import", "old.db"]).await;
    assert_eq!(code(&unsaid), 2);
    assert!(text(&unsaid).contains("say --holds"), "{}", text(&unsaid));
    let early = shop.run(&["import", "old.db", "--holds", "beside", "--dry-run"]).await;
    assert!(code(&early) == 2 && text(&early).contains("there is no database"), "{}", text(&early));
    assert!(!shop.folder.path().join("kie.db").exists(), "nothing was made");
    assert_eq!(code(&shop.run(&["once"]).await), 0, "a worker makes it");

    let dry = shop.run(&["import", "old.db", "--holds", "beside", "--dry-run"]).await;
    let told = text(&dry);
    assert_eq!(code(&dry), 1, "{told}");
    for words in ["13.50 RUB", "jobs here would be: failed 2", "unknown status `melted`", "REFUSED", "gone-1"]
    {
        assert!(told.contains(words), "{words} is not in:\n{told}");
    }

    let flags = ["import", "old.db", "--holds", "beside", "--lost", "refund", "--json", "--yes"];
    for (pass, new) in [1, 0].into_iter().enumerate() {
        let output = shop.run(&flags).await;
        assert_eq!(code(&output), 1, "{}", text(&output));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["money"]["after"], 1350, "pass {pass}");
        assert_eq!(report["money"]["refunded"], 500 * new, "pass {pass}");
        assert_eq!(report["users"]["new"], 2 * new, "pass {pass}");
        assert_eq!(report["lost"][0]["money"], "refunded");
        assert_eq!(
            (&report["problems"][0]["key"], &report["problems"][0]["taken"]),
            (&"3".into(), &false.into())
        );
    }
    assert_eq!(code(&shop.run(&["once"]).await), 0);
    let audit = shop.run(&["audit", "--media"]).await;
    assert_eq!(code(&audit), 0, "{}", text(&audit));
    let accounts = text(&shop.run(&["account", "list", "--json"]).await);
    assert!(accounts.contains("1750"), "12.50 and the lost 5.00: {accounts}");
    shop.sim.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_is_not_there_is_no_import() {
    let shop = Shop::start().await;
    let absent = shop.run(&["import", "absent.db", "--holds", "beside"]).await;
    assert_eq!(code(&absent), 2);
    assert!(text(&absent).contains("cannot be opened"), "{}", text(&absent));
    assert!(!Path::new(&shop.folder.path().join("kie.db")).exists(), "nothing was made");
    shop.sim.stop().await;
}
