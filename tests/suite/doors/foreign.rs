//! Somebody else's programs with a lock's credentials: `mosquitto_pub` and `mosquitto_sub` can do at the broker what
//! that lock may, and nothing else.

use std::path::Path;
use std::process::Stdio;

use doorward_lock::wire::{Cause, Kind, RESULT_OK};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::{alarms, ask, entries, until_status};
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait::soon;
use crate::world::{HandLock, claims_of, house};

on_each_database!(a_foreign_client_can_do_what_its_lock_may_and_nothing_else);

/// The two programs, with one lock's credentials.
struct Foreign<'a> {
    lock: &'a HandLock,
    folder: TempDir,
}

impl<'a> Foreign<'a> {
    fn with_credentials_of(lock: &'a HandLock) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), &lock.welcome.mqtt.ca_certificate).unwrap();
        Self { lock, folder }
    }

    fn command(&self, program: &str) -> Command {
        let path = Path::new("/usr/bin").join(program);
        assert!(
            path.exists(),
            "this test needs {program}: `apt-get install mosquitto-clients`"
        );
        let access = &self.lock.welcome.mqtt;
        // Into a pipe it would keep its lines until it has many.
        let mut command = Command::new("stdbuf");
        command
            .arg("-oL")
            .arg(path)
            .args(["-h", &access.host, "-p", &access.port.to_string()])
            .arg("--cafile")
            .arg(self.folder.path().join("ca.pem"))
            .args(["-u", &access.username, "-P", &access.password, "-q", "1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Publishes under this client id with these further options; what the program complained of.
    async fn publish(&self, client_id: &str, topic: &str, message: &str, more: &[&str]) -> Result<(), String> {
        let mut command = self.command("mosquitto_pub");
        command.args(["-i", client_id, "-t", topic, "-m", message]).args(more);
        let output = soon("mosquitto_pub", command.output()).await.unwrap();
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Whether the broker grants all of these filters to `mosquitto_sub`, which goes as soon as it knows.
    async fn may_subscribe(&self, filters: &[&str]) -> bool {
        let mut command = self.command("mosquitto_sub");
        command.args(["-d", "-i", self.lock.id(), "-E"]);
        for filter in filters {
            command.args(["-t", filter]);
        }
        let output = soon("mosquitto_sub", command.output()).await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        // "Subscribed (mid: 1): 1, 128": the granted quality of each, or that it was refused.
        let granted = said.lines().find_map(|line| line.strip_prefix("Subscribed"));
        granted.is_some_and(|granted| !granted.contains("128"))
    }

    /// Listens on the lock's own topic.
    async fn listen(&self) -> (Child, Lines<BufReader<ChildStdout>>) {
        let mut command = self.command("mosquitto_sub");
        command.args(["-d", "-i", self.lock.id(), "-t", &self.lock.topic("down")]);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        soon("the subscription", async {
            while !lines.next_line().await.unwrap().expect("it stays").contains("SUBACK") {}
        })
        .await;
        (child, lines)
    }
}

async fn a_foreign_client_can_do_what_its_lock_may_and_nothing_else(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let (front, back) = (
        ana.add_lock(&house, "Front door").await,
        ana.add_lock(&house, "Back door").await,
    );
    let (mut lock, mut other) = (HandLock::install(&front).await, HandLock::install(&back).await);
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &front, json!({})).await;
    ana.grant(&gus, &back, json!({})).await;

    // What it may: say what its lock says, and hear what its lock is told.
    lock.vanish();
    let hello = lock.hello_message();
    let foreign = Foreign::with_credentials_of(&lock);
    let (id, status, up) = (lock.id(), lock.topic("status"), lock.topic("up/any"));
    foreign.publish(id, &status, "online", &[]).await.unwrap();
    foreign.publish(id, &up, &hello, &[]).await.unwrap();
    // Not before: the broker puts the older of two clients with one id out.
    let (mut listener, mut lines) = foreign.listen().await;
    let attempt = ask(&gus, &front).await;
    let token = soon("the token", async {
        loop {
            let line = lines.next_line().await.unwrap().expect("it stays");
            if line.starts_with("ey") && claims_of(&line)["jti"].is_string() {
                return line;
            }
        }
    })
    .await;
    listener.kill().await.unwrap();
    let jti = claims_of(&token)["jti"].as_str().unwrap().to_owned();
    let events = [Kind::Attempt, Kind::Unlocked].map(|kind| lock.event(kind, Cause::Jti(&jti), RESULT_OK));
    let others_past = other.chain.clone();
    let in_others_name = other.event(Kind::Unlocked, Cause::Manual, RESULT_OK);
    other.chain = others_past;
    let foreign = Foreign::with_credentials_of(&lock);
    let id = lock.id();
    for event in &events {
        foreign.publish(id, &up, event, &[]).await.unwrap();
    }
    until_status(&gus, &attempt, "confirmed").await;

    // What it may not.
    assert!(foreign.may_subscribe(&[&lock.topic("down")]).await);
    let (own_down, others_down) = (lock.topic("down"), other.topic("down"));
    for filters in [
        vec!["#"],
        vec!["+/#"],
        vec!["doorward/v1/+/down"],
        vec!["doorward/v1/#"],
        vec!["$SYS/#"],
        vec!["$share/doorward/doorward/v1/+/up/any"],
        vec![others_down.as_str()],
        vec![own_down.as_str(), others_down.as_str()],
    ] {
        assert!(!foreign.may_subscribe(&filters).await, "{filters:?}");
    }
    assert!(
        foreign.publish(other.id(), &status, "online", &[]).await.is_err(),
        "another's client id"
    );
    let will = |topic: &str| ["--will-topic", topic, "--will-payload", "offline"].map(str::to_owned);
    let others_will = will(&other.topic("status"));
    let retained_will = [will(&status).as_slice(), &["--will-retain".to_owned()]].concat();
    for (will, what) in [
        (others_will.as_slice(), "a will elsewhere"),
        (&retained_will, "a retained will"),
    ] {
        let will: Vec<&str> = will.iter().map(String::as_str).collect();
        assert!(foreign.publish(id, &status, "online", &will).await.is_err(), "{what}");
    }

    // MQTT 3.1.1 has no word for a publish that is refused: the broker takes it, and nobody ever gets it.
    let others_status = other.topic("status");
    for (topic, message) in [
        (
            others_down.as_str(),
            "no lock's word, at which the other lock of this test would stumble",
        ),
        (&other.topic("up/any"), &in_others_name),
        (&others_status, "offline"),
        ("doorward/v1/any/up/any", &in_others_name),
        ("elsewhere", "offline"),
    ] {
        foreign.publish(id, topic, message, &[]).await.unwrap();
    }
    foreign.publish(id, &status, "offline", &["--retain"]).await.unwrap();

    // A word of each lock after all of it: what they are said to have said before would be known by now.
    lock.connect().await;
    lock.until_heard().await;
    let (opened, _) = tokio::join!(gus.unlock(&back), other.obey());
    opened.expect_opened();
    let unlocked = entries(&ana, "unlocked").await;
    assert_eq!(unlocked.len(), 2);
    assert!(
        unlocked.iter().all(|entry| entry["detail"]["cause"] == "app"),
        "{unlocked:?}"
    );
    assert!(alarms(&ana).await.is_empty());
}
