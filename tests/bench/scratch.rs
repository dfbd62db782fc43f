//! A database of a bench's own on the PostgreSQL server.

use anyhow::Context;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};
use url::Url;

/// Made empty; what had its name is gone.
#[derive(Debug, Clone)]
pub(crate) struct Scratch {
    /// The database that always exists.
    server: Url,
    name: String,
}

impl Scratch {
    pub(crate) async fn create(server: &str, name: &str) -> anyhow::Result<Self> {
        Self::make(server, name, "").await
    }

    /// A copy of another one, written out to disk.
    pub(crate) async fn copy_of(other: &Self, name: &str) -> anyhow::Result<Self> {
        let copy = Self::make(other.server.as_str(), name, &format!(" template {}", other.name)).await?;
        copy.on_server("checkpoint").await?;
        Ok(copy)
    }

    pub(crate) fn url(&self) -> String {
        let mut url = self.server.clone();
        url.set_path(&self.name);
        url.into()
    }

    pub(crate) async fn connect(&self) -> anyhow::Result<PgConnection> {
        Ok(PgConnection::connect(&self.url()).await?)
    }

    pub(crate) async fn drop_database(self) -> anyhow::Result<()> {
        self.on_server(&format!("drop database {} with (force)", self.name)).await
    }

    async fn make(server: &str, name: &str, how: &str) -> anyhow::Result<Self> {
        let server = Url::parse(server).context("the database address is no PostgreSQL URL")?;
        let scratch = Self { server, name: name.to_owned() };
        scratch.on_server(&format!("drop database if exists {name} with (force)")).await?;
        scratch.on_server(&format!("create database {name}{how}")).await?;
        Ok(scratch)
    }

    async fn on_server(&self, statement: &str) -> anyhow::Result<()> {
        let mut connection = PgConnection::connect(self.server.as_str())
            .await
            .context("the PostgreSQL server does not answer")?;
        connection.execute(AssertSqlSafe(statement.to_owned())).await?;
        connection.close().await?;
        Ok(())
    }
}
