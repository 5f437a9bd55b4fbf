//! What the commands bring in and take out, through a backend that runs.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::installation::{Backend, Installation};
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{Landlord, PASSWORD, Person};

on_each_database!(
    a_landlords_first_hour,
    a_file_in_another_encoding_is_refused_in_words,
    where_the_house_wants_keys_the_command_has_one,
    a_log_export_that_breaks_off_goes_on_and_is_evidence,
);

/// A backend with a landlord.
struct Scene {
    installation: Installation,
    organization: String,
    ana: Landlord,
    _backend: Backend,
}

async fn scene(database: &TestDatabase) -> Scene {
    let installation = Installation::on(database);
    let organization = installation.add_landlord().await;
    let backend = installation.serve().await;
    let ana = installation.sign_in(organization.clone()).await;
    Scene {
        installation,
        organization,
        ana,
        _backend: backend,
    }
}

impl Scene {
    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.installation.path(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    /// What the command is told, at this address.
    fn arguments<'a>(&'a self, command: &[&'a str], server: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let sign_in = ["--server", server, "--email", "ana@landlords.example"];
        let of = ["--organization", self.organization.as_str()];
        [command, &sign_in, &of, more].concat()
    }

    async fn said(&self, command: &[&str], more: &[&str]) -> String {
        let server = self.installation.http.base_url();
        self.installation
            .said(&self.arguments(command, &server, more), PASSWORD)
            .await
    }

    async fn refused(&self, command: &[&str], more: &[&str]) -> String {
        let server = self.installation.http.base_url();
        let arguments = self.arguments(command, &server, more);
        self.installation.refused(&arguments, PASSWORD).await
    }
}

const PROPERTIES: &str = "\u{feff}name;address;time_zone\r\nLinden;Linden Street 4;Europe/Vienna\r\n";
const UNITS: &str = "property;name\r\nLinden;=1+1\r\nLinden;Flat 2\r\n";
const TENANCIES: &str = "property;unit;email;from;until\r\nLinden;=1+1;tom@people.example;2020-01-01;\r\n";

async fn a_landlords_first_hour(database: TestDatabase) {
    let s = scene(&database).await;
    let properties = s.write("houses.csv", PROPERTIES);
    let units = s.write("flats.csv", UNITS);
    let tenancies = s.write("people.csv", TENANCIES);
    let bad = s.write("bad.csv", format!("{UNITS}Oak;Flat 1\r\n"));
    let links = s.installation.path("links.csv").display().to_string();

    let wrong = ["--properties", &properties, "--units", &bad, "--dry-run"];
    let server = s.installation.http.base_url();
    let output = s
        .installation
        .run(&s.arguments(
            &["import"],
            &server,
            &[&wrong[..], &["--password-file", "password"]].concat(),
        ))
        .await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("bad.csv:4: property: no property has this name"),
        "{said}"
    );
    assert!(!output.status.success());

    let all = [
        "--properties",
        &properties,
        "--units",
        &units,
        "--tenancies",
        &tenancies,
    ];
    let said = s.said(&["import"], &[&all[..], &["--dry-run"]].concat()).await;
    assert!(said.contains("units: 2 would come in, 0 stand already"), "{said}");
    assert_eq!(s.ana.list("/v1/properties").await, Vec::<Value>::new());
    // A link that would be lost is not made.
    let complaint = s.refused(&["import"], &all).await;
    assert!(complaint.contains("--links"), "{complaint}");

    let all = [&all[..], &["--links", &links]].concat();
    let said = s.said(&["import"], &all).await;
    assert!(said.contains("units: 2 came in, 0 stand already"), "{said}");
    let mode = std::fs::metadata(&links).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let written = std::fs::read_to_string(&links).unwrap();
    let mut reader = csv::Reader::from_reader(written.as_bytes());
    let row = reader.records().next().unwrap().unwrap();
    assert_eq!((&row[0], &row[1], &row[2]), ("2", "'=1+1", "tom@people.example"));
    let tom = Person::accept(&s.installation.http, "tom", "tom@people.example", &row[3]).await;
    assert_eq!(tom.list("/v1/me/tenancies").await[0]["unit_name"], "=1+1");

    // A second time nothing comes in, and no link is shown.
    let complaint = s.refused(&["import"], &all).await;
    assert!(complaint.contains("is there already"), "{complaint}");
    std::fs::remove_file(&links).unwrap();
    let said = s.said(&["import"], &all).await;
    assert!(said.contains("tenancies: 0 came in, 1 stand already"), "{said}");
    assert!(!std::fs::exists(&links).unwrap());

    // Everything of it comes out again. Who mistyped the password finds the place free.
    let to = s.installation.path("house.jsonl").display().to_string();
    for command in [&["export"][..], &["log", "export"]] {
        for password in ["", "not her password"] {
            let arguments = s.arguments(command, &server, &[&to]);
            let complaint = s.installation.refused(&arguments, password).await;
            assert!(complaint.contains("password"), "{command:?}: {complaint}");
            assert!(!std::fs::exists(&to).unwrap(), "{command:?} {password}");
        }
    }
    let said = s.said(&["export"], &[to.as_str()]).await;
    assert!(said.contains("house.jsonl"), "{said}");
    let file = std::fs::read_to_string(&to).unwrap();
    let lines: Vec<Value> = file.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let checkpoint = s.ana.get("/v1/access-log/checkpoint").await.expect(200);
    let verify = ["log", "verify", "--key", checkpoint["key"].as_str().unwrap(), &to];
    s.installation.said(&verify, "").await;
    // The half of a house is not taken for all of it.
    let end = file.rfind("{\"what\":\"end\"").unwrap();
    std::fs::write(&to, &file[..end]).unwrap();
    let complaint = s.installation.refused(&verify, "").await;
    assert!(complaint.contains("no end that fits"), "{complaint}");
    std::fs::write(&to, "seq,kind\n1,unlocked\n").unwrap();
    let complaint = s.installation.refused(&verify, "").await;
    assert!(complaint.contains("JSON lines"), "{complaint}");
    std::fs::write(&to, &file).unwrap();
    let of = |what: &str| lines.iter().filter(|line| line["what"] == what).count();
    assert_eq!(
        (of("property"), of("unit"), of("tenancy"), of("member"), of("end")),
        (1, 2, 1, 2, 1)
    );
    let mode = std::fs::metadata(&to).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let complaint = s.refused(&["export"], &[to.as_str()]).await;
    assert!(complaint.contains("is there already"), "{complaint}");
}

