//! `doorward export`.

use std::io::Write as _;
use std::path::PathBuf;

use doorward::domain::ids::OrganizationId;
use doorward::phone::{Office, OfficeError};

use super::office::{Desk, Progress, SignIn, new_file};
use super::{Outcome, say};

/// Options of `export`.
#[derive(Debug, clap::Args)]
pub struct Export {
    #[command(flatten)]
    sign_in: SignIn,
    /// Of which organization.
    #[arg(long, value_name = "ORGANIZATION_ID")]
    organization: OrganizationId,
    /// The file to write, which must not be there yet. It holds names, addresses and who went where: encrypt it.
    to: PathBuf,
}

impl Export {
    /// Runs the command.
    pub async fn run(self) -> Outcome {
        let desk = self.sign_in.desk()?;
        let mut file = new_file(&self.to)?;
        let written = write(&desk, &self.organization, &mut file).await;
        if written.is_err() {
            // Half a house must not be taken for a whole one.
            std::fs::remove_file(&self.to)?;
        }
        let lines = written?;
        say(&format!("wrote {}: {lines} lines", self.to.display()));
        Ok(())
    }
}

/// Writes the file in a session of its own; says how many lines it has.
async fn write(
    desk: &Desk,
    organization: &OrganizationId,
    file: &mut std::fs::File,
) -> Result<u64, Box<dyn std::error::Error>> {
    let office = desk.sign_in().await?;
    let written = download(&office, organization, file).await;
    office.leave().await;
    written
}

async fn download(
    office: &Office,
    organization: &OrganizationId,
    file: &mut std::fs::File,
) -> Result<u64, Box<dyn std::error::Error>> {
    let mut download = office
        .download(&format!("/v1/organizations/{organization}/export"))
        .await?;
    let (mut lines, mut bytes, mut progress) = (0, 0, Progress::new());
    let mut last = Vec::new();
    while let Some(part) = download.chunk().await? {
        file.write_all(&part)?;
        lines += part.iter().filter(|sign| **sign == b'\n').count() as u64;
        bytes += part.len() as u64;
        keep_end(&mut last, &part);
        progress.say(|| format!("{lines} lines, {} MiB", bytes >> 20));
    }
    file.sync_all()?;
    progress.end(&format!("{lines} lines, {} MiB", bytes >> 20));
    let end = last.split(|sign| *sign == b'\n').rfind(|line| !line.is_empty());
    let end: Option<serde_json::Value> = end.and_then(|line| serde_json::from_slice(line).ok());
    match end.and_then(|end| end["lines"].as_u64()) {
        Some(before) if before + 1 == lines => Ok(lines),
        _ => Err(OfficeError::Strange("the backend".to_owned()).into()),
    }
}

/// Keeps the last bytes of what came.
fn keep_end(last: &mut Vec<u8>, part: &[u8]) {
    const KEPT: usize = 256;
    last.extend_from_slice(part);
    let cut = last.len().saturating_sub(KEPT);
    last.drain(..cut);
}
