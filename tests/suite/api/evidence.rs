//! The access log as evidence: whoever has the public key and an export, and nothing else, knows what holds.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use doorward::crypto::evidence::{Checked, NotEvidence, check};
use doorward::crypto::merkle::{Hash, check_consistency};
use doorward::crypto::note::{Checkpoint, NoteKey};
use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::outsider::Outsider;
use crate::fixtures::wait;
use crate::world::{Door, InstalledLock, Landlord, Person, Property, TestServer, house};

on_each_database!(
    an_export_is_checked_with_the_public_key_alone,
    whoever_sees_some_of_it_proves_that_too,
    what_broke_off_goes_on_in_the_log_that_it_began_with,
    a_file_that_was_touched_is_found_out,
    what_was_edited_in_the_database_is_named,
    what_was_emptied_or_hidden_in_the_database_is_named,
    a_server_that_runs_signs_no_other_past_of_the_same_size,
    what_was_taken_out_of_the_database_is_named,
    a_log_only_grows,
    what_was_forgotten_stays_proven,
    what_was_written_before_there_were_leaves_is_sealed_too,
    entries_are_sealed_without_being_asked_for,
    what_nobody_vouches_for_is_not_taken_for_proven,
    a_past_that_was_written_anew_is_not_signed,
    what_waits_to_be_sealed_is_watched_too,
    nobody_sees_a_neighbour_in_a_checkpoint,
);

/// A house with a flat in which Tom lives, who has come home, and a front door.
struct Lived {
    t: TestServer,
    ana: Landlord,
    house: Property,
    tom: Person,
    front: Door,
    own: Door,
    _locks: [InstalledLock; 2],
}

async fn lived(database: &TestDatabase) -> Lived {
    let (t, ana, house) = house(database).await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let front = ana.add_lock(&house, "Front door").await;
    let own = ana.add_lock_of(&flat, "Flat 1").await;
    let locks = [front.install().await, own.install().await];
    let tom = ana.tenant("tom", &flat).await;
    for (door, lock) in [&front, &own].into_iter().zip(&locks) {
        tom.unlock(door).await.expect_opened();
        lock.until_settled().await;
    }
    Lived {
        t,
        ana,
        house,
        tom,
        front,
        own,
        _locks: locks,
    }
}

async fn checkpoint(person: &Person) -> (Value, NoteKey) {
    let shown = person.get("/v1/access-log/checkpoint").await.expect(200);
    let key = shown["key"].as_str().unwrap().parse().unwrap();
    (shown, key)
}

async fn export(person: &Person, query: &str) -> String {
    person
        .get(&format!("/v1/access-log/export?format=jsonl{query}"))
        .await
        .text
}

fn checked(file: &str, key: &NoteKey) -> Result<Checked, NotEvidence> {
    held_against(file, key, &[])
}

/// The same by somebody who has kept checkpoints.
fn held_against(file: &str, key: &NoteKey, kept: &[Checkpoint]) -> Result<Checked, NotEvidence> {
    let mut report = check(file.as_bytes(), std::slice::from_ref(key), kept)?;
    assert_eq!(report.logs.len(), 1);
    Ok(report.logs.remove(0))
}

/// What the foreign checker prints where it finds the same.
fn line_of(found: &Checked) -> String {
    let Checked {
        size,
        is_whole,
        proven,
        sealed,
        forgotten,
        claimed,
        ..
    } = found;
    let sealed = sealed + forgotten;
    let is_whole = if *is_whole { "True" } else { "False" };
    format!("{size} {is_whole} {proven} {sealed} {claimed}\n")
}

/// What an auditor who wrote their own program finds.
fn audited(file: &str, key: &NoteKey) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let export = folder.path().join("export.jsonl");
    std::fs::write(&export, file).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign/log.py");
    let mut command = Command::new("/usr/bin/python3");
    command.arg("-B").arg(script).arg(export).arg(key.to_string());
    command.output().unwrap()
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

