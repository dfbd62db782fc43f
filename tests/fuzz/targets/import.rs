//! An old shop that is taken over: `{"options": {…}, TABLE: [rows…], "later": {TABLE: [rows…]}}`, where `later` is the
//! same shop as a later pass finds it. Other bytes are the database's file itself.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use importing::{Holds, ImportOptions, ImportReport, Lost, ModelMap, Tally};
use old_shops::OldShop;
use serde_json::{Map, Value};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Sqlite};

use super::shop::{Shop, folder};

/// The tables of the layouts, each with what makes it one; `users` stands beside them.
const LAYOUTS: [(&str, [&str; 4]); 3] = [
    ("generations", ["id", "user_id", "status", "task_id"]),
    ("jobs", ["id", "user_id", "status", "kie_task_id"]),
    ("generation_jobs", ["id", "user_id", "status", "model_id"]),
];
const USERS: &str = "users";
/// Rows of a table; more of them say nothing new.
const ROWS_MAX: usize = 50;
const COLUMNS_MAX: usize = 40;

pub(crate) fn run(data: &[u8]) {
    let folder = folder();
    let file = folder.path().join("old.db");
    let shop = Shop::open();
    let Ok(value) = serde_json::from_slice::<Value>(data) else {
        std::fs::write(&file, data).unwrap();
        let opened = shop.run(OldShop::open(&file.display().to_string(), None));
        return assert!(opened.is_err(), "bytes without a table are an old shop");
    };
    let options = options(&value["options"], &shop);
    let mut is_new = true;
    for tables in [Some(&value), value.get("later")].into_iter().flatten() {
        shop.run(write(&file, tables));
        if is_open(&shop, &file, tables) {
            take_over(&shop, &file, &options, is_new);
            is_new = false;
        }
    }
}

fn options(value: &Value, shop: &Shop) -> ImportOptions {
    let is = |name: &str| value[name] == true;
    let catalogue = shop.lifecycle.offers().catalogue();
    ImportOptions {
        shop: "old".to_owned(),
        dry_run: false,
        settled_only: is("settled_only"),
        deliver: is("deliver"),
        lost: if is("keep") { Lost::Keep } else { Lost::Refund },
        holds: if is("beside") { Holds::Beside } else { Holds::Inside },
        models: ModelMap::parse("nano = \"google/nano-banana\"", &catalogue).unwrap(),
        media_at: vec!["s3://old/".to_owned()],
        per_second: 5,
    }
}

/// A layout that is there, and no other, is found.
fn is_open(shop: &Shop, file: &Path, tables: &Value) -> bool {
    let is_whole = |(table, needed): &&(&str, [&str; 4])| {
        let columns = columns(&rows(tables, table));
        needed.iter().all(|name| columns.contains(*name))
    };
    let found: Vec<_> = LAYOUTS.iter().filter(is_whole).map(|(table, _)| *table).collect();
    let opened = shop.run(OldShop::open(&file.display().to_string(), None));
    let layout = opened.as_ref().ok().map(|old| old.layout().as_str());
    assert_eq!(layout, if let [one] = found[..] { Some(one) } else { None }, "{found:?}");
    layout.is_some()
}

/// Every row is taken over or refused with a reason, every kopeck is accounted for, and again changes nothing.
fn take_over(shop: &Shop, file: &Path, options: &ImportOptions, is_new: bool) {
    if is_new {
        pass(shop, file, &ImportOptions { dry_run: true, ..options.clone() });
    }
    let first = pass(shop, file, options);
    let (users, rows) = (first.users, generations(&first));
    let known = users.changed + users.same + rows.changed + rows.same;
    assert!(!is_new || known == 0, "the dry run has written something");
    let again = pass(shop, file, options);
    let (users, rows) = (again.users, generations(&again));
    assert_eq!([users.new, users.changed, rows.new, rows.changed], [0; 4], "{first:#?} and then {again:#?}");
    let entered = |report: &ImportReport| [report.money.before, report.money.after, report.money.refused];
    assert_eq!(entered(&again), entered(&first));
    let moved = [again.money.held, again.money.refunded];
    assert!(moved.iter().all(|amount| amount.is_zero()), "twice: {moved:?}");
}