async fn a_file_in_another_encoding_is_refused_in_words(database: TestDatabase) {
    let s = scene(&database).await;
    let windows = s.write("windows.csv", b"property,name\r\nLinden,K\xfcche\r\n");
    let complaint = s.refused(&["import"], &["--units", &windows]).await;
    assert!(
        complaint.contains("windows.csv, line 2") && complaint.contains("Windows-1252"),
        "{complaint}"
    );
    let sixteen: Vec<u8> = "\u{feff}property,name\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let sixteen = s.write("sixteen.csv", sixteen);
    let complaint = s.refused(&["import"], &["--units", &sixteen]).await;
    assert!(complaint.contains("UTF-16"), "{complaint}");
    let complaint = s.refused(&["import"], &["--units", "nowhere.csv"]).await;
    assert!(complaint.contains("nowhere.csv cannot be read"), "{complaint}");
    let complaint = s.refused(&["import"], &[]).await;
    assert!(complaint.contains("at least one"), "{complaint}");
}

async fn where_the_house_wants_keys_the_command_has_one(database: TestDatabase) {
    let s = scene(&database).await;
    let rules = json!({
        "two_person": { "whole_property_grants": false, "lockdown": false },
        "self_grant_delay_hours": 24, "phone_key_required": true,
    });
    let path = format!("/v1/organizations/{}/rules", s.organization);
    s.ana.put(&path).json(rules).await.expect(200);
    let (properties, units) = (s.write("houses.csv", PROPERTIES), s.write("flats.csv", UNITS));
    let tenancies = s.write("people.csv", TENANCIES);
    let links = s.installation.path("links.csv").display().to_string();
    let all = [
        "--properties",
        &properties,
        "--units",
        &units,
        "--tenancies",
        &tenancies,
        "--links",
        &links,
    ];
    let known_as = ["--known-as", "https://doors.example"];
    let said = s.said(&["import"], &[&all[..], &known_as].concat()).await;
    assert!(said.contains("tenancies: 1 came in"), "{said}");
}

/// Passes everything on, and hangs up on each of the first `cuts` answers once it is `longest` bytes long.
async fn passing_on(to: SocketAddr, cuts: usize, longest: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let cut = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&cut);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let counted = Arc::clone(&counted);
            tokio::spawn(async move {
                let server = TcpStream::connect(to).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
                let (mut passed, mut part) = (0, [0; 4096]);
                while let Ok(read @ 1..) = from_server.read(&mut part).await {
                    passed += read;
                    if passed > longest && counted.load(Ordering::SeqCst) < cuts {
                        counted.fetch_add(1, Ordering::SeqCst);
                        return;
                    }
                    if to_client.write_all(&part[..read]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, cut)
}

async fn a_log_export_that_breaks_off_goes_on_and_is_evidence(database: TestDatabase) {
    let s = scene(&database).await;
    let mut locks = "property,unit,name\n".to_owned();
    for number in 0..300 {
        writeln!(locks, "Linden,,Door {number}").unwrap();
    }
    let (properties, locks) = (s.write("houses.csv", PROPERTIES), s.write("locks.csv", locks));
    s.said(&["import"], &["--properties", &properties, "--locks", &locks])
        .await;

    let checkpoint = s.ana.get("/v1/access-log/checkpoint").await.expect(200);
    let (way, cut) = passing_on(s.installation.http.address(), 2, 60_000).await;
    let server = format!("http://{way}");
    let to = s.installation.path("log.jsonl");
    let path = to.display().to_string();
    let arguments = s.arguments(&["log", "export"], &server, &[path.as_str()]);
    let said = s.installation.said(&arguments, PASSWORD).await;
    assert!(said.contains("log.jsonl"), "{said}");
    assert_eq!(cut.load(Ordering::SeqCst), 2);

    let key = checkpoint["key"].as_str().unwrap().to_owned();
    let verify = async || s.installation.said(&["log", "verify", "--key", &key, &path], "").await;
    let found = verify().await;
    assert!(found.contains("no entry was left out or added"), "{found}");
    let whole = std::fs::read(&to).unwrap();
    // A checkpoint as a shell writes it, with a line more.
    let kept = s.write("kept", format!("{}\n", checkpoint["checkpoint"].as_str().unwrap()));
    let since = ["log", "verify", "--key", &key, "--since", &kept, &path];
    let found = s.installation.said(&since, "").await;
    assert!(found.contains("it has grown from"), "{found}");

    // A run that was killed left this: the next one goes on behind its last whole line, in the log that it began with.
    std::fs::write(&to, &whole[..whole.len() / 2]).unwrap();
    let arguments = s.arguments(&["log", "export"], &server, &["--resume", path.as_str()]);
    s.installation.said(&arguments, PASSWORD).await;
    assert_eq!(std::fs::read(&to).unwrap(), whole);
    verify().await;
    // What is not there cannot be gone on with, and what is there is not written over.
    let complaint = s.refused(&["log", "export"], &[path.as_str()]).await;
    assert!(complaint.contains("is there already"), "{complaint}");
}