async fn an_export_is_checked_with_the_public_key_alone(database: TestDatabase) {
    let s = lived(&database).await;
    let file = export(&s.ana, "").await;
    let (shown, key) = checkpoint(&s.ana).await;
    let found = checked(&file, &key).unwrap();
    assert_eq!(found.origin, key.name());
    assert!(found.is_whole);
    assert_eq!(Some(found.size), shown["size"].as_u64());
    assert_eq!(found.proven + found.sealed, found.size);
    assert_eq!(shown["as_of"], found.as_of.unwrap().to_string());
    // What Tom does at his own door is in the tree, and not for the landlord.
    assert!(found.sealed >= 2, "{found:?}");
    assert!(!file.contains("\"what\":\"log-leaf\",\"seq\":1,"), "{file}");

    let audit = audited(&file, &key);
    assert_eq!(printed(&audit), line_of(&found));

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("export.jsonl");
    std::fs::write(&path, &file).unwrap();
    let verify = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        command.args(["log", "verify"]).arg(&path).env_clear();
        command
    };
    let output = verify().args(["--key", &key.to_string()]).output().unwrap();
    assert!(output.status.success(), "{}", printed(&output));
    assert!(printed(&output).contains("no entry was left out or added"));
    for (other, complaint) in [
        (
            NoteKey::new(key.name().to_owned(), [1; 32]).to_string(),
            "cannot be believed",
        ),
        (
            NoteKey::new("elsewhere".to_owned(), [1; 32]).to_string(),
            "there is no key of",
        ),
        (key.to_string().replace("doors", "other"), "invalid value"),
    ] {
        let output = verify().args(["--key", &other]).output().unwrap();
        assert!(!output.status.success());
        assert!(printed(&output).contains(complaint), "{}", printed(&output));
    }
}

async fn what_broke_off_goes_on_in_the_log_that_it_began_with(database: TestDatabase) {
    let s = lived(&database).await;
    for (who, query) in [
        (&*s.ana, String::new()),
        (&s.tom, String::new()),
        (&*s.ana, format!("&lock_id={}", s.front.id)),
    ] {
        let path = format!("/v1/access-log/export?format=jsonl{query}");
        let whole = who.get(&path).await;
        let size = whole.header("doorward-log-size").to_owned();
        let lines: Vec<&str> = whole.text.split_inclusive('\n').collect();
        let came = lines.len() / 2;
        let last: Value = serde_json::from_str(lines[came - 1]).unwrap();
        // Meanwhile the log goes on.
        s.tom.unlock(&s.front).await.expect_opened();
        let rest = who.get(&format!("{path}&after={}&size={size}", last["seq"])).await;
        assert_eq!(rest.header("doorward-log-size"), size);
        assert_eq!([&lines[..came].concat(), rest.text.as_str()].concat(), whole.text);
        // What is asked for again is written down again.
        let newest = &s.ana.list("/v1/access-log?kind=log-exported").await[0];
        assert!(newest["seq"].as_u64() > size.parse().ok(), "{newest}");
        for bad in ["&after=1", "&size=1", "&after=1&size=1000000"] {
            who.get(&format!("{path}{bad}"))
                .await
                .expect_problem(400, "invalid-query");
        }
    }
}

async fn whoever_sees_some_of_it_proves_that_too(database: TestDatabase) {
    let s = lived(&database).await;
    let (_, key) = checkpoint(&s.tom).await;
    for (who, file) in [
        (&s.tom, export(&s.tom, "").await),
        (&s.tom, s.tom.get("/v1/me/export").await.text),
        (&s.ana, export(&s.ana, &format!("&lock_id={}", s.front.id)).await),
    ] {
        let found = checked(&file, &key).unwrap();
        assert!(!found.is_whole);
        assert!(found.proven >= 2, "{}: {found:?}", who.id);
        let audit = audited(&file, &key);
        assert_eq!(printed(&audit), line_of(&found));
        let changed = file.replacen("\"outcome\":\"ok\"", "\"outcome\":\"refused\"", 1);
        assert!(matches!(checked(&changed, &key), Err(NotEvidence::Changed { .. })));
        assert!(!audited(&changed, &key).status.success());
    }

    let log = s.tom.list("/v1/access-log?limit=200").await;
    let own = log.iter().find(|entry| entry["lock_id"] == s.own.id.as_str()).unwrap();
    let path = format!("/v1/access-log/{}/proof", own["seq"]);
    let proven = s.tom.get(&path).await.expect(200);
    assert_eq!(proven["entry"]["kind"], own["kind"]);
    let mut line = proven["entry"].clone();
    line["what"] = json!("log-entry");
    let mut head = proven["checkpoint"].clone();
    (head["what"], head["is_whole"]) = (json!("log-checkpoint"), json!(false));
    let found = checked(&format!("{head}\n{line}\n"), &key).unwrap();
    assert_eq!((found.proven, found.sealed), (1, 0));
    // What is not for the landlord has no proof for them either, nor has what does not exist.
    for number in [
        own["seq"].to_string(),
        "0".to_owned(),
        "01".to_owned(),
        "99999".to_owned(),
        "x".to_owned(),
    ] {
        let path = format!("/v1/access-log/{number}/proof");
        s.ana.get(&path).await.expect_no("log-entry");
    }
}

