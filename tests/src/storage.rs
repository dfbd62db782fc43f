//! The S3-compatible server as a process of its own, which can be stopped and started.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::program::{built, signal};

const BUCKET: &str = "media";
const ACCESS_KEY: &str = "story-access";
const SECRET: &str = "story-secret-of-the-bucket";

/// An S3-compatible server with one strict bucket.
pub struct S3Server {
    folder: PathBuf,
    address: SocketAddr,
    child: Option<Child>,
}

impl S3Server {
    pub(crate) async fn start(folder: &Path) -> Self {
        let mut server =
            Self { folder: folder.to_owned(), address: SocketAddr::from(([127, 0, 0, 1], 0)), child: None };
        server.resume().await;
        server
    }

    /// Ends the server; from now on nothing answers at its address.
    pub async fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.unwrap();
        }
    }

    /// Starts it again, on the same address and folder.
    pub async fn resume(&mut self) {
        self.resume_with(&[]).await;
    }

    /// As [`resume`](Self::resume), with a bucket that refuses every object above this many bytes.
    pub async fn resume_narrow(&mut self, bytes_max: u64) {
        self.resume_with(&["--max-bytes", &bytes_max.to_string()]).await;
    }

    /// As [`resume`](Self::resume), with a server that begins each answer so much later.
    pub async fn resume_slow(&mut self, by: Duration) {
        self.resume_with(&["--delay-ms", &by.as_millis().to_string()]).await;
    }

    /// As [`resume`](Self::resume), with a bucket that does not take this type.
    pub async fn resume_without(&mut self, content_type: &str) {
        self.resume_with(&["--refuse", content_type]).await;
    }

    /// The server takes connections and answers nobody, until [`thaw`](Self::thaw).
    pub async fn freeze(&self) {
        signal(self.child.as_ref().expect("it runs"), "-STOP").await;
    }

    /// It answers again, also what was asked meanwhile.
    pub async fn thaw(&self) {
        signal(self.child.as_ref().expect("it runs"), "-CONT").await;
    }

    async fn resume_with(&mut self, options: &[&str]) {
        let mut child = Command::new(built("s3-server"))
            .args(["--listen", &self.address.to_string(), "--bucket", BUCKET, "--strict"])
            .args(["--access-key", ACCESS_KEY, "--secret-key", SECRET])
            .arg("--folder")
            .arg(&self.folder)
            .args(options)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the s3-server of this package starts");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().expect("the s3-server tells its address");
        self.address = line.trim_start_matches("http://").parse().unwrap();
        self.child = Some(child);
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn media_url() -> String {
        format!("s3://{BUCKET}/shop")
    }

    /// The variables that name this server and its key.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let endpoint = format!("http://{}", self.address);
        [
            ("AWS_ENDPOINT", endpoint.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }
}