fn pass(shop: &Shop, file: &Path, options: &ImportOptions) -> ImportReport {
    let report = shop.run(async {
        let mut old = OldShop::open(&file.display().to_string(), None).await.unwrap();
        let report = importing::import(&shop.lifecycle, &mut old, options, |_, _| {}).await.unwrap();
        old.close().await;
        report
    });
    let (money, rows) = (report.money, generations(&report));
    assert_eq!(money.after.plus(money.refused).ok(), Some(money.before), "{report:#?}");
    assert!(money.held <= money.after, "{report:#?}");
    for (noun, tally) in [("user", report.users), ("generation", rows)] {
        let ends = tally.new + tally.changed + tally.same + tally.left + tally.refused;
        assert_eq!(tally.seen, ends, "{report:#?}");
        let refused = report.problems.iter().filter(|problem| problem.noun == noun && !problem.taken);
        assert_eq!(refused.count() as u64, tally.refused, "{report:#?}");
    }
    let jobs: u64 = report.jobs.values().sum();
    assert_eq!(jobs, rows.new + rows.changed + rows.same, "{report:#?}");
    assert!(report.problems.iter().all(|problem| (1..4096).contains(&problem.reason.len())), "{report:#?}");
    report
}

/// Generations of all words together.
fn generations(report: &ImportReport) -> Tally {
    report.statuses.iter().map(|line| line.rows).fold(Tally::default(), |sum, rows| Tally {
        seen: sum.seen + rows.seen,
        new: sum.new + rows.new,
        changed: sum.changed + rows.changed,
        same: sum.same + rows.same,
        left: sum.left + rows.left,
        refused: sum.refused + rows.refused,
    })
}

// --- The old shop's database ------------------------------------------------------------------------------------------

async fn write(file: &Path, tables: &Value) {
    if file.exists() {
        std::fs::remove_file(file).unwrap();
    }
    let mut db = SqliteConnectOptions::new().filename(file).create_if_missing(true).connect().await.unwrap();
    for table in LAYOUTS.iter().map(|(table, _)| *table).chain([USERS]) {
        write_table(&mut db, table, &rows(tables, table)).await;
    }
    db.close().await.unwrap();
}

async fn write_table(db: &mut SqliteConnection, table: &str, rows: &[&Map<String, Value>]) {
    let columns: Vec<&str> = columns(rows).into_iter().collect();
    if columns.is_empty() {
        return;
    }
    // Columns without types keep whatever is put into them.
    let list = format!("\"{}\"", columns.join("\", \""));
    let create = format!("create table \"{table}\" ({list})");
    sqlx::query(AssertSqlSafe(create)).execute(&mut *db).await.unwrap();
    let places = vec!["?"; columns.len()].join(", ");
    let insert = format!("insert into \"{table}\" ({list}) values ({places})");
    let mut keys = HashSet::new();
    for row in rows {
        let key = if table == USERS { row.get("user_id").or_else(|| row.get("id")) } else { row.get("id") };
        // Old shops have keys, too.
        if key.is_some_and(|key| !key.is_null() && !keys.insert(key_text(key))) {
            continue;
        }
        let statement = sqlx::query(AssertSqlSafe(insert.clone()));
        let statement = columns.iter().fold(statement, |statement, name| bind(statement, row.get(*name)));
        statement.execute(&mut *db).await.unwrap();
    }
}

fn rows<'a>(tables: &'a Value, table: &str) -> Vec<&'a Map<String, Value>> {
    let rows = tables[table].as_array().into_iter().flatten();
    rows.filter_map(Value::as_object).take(ROWS_MAX).collect()
}

fn columns<'a>(rows: &[&'a Map<String, Value>]) -> BTreeSet<&'a str> {
    let is_plain = |name: &&str| {
        (1..=30).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let names = rows.iter().flat_map(|row| row.keys()).map(String::as_str).filter(is_plain);
    names.collect::<BTreeSet<_>>().into_iter().take(COLUMNS_MAX).collect()
}

/// A value as a cell: `{"bytes": […]}` is a blob, other objects and arrays are JSON.
fn bind<'q>(
    statement: Query<'q, Sqlite, SqliteArguments>,
    value: Option<&Value>,
) -> Query<'q, Sqlite, SqliteArguments> {
    match value {
        None | Some(Value::Null) => statement.bind(None::<String>),
        Some(Value::Bool(truth)) => statement.bind(*truth),
        Some(Value::Number(number)) => match number.as_i64() {
            Some(whole) => statement.bind(whole),
            None => statement.bind(number.as_f64()),
        },
        Some(Value::String(text)) => statement.bind(text.clone()),
        Some(value) => match blob(value) {
            Some(bytes) => statement.bind(bytes),
            None => statement.bind(value.to_string()),
        },
    }
}

fn blob(value: &Value) -> Option<Vec<u8>> {
    let bytes = value.get("bytes")?.as_array()?.iter();
    Some(bytes.filter_map(|byte| u8::try_from(byte.as_u64()?).ok()).collect())
}

/// A key as a reader sees it.
fn key_text(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Bool(truth) => u8::from(*truth).to_string(),
        other => blob(other)
            .map_or_else(|| other.to_string(), |bytes| String::from_utf8_lossy(&bytes).into_owned()),
    };
    text.replace('\0', "\u{fffd}").trim().to_owned()
}