/// The line of the entry of that number.
fn line(file: &str, seq: u64) -> String {
    let found = file.lines().find(|line| line.contains(&format!("\"seq\":{seq},")));
    format!("{}\n", found.unwrap())
}

/// The number of an entry in the file that is not for its reader.
fn unseen_of(file: &str) -> u64 {
    let read = |line: &str| -> Value { serde_json::from_str(line).unwrap() };
    let unseen = file.lines().map(read).find(|line| line["what"] == "log-leaf").unwrap();
    unseen["seq"].as_u64().unwrap()
}

fn text_of(line: &str, member: &str) -> String {
    let read: Value = serde_json::from_str(line).unwrap();
    read[member].as_str().unwrap().to_owned()
}

async fn a_file_that_was_touched_is_found_out(database: TestDatabase) {
    let s = lived(&database).await;
    let file = export(&s.ana, "").await;
    let (_, key) = checkpoint(&s.ana).await;
    let size = checked(&file, &key).unwrap().size;
    let (second, third, last) = (line(&file, 2), line(&file, 3), line(&file, size));
    let wrong = |touched: String| {
        assert_ne!(touched, file);
        assert!(!audited(&touched, &key).status.success());
        checked(&touched, &key).unwrap_err()
    };
    let changed = wrong(file.replace(
        &second,
        &second.replace("\"outcome\":\"ok\"", "\"outcome\":\"refused\""),
    ));
    assert!(matches!(changed, NotEvidence::Changed { seq: 2, .. }), "{changed}");
    let dropped = wrong(file.replace(&second, ""));
    assert!(matches!(dropped, NotEvidence::Missing { seq: 2, .. }), "{dropped}");
    let cut = wrong(file.replace(&last, ""));
    assert!(matches!(cut, NotEvidence::Missing { .. }), "{cut}");
    let doubled = wrong(file.replace(&second, &second.repeat(2)));
    assert!(matches!(doubled, NotEvidence::Added { seq: 2, .. }), "{doubled}");
    let exchanged = wrong(file.replace(&format!("{second}{third}"), &format!("{third}{second}")));
    assert!(matches!(exchanged, NotEvidence::Missing { seq: 2, .. }), "{exchanged}");
    let more = wrong(format!(
        "{file}{}",
        last.replace(&format!("\"seq\":{size},"), &format!("\"seq\":{},", size + 1))
    ));
    assert!(matches!(more, NotEvidence::Added { .. }), "{more}");
    // Whoever makes hash and node fit as well does not make the root.
    let other = third.replace("\"seq\":3,", "\"seq\":2,");
    let forged = wrong(file.replace(&second, &other));
    assert!(
        matches!(
            forged,
            NotEvidence::Changed { seq: 2, .. } | NotEvidence::OtherRoot { .. }
        ),
        "{forged}"
    );
    let leaves = |line: &str| {
        let read: Value = serde_json::from_str(line).unwrap();
        let leaf = json!({
            "what": "log-leaf", "seq": 2, "leaf": read["leaf"], "salt": null, "node": read["node"],
            "staff_sees": read["staff_sees"],
        });
        format!("{leaf}\n")
    };
    // What was for whoever exported is there, or is missed.
    let hidden = leaves(&second);
    let withheld = wrong(file.replace(&second, &hidden));
    assert!(matches!(withheld, NotEvidence::Withheld { seq: 2, .. }), "{withheld}");
    let denied = hidden.replace("\"staff_sees\":\"all\"", "\"staff_sees\":\"nothing\"");
    let denied = wrong(file.replace(&second, &denied));
    assert!(matches!(denied, NotEvidence::Changed { seq: 2, .. }), "{denied}");
    let unseen = line(&file, unseen_of(&file));
    let foreign = unseen.replace(&text_of(&unseen, "leaf"), &text_of(&third, "leaf"));
    let foreign = wrong(file.replace(
        &unseen,
        &foreign.replace(&text_of(&unseen, "node"), &text_of(&third, "node")),
    ));
    assert!(
        matches!(foreign, NotEvidence::Changed { .. } | NotEvidence::OtherRoot { .. }),
        "{foreign}"
    );
    let smaller = wrong(file.replacen(&format!("\\n{size}\\n"), &format!("\\n{}\\n", size - 1), 1));
    assert!(matches!(smaller, NotEvidence::Checkpoint { .. }), "{smaller}");
    let nothing = checked("", &key).unwrap_err();
    assert!(matches!(nothing, NotEvidence::Empty), "{nothing}");
}

