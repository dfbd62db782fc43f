//! Reading old shops' databases: what is no old shop is refused, and odd rows do not end the reading.

use acceptance::{Db, OldDatabase};
use futures_util::StreamExt;
use old_shops::OldShop;

use crate::old_shop::JOBS;

#[tokio::test]
async fn a_source_that_is_no_old_shop_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |address: String, layout| async move {
        match OldShop::open(&address, layout).await {
            Ok(_) => panic!("{address} was opened"),
            Err(error) => error.to_string(),
        }
    };
    let file = folder.path().join("nothing.db").display().to_string();
    assert!(refused(file, None).await.contains("cannot be opened"));
    assert!(refused("mysql://localhost/x".to_owned(), None).await.contains("postgres://"));
    let empty = OldDatabase::create(Db::Sqlite, folder.path(), "create table users (id integer);").await;
    assert!(refused(empty.url().to_owned(), None).await.contains("no known layout"));
    empty.run(JOBS.split_once(';').unwrap().1).await;
    let wrong = refused(empty.url().to_owned(), Some(old_shops::Layout::Generations)).await;
    assert!(wrong.contains("lacks everything"), "{wrong}");
    empty.run("create table generations (id integer, user_id text, status text, task_id text);").await;
    assert!(refused(empty.url().to_owned(), None).await.contains("choose one with --layout"));
}

#[tokio::test]
async fn rows_are_read_whatever_types_they_have_and_broken_ones_do_not_end_the_reading() {
    let folder = tempfile::tempdir().unwrap();
    let of_postgres = "create table generations (id uuid primary key, user_id uuid, status varchar(20), task_id text, \
        result_urls text[], options json, created_at timestamp);
        insert into generations values
          ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000aa', 'success', 't1',
           array['https://a/1.png', 'https://a/2.png'], '{\"n\":1}', '2025-03-01 12:00:00.5'),
          ('00000000-0000-0000-0000-000000000002', '00000000-0000-0000-0000-0000000000aa', 'odd', 't2', null, null, null);";
    let of_sqlite =
        "create table generations (id text primary key, user_id blob, status text, task_id text, \
        result_urls text, options text, created_at integer);
        insert into generations values
          ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000aa', 'success', 't1',
           '[\"https://a/1.png\",\"https://a/2.png\"]', '{\"n\":1}', 1740830400500),
          ('00000000-0000-0000-0000-000000000002', 5, cast(x'fffe' as text), 't2', null, null, null);";
    for (db, script, reason) in
        [(Db::Postgres, of_postgres, "unknown status `odd`"), (Db::Sqlite, of_sqlite, "status is no text")]
    {
        let old = OldDatabase::create(db, &folder.path().join(format!("{db:?}")), script).await;
        let mut shop = OldShop::open(old.url(), None).await.unwrap();
        assert_eq!(shop.count().await.unwrap(), 2);
        let rows: Vec<_> = shop.generations().map(Result::unwrap).collect().await;
        let good = rows[0].as_ref().unwrap();
        assert_eq!(good.results, ["https://a/1.png", "https://a/2.png"], "{db:?}");
        assert_eq!(
            (good.user.as_str(), good.options["n"].as_i64()),
            ("00000000-0000-0000-0000-0000000000aa", Some(1))
        );
        assert_eq!(good.created_at.unwrap().as_millisecond(), 1_740_830_400_500);
        let bad = rows[1].as_ref().unwrap_err();
        assert!(bad.key.ends_with("02") && bad.reason.contains(reason), "{bad:?}");
        let users: Vec<_> = shop.users().map(|user| user.unwrap().unwrap().key).collect().await;
        assert!(users.contains(&"00000000-0000-0000-0000-0000000000aa".to_owned()), "{users:?}");
        shop.close().await;
    }
}
