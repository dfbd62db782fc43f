//! What the demo keeps between starts, so that it survives `kill -9`.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use rand::Rng;
use serde::{Deserialize, Serialize};

const FILE: &str = "demo.json";

/// Secrets and ports; the file is readable by its owner alone.
#[derive(Serialize, Deserialize)]
pub(super) struct DemoState {
    pub(super) sim_port: u16,
    /// Where the demo's webhooks go.
    #[serde(default)]
    pub(super) hook_port: u16,
    pub(super) sim_key: String,
    pub(super) hmac_key: String,
    pub(super) secret_key: String,
    pub(super) token: Option<String>,
}

impl DemoState {
    pub(super) fn load_or_make(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(FILE);
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("{} is broken; delete the folder to start anew", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self {
                sim_port: 0,
                hook_port: 0,
                sim_key: secret(),
                hmac_key: secret(),
                secret_key: secret(),
                token: None,
            }),
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
        }
    }

    /// Written beside and renamed, so that a kill leaves the old file or the new one.
    pub(super) fn save(&self, folder: &Path) -> anyhow::Result<()> {
        let new = folder.join("demo.json.new");
        let mut file =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        std::fs::rename(&new, folder.join(FILE))?;
        Ok(())
    }
}

fn secret() -> String {
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    hex::encode(bytes)
}
