//! What must be true after every bad day (`docs/TRUST.md`, "Invariants").

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::installation::TOKEN_SECONDS;
use crate::fixtures::databases::TestDatabase;
use crate::fixtures::outsider::Outsider;
use crate::fixtures::wait::until;
use crate::world::claims_of;

/// An attempt, as it stands in the database.
struct Attempt {
    id: String,
    lock: String,
    status: String,
    counter: u64,
    deadline_ms: i64,
}

/// Waits until nothing is pending any more: whatever was, has been confirmed or its deadline has passed.
pub async fn until_nothing_pends(database: &TestDatabase) {
    let mut outsider = Outsider::at(database);
    until("the end of everything pending", async || {
        outsider.count("attempts WHERE status = 'pending'") == 0
    })
    .await;
}

/// Checks I1 to I4 and I6, that the log and the chains are whole, and the database itself. `said` are all events that
/// the locks have made, by now acknowledged.
pub fn check_invariants(database: &TestDatabase, said: &[String]) {
    let mut outsider = Outsider::at(database);
    outsider.check_integrity();

    let columns = [
        "id",
        "lock_id",
        "status",
        "jti",
        "counter",
        "deadline_at_ms",
        "requested_at_ms",
    ];
    let mut attempts = HashMap::new();
    let mut counters = HashSet::new();
    for row in outsider.rows(&columns, "attempts WHERE jti IS NOT NULL") {
        let number = |at: usize| row[at].parse::<i64>().unwrap();
        let attempt = Attempt {
            id: row[0].clone(),
            lock: row[1].clone(),
            status: row[2].clone(),
            counter: row[4].parse().unwrap(),
            deadline_ms: number(5),
        };
        let life_ms = attempt.deadline_ms - number(6);
        assert!(
            (0..=1000 * TOKEN_SECONDS as i64).contains(&life_ms),
            "a life of {life_ms} ms"
        );
        assert_ne!(attempt.status, "pending", "{} still waits", attempt.id);
        assert!(
            counters.insert((attempt.lock.clone(), attempt.counter)),
            "two tokens with one counter"
        );
        attempts.insert(row[3].clone(), attempt);
    }

    // The log: numbered without gaps, its head right, every attempt in it.
    let mut logged = HashSet::new();
    let mut ends: HashMap<String, i64> = HashMap::new();
    for row in outsider.rows(&["organization_id", "seq", "kind", "attempt_id"], "access_log") {
        let end = ends.entry(row[0].clone()).or_insert(0);
        *end += 1;
        assert_eq!(row[1], end.to_string(), "a gap in the log");
        if row[2] == "unlock-requested" || row[2] == "lock-requested" {
            assert!(logged.insert(row[3].clone()), "one request in the log twice");
        }
    }
    for head in outsider.rows(&["organization_id", "last_seq"], "access_log_heads") {
        let end = ends.get(&head[0]).copied().unwrap_or(0);
        assert_eq!(head[1], end.to_string(), "the head of the log");
    }

    // The chains: every event that was made is there as it was made, and once.
    let mut moved: HashMap<String, &str> = HashMap::new();
    let stored = outsider.rows(&["lock_id", "chain", "seq", "kind", "token"], "lock_events");
    let tokens: HashSet<&String> = stored.iter().map(|row| &row[4]).collect();
    assert_eq!(tokens.len(), stored.len(), "I4: an event stored twice");
    for event in said {
        assert!(tokens.contains(event), "I4: lost: {}", claims_of(event));
    }
    for row in &stored {
        let claims = claims_of(&row[4]);
        let Value::String(jti) = &claims["cause"]["jti"] else {
            continue;
        };
        // A lock names whatever token it refuses, another's and a forged one too.
        if row[3] == "denied" && attempts.get(jti).is_none_or(|attempt| attempt.lock != row[0]) {
            continue;
        }
        let attempt = attempts
            .get(jti)
            .unwrap_or_else(|| panic!("I1: no attempt for {claims}"));
        assert_eq!(attempt.lock, row[0], "I1: another lock's attempt");
        assert!(logged.contains(&attempt.id), "I1: {} is not in the log", attempt.id);
        if row[3] == "unlocked" || row[3] == "locked" {
            assert!(
                moved.insert(jti.clone(), &row[3]).is_none(),
                "I3: two movements by {jti}"
            );
        }
    }
    for (jti, attempt) in &attempts {
        let has_moved = moved.contains_key(jti);
        assert_eq!(
            attempt.status == "confirmed",
            has_moved,
            "I6: {} is {}",
            attempt.id,
            attempt.status
        );
    }
    for row in outsider.rows(&["id", "chain", "chain_seq"], "locks WHERE chain IS NOT NULL") {
        let of_chain = stored.iter().filter(|event| event[0] == row[0] && event[1] == row[1]);
        let end: i64 = row[2].parse().unwrap();
        assert_eq!(of_chain.count() as i64, end + 1, "I4: a gap that nobody sees");
    }
}

/// The deadline of the token with this name, in milliseconds since 1970.
pub fn deadline_of(database: &TestDatabase, jti: &str) -> i64 {
    let table = format!("attempts WHERE jti = '{jti}'");
    let rows = Outsider::at(database).rows(&["deadline_at_ms"], &table);
    rows[0][0].parse().unwrap()
}
