//! The real `kie-web` program as a process: started, killed, asked to stop, read.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::wait::until;

/// A built program of this workspace.
pub(crate) fn built(name: &str) -> PathBuf {
    let here = std::env::current_exe().unwrap();
    // Tests are …/debug/deps/it-hash, programs …/debug/name.
    let found = here.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("{name} is not built: run `cargo build --workspace --bins` first, as `make test` does")
    })
}

/// Sends a signal to a process that runs.
pub(crate) async fn signal(child: &Child, name: &str) {
    let id = child.id().expect("it has not ended").to_string();
    let sent = Command::new("kill").args([name, &id]).status().await.unwrap();
    assert!(sent.success(), "{name} could not be sent to {id}");
}

/// `kie-web serve` as a process.
pub struct Program {
    variables: Vec<(String, String)>,
    arguments: Vec<String>,
    ahead: Duration,
    folder: PathBuf,
    starts: u32,
    is_log_read: bool,
    child: Option<Child>,
}

impl Program {
    /// It gets no variables but these; nothing runs yet.
    pub(crate) fn new(variables: Vec<(String, String)>, arguments: Vec<String>, folder: &Path) -> Self {
        Self {
            variables,
            arguments,
            ahead: Duration::ZERO,
            folder: folder.to_owned(),
            starts: 0,
            is_log_read: true,
            child: None,
        }
    }

    /// From its next start on its log goes into a pipe that nobody reads.
    pub fn leave_log_unread(&mut self) {
        self.is_log_read = false;
    }

    /// From its next start on, its clock is ahead by this many seconds.
    pub(crate) const fn set_ahead(&mut self, ahead: Duration) {
        self.ahead = ahead;
    }

    /// Starts it; it may not answer yet.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        self.starts += 1;
        let log = if self.is_log_read {
            Stdio::from(File::create(self.log_path(self.starts)).unwrap())
        } else {
            Stdio::piped()
        };
        let child = Command::new(built("kie-web"))
            .arg("serve")
            .args(&self.arguments)
            .args((self.ahead.as_secs() > 0).then(|| format!("--clock-ahead={}s", self.ahead.as_secs())))
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("kie-web starts");
        self.child = Some(child);
    }

    /// Waits until it says that it is ready; fails with its log if it ends instead.
    pub async fn wait_until_ready(&mut self, http: &reqwest::Client, base: &str) {
        let child = self.child.as_mut().expect("it was started");
        let ready = format!("{base}/readyz");
        let ended = until("kie-web is ready", async || {
            if let Some(status) = child.try_wait().unwrap() {
                return Some(Some(status));
            }
            let answer = http.get(&ready).send().await.ok()?;
            answer.status().is_success().then_some(None)
        })
        .await;
        assert!(ended.is_none(), "kie-web ended with {ended:?}:\n{}", self.log());
    }

    /// Ends it at once, as a power cut does.
    pub async fn kill_9(&mut self) {
        self.child.take().expect("it runs").kill().await.unwrap();
    }

    /// Asks it to stop, as a deployment does, and waits until it has.
    pub async fn terminate(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        signal(&child, "-TERM").await;
        tokio::time::timeout(crate::PATIENCE, child.wait()).await.expect("it stops in time").unwrap()
    }

    /// Freezes it as it is, as a paused virtual machine does; [`Program::thaw`] lets it go on.
    pub async fn freeze(&self) {
        signal(self.child.as_ref().expect("it runs"), "-STOP").await;
    }

    /// Lets it go on where it was frozen.
    pub async fn thaw(&self) {
        signal(self.child.as_ref().expect("it runs"), "-CONT").await;
    }

    /// Waits until it ends by itself.
    pub async fn wait_for_end(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        let ended = tokio::time::timeout(crate::PATIENCE, child.wait()).await;
        ended.unwrap_or_else(|_elapsed| panic!("kie-web did not end in time:\n{}", self.log())).unwrap()
    }

    pub(crate) async fn stop(&mut self) {
        if self.child.is_some() {
            let status = self.terminate().await;
            assert!(status.success(), "kie-web ended with {status}:\n{}", self.log());
        }
    }

    /// Everything that all its runs wrote to standard error.
    pub fn log(&self) -> String {
        (1..=self.starts)
            .map(|start| std::fs::read_to_string(self.log_path(start)).unwrap_or_default())
            .collect()
    }

    fn log_path(&self, start: u32) -> PathBuf {
        let port =
            self.variables.iter().find(|(name, _)| name == "LISTEN_ADDR").map_or("", |(_, value)| value);
        self.folder.join(format!("kie-web-{}-{start}.log", port.replace(':', "-")))
    }
}