async fn what_was_edited_in_the_database_is_named(database: TestDatabase) {
    let s = lived(&database).await;
    let (_, key) = checkpoint(&s.ana).await;
    let mut insider = Outsider::at(&database);
    let log = s.ana.list("/v1/access-log?limit=200").await;
    let opened = log.iter().find(|entry| entry["kind"] == "unlocked").unwrap()["seq"]
        .as_i64()
        .unwrap();
    let at = format!("organization_id = '{}' AND seq = {opened}", s.ana.organization);
    let found = async || {
        let file = export(&s.ana, "").await;
        assert!(printed(&audited(&file, &key)).contains(&format!("entry {opened} was changed")));
        checked(&file, &key).unwrap_err()
    };
    insider.run(&format!("UPDATE access_log SET outcome = 'refused' WHERE {at}"));
    let named = found().await;
    assert!(
        matches!(named, NotEvidence::Changed { seq, .. } if seq == opened),
        "{named}"
    );
    // Whoever gives the edited entry a leaf that fits is found by the tree.
    let other = "SELECT leaf FROM access_log WHERE seq = 1";
    insider.run(&format!(
        "UPDATE access_log SET outcome = 'ok', salt = NULL, leaf = ({other}) WHERE {at}"
    ));
    let named = found().await;
    assert!(
        matches!(named, NotEvidence::Changed { seq, .. } if seq == opened),
        "{named}"
    );
}

async fn what_was_emptied_or_hidden_in_the_database_is_named(database: TestDatabase) {
    let s = lived(&database).await;
    let (_, key) = checkpoint(&s.ana).await;
    let mut insider = Outsider::at(&database);
    let at = |seq: u64| format!("organization_id = '{}' AND seq = {seq}", s.ana.organization);
    // As the program itself forgets.
    let forgotten =
        "kind = 'forgotten', outcome = 'ok', reason = NULL, property_id = NULL, unit_id = NULL, lock_id = NULL,
        person_id = NULL, actor_id = NULL, grant_id = NULL, attempt_id = NULL, detail = NULL, salt = NULL";
    let unseen = unseen_of(&export(&s.ana, "").await);
    for (seq, change, back) in [
        (2, "staff_sees = 'nothing'", "staff_sees = 'all'"),
        (unseen, "staff_sees = 'all'", "staff_sees = 'nothing'"),
    ] {
        insider.run(&format!("UPDATE access_log SET {change} WHERE {}", at(seq)));
        let file = export(&s.ana, "").await;
        let named = checked(&file, &key).unwrap_err();
        assert!(
            matches!(named, NotEvidence::Changed { seq: at, .. } if at as u64 == seq),
            "{change}: {named}"
        );
        assert!(printed(&audited(&file, &key)).contains(&format!("entry {seq} was changed")));
        insider.run(&format!("UPDATE access_log SET {back} WHERE {}", at(seq)));
    }
    insider.run(&format!("UPDATE access_log SET {forgotten} WHERE {}", at(2)));
    let file = export(&s.ana, "").await;
    let named = checked(&file, &key).unwrap_err();
    assert!(matches!(named, NotEvidence::Emptied { seq: 2, .. }), "{named}");
    assert!(printed(&audited(&file, &key)).contains("entry 2 was emptied"));
}

