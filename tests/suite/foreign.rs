//! A lock that shares no code with this program: `tests/foreign/`, written in Python from `docs/PROTOCOL.md` alone. It
//! agrees with the vectors, and lives its whole life, from enrolment to retirement, in the house of the real
//! program's demo.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// The interpreter that `tests/run` installs the foreign lock's two packages for.
const PYTHON: &str = "/usr/bin/python3";

/// Longest wait for the demo's house to stand: its two locks enrol and connect first.
const HOUSE: Duration = Duration::from_secs(60);

/// Longest wait for all checks of one kind: the foreign lock waits for movements, deadlines and last wills.
const CHECKS: Duration = Duration::from_secs(180);

#[tokio::test]
async fn a_foreign_lock_agrees_with_the_vectors() {
    let problem = problem_of("vectors", None).await;
    assert!(problem.is_none(), "{}", problem.unwrap_or_default());
}

#[tokio::test]
async fn a_foreign_lock_lives_in_the_house_of_the_demo() {
    let demo = Demo::start().await;
    let problem = problem_of("story", Some(&demo.sign_ins())).await;
    assert!(
        problem.is_none(),
        "{}\nthe demo's log:\n{}",
        problem.unwrap_or_default(),
        demo.log()
    );
}

/// Runs `check.py`; what it printed, unless all of it holds.
async fn problem_of(checks: &str, with: Option<&Path>) -> Option<String> {
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign/check.py");
    let mut lines = tempfile::tempfile().unwrap();
    let mut command = Command::new(PYTHON);
    // Without `-B` it would leave its bytecode beside the sources.
    command
        .arg("-B")
        .arg(check)
        .arg(checks)
        .args(with)
        .stdin(Stdio::null())
        .stdout(lines.try_clone().unwrap())
        .stderr(lines.try_clone().unwrap())
        .kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let status = timeout(CHECKS, child.wait()).await.map(Result::unwrap);
    if status.as_ref().is_ok_and(std::process::ExitStatus::success) {
        return None;
    }
    std::io::Seek::rewind(&mut lines).unwrap();
    let printed = std::io::read_to_string(lines).unwrap();
    let end = status.map_or_else(|_| format!("not done after {CHECKS:?}"), |status| status.to_string());
    Some(format!("check.py {checks}: {end}\n{printed}"))
}

/// A running `doorward demo`. Killed when dropped.
struct Demo {
    folder: TempDir,
    _child: Child,
    /// Kept open, or the demo could not print.
    _printed: Lines<BufReader<ChildStdout>>,
}

impl Demo {
    /// Starts one in a folder and on ports of its own, and waits until its house stands.
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        command
            .args(["demo", "--json", "--dir", "house"])
            .args(["--http", "127.0.0.1:0", "--mqtts", "127.0.0.1:0"])
            .current_dir(folder.path())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut printed = BufReader::new(child.stdout.take().unwrap()).lines();
        let sign_ins = timeout(HOUSE, printed.next_line()).await;
        let demo = Self {
            folder,
            _child: child,
            _printed: printed,
        };
        let Ok(Ok(Some(sign_ins))) = sign_ins else {
            panic!(
                "the demo's house does not stand: {sign_ins:?}; its log:\n{}",
                demo.log()
            );
        };
        std::fs::write(demo.sign_ins(), sign_ins).unwrap();
        demo
    }

    /// The file with what the demo printed: where it is, and who can sign in.
    fn sign_ins(&self) -> std::path::PathBuf {
        self.folder.path().join("demo.json")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}
