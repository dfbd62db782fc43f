//! `kie-web serve` as a process, and what the kernel knows of it.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::programs::{Programs, Variables};

/// The key that signs the simulated provider's callbacks.
pub(crate) const HMAC_KEY: &str = "bench-hmac-key-5ad0";
const SECRET_KEY: &str = "b1946ac92492d2347c6235b4d2611184c0ffee";
const READY_WITHIN: Duration = Duration::from_secs(30);
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// Where a shop keeps things and whom it buys from.
pub(crate) struct Place<'a> {
    pub(crate) database: &'a str,
    pub(crate) media: &'a str,
    /// The provider; a closed port where nothing is bought.
    pub(crate) provider: SocketAddr,
    pub(crate) provider_key: &'a str,
    /// Where webhooks may go.
    pub(crate) receiver: SocketAddr,
    pub(crate) more: &'a [(&'a str, &'a str)],
}

/// A running shop.
pub(crate) struct Shop {
    pub(crate) address: SocketAddr,
    pub(crate) variables: Variables,
    pub(crate) ready_after: Duration,
    child: Child,
    http: reqwest::Client,
}

impl Shop {
    /// Starts it and waits until it is ready. `folder` gets its log.
    pub(crate) async fn start(programs: &Programs, folder: &Path, place: &Place<'_>) -> anyhow::Result<Self> {
        let address = free_address()?;
        let variables = variables(place, address);
        let log = folder.join("kie-web.log");
        let begun = Instant::now();
        let child = Command::new(programs.path("kie-web"))
            .arg("serve")
            .env_clear()
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::options().create(true).append(true).open(&log)?)
            .kill_on_drop(true)
            .spawn()
            .context("kie-web cannot be started")?;
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build()?;
        let mut shop = Self { address, variables, ready_after: Duration::ZERO, child, http };
        while !shop.is_ready().await {
            let ended = shop.child.try_wait()?;
            if ended.is_some() || begun.elapsed() > READY_WITHIN {
                bail!("kie-web is not ready ({ended:?}):\n{}", std::fs::read_to_string(&log)?);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        shop.ready_after = begun.elapsed();
        Ok(shop)
    }

    /// Places an order that must be taken; its id.
    pub(crate) async fn order(&self, token: &str, key: &str, body: &Value) -> anyhow::Result<String> {
        let request = self.http.post(self.url("/v1/jobs")).bearer_auth(token).header("idempotency-key", key);
        let answer = request.json(body).send().await?;
        let (status, body): (_, Value) = (answer.status(), answer.json().await?);
        ensure!(status.as_u16() == 201, "the order was answered {status}: {body}");
        Ok(body["id"].as_str().context("a job has an id")?.to_owned())
    }

    /// The job as its owner sees it.
    pub(crate) async fn job(&self, token: &str, id: &str) -> anyhow::Result<Value> {
        let request = self.http.get(self.url(&format!("/v1/jobs/{id}"))).bearer_auth(token);
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    /// What the kernel keeps under this name in the process's status, such as `VmHWM`, in KiB.
    pub(crate) fn memory_kib(&self, name: &str) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(self.proc("status")?)?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|number| number.parse().ok()).with_context(|| format!("no {name} in {status}"))
    }

    /// Processor time so far, user and system, in clock ticks of 10 ms.
    pub(crate) fn cpu_ticks(&self) -> anyhow::Result<u64> {
        let stat = std::fs::read_to_string(self.proc("stat")?)?;
        // The name in brackets may hold anything; the state is the first field behind it.
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split_whitespace().collect();
        let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<u64>().ok());
        Ok(ticks(11).context("no utime")? + ticks(12).context("no stime")?)
    }

    /// Asks it to stop and waits until it has.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let id = self.child.id().context("kie-web has ended by itself")?.to_string();
        Command::new("kill").args(["-TERM", &id]).status().await?;
        let status =
            tokio::time::timeout(STOP_WITHIN, self.child.wait()).await.context("kie-web does not stop")??;
        ensure!(status.success(), "kie-web ended with {status}");
        Ok(())
    }

    async fn is_ready(&self) -> bool {
        let answer = self.http.get(self.url("/readyz")).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn proc(&self, file: &str) -> anyhow::Result<String> {
        Ok(format!("/proc/{}/{file}", self.child.id().context("kie-web has ended by itself")?))
    }
}

/// An order whose result goes to the receiver, as a body. Marks in the prompt steer the simulator.
pub(crate) fn order_body(model: &str, mut input: Value, prompt: &str, receiver: SocketAddr) -> Value {
    input["prompt"] = Value::from(prompt);
    let url = format!("http://{receiver}/hook");
    json!({ "model": model, "input": input, "deliver": [{ "channel": "webhook", "url": url }] })
}

/// A port of this machine that nothing listens on.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn variables(place: &Place<'_>, address: SocketAddr) -> Variables {
    let provider = format!("http://{}", place.provider);
    let mut all: Variables = [
        ("DATABASE_URL", place.database.to_owned()),
        ("MEDIA_URL", place.media.to_owned()),
        ("LISTEN_ADDR", address.to_string()),
        ("PUBLIC_URL", format!("http://{address}")),
        ("KIE_API_KEY", place.provider_key.to_owned()),
        ("KIE_BASE_URL", provider.clone()),
        ("KIE_UPLOAD_URL", provider),
        ("KIE_WEBHOOK_HMAC_KEY", HMAC_KEY.to_owned()),
        ("SECRET_KEY", SECRET_KEY.to_owned()),
        ("FETCH_ALLOW", place.provider.to_string()),
        ("WEBHOOK_ALLOW", place.receiver.to_string()),
        ("RUST_LOG", "warn".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec();
    all.extend(place.more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    all
}
