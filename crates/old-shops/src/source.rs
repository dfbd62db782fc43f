//! The database of an old shop: opened for reading only, one snapshot for all of it.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};

use crate::layout::Column;
use crate::row::{BadRow, Cells, OldGeneration, OldUser, read_generation, read_key, read_user};
use crate::{Layout, OldShopError};

/// A row that was read, or the reason why it cannot be taken over.
pub type Read<T> = Result<T, BadRow>;

/// Columns by table.
type Tables = BTreeMap<String, BTreeSet<String>>;

/// An old shop, open for reading.
pub struct OldShop {
    database: Database,
    layout: Layout,
    tables: Tables,
}

enum Database {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl OldShop {
    /// Opens `sqlite://file`, a SQLite file, or `postgres://…`; finds the layout by the columns unless it is given. All
    /// reading is of one snapshot.
    pub async fn open(address: &str, layout: Option<Layout>) -> Result<Self, OldShopError> {
        let mut database = Database::open(address).await?;
        let tables = database.tables().await?;
        let layout = choose(&tables, layout)?;
        Ok(Self { database, layout, tables })
    }

    /// Its layout.
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// How many generations there are, readable or not.
    pub async fn count(&mut self) -> Result<u64, OldShopError> {
        let sql = format!("select count(*) from \"{}\"", self.layout.as_str());
        let failed = OldShopError::database("counted");
        let count: i64 = match &mut self.database {
            Database::Sqlite(db) => sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(db).await,
            Database::Postgres(db) => sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(db).await,
        }
        .map_err(failed)?;
        Ok(count.unsigned_abs())
    }

    /// The keys of the rows of [`Self::users`], as often as they are there.
    pub fn user_keys(&mut self) -> BoxStream<'_, Result<Read<String>, OldShopError>> {
        // The very same query: what is one key is a matter of columns, joins and collations.
        let sql = self.users_sql();
        self.database.rows(sql).map_ok(|cells| read_key(&cells)).boxed()
    }

    /// The keys of the rows of [`Self::generations`], as often as they are there, readable or not otherwise.
    pub fn generation_keys(&mut self) -> BoxStream<'_, Result<Read<String>, OldShopError>> {
        let sql = format!("select cast(\"id\" as text) from \"{}\"", self.layout.as_str());
        self.database.rows(sql).map_ok(|cells| read_key(&cells)).boxed()
    }

    /// Every user, by key: those of `users`, and those whom only a generation names.
    pub fn users(&mut self) -> BoxStream<'_, Result<Read<OldUser>, OldShopError>> {
        let sql = self.users_sql();
        self.database.rows(sql).map_ok(|cells| read_user(&cells)).boxed()
    }

    /// Every generation, in the order of their ids.
    pub fn generations(&mut self) -> BoxStream<'_, Result<Read<OldGeneration>, OldShopError>> {
        let (sql, layout) = (self.generations_sql(), self.layout);
        self.database.rows(sql).map_ok(move |cells| read_generation(layout, &cells)).boxed()
    }

    /// Ends the reading.
    pub async fn close(self) {
        // Nothing was written; a connection that is gone already is as good as closed.
        let _gone = match self.database {
            Database::Sqlite(db) => db.close().await,
            Database::Postgres(db) => db.close().await,
        };
    }

    fn has(&self, table: &str, column: &str) -> bool {
        self.tables.get(table).is_some_and(|columns| columns.contains(column))
    }

    fn text(&self, table: &str, alias: &str, column: &str) -> String {
        if self.has(table, column) { format!("cast({alias}\"{column}\" as text)") } else { "null".to_owned() }
    }

    fn generations_sql(&self) -> String {
        let table = self.layout.as_str();
        // JSON is not looked into there: PostgreSQL keeps some that it cannot convert.
        let expression = |column: &Column| {
            let name = column.names().iter().find(|name| self.has(table, name));
            name.map_or_else(|| "null".to_owned(), |name| format!("cast(\"{name}\" as text)"))
        };
        let columns: Vec<String> = Column::ALL.iter().map(expression).collect();
        format!("select {} from \"{table}\" order by \"id\"", columns.join(", "))
    }

    fn users_sql(&self) -> String {
        let table = self.layout.as_str();
        let chat = if self.has(table, "chat_id") { "chat_id" } else { "null" };
        let of_rows = format!(
            "select cast(user_id as text) as k, cast(min({chat}) as text) as low, cast(max({chat}) as text) as high \
             from \"{table}\" where user_id is not null group by cast(user_id as text)"
        );
        let Some(key) = ["user_id", "id"].into_iter().find(|name| self.has("users", name)) else {
            return format!("select k, null, null, low, high from ({of_rows}) c order by k");
        };
        let (balance, hold) = (self.text("users", "u.", "balance_rub"), self.text("users", "u.", "hold_rub"));
        format!(
            "select a.k, {balance}, {hold}, c.low, c.high from ( \
               select cast(\"{key}\" as text) as k from users union \
               select cast(user_id as text) from \"{table}\" where user_id is not null) a \
             left join users u on cast(u.\"{key}\" as text) = a.k left join ({of_rows}) c on c.k = a.k \
             order by 1"
        )
    }
}

