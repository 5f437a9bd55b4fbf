//! Notes endings outside the database, a line each, so that a database that is restored from a backup opens for nobody whose
//! right has ended since.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::domain::ending::{Ending, Line};
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
    /// Opens the file and reads its end. Where there is none it is made, and covers what has ended from `since` on.
    fn open(path: &Path, since: Timestamp) -> io::Result<Self> {
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
        let mut known = HashSet::new();
        let mut last = None;
        for line in lines(&tail) {
            let at = match line {
                Line::Beginning { covers_since } => covers_since,
                Line::Ending(ending) => {
                    let at = ending.at - OVERLAP;
                    known.insert(ending);
                    at
                }
            };
            last = last.max(Some(at));
        }
        let mut notes = Self {
            path: path.to_owned(),
            file,
            known,
            since: last.unwrap_or(since),
        };
        if last.is_none() {
            notes.write(&[Line::Beginning { covers_since: since }])?;
        }
        Ok(notes)
    }

    /// Whether the file is still the one that has this name.
    fn is_in_place(&self) -> io::Result<bool> {
        let here = self.file.metadata()?;
        match std::fs::metadata(&self.path) {
            Ok(there) => Ok((here.dev(), here.ino()) == (there.dev(), there.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Adds what is not there yet; on disk when this returns.
    fn add(&mut self, found: Vec<Ending>, now: Timestamp) -> io::Result<()> {
        let mut news: Vec<Ending> = found
            .into_iter()
            .filter(|ending| !self.known.contains(ending))
            .collect();
        news.sort_by_key(|ending| ending.at);
        let lines: Vec<Line> = news.iter().cloned().map(Line::Ending).collect();
        self.write(&lines)?;
        self.since = now - OVERLAP;
        self.known.extend(news);
        let since = self.since;
        self.known.retain(|ending| ending.at >= since);
        Ok(())
    }

    fn write(&mut self, lines: &[Line]) -> io::Result<()> {
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        if !text.is_empty() {
            self.file.write_all(&text)?;
            self.file.sync_data()?;
        }
        Ok(())
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = Line> + '_ {
    // The first one may be cut, and so may one that a loss of power ended.
    text.split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
}

/// What is noted in a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Noted {
    /// From when on all endings are there; `None` where that is not said.
    pub(super) covers_since: Option<Timestamp>,
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
    let written = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut noted = Noted {
        unreadable: written.count(),
        ..Noted::default()
    };
    for line in lines(&text) {
        noted.unreadable -= 1;
        match line {
            Line::Ending(ending) => noted.endings.push(ending),
            // Files that were put together cover what the last of them does, at least.
            Line::Beginning { covers_since } => noted.covers_since = noted.covers_since.max(Some(covers_since)),
        }
    }
    Ok(Some(noted))
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
    let before = match notes.take() {
        // Somebody has moved it away: the next one goes on where it ends.
        Some(known) if !known.is_in_place().map_err(|error| error.to_string())? => known.since,
        Some(known) => {
            *notes = Some(known);
            now
        }
        // Nothing before it is needed by a backup that is made from now on.
        None => now - OVERLAP,
    };
    let known = match notes.as_mut() {
        Some(known) => known,
        None => notes.insert(Notes::open(path, before).map_err(|error| error.to_string())?),
    };
    let found = app
        .endings_since(known.since)
        .await
        .map_err(|error| error.to_string())?;
    // A file system that hangs must hold nobody but this: the file is handed over and back.
    tokio::task::block_in_place(|| known.add(found, now))
        .map_err(|error| format!("{}: {error}", known.path.display()))?;
    let until = i64::try_from(now.as_seconds()).unwrap_or(i64::MAX);
    app.metrics().endings_noted.set(until);
    Ok(())
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
            number: None,
            at: Timestamp::from_millis(at),
        }
    }

    #[test]
    fn endings_are_noted_once_also_after_a_restart_and_a_cut_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("endings.jsonl");
        let (now, began) = (Timestamp::from_millis(1_000_000), Timestamp::from_millis(500_000));
        let mut notes = Notes::open(&path, began).unwrap();
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
        assert_eq!(noted_there.covers_since, Some(began));
        assert_eq!(noted(&folder.path().join("none")).unwrap(), None);
    }

    #[test]
    fn notes_say_from_when_they_cover_and_go_on_where_they_were_moved_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("endings.jsonl");
        let now = Timestamp::from_millis(1_000_000);
        drop(Notes::open(&path, now).unwrap());
        // Nothing had ended before it was stopped: what ends before the next start is looked for.
        let notes = Notes::open(&path, now + std::time::Duration::from_secs(3_600)).unwrap();
        assert_eq!(notes.since, now);
        assert!(notes.is_in_place().unwrap());
        std::fs::rename(&path, folder.path().join("moved")).unwrap();
        assert!(!notes.is_in_place().unwrap());
        std::fs::write(&path, "").unwrap();
        assert!(!notes.is_in_place().unwrap(), "another one of this name");
        let next = Notes::open(&path, notes.since).unwrap();
        assert_eq!(next.since, now);
        let covers_since = noted(&path).unwrap().unwrap().covers_since;
        assert_eq!(covers_since, Some(now));
    }
}
