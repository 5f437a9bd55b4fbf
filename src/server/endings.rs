//! Notes endings outside the database, a line each, so that a database that is restored from a backup opens for nobody whose
//! right has ended since.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::domain::ending::Ending;
use crate::domain::time::Timestamp;

/// How often what has ended is looked for: as much may be lost with the machine.
const EVERY: Duration = Duration::from_secs(1);

/// How far back is looked each time: what was decided at a time may be committed somewhat later.
const OVERLAP: Duration = Duration::from_secs(120);

/// How much of the end of the file is read at a start, in bytes.
const TAIL: u64 = 256 * 1024;

/// The notes, and what of them may come again.
struct Notes {
    path: PathBuf,
    file: File,
    known: HashSet<Ending>,
    since: Timestamp,
}

impl Notes {
    /// Opens the file, which is made where there is none, and reads its end.
    fn open(path: &Path, now: Timestamp) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        // A line that a loss of power has cut is ended, so that the next one is whole.
        if tail.last().is_some_and(|last| *last != b'\n') {
            file.write_all(b"\n")?;
        }
        let known: HashSet<Ending> = lines(&tail).collect();
        let last = known.iter().map(|ending| ending.at).max();
        Ok(Self {
            path: path.to_owned(),
            file,
            known,
            // Of a new file: nothing before it is needed by a backup that is made from now on.
            since: last.unwrap_or(now) - OVERLAP,
        })
    }

    /// Adds what is not there yet; on disk when this returns.
    fn add(&mut self, found: Vec<Ending>, now: Timestamp) -> io::Result<()> {
        let mut text = Vec::new();
        let mut news: Vec<Ending> = found
            .into_iter()
            .filter(|ending| !self.known.contains(ending))
            .collect();
        news.sort_by_key(|ending| ending.at);
        for ending in &news {
            serde_json::to_writer(&mut text, ending)?;
            text.push(b'\n');
        }
        if !text.is_empty() {
            self.file.write_all(&text)?;
            self.file.sync_data()?;
        }
        self.since = now - OVERLAP;
        self.known.extend(news);
        let since = self.since;
        self.known.retain(|ending| ending.at >= since);
        Ok(())
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = Ending> + '_ {
    // The first one may be cut, and so may one that a loss of power ended.
    text.split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
}

/// What is noted in a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Noted {
    /// The endings.
    pub(super) endings: Vec<Ending>,
    /// How many lines say nothing: cut by a loss of power, or spoilt.
    pub(super) unreadable: usize,
}

/// All that is noted in the file; `None` where there is no file.
///
/// # Errors
/// Those of reading it.
pub(super) fn noted(path: &Path) -> io::Result<Option<Noted>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let endings: Vec<Ending> = lines(&text).collect();
    let written = text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .count();
    Ok(Some(Noted {
        unreadable: written - endings.len(),
        endings,
    }))
}

/// Notes endings until the server stops. What cannot be noted is noted once it can be; the log says so meanwhile.
pub(super) async fn note(path: PathBuf, app: Arc<App>, stop: CancellationToken) {
    let mut notes = None;
    loop {
        if let Err(error) = round(&mut notes, &path, &app).await {
            notes = None;
            tracing::error!(file = %path.display(), error, "what has ended could not be noted; a backup that is restored now would not know of it");
        }
        if stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            break;
        }
    }
    // What ended last before the stop.
    if let Err(error) = round(&mut notes, &path, &app).await {
        tracing::error!(file = %path.display(), error, "what has ended could not be noted");
    }
}

async fn round(notes: &mut Option<Notes>, path: &Path, app: &App) -> Result<(), String> {
    let now = app.now();
    let known = match notes.as_mut() {
        Some(known) => known,
        None => notes.insert(Notes::open(path, now).map_err(|error| error.to_string())?),
    };
    let found = app
        .endings_since(known.since)
        .await
        .map_err(|error| error.to_string())?;
    // A file system that hangs must hold nobody but this: the file is handed over and back.
    tokio::task::block_in_place(|| known.add(found, now)).map_err(|error| format!("{}: {error}", known.path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ending::Thing;

    fn ending(id: &str, at: i64) -> Ending {
        Ending {
            what: Thing::Grant,
            id: id.to_owned(),
            organization: None,
            at: Timestamp::from_millis(at),
        }
    }

    #[test]
    fn endings_are_noted_once_also_after_a_restart_and_a_cut_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("endings.jsonl");
        let now = Timestamp::from_millis(1_000_000);
        let mut notes = Notes::open(&path, now).unwrap();
        notes
            .add(vec![ending("b", 999_000), ending("a", 998_000)], now)
            .unwrap();
        notes
            .add(vec![ending("b", 999_000), ending("a", 998_000)], now)
            .unwrap();
        drop(notes);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"what\":\"gr").unwrap();
        drop(file);
        let mut notes = Notes::open(&path, now).unwrap();
        assert_eq!(notes.since, Timestamp::from_millis(999_000) - OVERLAP);
        notes
            .add(vec![ending("b", 999_000), ending("c", 999_500)], now)
            .unwrap();
        let noted_there = noted(&path).unwrap().unwrap();
        let ids: Vec<&str> = noted_there.endings.iter().map(|ending| ending.id.as_str()).collect();
        assert_eq!((ids, noted_there.unreadable), (vec!["a", "b", "c"], 1));
        assert_eq!(noted(&folder.path().join("none")).unwrap(), None);
    }
}
