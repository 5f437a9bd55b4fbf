//! `doorward serve` in a process of its own.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use diesel::{Connection as _, ExpressionMethods as _, QueryDsl as _, RunQueryDsl as _, SqliteConnection};
use doorward::domain::time::{Clock as _, Timestamp};
use doorward::server::MachineClock;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::site::{Client, EMAIL, Failure, PASSWORD};

/// The program under test.
const DOORWARD: &str = env!("CARGO_BIN_EXE_doorward");
/// How long it may take to start or to stop.
const SOON: Duration = Duration::from_secs(30);
/// How often something is looked at that is waited for.
const LOOK: Duration = Duration::from_millis(20);

diesel::table! {
    lock_reports (lock_id) {
        lock_id -> Text,
        hello_at_ms -> Nullable<BigInt>,
    }
}

/// Where the backend lives, over its restarts.
pub struct Premises {
    folder: TempDir,
    http: SocketAddr,
}

/// The running backend; killed when dropped.
pub struct Backend {
    process: Child,
    http: SocketAddr,
}

/// The memory of the backend's process.
pub struct Memory {
    /// What stands in memory, program text and files included.
    pub resident_kib: f64,
    /// What stands in memory and is nobody else's: heap and stacks.
    pub own_kib: f64,
}

impl Premises {
    /// A state folder and a configuration with free ports.
    pub fn new() -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let (http, mqtts) = (free_port()?, free_port()?);
        let state = folder.path().join("state");
        let config = format!(
            "state_dir = {state:?}\n[http]\nbind = \"{http}\"\n[metrics]\nbind = \"\"\n[mqtt.embedded]\nbind = \"{mqtts}\"\n\
             [limits]\nrequests_per_minute = 1000000\nsign_ins_per_minute = 1000000\n[log]\nlevel = \"error\"\n"
        );
        std::fs::write(folder.path().join("doorward.toml"), config)?;
        std::fs::write(folder.path().join("password"), PASSWORD)?;
        Ok(Self { folder, http })
    }

    /// Adds the landlord.
    pub fn add_landlord(&self) -> Result<(), Failure> {
        let added = Command::new(DOORWARD)
            .args(["landlord", "add", "--email", EMAIL, "--name", "Bench Landlord"])
            .args(["--organization", "Bench", "--password-file"])
            .arg(self.folder.path().join("password"))
            .arg("--config")
            .arg(self.config())
            .stdout(Stdio::null())
            .status()?;
        if added.success() {
            Ok(())
        } else {
            Err(format!("`doorward landlord add` ended with {added}").into())
        }
    }

    /// Starts the backend and waits until it serves.
    pub async fn serve(&self) -> Result<Backend, Failure> {
        let process = Command::new(DOORWARD)
            .arg("serve")
            .arg("--config")
            .arg(self.config())
            .stdin(Stdio::null())
            .spawn()?;
        let mut backend = Backend {
            process,
            http: self.http,
        };
        let began = Instant::now();
        while !is_ready(self.http).await {
            if let Some(ended) = backend.process.try_wait()? {
                return Err(format!("`doorward serve` ended with {ended}").into());
            }
            if began.elapsed() > SOON {
                return Err("`doorward serve` does not become ready".into());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(backend)
    }

    /// The time, as the backend has it.
    pub fn now(&self) -> Timestamp {
        MachineClock.now()
    }

    /// Waits until this many locks have said a hello since `since` that the backend has stored.
    pub async fn wait_for_hellos(&self, locks: usize, since: Timestamp, bound: Duration) -> Result<(), Failure> {
        let database = self.folder.path().join("state").join("doorward.db");
        // Read in the database and not asked over REST: looking must not be what keeps the backend busy.
        let mut conn = SqliteConnection::establish(&format!("file:{}?mode=ro", database.display()))?;
        let began = Instant::now();
        loop {
            let heard: i64 = lock_reports::table
                .filter(lock_reports::hello_at_ms.ge(since.as_millis()))
                .count()
                .get_result(&mut conn)?;
            if usize::try_from(heard)? >= locks {
                return Ok(());
            }
            if began.elapsed() > bound {
                return Err(format!("only {heard} of {locks} locks said hello within {bound:?}").into());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("doorward.toml")
    }
}

impl Backend {
    /// Where REST is served.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// What it holds now.
    pub fn memory(&self) -> Result<Memory, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            number.and_then(|number| number.parse().ok()).unwrap_or(f64::NAN)
        };
        Ok(Memory {
            resident_kib: kib("VmRSS:"),
            own_kib: kib("RssAnon:"),
        })
    }

    /// Tells it to stop, as a service manager does, and waits until it has.
    pub async fn stop(mut self) -> Result<(), Failure> {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, Signal::TERM)?;
        let began = Instant::now();
        while self.process.try_wait()?.is_none() {
            if began.elapsed() > SOON {
                return Err("`doorward serve` does not stop".into());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        // One that has stopped already is no error.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn is_ready(http: SocketAddr) -> bool {
    let Ok(mut client) = Client::connect(http).await else {
        return false;
    };
    client.get("/readyz", "").await.is_ok()
}

fn free_port() -> Result<SocketAddr, Failure> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
