//! The auditor's side: is an export what the log had?

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use doorward::crypto::evidence::{self, Checked, Report};
use doorward::crypto::note::NoteKey;

use super::office::about;
use super::{Outcome, say};

mod export;

#[derive(Debug, Subcommand)]
pub enum Log {
    /// Write an access log with its proofs into a file, through the backend that runs. What breaks off goes on where it was.
    Export(export::Export),
    /// Check an export (JSON lines) of an access log, or of all that is a person's own. Needs no backend and no network.
    Verify(Verify),
}

#[derive(Debug, Args)]
pub struct Verify {
    /// The export.
    export: PathBuf,
    /// The key of the log, as `GET /v1/access-log/checkpoint` shows it, from whom you trust; once for each log in the file.
    #[arg(long = "key", required = true, value_name = "KEY")]
    keys: Vec<NoteKey>,
    /// A file with a checkpoint that you have kept: the log in the export must have grown from it.
    #[arg(long, value_name = "FILE")]
    since: Vec<PathBuf>,
}

impl Log {
    pub async fn run(self) -> Outcome {
        match self {
            Self::Export(export) => export.run().await,
            Self::Verify(verify) => verify.run(),
        }
    }
}

impl Verify {
    fn run(self) -> Outcome {
        let Self { export, keys, since } = self;
        let mut kept = Vec::new();
        for file in since {
            let note = std::fs::read_to_string(&file).map_err(|error| about(&file, &error))?;
            // Whoever writes a file by a shell ends it with a line more, or less.
            let note = format!("{}\n", note.trim_end_matches('\n'));
            let opened = keys.iter().find_map(|key| key.open(&note).ok());
            let unknown = || format!("{} is no checkpoint that one of these keys has signed", file.display());
            kept.push(opened.ok_or_else(unknown)?);
        }
        let opened = File::open(&export).map_err(|error| about(&export, &error))?;
        let Report { logs, other_lines } = evidence::check(BufReader::new(opened), &keys, &kept)?;
        for checked in &logs {
            for line in report(checked) {
                say(&line);
            }
        }
        if other_lines > 0 {
            say(&format!(
                "{other_lines} other lines of the file are no part of a log and were not checked"
            ));
        }
        Ok(())
    }
}

fn report(checked: &Checked) -> Vec<String> {
    let Checked {
        origin,
        size,
        as_of,
        is_whole,
        proven,
        sealed,
        forgotten,
        claimed,
        first_claimed,
        grown_from,
    } = checked;
    let as_of = as_of.map_or_else(String::new, |as_of| format!(", the last of {as_of}"));
    let mut lines = vec![
        format!("{origin}: {size} entries, signed{as_of}"),
        format!("  {proven} stand in the log as in the file, but for what doors and people are called"),
        format!("  {sealed} show nothing: they are not for whoever exported"),
    ];
    if *forgotten > 0 {
        let said = if *is_whole { ", as the log itself says" } else { "" };
        lines.push(format!("  {forgotten} were forgotten when their time was over{said}"));
    }
    if *claimed > 0 {
        let numbers: Vec<String> = first_claimed.iter().map(ToString::to_string).collect();
        let more = if first_claimed.len() as u64 == *claimed {
            ""
        } else {
            ", …"
        };
        lines.push(format!(
            "  {claimed} are shown without who, so what they say is NOT proven: {}{more}",
            numbers.join(", ")
        ));
    }
    if let Some(size) = grown_from {
        lines.push(format!("  it has grown from the {size} entries of your checkpoint"));
    }
    lines.push(match is_whole {
        true => "  no entry was left out or added, and none that is proven was changed".to_owned(),
        false => "  none that is proven was changed or added; the file has a part of the log".to_owned(),
    });
    lines
}
