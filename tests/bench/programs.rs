//! The built programs, and the words of the operator's one.

use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tokio::process::Command;

/// Variables of a process.
pub(crate) type Variables = Vec<(String, String)>;

/// Where the programs are.
#[derive(Debug)]
pub(crate) struct Programs(PathBuf);

/// An account that can order.
#[derive(Debug)]
pub(crate) struct Customer {
    pub(crate) token: String,
}

impl Programs {
    pub(crate) fn in_folder(folder: &Path) -> anyhow::Result<Self> {
        let folder = folder.canonicalize().with_context(|| format!("no folder {}", folder.display()))?;
        for name in ["kie-web", "kie-reconciler", "kie-sim", "s3-server"] {
            ensure!(
                folder.join(name).is_file(),
                "{} is not built: use tests/bench/run.sh",
                folder.join(name).display()
            );
        }
        Ok(Self(folder))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Opens an account with 10,000.00 and gives it a token.
    pub(crate) async fn add_customer(&self, variables: &Variables) -> anyhow::Result<Customer> {
        let id = self.told(variables, &["account", "add", "--name", "Bench"], "/id").await?;
        let token = self.told(variables, &["account", "token", &id, "--role", "customer"], "/token").await?;
        self.told(variables, &["account", "topup", &id, "10000.00", "--key", "bench"], "/transfer").await?;
        Ok(Customer { token })
    }

    /// Proves the books, and the stored objects where `media` is said; anything but clean is an error.
    pub(crate) async fn audit(&self, variables: &Variables, media: bool) -> anyhow::Result<()> {
        let words: &[&str] = if media { &["audit", "--media"] } else { &["audit"] };
        let answer = self.reconciler(variables, words).await?;
        ensure!(answer.status.success(), "the audit is not clean:\n{}", text(&answer));
        Ok(())
    }

    /// Callbacks that no job knows.
    pub(crate) async fn count_orphans(&self, variables: &Variables) -> anyhow::Result<u64> {
        let answer = self.reconciler(variables, &["--json", "status"]).await?;
        let report: Value = serde_json::from_slice(&answer.stdout).with_context(|| text(&answer))?;
        report.pointer("/overview/orphans").and_then(Value::as_u64).context("the status tells no orphans")
    }

    async fn told(&self, variables: &Variables, words: &[&str], pointer: &str) -> anyhow::Result<String> {
        let words: Vec<&str> = std::iter::once("--json").chain(words.iter().copied()).collect();
        let answer = self.reconciler(variables, &words).await?;
        if !answer.status.success() {
            bail!("kie-reconciler {words:?}:\n{}", text(&answer));
        }
        let body: Value = serde_json::from_slice(&answer.stdout)?;
        let told = body.pointer(pointer).and_then(Value::as_str);
        told.map(str::to_owned).with_context(|| format!("{body} has no {pointer}"))
    }

    async fn reconciler(&self, variables: &Variables, words: &[&str]) -> anyhow::Result<Output> {
        let mut command = Command::new(self.path("kie-reconciler"));
        command.args(words).env_clear().envs(variables.iter().map(|(name, value)| (name, value)));
        command.kill_on_drop(true).output().await.context("kie-reconciler cannot be run")
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