async fn a_server_that_runs_signs_no_other_past_of_the_same_size(database: TestDatabase) {
    let s = lived(&database).await;
    checkpoint(&s.ana).await;
    checkpoint(&s.tom).await;
    let tiles = "UPDATE log_tiles SET hashes = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' || substr(hashes, 41)";
    Outsider::at(&database).run(tiles);
    for person in [&*s.ana, &s.tom] {
        for path in [
            "checkpoint",
            "consistency?from=1&to=2",
            "2/proof",
            "export?format=jsonl",
        ] {
            let answer = person.get(&format!("/v1/access-log/{path}")).await;
            assert_eq!(answer.status, 500, "{path}: {}", answer.text);
        }
    }
}

async fn what_was_taken_out_of_the_database_is_named(database: TestDatabase) {
    let s = lived(&database).await;
    let (_, key) = checkpoint(&s.ana).await;
    let organization = format!("organization_id = '{}'", s.ana.organization);
    let mut insider = Outsider::at(&database);
    insider.run(&format!(
        "DELETE FROM access_log_witnesses WHERE {organization} AND seq = 3"
    ));
    insider.run(&format!("DELETE FROM access_log WHERE {organization} AND seq = 3"));
    let file = export(&s.ana, "").await;
    let named = checked(&file, &key).unwrap_err();
    assert!(matches!(named, NotEvidence::Missing { seq: 3, .. }), "{named}");
    assert!(printed(&audited(&file, &key)).contains("entry 3 is missing"));
}

fn hashes(list: &Value) -> Vec<Hash> {
    let hash = |text: &Value| STANDARD.decode(text.as_str().unwrap()).unwrap().try_into().unwrap();
    list.as_array().unwrap().iter().map(hash).collect()
}

async fn a_log_only_grows(database: TestDatabase) {
    let s = lived(&database).await;
    let opened = async || -> Checkpoint {
        let (shown, key) = checkpoint(&s.tom).await;
        key.open(shown["checkpoint"].as_str().unwrap()).unwrap()
    };
    let mut states = vec![opened().await];
    for number in 0..3 {
        s.ana.add_unit(&s.house, &format!("Cellar {number}")).await;
        s.tom.unlock(&s.front).await.expect_opened();
        states.push(opened().await);
    }
    for (number, earlier) in states.iter().enumerate() {
        for later in &states[number..] {
            let path = format!("/v1/access-log/consistency?from={}&to={}", earlier.size, later.size);
            let shown = s.tom.get(&path).await.expect(200);
            let proof = hashes(&shown["proof"]);
            check_consistency((earlier.size, &earlier.root), (later.size, &later.root), &proof).unwrap();
        }
    }
    assert!(states.windows(2).all(|pair| pair[0].size < pair[1].size), "{states:?}");
    for (query, parameter) in [
        ("from=0&to=2", "from"),
        ("from=3&to=2", "from"),
        ("from=1&to=999999", "to"),
    ] {
        let problem = s.tom.get(&format!("/v1/access-log/consistency?{query}")).await;
        assert_eq!(problem.expect_problem(400, "invalid-query")["parameter"], parameter);
    }
}

