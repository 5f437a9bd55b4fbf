//! The real program as an operator runs it: a process, its environment, its state folder.

use std::process::{Output, Stdio};

use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::fixtures::databases::TestDatabase;
use crate::fixtures::mosquitto::free_ports;
use crate::fixtures::wait::{SOON, soon, until, until_within};
use crate::world::{HandClock, Http, Landlord, PASSWORD, Person};

/// How long a token lives here, in seconds: as short as can be, for the tests that wait for its end.
pub const TOKEN_SECONDS: u64 = 2;

/// An installed backend, running or not.
pub struct Installation {
    /// The way to it.
    pub http: Http,
    folder: TempDir,
    environment: Vec<(String, String)>,
}

/// A running backend. Killed when dropped.
pub struct Backend(Child);

impl Installation {
    /// Installs one on this database, on ports of its own.
    pub fn on(database: &TestDatabase) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [http, broker] = free_ports();
        let mut installation = Self {
            http: Http::to(http),
            folder,
            environment: Vec::new(),
        };
        let state = installation.folder.path().join("state").display().to_string();
        for (key, value) in [
            ("STATE_DIR", state.as_str()),
            ("DATABASE__URL", &database.url_text()),
            ("DATABASE__READERS", "2"),
            ("DATABASE__WRITERS", "4"),
            ("HTTP__BIND", &http.to_string()),
            ("HTTP__PUBLIC_URL", "https://doors.example"),
            ("HTTP__WORKERS", "2"),
            ("METRICS__BIND", ""),
            ("MQTT__EMBEDDED__BIND", &broker.to_string()),
            ("MQTT__EMBEDDED__PUBLIC_HOST", "127.0.0.1"),
            ("UNLOCK__TOKEN_SECONDS", &TOKEN_SECONDS.to_string()),
            ("LIMITS__UNLOCKS_PER_MINUTE", "1000000"),
            ("LIMITS__REQUESTS_PER_MINUTE", "1000000"),
        ] {
            installation.set(key, value);
        }
        installation
    }

    /// The same one a second time, on other ports.
    pub fn twin(&self) -> Self {
        let [http, broker] = free_ports();
        let mut twin = Self {
            http: Http::to(http),
            folder: tempfile::tempdir().unwrap(),
            environment: self.environment.clone(),
        };
        twin.set("HTTP__BIND", &http.to_string());
        twin.set("MQTT__EMBEDDED__BIND", &broker.to_string());
        twin
    }

    /// Sets `DOORWARD__…` in its environment, over what was set before.
    pub fn set(&mut self, key: &str, value: &str) {
        let name = format!("DOORWARD__{key}");
        self.environment.retain(|(known, _)| *known != name);
        self.environment.push((name, value.to_owned()));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        soon("the command", self.command(arguments).output()).await.unwrap()
    }

    /// Runs a command with this on its standard input.
    async fn tell(&self, arguments: &[&str], input: &str) -> Output {
        let given = self.folder.path().join("input");
        std::fs::write(&given, input).unwrap();
        let mut command = self.command(arguments);
        command.stdin(std::fs::File::open(given).unwrap());
        soon("the command", command.output()).await.unwrap()
    }

    /// What a command says that goes well.
    pub async fn said(&self, arguments: &[&str], input: &str) -> String {
        let output = self.tell(arguments, input).await;
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a command complains of that is refused.
    pub async fn refused(&self, arguments: &[&str], input: &str) -> String {
        let output = self.tell(arguments, input).await;
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Makes a backup in its folder and returns its path.
    pub async fn back_up(&self) -> String {
        let to = self.path("backup.db").to_str().unwrap().to_owned();
        self.said(&["backup", &to], "").await;
        to
    }

    /// Restores this backup over the database and returns what is said of it; no backend is running.
    pub async fn restore(&self, backup: &str) -> String {
        self.said(&["restore", backup, "--replace"], "").await
    }

    /// Waits until the notes of what has ended satisfy this.
    pub async fn until_noted(&self, mut is_all: impl FnMut(&str) -> bool) {
        let noted = self.path("state/endings.jsonl");
        until("all endings to be noted", async || {
            is_all(&std::fs::read_to_string(&noted).unwrap_or_default())
        })
        .await;
    }

    /// A file in its folder; its state is in `state`.
    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// What `serve` complains of where it does not start.
    pub async fn complaint(&self) -> String {
        let output = self.run(&["serve"]).await;
        assert!(!output.status.success(), "it started");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Adds a landlord while the backend is not running; [`Self::sign_in`] needs it running.
    pub async fn add_landlord(&self) -> String {
        let password = self.folder.path().join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        let add = ["landlord", "add", "--email", "ana@landlords.example", "--name", "Ana"];
        let more = ["--organization", "Ana's houses", "--password-file"];
        let arguments = [&add[..], &more[..], &[password.to_str().unwrap()]].concat();
        let output = self.run(&arguments).await;
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        let organization = said.split_whitespace().find(|word| word.starts_with("org_"));
        organization.unwrap().to_owned()
    }

    /// The landlord of this organization, signed in.
    pub async fn sign_in(&self, organization: String) -> Landlord {
        let person = Person::sign_in(&self.http, "ana", "ana@landlords.example").await;
        Landlord::new(person, organization, HandClock::of_the_machine())
    }

    /// Adds a landlord, starts it, and signs them in.
    pub async fn open(&self) -> (Backend, Landlord) {
        let organization = self.add_landlord().await;
        let backend = self.serve().await;
        let ana = self.sign_in(organization).await;
        (backend, ana)
    }

    /// Starts it without waiting for anything.
    pub fn begin(&self) -> Backend {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .unwrap();
        let mut command = self.command(&["serve"]);
        command.stdout(log.try_clone().unwrap()).stderr(log);
        Backend(command.spawn().unwrap())
    }

    /// Starts it, and waits until it has everything that it needs.
    pub async fn serve(&self) -> Backend {
        let backend = self.begin();
        self.until_ready(true).await;
        backend
    }

    /// Waits until it says that it has everything that it needs, or that it has not.
    pub async fn until_ready(&self, ready: bool) {
        let is_ready = async || {
            let answer = self.http.get("/readyz").try_send().await;
            answer.is_some_and(|answer| (answer.status == 200) == ready)
        };
        until_within(3 * SOON, &format!("ready = {ready}"), is_ready, async || self.log()).await;
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Backend {
    /// `kill -9`.
    pub async fn kill(mut self) {
        self.0.kill().await.unwrap();
    }

    /// Asks it to stop, as an init system does.
    pub fn tell_to_stop(&self) {
        let process = self.0.id().expect("it runs").to_string();
        let told = std::process::Command::new("kill").args(["-TERM", &process]).status();
        assert!(told.unwrap().success());
    }

    /// Waits for its end; whether all was well.
    pub async fn ended(mut self) -> bool {
        soon("the end", self.0.wait()).await.unwrap().success()
    }
}