fn choose(tables: &Tables, asked: Option<Layout>) -> Result<Layout, OldShopError> {
    let missing = |layout: Layout| layout.missing(tables.get(layout.as_str()));
    if let Some(layout) = asked {
        let (name, lacks) = (layout.as_str(), missing(layout));
        return match lacks {
            None => Ok(layout),
            Some(missing) => Err(OldShopError::Missing { layout: name, table: name, missing }),
        };
    }
    let found: Vec<Layout> = Layout::ALL.into_iter().filter(|layout| missing(*layout).is_none()).collect();
    match found.as_slice() {
        [] => Err(OldShopError::NoLayout),
        [layout] => Ok(*layout),
        several => {
            Err(OldShopError::Several(several.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(", ")))
        }
    }
}

impl Database {
    async fn open(address: &str) -> Result<Self, OldShopError> {
        let opened = OldShopError::database("opened");
        if address.starts_with("postgres://") || address.starts_with("postgresql://") {
            let options: PgConnectOptions =
                address.parse().map_err(|error| OldShopError::Address(Some(error)))?;
            let mut db = options.connect().await.map_err(&opened)?;
            // Rows are written while they are read, so the reading takes as long as the import.
            for statement in [
                "begin isolation level repeatable read read only",
                "set local time zone 'UTC'",
                "set local statement_timeout = 0",
                "set local idle_in_transaction_session_timeout = 0",
            ] {
                sqlx::query(statement).execute(&mut db).await.map_err(&opened)?;
            }
            return Ok(Self::Postgres(db));
        }
        if address.contains("://") && !address.starts_with("sqlite://") {
            return Err(OldShopError::Address(None));
        }
        let options: SqliteConnectOptions = if address.starts_with("sqlite:") {
            address.parse().map_err(|error| OldShopError::Address(Some(error)))?
        } else {
            SqliteConnectOptions::new().filename(address)
        };
        let mut db = options.read_only(true).create_if_missing(false).connect().await.map_err(&opened)?;
        sqlx::query("begin").execute(&mut db).await.map_err(&opened)?;
        Ok(Self::Sqlite(db))
    }

    async fn tables(&mut self) -> Result<Tables, OldShopError> {
        let failed = OldShopError::database("looked through");
        let rows: Vec<(String, String)> = match self {
            Self::Sqlite(db) => {
                sqlx::query_as(
                    "select m.name, p.name from sqlite_master m join pragma_table_info(m.name) p
                     where m.type in ('table', 'view')
                       and m.name in ('users', 'generations', 'jobs', 'generation_jobs')",
                )
                .fetch_all(db)
                .await
            }
            Self::Postgres(db) => sqlx::query_as(
                "select cast(table_name as text), cast(column_name as text) from information_schema.columns
                     where cast(table_schema as text) = any(cast(current_schemas(false) as text[]))
                       and table_name in ('users', 'generations', 'jobs', 'generation_jobs')",
            )
            .fetch_all(db)
            .await,
        }
        .map_err(failed)?;
        let mut tables = Tables::new();
        for (table, column) in rows {
            tables.entry(table).or_default().insert(column);
        }
        Ok(tables)
    }

    /// The rows of a query whose columns are all text.
    fn rows(&mut self, sql: String) -> BoxStream<'_, Result<Cells, OldShopError>> {
        let failed = OldShopError::database("read");
        let sql = AssertSqlSafe(sql);
        match self {
            Self::Sqlite(db) => {
                sqlx::query(sql).fetch(db).map(move |row| cells_of_sqlite(&row?)).map_err(failed).boxed()
            }
            Self::Postgres(db) => {
                sqlx::query(sql).fetch(db).map(move |row| cells_of_postgres(&row?)).map_err(failed).boxed()
            }
        }
    }
}

// A text that is not UTF-8 must not end the reading, so cells are taken as bytes, unchecked.

fn cells_of_sqlite(row: &SqliteRow) -> Result<Cells, sqlx::Error> {
    (0..row.len()).map(|place| row.try_get_unchecked::<Option<Vec<u8>>, _>(place)).collect()
}

fn cells_of_postgres(row: &PgRow) -> Result<Cells, sqlx::Error> {
    (0..row.len()).map(|place| row.try_get_unchecked::<Option<Vec<u8>>, _>(place)).collect()
}