async fn what_was_forgotten_stays_proven(database: TestDatabase) {
    let s = lived(&database).await;
    let (_, key) = checkpoint(&s.ana).await;
    let before = checked(&export(&s.ana, "").await, &key).unwrap();
    s.t.clock.advance(Duration::from_secs(91 * 24 * 3600));
    s.ana.sign_in_again().await;
    assert!(s.t.app().forget_records().await.unwrap() > 0);
    let file = export(&s.ana, "").await;
    let after = checked(&file, &key).unwrap();
    assert!(
        after.size > before.size && after.forgotten > 0 && before.forgotten == 0,
        "{before:?} {after:?}"
    );
    let audit = audited(&file, &key);
    assert!(audit.status.success(), "{}", printed(&audit));
    assert!(file.contains("\"kind\":\"forgotten\""), "{file}");

    // What says so stays, also when its own time is over.
    s.t.clock.advance(Duration::from_secs(200 * 24 * 3600));
    s.ana.sign_in_again().await;
    s.t.app().forget_records().await.unwrap();
    let file = export(&s.ana, "").await;
    assert!(checked(&file, &key).unwrap().forgotten > after.forgotten);
    assert!(audited(&file, &key).status.success());
}

async fn what_was_written_before_there_were_leaves_is_sealed_too(database: TestDatabase) {
    let (mut t, ana, house) = house(&database).await;
    ana.add_unit(&house, "Flat 1").await;
    t.stop().await;
    // As if sealing had begun with the next version only.
    let before = "DELETE FROM log_tiles; UPDATE log_trees SET size = 0; UPDATE access_log SET leaf = NULL, salt = NULL;
        DELETE FROM installation WHERE name = 'leaves'";
    Outsider::at(&database).run(before);
    t.restart().await;
    let (_, key) = checkpoint(&ana).await;
    let found = checked(&export(&ana, "").await, &key).unwrap();
    assert_eq!((found.proven, found.is_whole), (found.size, true));
}

async fn entries_are_sealed_without_being_asked_for(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    ana.add_unit(&house, "Flat 1").await;
    let entries = ana.log().await.len();
    let mut outsider = Outsider::at(&database);
    wait::until("the log to be sealed", async || {
        let rows = outsider.rows(&["size"], "log_trees");
        rows[0][0].parse::<usize>().unwrap() >= entries
    })
    .await;
}

async fn what_nobody_vouches_for_is_not_taken_for_proven(database: TestDatabase) {
    let s = lived(&database).await;
    let file = export(&s.ana, "").await;
    let (_, key) = checkpoint(&s.ana).await;
    let whole = checked(&file, &key).unwrap();
    let change = |seq: u64, change: &dyn Fn(&mut Value)| {
        let old = line(&file, seq);
        let mut new: Value = serde_json::from_str(&old).unwrap();
        change(&mut new);
        file.replace(&old, &format!("{new}\n"))
    };
    let wrong = |touched: String| {
        assert!(!audited(&touched, &key).status.success());
        checked(&touched, &key).unwrap_err()
    };
    // Without its salt an entry may say anything; with somebody in it, it cannot have come so.
    let named = wrong(change(2, &|entry| {
        (entry["salt"], entry["kind"]) = (Value::Null, json!("unlocked"));
        entry["person_id"] = json!(s.tom.id);
    }));
    assert!(matches!(named, NotEvidence::Changed { seq: 2, .. }), "{named}");
    let claimed = change(2, &|entry| {
        (entry["salt"], entry["kind"]) = (Value::Null, json!("unlocked"));
        for who in ["person_id", "actor_id", "grant_id", "attempt_id"] {
            entry[who] = Value::Null;
        }
    });
    let found = checked(&claimed, &key).unwrap();
    assert_eq!((found.claimed, found.first_claimed.as_slice()), (1, [2_i64].as_slice()));
    assert_eq!(found.proven, whole.proven - 1);
    assert_eq!(printed(&audited(&claimed, &key)), line_of(&found));
    // In the database likewise.
    let at = format!("organization_id = '{}' AND seq = 2", s.ana.organization);
    Outsider::at(&database).run(&format!(
        "UPDATE access_log SET salt = NULL, kind = 'unlocked' WHERE {at}"
    ));
    let served = checked(&export(&s.ana, "").await, &key);
    assert!(
        matches!(&served, Err(NotEvidence::Changed { seq: 2, .. }))
            || served.as_ref().is_ok_and(|found| found.claimed == 1),
        "{served:?}"
    );
    // What is no line of a log is counted, and a header in the file changes nothing.
    let more = format!("{file}{}\n", json!({ "what": "log-entry ", "seq": 999 }));
    assert_eq!(
        check(more.as_bytes(), std::slice::from_ref(&key), &[])
            .unwrap()
            .other_lines,
        1
    );
    let later = file.replacen("\"as_of\":\"2026", "\"as_of\":\"2027", 1);
    assert_ne!(later, file);
    assert_eq!(checked(&later, &key).unwrap().as_of, whole.as_of);
}

