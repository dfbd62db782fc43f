//! Accounts in a database that is not there yet, or that cannot be used.

use std::path::Path;
use std::process::Output;

use tokio::process::Command;

async fn add_account(database: &str, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kie-reconciler"));
    command.args(["account", "add", "--name", "Ann", "--json"]).args(more);
    command.env_clear().env("DATABASE_URL", database).output().await.unwrap()
}

fn url(file: &Path) -> String {
    format!("sqlite://{}", file.display())
}

#[tokio::test]
async fn a_first_account_may_be_foreseen_before_there_is_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kie.db");
    for is_empty in [false, true] {
        if is_empty {
            std::fs::write(&file, "").unwrap();
        }
        let foreseen = add_account(&url(&file), &["--dry-run"]).await;
        assert_eq!(foreseen.status.code(), Some(0), "{foreseen:?}");
        assert_eq!(std::fs::read(&file).unwrap_or_default(), b"", "nothing was made");
    }
    let added = add_account(&url(&file), &["--yes"]).await;
    assert_eq!(added.status.code(), Some(0), "{added:?}");
}

#[tokio::test]
async fn wrong_words_are_told_in_json_too() {
    for (words, why) in [
        (&["refund", "7", "--json"][..], "--key"),
        (&["--json", "nonsense"], "nonsense"),
        (&["account", "transfers", "7", "--limit", "0", "--json"], "--limit"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kie-reconciler"));
        let said = command.args(words).env_clear().output().await.unwrap();
        let error: serde_json::Value = serde_json::from_slice(&said.stderr).unwrap();
        let error = error["error"].as_str().unwrap();
        assert!(error.contains(why) && !error.contains("Usage") && !error.contains('\n'), "{error}");
        assert_eq!((said.status.code(), said.stdout.len()), (Some(2), 0), "{words:?}");
    }
}

#[tokio::test]
async fn a_dry_run_refuses_a_database_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let foreign = folder.path().join("foreign.db");
    std::fs::write(&foreign, "a shopping list, long enough to have a header ".repeat(200)).unwrap();
    for (database, words) in [
        (url(&foreign), "not a SQLite database"),
        (url(&foreign.join("kie.db")), "the database is not available"),
        ("postgres://nobody@127.0.0.1:1/none".to_owned(), "the database is not available"),
        ("mysql://localhost/kie".to_owned(), "DATABASE_URL must begin with"),
    ] {
        for more in [&["--dry-run"][..], &["--yes"][..]] {
            let refused = add_account(&database, more).await;
            let said = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert!(
                refused.status.code() == Some(2) && said.contains(words),
                "{database} {more:?}: {refused:?}"
            );
        }
    }
}
