//! The real `kie-reconciler` program, with the settings of a world.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::{Child, Command};

use crate::instance::variables;
use crate::program::{built, signal};
use crate::world::World;

/// What a run of the program said.
#[derive(Debug, Clone)]
pub struct Said {
    /// Its exit code.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// The output of a run that must have ended with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self.out
    }

    /// The same as JSON.
    #[track_caller]
    pub fn json(self, code: i32) -> Value {
        let out = self.expect(code);
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }
}

/// A running `kie-reconciler watch`.
pub struct Watch(Child);

impl Watch {
    /// Asks it to stop and waits until it has; its exit code and output.
    pub async fn terminate(self) -> Said {
        signal(&self.0, "-TERM").await;
        let output = tokio::time::timeout(crate::PATIENCE, self.0.wait_with_output()).await;
        said(&output.expect("it stops in time").unwrap())
    }
}

fn said(output: &std::process::Output) -> Said {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (code, signal) = (output.status.code().unwrap_or(-1), output.status.signal());
    Said { code, signal, out: text(&output.stdout), err: text(&output.stderr) }
}

impl World {
    /// Runs `kie-reconciler` with these words and without a terminal.
    pub async fn reconciler(&self, words: &[&str]) -> Said {
        said(&self.command(words).output().await.expect("kie-reconciler runs"))
    }

    /// The same with fail points armed: one rule a line, such as `retry.noted=kill`. With it the points that it reached, in
    /// order; the desk is a folder of its own.
    pub async fn reconciler_armed(&self, words: &[&str], rules: &str) -> (Said, Vec<String>) {
        let desk = tempfile::tempdir_in(self.path(".")).unwrap();
        std::fs::write(desk.path().join("armed"), rules).unwrap();
        let folder = desk.path().display().to_string();
        let words: Vec<&str> = words.iter().copied().chain(["--fail-points", &folder]).collect();
        let said = self.reconciler(&words).await;
        let reached = std::fs::read_to_string(desk.path().join("reached")).unwrap_or_default();
        (said, reached.lines().map(str::to_owned).collect())
    }

    /// Starts `kie-reconciler watch`.
    pub fn watch(&self) -> Watch {
        let mut command = self.command(&["watch", "--json"]);
        Watch(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("kie-reconciler starts"))
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(built("kie-reconciler"));
        command
            .args(words)
            .env_clear()
            .envs(variables(&self.flags, self.address(), self.storage.as_ref()))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }
}
