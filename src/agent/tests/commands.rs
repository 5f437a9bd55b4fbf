//! The commands as a person gives them.

use std::path::Path;
use std::sync::Arc;

use clap::Parser;
use doorward_lock::wire::Action;
use tokio_util::sync::CancellationToken;

use super::backend::Backend;
use super::front_door::{FrontDoor, honest};
use crate::agent::command::LockCommand;
use crate::crypto::random::{OsRandom, Random as _};
use crate::domain::ids::LockId;

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: LockCommand,
}

fn read(words: &[&str]) -> LockCommand {
    Line::try_parse_from(words).unwrap().command
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_enrols_and_the_next_goes_on() {
    let backend = Arc::new(Backend::start().await);
    let code = OsRandom.claim_code();
    let door = FrontDoor::open(None, honest(Arc::clone(&backend), code.clone())).await;
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).display().to_string();
    let (state, battery) = (path("door"), path("battery"));
    std::fs::write(Path::new(&battery), "77\n").unwrap();
    let (server, code) = (door.server().address().to_string(), code.expose());
    let first = [
        "lock",
        "run",
        "--state",
        &state,
        "--server",
        &server,
        "--claim-code",
        &code,
        "--bolt-ms",
        "0",
    ];
    let next = [
        "lock",
        "run",
        "--state",
        &state,
        "--bolt-ms",
        "0",
        "--battery-file",
        &battery,
    ];
    let lock = LockId::from_bits(1);
    for (boot, words) in [(1, first.as_slice()), (2, next.as_slice())] {
        let stop = CancellationToken::new();
        let running = tokio::spawn(read(words).run(stop.clone()));
        backend.until("the time", &lock, |known| known.boot == boot).await;
        let jti = backend.ask(&lock, Action::Unlock).await;
        backend.until_told(&lock, "unlocked", &jti).await;
        stop.cancel();
        running.await.unwrap().unwrap();
    }
    assert_eq!(door.asked(), 1);
    let kinds: Vec<String> = backend.story(&lock, "auto").into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["claimed", "boot"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulation_needs_a_code_a_lock() {
    let backend = Arc::new(Backend::start().await);
    let code = OsRandom.claim_code();
    let door = FrontDoor::open(None, honest(Arc::clone(&backend), code.clone())).await;
    let place = tempfile::tempdir().unwrap();
    let claims = place.path().join("claims").display().to_string();
    std::fs::write(Path::new(&claims), format!("{}\n\n", *code.expose())).unwrap();
    let server = door.server().address().to_string();
    let words = |count| {
        [
            "lock", "simulate", "--count", count, "--server", &server, "--claims", &claims,
        ]
    };
    let error = read(&words("2")).run(CancellationToken::new()).await.unwrap_err();
    assert!(error.to_string().contains("there are 1"), "{error}");
    assert_eq!(door.asked(), 0);

    let stop = CancellationToken::new();
    let running = tokio::spawn(read(&words("1")).run(stop.clone()));
    let lock = LockId::from_bits(1);
    backend.until_told(&lock, "claimed", "auto").await;
    stop.cancel();
    running.await.unwrap().unwrap();
}
