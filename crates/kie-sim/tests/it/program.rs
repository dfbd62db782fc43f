//! The program: flags, help, killing and starting again.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::support::until;
use serde_json::{Value, json};

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

async fn start(folder: &Path, listen: &str) -> (Running, String) {
    let url_file = folder.join("url");
    if url_file.exists() {
        std::fs::remove_file(&url_file).unwrap();
    }
    let mut program = Command::new(env!("CARGO_BIN_EXE_kie-sim"));
    program.args(["serve", "--listen", listen, "--key", "secret-key", "--image", "1500ms", "--folder"]);
    program.arg(folder).arg("--url-file").arg(&url_file).stdout(Stdio::null()).stderr(Stdio::null());
    let running = Running(program.spawn().unwrap());
    until("the program serves", || std::fs::read_to_string(&url_file).is_ok_and(|url| !url.is_empty())).await;
    (running, std::fs::read_to_string(&url_file).unwrap())
}

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kie-sim")).args(args).output().unwrap()
}

#[tokio::test]
async fn a_killed_program_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let (running, url) = start(folder.path(), "127.0.0.1:0").await;
    let order = json!({"model": "z-image", "input": {"prompt": "a kite", "aspect_ratio": "1:1"}});
    let create = http.post(format!("{url}api/v1/jobs/createTask")).bearer_auth("secret-key").json(&order);
    let created: Value = create.send().await.unwrap().json().await.unwrap();
    let id = created["data"]["taskId"].as_str().unwrap().to_owned();
    drop(running);
    let listen = url.trim_start_matches("http://").trim_end_matches('/');
    let (_running, again) = start(folder.path(), listen).await;
    assert_eq!(again, url);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let read = http.get(format!("{url}api/v1/jobs/recordInfo?taskId={id}")).bearer_auth("secret-key");
        let record: Value = read.send().await.unwrap().json().await.unwrap();
        if record["data"]["state"] == "success" {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{record}");
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    }
}

#[test]
fn help_names_what_is_needed_and_a_public_address_is_refused() {
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    for word in [
        "/sim/script",
        "[sim:NAME=VALUE]",
        "createTask",
        "callback=none",
        "/bot<token>/METHOD",
        "tg=lost-answer",
        "unknownMarks",
        "POST   /sim/callbacks",
        "Python-urllib",
        "--result-life",
    ] {
        assert!(help.contains(word), "{word}");
    }
    // Broken lines cannot be copied: clap would wrap what is longer.
    let text = include_str!("../../src/help.txt");
    for line in help.lines().chain(text.lines()) {
        assert!(line.chars().count() <= 100, "{line}");
    }
    assert!(help.contains(text.trim_end()), "clap has changed the text: {help}");
    let order = "curl -s 127.0.0.1:8787/api/v1/jobs/createTask -H 'Authorization: Bearer kie-sim-key' \\\n    \
                 -H 'Content-Type: application/json' \\\n    \
                 -d '{\"model\":\"z-image\",\"input\":{\"prompt\":\"a red kite\",\"aspect_ratio\":\"1:1\"}}'\n";
    assert!(help.contains(order), "{help}");
    let serve = String::from_utf8(run(&["serve", "--help"]).stdout).unwrap();
    for word in ["KIE_SIM_HMAC_KEY", "--folder", "--callback-retry", "--telegram-token"] {
        assert!(serve.contains(word), "{word}");
    }
    assert!(!run(&["serve", "--listen", "0.0.0.0:0"]).status.success());
}
