//! The database of an old shop, made for one story.

use std::path::Path;

use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, raw_sql};

use crate::database::{Database, Db};

/// A database that somebody else's shop filled.
pub struct OldDatabase {
    db: Db,
    database: Database,
}

impl OldDatabase {
    /// A database with what the script makes; `{json}`, `{time}` and `{money}` stand for the engine's types.
    pub async fn create(db: Db, folder: &Path, script: &str) -> Self {
        let folder = folder.join("old");
        std::fs::create_dir_all(&folder).unwrap();
        let old = Self { db, database: Database::create(db, &folder).await };
        old.run(script).await;
        old
    }

    /// Runs statements of the old shop.
    pub async fn run(&self, script: &str) {
        let types = match self.db {
            Db::Sqlite => ["text", "text", "real"],
            Db::Postgres => ["jsonb", "timestamptz", "numeric(12,2)"],
        };
        let script = ["{json}", "{time}", "{money}"]
            .iter()
            .zip(types)
            .fold(script.to_owned(), |script, (word, name)| script.replace(word, name));
        match self.db {
            Db::Sqlite => {
                let options: SqliteConnectOptions = self.url().parse().unwrap();
                let mut connection = options.create_if_missing(true).connect().await.unwrap();
                raw_sql(AssertSqlSafe(script)).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
            Db::Postgres => {
                let options: PgConnectOptions = self.url().parse().unwrap();
                let mut connection = options.connect().await.unwrap();
                raw_sql(AssertSqlSafe(script)).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    }

    /// Its address.
    pub fn url(&self) -> &str {
        self.database.url()
    }
}
