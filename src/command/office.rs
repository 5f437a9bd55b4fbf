//! How a landlord's command line signs in, and how it says how far it is.

use std::error::Error;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use doorward::client::BackendAddress;
use doorward::crypto::random::OsRandom;
use doorward::phone::{Bound, Office, OfficeError, PhoneError};
use doorward::server::MachineClock;
use zeroize::Zeroizing;

/// How often it is said how far something is.
const SAID_EVERY: Duration = Duration::from_secs(2);

/// Where the backend is, and who asks.
#[derive(Debug, clap::Args)]
pub struct SignIn {
    /// The backend's address, such as `https://doors.example`.
    #[arg(long, value_name = "URL")]
    server: BackendAddress,
    /// What the backend calls itself, its `http.public_url`, where it is reached at another address.
    #[arg(long, value_name = "URL")]
    known_as: Option<String>,
    /// The certificate authority to trust for the backend, as PEM; else those that this machine trusts.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The address to sign in with.
    #[arg(long)]
    email: String,
    /// A file whose first line is the password, or `-` for the standard input.
    #[arg(long, value_name = "FILE", default_value = "-")]
    password_file: PathBuf,
    /// What the second factor's device shows, where there is one.
    #[arg(long)]
    code: Option<String>,
}

/// Somebody who can sign in, and again.
pub struct Desk {
    sign_in: SignIn,
    password: Zeroizing<String>,
}

impl SignIn {
    /// Reads the password, and asks for it where somebody sits at a terminal.
    pub fn desk(self) -> Result<Desk, Box<dyn Error>> {
        let mut password = Zeroizing::new(String::new());
        if self.password_file == Path::new("-") {
            if std::io::stdin().is_terminal() {
                tell(&format!("Password of {}, which the terminal shows:", self.email), false);
            }
            std::io::stdin().lock().read_line(&mut password)?;
        } else {
            let read = std::fs::read_to_string(&self.password_file);
            password = Zeroizing::new(read.map_err(|error| about(&self.password_file, &error))?);
        }
        let password = Zeroizing::new(password.lines().next().unwrap_or_default().to_owned());
        if password.is_empty() {
            return Err(
                "there is no password: it is the first line of the standard input, or of --password-file".into(),
            );
        }
        let sign_in = self;
        Ok(Desk { sign_in, password })
    }
}

impl Desk {
    /// Signs in, in a session that is bound to a key of this run, or, where the backend goes by another name than the one that it was
    /// asked under, in one that is not: a code counts once, so it is not tried the other way round.
    pub async fn sign_in(&self) -> Result<Office, OfficeError> {
        match self.sign_in_as(true).await {
            Err(OfficeError::SignIn(PhoneError::Refused { word, .. })) if word == "proof-refused" => {
                self.sign_in_as(false).await
            }
            other => other,
        }
    }

    async fn sign_in_as(&self, bound: bool) -> Result<Office, OfficeError> {
        let SignIn {
            server,
            known_as,
            ca_file,
            email,
            code,
            ..
        } = &self.sign_in;
        let key = bound.then(|| Bound {
            known_as: known_as.as_deref(),
            clock: Arc::new(MachineClock),
            random: Arc::new(OsRandom),
        });
        let who = (email.as_str(), self.password.as_str(), code.as_deref());
        Office::sign_in(server.clone(), ca_file.as_deref(), who, key).await
    }
}

/// Says on the standard error how far something is: now and then, and on a terminal always on the same line.
pub struct Progress {
    said_at: Option<Instant>,
}

impl Progress {
    /// Nothing was said yet.
    pub fn new() -> Self {
        Self { said_at: None }
    }

    /// Says it, unless something was said just now.
    pub fn say(&mut self, what: impl FnOnce() -> String) {
        if self.said_at.is_none_or(|at| at.elapsed() >= SAID_EVERY) {
            self.said_at = Some(Instant::now());
            tell(&what(), true);
        }
    }

    /// Says the last of it.
    pub fn end(self, what: &str) {
        tell(what, false);
    }
}

/// Writes a line to the standard error. Where nobody reads that, it is lost, and nothing else.
fn tell(line: &str, more: bool) {
    let mut stderr = std::io::stderr().lock();
    let is_terminal = stderr.is_terminal();
    let begin = if is_terminal { "\r\x1b[K" } else { "" };
    let end = if is_terminal && more { "" } else { "\n" };
    let written = write!(stderr, "{begin}{line}{end}").and_then(|()| stderr.flush());
    written.unwrap_or_default();
}

/// A new file that nobody else may read.
///
/// # Errors
/// Where it is there already, or cannot be made; it is named.
pub fn new_file(path: &Path) -> Result<std::fs::File, Box<dyn Error>> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let made = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    made.map_err(|error| about(path, &error).into())
}

/// What is wrong with a file, which the error of the system does not name.
pub fn about(path: &Path, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::AlreadyExists => format!("{} is there already: name another file", path.display()),
        _ => format!("{}: {error}", path.display()),
    }
}
