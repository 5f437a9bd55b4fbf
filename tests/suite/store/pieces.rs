//! Pieces of work: what is kept, what is undone, who sees what.

use std::sync::mpsc;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use doorward::store::{Options, StoreError};
use futures_util::future::join_all;

use super::{append, count, entries, make_tables, notes, occupy_writers, until_writes_wait};
use crate::fixtures::databases::{TestDatabase, on_each_database};

on_each_database!(
    what_was_answered_is_there_after_reopening,
    many_writers_number_without_gaps,
    a_failing_piece_undoes_itself_alone,
    a_panicking_piece_undoes_itself_alone,
    a_reader_sees_one_moment,
    a_reader_cannot_write,
    broken_constraints_have_one_name,
    a_swallowed_error_is_not_taken_for_success,
    a_full_queue_is_busy,
    work_whose_caller_has_gone_never_begins,
    closing_finishes_what_waits,
);

async fn what_was_answered_is_there_after_reopening(database: TestDatabase) {
    let db = database.open();
    make_tables(&db).await;
    assert_eq!(db.write(|conn| append(conn, "first")).await.unwrap(), 1);
    db.close().await;
    let refused = db.write(|conn| append(conn, "late")).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused}");
    let db = database.open();
    assert_eq!(notes(&db).await, ["first"]);
}

async fn many_writers_number_without_gaps(database: TestDatabase) {
    let db = database.open();
    make_tables(&db).await;
    let callers = (0..64).map(|caller| {
        let db = db.clone();
        tokio::spawn(async move {
            let mut numbers = Vec::new();
            for round in 0..10 {
                numbers.push(
                    db.write(move |conn| append(conn, &format!("{caller}/{round}")))
                        .await
                        .unwrap(),
                );
            }
            numbers
        })
    });
    let mut numbers: Vec<i64> = join_all(callers).await.into_iter().flat_map(Result::unwrap).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=640).collect::<Vec<_>>());
    assert_eq!(notes(&db).await.len(), 640);
    let statistics = db.statistics();
    assert_eq!(
        (statistics.committed, statistics.undone, statistics.failed_commits),
        (641, 0, 0)
    );
    let commits: u64 = statistics.commit_sizes.iter().sum();
    assert!(!database.is_sqlite() || commits < 641, "nobody shared a commit");
}

async fn a_failing_piece_undoes_itself_alone(database: TestDatabase) {
    let db = database.open_with(&Options {
        writers: 1,
        ..Options::default()
    });
    make_tables(&db).await;
    let gates = occupy_writers(&db, 1).await;
    let batch = ["first", "first", "refuse", "last"].map(|note| {
        db.write(move |conn| {
            let seq = append(conn, note)?;
            if note == "refuse" {
                Err(StoreError::Missing)
            } else {
                Ok(seq)
            }
        })
    });
    let open_gates = async {
        until_writes_wait(&db, 4).await;
        drop(gates);
    };
    let (answers, ()) = tokio::join!(join_all(batch), open_gates);
    assert!(
        matches!(
            answers[..],
            [Ok(1), Err(StoreError::Conflict { .. }), Err(StoreError::Missing), Ok(2)]
        ),
        "{answers:?}"
    );
    assert_eq!(notes(&db).await, ["first", "last"]);
    assert_eq!(db.statistics().undone, 2);
}

async fn a_panicking_piece_undoes_itself_alone(database: TestDatabase) {
    let db = database.open_with(&Options {
        writers: 1,
        ..Options::default()
    });
    make_tables(&db).await;
    let gates = occupy_writers(&db, 1).await;
    let batch = ["first", "panic", "nested", "last"].map(|note| {
        db.write(move |conn| {
            if note == "nested" {
                #[allow(clippy::disallowed_methods, reason = "the engine must survive what the rule forbids")]
                return conn.transaction(|_| panic!("{note}"));
            }
            let seq = append(conn, note)?;
            assert_ne!(note, "panic");
            Ok::<_, StoreError>(seq)
        })
    });
    let open_gates = async {
        until_writes_wait(&db, 4).await;
        drop(gates);
    };
    let (answers, ()) = tokio::join!(join_all(batch), open_gates);
    assert!(
        matches!(
            answers[..],
            [Ok(1), Err(StoreError::Panicked), Err(StoreError::Panicked), Ok(2)]
        ),
        "{answers:?}"
    );
    assert_eq!(notes(&db).await, ["first", "last"]);
    assert_eq!(db.write(|conn| append(conn, "later")).await.unwrap(), 3);
}

