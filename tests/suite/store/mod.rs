//! The engine of the database, on tables of its own.

mod bad_days;
mod migrations;
mod pieces;
mod visibility;

use std::sync::mpsc;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use doorward::store::{Conn, Db, StoreError};

diesel::table! {
    heads (name) {
        name -> Text,
        last -> BigInt,
    }
}

diesel::table! {
    entries (seq) {
        seq -> BigInt,
        note -> Text,
    }
}

/// Makes the tables: a head that numbers entries, and the entries.
async fn make_tables(db: &Db) {
    db.write(|conn| {
        conn.batch_execute(
            "CREATE TABLE heads (name TEXT PRIMARY KEY NOT NULL, last BIGINT NOT NULL);
             CREATE TABLE entries (seq BIGINT PRIMARY KEY NOT NULL, note TEXT NOT NULL UNIQUE);
             CREATE TABLE replies (seq BIGINT NOT NULL REFERENCES entries (seq));
             INSERT INTO heads (name, last) VALUES ('log', 0);",
        )?;
        Ok::<_, StoreError>(())
    })
    .await
    .unwrap();
}

/// Adds an entry with the next number, as every noun that is numbered does.
fn append(conn: &mut Conn, note: &str) -> Result<i64, StoreError> {
    let seq = diesel::update(heads::table.find("log"))
        .set(heads::last.eq(heads::last + 1))
        .returning(heads::last)
        .get_result(conn)?;
    diesel::insert_into(entries::table)
        .values((entries::seq.eq(seq), entries::note.eq(note)))
        .execute(conn)?;
    Ok(seq)
}

/// All notes in the order of their numbers.
async fn notes(db: &Db) -> Vec<String> {
    db.read(|conn| Ok::<_, StoreError>(entries::table.order(entries::seq).select(entries::note).load(conn)?))
        .await
        .unwrap()
}

/// How many entries there are.
fn count(conn: &mut Conn) -> Result<i64, StoreError> {
    Ok(entries::table.count().get_result(conn)?)
}

/// Occupies the writers of `db` until the sender is dropped; all that is written meanwhile waits in the queue.
async fn occupy_writers(db: &Db, writers: usize) -> Vec<mpsc::Sender<()>> {
    let mut gates = Vec::new();
    for _ in 0..writers {
        let (gate, wait) = mpsc::channel::<()>();
        let (begun, begins) = tokio::sync::oneshot::channel();
        let db = db.clone();
        tokio::spawn(async move {
            db.write(move |_| {
                begun.send(()).unwrap();
                // Ends with an error when the gate is dropped, which is what opens it.
                let _ = wait.recv_timeout(Duration::from_secs(60));
                Ok::<_, StoreError>(())
            })
            .await
        });
        begins.await.unwrap();
        gates.push(gate);
    }
    gates
}

/// Waits until so many pieces wait to write.
async fn until_writes_wait(db: &Db, count: usize) {
    while db.statistics().writes_waiting != count {
        tokio::task::yield_now().await;
    }
}
