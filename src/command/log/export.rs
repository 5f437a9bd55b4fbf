//! `doorward log export`.

use std::error::Error;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use doorward::domain::ids::OrganizationId;
use doorward::phone::{Office, OfficeError, PhoneError};
use serde::Deserialize;

use crate::command::office::{Desk, Progress, SignIn, new_file};
use crate::command::{Outcome, say};

/// How often in a row it is tried to go on without anything coming of it.
const TRIES: u32 = 6;

/// Options of `log export`.
#[derive(Debug, clap::Args)]
pub struct Export {
    #[command(flatten)]
    sign_in: SignIn,
    /// Of which organization; whoever belongs to one need not say.
    #[arg(long, value_name = "ORGANIZATION_ID")]
    organization: Option<OrganizationId>,
    /// Go on with a file that an earlier run left unfinished.
    #[arg(long)]
    resume: bool,
    /// The file to write. It holds who went where: encrypt it.
    to: PathBuf,
}

/// What is looked at in a line.
#[derive(Deserialize)]
struct Line {
    what: String,
    seq: Option<u64>,
    size: Option<u64>,
}

/// How far a file is.
#[derive(Debug, Clone, Copy, Default)]
struct Come {
    /// How many bytes of whole lines it has.
    bytes: u64,
    /// How many entries the log has that it is of; none before its head is there.
    size: Option<u64>,
    /// The number of the last entry in it.
    after: u64,
}

impl Come {
    /// Takes a whole line in.
    fn take(&mut self, line: &[u8]) -> Result<(), serde_json::Error> {
        let read: Line = serde_json::from_slice(line)?;
        self.bytes += line.len() as u64;
        match read.what.as_str() {
            "log-checkpoint" => self.size = read.size,
            _ => self.after = read.seq.unwrap_or(self.after),
        }
        Ok(())
    }
}

impl Export {
    /// Runs the command.
    pub async fn run(self) -> Outcome {
        let desk = self.sign_in.desk()?;
        let (file, come) = match self.resume {
            true => reopened(&self.to)?,
            false => (new_file(&self.to)?, Come::default()),
        };
        let whose = self.organization.as_ref().map(|id| format!("&organization_id={id}"));
        let path = format!("/v1/access-log/export?format=jsonl{}", whose.unwrap_or_default());
        let mut writing = Writing {
            path,
            file,
            come,
            rest: Vec::new(),
            progress: Progress::new(),
        };
        let written = writing.write(&desk).await;
        if written.is_err() && writing.come.bytes == 0 && !self.resume {
            // Nothing came, and the next run is to find its place free.
            std::fs::remove_file(&self.to)?;
        }
        written?;
        let Writing {
            file, come, progress, ..
        } = writing;
        file.sync_all()?;
        progress.end(&format!("{0} of {0} entries", come.size.unwrap_or_default()));
        say(&format!(
            "wrote {}, with the log up to its entry {}",
            self.to.display(),
            come.size.unwrap_or_default()
        ));
        Ok(())
    }
}

/// The file of an earlier run, cut behind its last whole line.
fn reopened(path: &std::path::Path) -> Result<(File, Come), Box<dyn Error>> {
    let file = File::options().read(true).write(true).open(path)?;
    let (mut come, mut line) = (Come::default(), Vec::new());
    let mut reader = BufReader::new(&file);
    loop {
        line.clear();
        reader.read_until(b'\n', &mut line)?;
        // What the break tore has no end; on a disk that lost power it may have one and make no sense.
        if !line.ends_with(b"\n") || come.take(&line).is_err() {
            break;
        }
    }
    drop(reader);
    if come.size.is_none() {
        come = Come::default();
    }
    file.set_len(come.bytes)?;
    use std::io::Seek as _;
    (&file).seek(std::io::SeekFrom::End(0))?;
    Ok((file, come))
}

/// A file that is being written.
struct Writing {
    path: String,
    file: File,
    come: Come,
    /// A line whose end has not come yet.
    rest: Vec<u8>,
    progress: Progress,
}