async fn a_past_that_was_written_anew_is_not_signed(database: TestDatabase) {
    let mut s = lived(&database).await;
    let (shown, key) = checkpoint(&s.ana).await;
    let kept = [key.open(shown["checkpoint"].as_str().unwrap()).unwrap()];
    let found = held_against(&export(&s.ana, "").await, &key, &kept).unwrap();
    assert_eq!(found.grown_from, Some(kept[0].size));
    let anew =
        "UPDATE access_log SET kind = 'lock-retired' WHERE seq = 2; UPDATE access_log SET salt = NULL, leaf = NULL;
        DELETE FROM log_tiles; UPDATE log_trees SET size = 0";
    Outsider::at(&database).run(anew);
    s.ana
        .get("/v1/access-log/checkpoint")
        .await
        .expect_problem(500, "internal");
    // Doors open all the same.
    s.tom.unlock(&s.front).await.expect_opened();

    // A new process remembers nothing, and signs what it finds. Whoever kept a checkpoint does.
    s.t.stop().await;
    Outsider::at(&database).run("DELETE FROM installation WHERE name = 'leaves'");
    s.t.restart().await;
    let file = export(&s.ana, "").await;
    checked(&file, &key).unwrap();
    let named = held_against(&file, &key, &kept).unwrap_err();
    assert!(
        matches!(named, NotEvidence::Rewritten { size, .. } if size == kept[0].size),
        "{named}"
    );
    let part = export(&s.tom, "").await;
    let named = held_against(&part, &key, &kept).unwrap_err();
    assert!(
        matches!(named, NotEvidence::NotWhole { .. } | NotEvidence::Rewritten { .. }),
        "{named}"
    );
}

async fn what_waits_to_be_sealed_is_watched_too(database: TestDatabase) {
    let s = lived(&database).await;
    let (shown, key) = checkpoint(&s.ana).await;
    let size = shown["size"].as_i64().unwrap();
    // A number is taken and nothing written: as if an entry had been there.
    let organization = format!("organization_id = '{}'", s.ana.organization);
    Outsider::at(&database).run(&format!(
        "UPDATE access_log_heads SET last_seq = last_seq + 1 WHERE {organization}"
    ));
    s.ana.add_unit(&s.house, "Cellar").await;
    wait::until("an alarm", async || {
        let alarms = s.ana.list("/v1/access-log?kind=alarm").await;
        alarms
            .iter()
            .any(|alarm| alarm["reason"] == "log-entry-missing" && alarm["detail"]["seq"] == size + 1)
    })
    .await;
    let named = checked(&export(&s.ana, "").await, &key).unwrap_err();
    assert!(
        matches!(named, NotEvidence::Missing { seq, .. } if seq == size + 1),
        "{named}"
    );
    s.tom.unlock(&s.front).await.expect_opened();
}

async fn nobody_sees_a_neighbour_in_a_checkpoint(database: TestDatabase) {
    let s = lived(&database).await;
    let gus = s.ana.guest("gus").await;
    let (before, key) = checkpoint(&gus).await;
    s.tom.unlock(&s.own).await.expect_opened();
    let (after, _) = checkpoint(&gus).await;
    assert_eq!(before, after);
    let ends = after["size"].as_u64().unwrap() + 1;
    gus.get(&format!("/v1/access-log/consistency?from=1&to={ends}"))
        .await
        .expect_problem(400, "invalid-query");
    // The same log all the same.
    let mine = key.open(after["checkpoint"].as_str().unwrap()).unwrap();
    held_against(&export(&s.ana, "").await, &key, &[mine]).unwrap();
}
