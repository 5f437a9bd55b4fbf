//! The steps of the schema.

use diesel::connection::SimpleConnection;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use doorward::store::{MIGRATIONS, StoreError};
use futures_util::future::join_all;

use crate::fixtures::databases::{TestDatabase, on_each_database};

const ONE_STEP: EmbeddedMigrations = embed_migrations!("tests/suite/store/steps/one");
const TWO_STEPS: EmbeddedMigrations = embed_migrations!("tests/suite/store/steps/two");
const BROKEN_STEP: EmbeddedMigrations = embed_migrations!("tests/suite/store/steps/broken");

on_each_database!(
    the_schema_of_this_program_is_made_once,
    steps_are_taken_in_their_order_and_once,
    a_newer_database_is_left_alone,
    a_broken_step_is_undone_whole,
    nodes_that_start_at_once_take_turns,
);

async fn the_schema_of_this_program_is_made_once(database: TestDatabase) {
    let db = database.open();
    assert!(!db.migrate(MIGRATIONS).await.unwrap().is_empty());
    assert!(db.migrate(MIGRATIONS).await.unwrap().is_empty());
}

async fn steps_are_taken_in_their_order_and_once(database: TestDatabase) {
    let db = database.open();
    assert_eq!(db.migrate(ONE_STEP).await.unwrap(), ["0001"]);
    assert_eq!(db.migrate(TWO_STEPS).await.unwrap(), ["0002"]);
    assert_eq!(db.migrate(TWO_STEPS).await.unwrap(), Vec::<String>::new());
}

async fn a_newer_database_is_left_alone(database: TestDatabase) {
    let db = database.open();
    db.migrate(TWO_STEPS).await.unwrap();
    let refused = db.migrate(ONE_STEP).await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::Newer { version } if version == "0002"),
        "{refused}"
    );
}

async fn a_broken_step_is_undone_whole(database: TestDatabase) {
    let db = database.open();
    let refused = db.migrate(BROKEN_STEP).await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::Migration { version, .. } if version == "0002"),
        "{refused}"
    );
    // The first step stands; of the second not even the half that worked is left.
    let has = |sql: &'static str| db.write(move |conn| Ok::<_, StoreError>(conn.batch_execute(sql)?));
    has("INSERT INTO doors (name) VALUES ('front')").await.unwrap();
    has("INSERT INTO halves (name) VALUES ('first')").await.unwrap_err();
    assert_eq!(db.migrate(TWO_STEPS).await.unwrap(), ["0002"]);
}

async fn nodes_that_start_at_once_take_turns(database: TestDatabase) {
    let nodes: Vec<_> = if database.is_sqlite() {
        // One process: its clones, as if somebody called twice.
        let db = database.open();
        vec![db.clone(), db]
    } else {
        (0..4).map(|_| database.open()).collect()
    };
    let taken = join_all(nodes.iter().map(|db| db.migrate(TWO_STEPS))).await;
    let mut taken: Vec<_> = taken.into_iter().flat_map(Result::unwrap).collect();
    taken.sort();
    assert_eq!(taken, ["0001", "0002"]);
}
