//! A PostgreSQL server of the run's own, which can be killed and restarted.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Executor};
use tokio::sync::{Mutex, MutexGuard};

use super::ports::free_address;

/// The name of the shop's database.
const DATABASE: &str = "shop";
const START_WITHIN: Duration = Duration::from_mins(1);

/// The server. It is stopped, and its files are deleted, with its owner.
pub(crate) struct Cluster {
    programs: PathBuf,
    folder: PathBuf,
    /// Who runs it: PostgreSQL refuses to run as root.
    owner: Option<&'static str>,
    address: SocketAddr,
    turn: Mutex<()>,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        // A socket's path holds at most 107 bytes, so the folder is not where TMPDIR may say.
        let folder = tempfile::Builder::new().prefix("kie-chaos-pg-").tempdir_in("/tmp").unwrap().keep();
        let owner = is_root().then_some("postgres");
        let cluster =
            Self { programs: programs(), folder, owner, address: free_address(), turn: Mutex::default() };
        if let Some(owner) = owner {
            let given = Command::new("chown").arg(owner).arg(&cluster.folder).status().unwrap();
            assert!(given.success(), "the folder of the server cannot be given to {owner}");
        }
        let data = cluster.data();
        let words =
            ["--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8"];
        let made = cluster.run("initdb", &[&["--no-sync", "--pgdata", &data], &words[..]].concat());
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        cluster.resume().await;
        let mut connection = cluster.connect_to("postgres").await.expect("the new server answers");
        connection.execute(sqlx::AssertSqlSafe(format!("create database {DATABASE}"))).await.unwrap();
        connection.close().await.unwrap();
        cluster
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The shop's database at this address, which may be that of a line.
    pub(crate) fn url(address: SocketAddr) -> String {
        format!("postgres://postgres@{address}/{DATABASE}?sslmode=disable")
    }

    /// A connection of our own, past the line.
    pub(crate) async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        self.connect_to(DATABASE).await
    }

    async fn connect_to(&self, database: &str) -> Result<PgConnection, sqlx::Error> {
        let options: PgConnectOptions = Self::url(self.address).parse()?;
        PgConnection::connect_with(&options.database(database)).await
    }

    /// Whoever kills or restarts it does so alone.
    pub(crate) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// `kill -9` of the server; its processes see that it is gone and end.
    pub(crate) fn kill(&self) {
        if let Some(id) = self.server_id() {
            kill_9(&id);
        }
    }

    /// `kill -9` of one process that serves a connection.
    pub(crate) async fn kill_backend(&self) -> bool {
        let Ok(mut connection) = self.connect().await else { return false };
        let one = "select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()
            order by backend_start limit 1";
        let Ok(Some(id)) = sqlx::query_scalar::<_, i32>(one).fetch_optional(&mut connection).await else {
            return false;
        };
        kill_9(&id.to_string());
        true
    }

    /// Throws everybody out.
    pub(crate) async fn cut_sessions(&self) {
        let Ok(mut connection) = self.connect().await else { return };
        let all = "select pg_terminate_backend(pid) from pg_stat_activity
            where backend_type = 'client backend' and pid <> pg_backend_pid()";
        drop(connection.execute(all).await);
    }

    /// Restarts it in order, or as after a crash.
    pub(crate) async fn restart(&self, immediate: bool) {
        let mode = if immediate { "immediate" } else { "fast" };
        self.run("pg_ctl", &["--pgdata", &self.data(), "--mode", mode, "--silent", "--wait", "stop"]);
        self.resume().await;
    }

    /// Starts it, or sees that it runs. What a killed server left behind ends first.
    pub(crate) async fn resume(&self) {
        let begun = std::time::Instant::now();
        loop {
            let started = self.launch();
            if self.connect_to("postgres").await.is_ok() {
                return;
            }
            assert!(
                begun.elapsed() < START_WITHIN,
                "the database server does not start: {}{}\n{}",
                String::from_utf8_lossy(&started.stdout),
                String::from_utf8_lossy(&started.stderr),
                std::fs::read_to_string(self.log()).unwrap_or_default()
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn launch(&self) -> Output {
        // What was committed must outlive the server, not the machine.
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories='{}' -c max_connections=100 \
             -c fsync=off -c full_page_writes=off -c synchronous_commit=on -c restart_after_crash=on",
            self.address.port(),
            self.folder.display()
        );
        let (data, log) = (self.data(), self.log());
        self.run(
            "pg_ctl",
            &["--pgdata", &data, "--log", &log, "--silent", "--wait", "--options", &options, "start"],
        )
    }

    fn server_id(&self) -> Option<String> {
        let text = std::fs::read_to_string(Path::new(&self.data()).join("postmaster.pid")).ok()?;
        text.lines().next().map(str::to_owned)
    }

    fn data(&self) -> String {
        self.folder.join("data").display().to_string()
    }

    fn log(&self) -> String {
        self.folder.join("server.log").display().to_string()
    }

    fn run(&self, program: &str, words: &[&str]) -> Output {
        let path = self.programs.join(program);
        let mut command = match self.owner {
            None => Command::new(path),
            Some(owner) => {
                let mut command = Command::new("runuser");
                command.args(["--user", owner, "--"]).arg(path);
                command
            }
        };
        // The server inherits its starter's outputs and would keep a pipe of ours open for ever.
        if words.last() == Some(&"start") {
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        }
        command.args(words).current_dir("/").output().expect("the programs of PostgreSQL run")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.run("pg_ctl", &["--pgdata", &self.data(), "--mode", "immediate", "--silent", "stop"]);
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// The newest PostgreSQL of this machine, as `tests/scripts/with-postgres.sh` finds it.
fn programs() -> PathBuf {
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = installed.map(|entry| entry.path()).filter(|path| path.join("bin/initdb").is_file());
    if let Some(newest) = newest.max_by_key(|path| version(path)) {
        return newest.join("bin");
    }
    let found = Command::new("sh").args(["-c", "command -v initdb"]).output().unwrap();
    let path = PathBuf::from(String::from_utf8_lossy(&found.stdout).trim());
    let real = std::fs::canonicalize(path)
        .expect("PostgreSQL is here; tests/scripts/ensure-tools.sh postgres brings it");
    real.parent().map(Path::to_owned).unwrap_or_default()
}

fn is_root() -> bool {
    let told = Command::new("id").arg("-u").output().unwrap();
    String::from_utf8_lossy(&told.stdout).trim() == "0"
}

fn kill_9(id: &str) {
    // It may have ended by itself a moment ago.
    drop(Command::new("kill").args(["-KILL", id]).output());
}
