//! Locked, full, read-only, broken, in use: what the caller hears, and that it passes.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use doorward::store::{DatabaseUrl, Db, Options, StoreError};
use futures_util::future::join_all;

use super::{append, count, make_tables, notes, occupy_writers, until_writes_wait};
use crate::fixtures::databases::TestDatabase;

fn file_of(database: &TestDatabase) -> String {
    database.folder().join("doorward.db").to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let database = TestDatabase::sqlite();
    let db = database.open();
    let refused = Db::open(database.url(), &Options::default()).unwrap_err();
    assert!(matches!(refused, StoreError::InUse { .. }), "{refused}");
    assert!(
        refused
            .to_string()
            .ends_with("doorward.db is in use by another process"),
        "{refused}"
    );
    // A link to the folder is not a second door.
    let link = database.folder().join("link");
    std::os::unix::fs::symlink(database.folder(), &link).unwrap();
    let by_link = DatabaseUrl::sqlite(link.join("doorward.db"));
    assert!(matches!(
        Db::open(&by_link, &Options::default()).unwrap_err(),
        StoreError::InUse { .. }
    ));
    db.close().await;
    drop(database.open());
}

#[tokio::test]
async fn the_file_is_private() {
    let database = TestDatabase::sqlite();
    let db = database.open();
    make_tables(&db).await;
    let mut files = 0;
    for entry in std::fs::read_dir(database.folder()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(
            entry.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{:?}",
            entry.path()
        );
        files += 1;
    }
    assert_eq!(files, 4, "the database, its log, the log's index, the lock");
    db.close().await;
    assert!(
        !database.folder().join("doorward.db-wal").exists(),
        "the log was not written into the file"
    );
}

#[tokio::test]
async fn a_file_that_cannot_be_made_or_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for place in [
        "/proc/doorward.db".into(),
        folder.path().join("absent/doorward.db"),
        folder.path().to_owned(),
    ] {
        let refused = Db::open(&DatabaseUrl::sqlite(&place), &Options::default()).unwrap_err();
        assert!(matches!(refused, StoreError::File { .. }), "{refused}");
        assert!(refused.to_string().contains(place.to_str().unwrap()), "{refused}");
    }
    let foreign = folder.path().join("foreign.db");
    std::fs::write(&foreign, "this is a letter to the landlord, not a database".repeat(100)).unwrap();
    let refused = Db::open(&DatabaseUrl::sqlite(&foreign), &Options::default()).unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt(_)), "{refused}");
}

#[tokio::test]
async fn a_locked_database_is_busy_and_recovers_by_itself() {
    let database = TestDatabase::sqlite();
    let db = database.open_with(&Options {
        lock_wait: Duration::from_millis(20),
        ..Options::default()
    });
    make_tables(&db).await;
    db.write(|conn| append(conn, "before")).await.unwrap();
    let mut other = SqliteConnection::establish(&file_of(&database)).unwrap();
    other.batch_execute("BEGIN IMMEDIATE").unwrap();
    for answer in join_all((0..8).map(|n| db.write(move |conn| append(conn, &n.to_string())))).await {
        assert!(matches!(answer, Err(StoreError::Busy)), "{answer:?}");
    }
    assert_eq!(db.read(count).await.unwrap(), 1, "reads go on");
    other.batch_execute("ROLLBACK").unwrap();
    assert_eq!(db.write(|conn| append(conn, "after")).await.unwrap(), 2);
}

#[tokio::test]
async fn a_full_disk_is_unavailable_and_recovers_by_itself() {
    let database = TestDatabase::sqlite();
    let db = database.open();
    make_tables(&db).await;
    let limit = |pages: u32| {
        let sql = format!("PRAGMA max_page_count = {pages}");
        db.write(move |conn| Ok::<_, StoreError>(conn.batch_execute(&sql)?))
    };
    limit(1).await.unwrap(); // which SQLite takes for "no page more than there are"
    let large = "x".repeat(100_000);
    // What fits shares a commit with what does not: SQLite undoes both by itself, and nobody may hear of success.
    let gates = occupy_writers(&db, 1).await;
    let batch = ["before", &large, "after"].map(|note| {
        let note = note.to_owned();
        db.write(move |conn| append(conn, &note))
    });
    let open_gates = async {
        until_writes_wait(&db, 3).await;
        drop(gates);
    };
    let (answers, ()) = tokio::join!(join_all(batch), open_gates);
    for answer in &answers[..2] {
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    }
    assert!(
        matches!(answers[2], Ok(1)),
        "the next commit is not touched by it: {answers:?}"
    );
    assert_eq!(notes(&db).await, ["after"]);
    limit(1_000_000).await.unwrap();
    assert_eq!(db.write(move |conn| append(conn, &large)).await.unwrap(), 2);
}

#[tokio::test]
async fn broken_connections_are_replaced() {
    let database = TestDatabase::postgres();
    let db = database.open();
    make_tables(&db).await;
    let callers = join_all((0..32).map(|n| db.write(move |conn| append(conn, &n.to_string())))).await;
    assert!(callers.iter().all(Result::is_ok));
    database.break_connections();
    // Idle connections broke; nobody notices.
    let callers = join_all((32..64).map(|n| db.write(move |conn| append(conn, &n.to_string())))).await;
    assert!(callers.iter().all(Result::is_ok), "{callers:?}");
    assert_eq!(db.read(count).await.unwrap(), 64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_under_a_piece_undoes_it() {
    let database = TestDatabase::postgres();
    let db = database.open();
    make_tables(&db).await;
    let own_end = "SELECT pg_terminate_backend(pg_backend_pid())";
    let broken = db
        .write(move |conn| {
            append(conn, "lost")?;
            Ok::<_, StoreError>(conn.batch_execute(own_end)?)
        })
        .await
        .unwrap_err();
    assert!(matches!(broken, StoreError::Unavailable(_)), "{broken}");
    assert_eq!(db.write(|conn| append(conn, "next")).await.unwrap(), 1);
}

#[tokio::test]
async fn a_locked_row_is_busy() {
    let database = TestDatabase::postgres();
    let db = database.open_with(&Options {
        lock_wait: Duration::from_millis(20),
        ..Options::default()
    });
    make_tables(&db).await;
    let mut other = database.connect();
    other.batch_execute("BEGIN; UPDATE heads SET last = 7").unwrap();
    let refused = db.write(|conn| append(conn, "refused")).await.unwrap_err();
    assert!(matches!(refused, StoreError::Busy), "{refused}");
    other.batch_execute("ROLLBACK").unwrap();
    assert_eq!(db.write(|conn| append(conn, "after")).await.unwrap(), 1);
}

#[test]
fn a_server_that_is_away_is_unavailable_and_no_secret_is_told() {
    let url: DatabaseUrl = "postgres://ana:hunter2@127.0.0.1:1/doorward".parse().unwrap();
    let refused = Db::open(&url, &Options::default()).unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused}");
    assert!(!format!("{refused:?}").contains("hunter2"));
}