async fn a_reader_sees_one_moment(database: TestDatabase) {
    let db = database.open();
    make_tables(&db).await;
    db.write(|conn| append(conn, "before")).await.unwrap();
    let (counted, first) = tokio::sync::oneshot::channel();
    let (written, wait) = mpsc::channel::<()>();
    let reader = {
        let db = db.clone();
        tokio::spawn(async move {
            db.read(move |conn| {
                counted.send(count(conn)?).unwrap();
                wait.recv_timeout(Duration::from_secs(60)).unwrap();
                count(conn)
            })
            .await
        })
    };
    assert_eq!(first.await.unwrap(), 1);
    db.write(|conn| append(conn, "after")).await.unwrap();
    written.send(()).unwrap();
    assert_eq!(reader.await.unwrap().unwrap(), 1);
    assert_eq!(db.read(count).await.unwrap(), 2);
}

async fn a_reader_cannot_write(database: TestDatabase) {
    let db = database.open();
    make_tables(&db).await;
    let refused = db.read(|conn| append(conn, "smuggled")).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused}");
    assert_eq!(notes(&db).await, Vec::<String>::new());
}

async fn broken_constraints_have_one_name(database: TestDatabase) {
    let db = database.open();
    make_tables(&db).await;
    db.write(|conn| append(conn, "taken")).await.unwrap();
    let taken = db.write(|conn| append(conn, "taken")).await.unwrap_err();
    assert_eq!(taken.to_string(), "a row of this kind exists already: entries_note_key");
    let missing = db
        .write(|conn| Ok::<_, StoreError>(conn.batch_execute("INSERT INTO replies (seq) VALUES (77)")?))
        .await
        .unwrap_err();
    assert!(matches!(missing, StoreError::Missing), "{missing}");
}

/// Postgres undoes the transaction on the error and answers its commit with success; SQLite undoes the statement alone.
/// Whatever the answer is, it is true.
async fn a_swallowed_error_is_not_taken_for_success(database: TestDatabase) {
    let db = database.open();
    make_tables(&db).await;
    let answer = db
        .write(|conn| {
            append(conn, "kept?")?;
            let _ = diesel::insert_into(entries::table)
                .values((entries::seq.eq(1), entries::note.eq("twice")))
                .execute(conn);
            Ok::<_, StoreError>(())
        })
        .await;
    assert_eq!(answer.is_ok(), database.is_sqlite());
    assert_eq!(notes(&db).await.len(), usize::from(answer.is_ok()));
    db.write(|conn| append(conn, "next")).await.unwrap();
}

async fn a_full_queue_is_busy(database: TestDatabase) {
    let db = database.open_with(&Options {
        writers: 1,
        queue: 2,
        ..Options::default()
    });
    make_tables(&db).await;
    let gates = occupy_writers(&db, 1).await;
    let waiting = ["first", "second"].map(|note| {
        let db = db.clone();
        tokio::spawn(async move { db.write(move |conn| append(conn, note)).await })
    });
    until_writes_wait(&db, 2).await;
    let refused = db.write(|conn| append(conn, "third")).await.unwrap_err();
    assert!(matches!(refused, StoreError::Busy), "{refused}");
    assert_eq!(db.read(count).await.unwrap(), 0, "reads go on");
    drop(gates);
    for answer in join_all(waiting).await {
        answer.unwrap().unwrap();
    }
}

async fn work_whose_caller_has_gone_never_begins(database: TestDatabase) {
    let db = database.open_with(&Options {
        writers: 1,
        ..Options::default()
    });
    make_tables(&db).await;
    let gates = occupy_writers(&db, 1).await;
    let gone = {
        let db = db.clone();
        tokio::spawn(async move { db.write(|conn| append(conn, "gone")).await })
    };
    until_writes_wait(&db, 1).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    drop(gates);
    assert_eq!(db.write(|conn| append(conn, "here")).await.unwrap(), 1);
}

async fn closing_finishes_what_waits(database: TestDatabase) {
    let db = database.open_with(&Options {
        writers: 1,
        ..Options::default()
    });
    make_tables(&db).await;
    let gates = occupy_writers(&db, 1).await;
    let waiting = {
        let db = db.clone();
        tokio::spawn(async move { db.write(|conn| append(conn, "waiting")).await })
    };
    until_writes_wait(&db, 1).await;
    let closing = {
        let db = db.clone();
        tokio::spawn(async move { db.close().await })
    };
    drop(gates);
    assert_eq!(waiting.await.unwrap().unwrap(), 1);
    closing.await.unwrap();
    let db = database.open();
    assert_eq!(notes(&db).await, ["waiting"]);
}