impl Writing {
    /// Writes all of it, going on where it breaks off.
    async fn write(&mut self, desk: &Desk) -> Result<(), Box<dyn Error>> {
        let (mut office, mut tried) = (None, 0);
        loop {
            let before = self.come.bytes;
            let stopped = match self.try_on(desk, &mut office).await {
                Ok(()) => return Ok(()),
                Err(stopped) => stopped,
            };
            if self.come.bytes > before {
                tried = 0;
            }
            let passes = stopped.downcast_ref::<OfficeError>().is_some_and(passes);
            tried += 1;
            if !passes || tried == TRIES {
                let what = match self.come.size {
                    Some(_) => "; go on later with --resume",
                    None => "",
                };
                return Err(format!("{stopped}{what}").into());
            }
            // The session may have ended too. It is not given up before that is known: a second factor's code counts once.
            if matches!(stopped.downcast_ref(), Some(OfficeError::Refused { status: 401, .. })) {
                office = None;
            }
            self.rest.clear();
            self.progress.say(|| format!("{stopped}; trying to go on"));
            tokio::time::sleep(Duration::from_secs(1 << tried)).await;
        }
    }

    /// Reads on until the end, or until it breaks off.
    async fn try_on(&mut self, desk: &Desk, office: &mut Option<Office>) -> Result<(), Box<dyn Error>> {
        let office = match office {
            Some(office) => office,
            None => office.insert(desk.sign_in().await?),
        };
        let path = match self.come.size {
            Some(size) => format!("{}&after={}&size={size}", self.path, self.come.after),
            None => self.path.clone(),
        };
        let mut download = office.download(&path).await?;
        while let Some(part) = download.chunk().await? {
            self.take(&part)?;
        }
        match self.rest.is_empty() {
            true => Ok(()),
            false => Err("the file ends within a line".into()),
        }
    }

    fn take(&mut self, part: &[u8]) -> Result<(), Box<dyn Error>> {
        self.rest.extend_from_slice(part);
        let whole = self.rest.iter().rposition(|sign| *sign == b'\n').map_or(0, |at| at + 1);
        for line in self.rest[..whole].split_inclusive(|sign| *sign == b'\n') {
            self.come.take(line)?;
        }
        self.file.write_all(&self.rest[..whole])?;
        self.rest.drain(..whole);
        let (after, size) = (self.come.after, self.come.size.unwrap_or_default());
        self.progress.say(|| format!("{after} of {size} entries"));
        Ok(())
    }
}

/// Whether it may go on in a while.
fn passes(stopped: &OfficeError) -> bool {
    match stopped {
        OfficeError::Unanswered { .. } | OfficeError::SignIn(PhoneError::Unanswered { .. }) => true,
        OfficeError::Refused { status, .. } => matches!(status, 401 | 429 | 500..),
        OfficeError::SignIn(PhoneError::Refused { status, .. }) => matches!(status, 429 | 500..),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "{\"what\":\"log-checkpoint\",\"size\":3}\n";

    #[test]
    fn a_torn_file_goes_on_behind_its_last_whole_line() {
        let one = "{\"what\":\"log-leaf\",\"seq\":1}\n";
        for (content, bytes, after) in [
            (String::new(), 0, 0),
            ("{\"what\":\"log-ch".to_owned(), 0, 0),
            (HEAD.to_owned(), HEAD.len(), 0),
            (format!("{HEAD}{one}"), HEAD.len() + one.len(), 1),
            (format!("{HEAD}{one}{{\"what\":\"log-l"), HEAD.len() + one.len(), 1),
            (format!("{HEAD}{one}\0\0\0\n"), HEAD.len() + one.len(), 1),
            (one.to_owned(), 0, 0),
        ] {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &content).unwrap();
            let (_, come) = reopened(file.path()).unwrap();
            assert_eq!((come.bytes, come.after), (bytes as u64, after), "{content:?}");
            assert_eq!(
                std::fs::metadata(file.path()).unwrap().len(),
                bytes as u64,
                "{content:?}"
            );
        }
    }
}
