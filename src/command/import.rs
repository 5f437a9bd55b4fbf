//! `doorward import`.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use doorward::crypto::random::{OsRandom, Random as _};
use doorward::domain::ids::OrganizationId;
use doorward::domain::text::harmless;
use doorward::phone::{Imported, Invitation, OfficeError};
use serde_json::Value;

use super::office::{Desk, SignIn, new_file};
use super::{Outcome, say};

/// Options of `import`.
#[derive(Debug, clap::Args)]
pub struct Import {
    #[command(flatten)]
    sign_in: SignIn,
    /// Into which organization.
    #[arg(long, value_name = "ORGANIZATION_ID")]
    organization: OrganizationId,
    /// Properties: columns `name`, `address`, `time_zone`.
    #[arg(long, value_name = "FILE")]
    properties: Option<PathBuf>,
    /// Units: columns `property`, `name`.
    #[arg(long, value_name = "FILE")]
    units: Option<PathBuf>,
    /// Locks: columns `property`, `unit` (nothing for a shared door), `name`.
    #[arg(long, value_name = "FILE")]
    locks: Option<PathBuf>,
    /// Tenancies: columns `property`, `unit`, `email`, `from`, `until` (nothing for no end; the last day).
    #[arg(long, value_name = "FILE")]
    tenancies: Option<PathBuf>,
    /// Only say what would come of it.
    #[arg(long)]
    dry_run: bool,
    /// Where the links of invitations go that no letter takes to their people, as CSV: they are shown this once. The file
    /// must not be there yet; whoever reads it can move in.
    #[arg(long, value_name = "FILE")]
    links: Option<PathBuf>,
}

impl Import {
    /// Runs the command.
    pub async fn run(self) -> Outcome {
        let files = [
            ("properties", &self.properties),
            ("units", &self.units),
            ("locks", &self.locks),
            ("tenancies", &self.tenancies),
        ];
        let mut tables = serde_json::Map::new();
        let mut names = BTreeMap::new();
        for (table, file) in files {
            let Some(file) = file else { continue };
            tables.insert(table.to_owned(), Value::String(text_of(file)?));
            names.insert(table.to_owned(), file.display().to_string());
        }
        if tables.is_empty() {
            return Err("name at least one of --properties, --units, --locks and --tenancies".into());
        }
        // Before anybody is invited: a link that cannot be kept is lost.
        let links = match (&self.links, self.tenancies.is_some() && !self.dry_run) {
            (Some(path), true) => Some((path.clone(), new_file(path)?)),
            (None, true) => return Err("say by --links where the links of invitations are to go".into()),
            (_, false) => None,
        };
        let desk = self.sign_in.desk()?;
        let sent = send(&desk, &self.organization, &Value::Object(tables), self.dry_run).await;
        let imported = match sent {
            Ok(imported) => imported,
            Err(error) => {
                if let Some((path, _)) = &links {
                    std::fs::remove_file(path)?;
                }
                return Err(match (&error, links.is_some()) {
                    (OfficeError::Unanswered { .. }, true) => format!(
                        "{error}. It may have come in all the same: run it again, and make those invitations anew by hand that stand already"
                    )
                    .into(),
                    _ => error.into(),
                });
            }
        };
        if let Some((path, file)) = links {
            let shown = write_links(file, &imported.invitations)?;
            match shown {
                0 => std::fs::remove_file(&path)?,
                _ => say(&format!(
                    "{shown} links of invitations are in {}: hand them on",
                    path.display()
                )),
            }
        }
        report(&imported, &names, self.dry_run)
    }
}

/// Sends the tables, in a session of this run's own.
async fn send(
    desk: &Desk,
    organization: &OrganizationId,
    tables: &Value,
    dry_run: bool,
) -> Result<Imported, OfficeError> {
    let once = format!("import-{:032x}", OsRandom.bits());
    let office = desk.sign_in().await?;
    let imported = office.import(organization, tables, dry_run, &once).await;
    office.leave().await;
    imported
}

/// The file as text.
///
/// # Errors
/// Where it is in another encoding, in words that say what to do.
fn text_of(file: &Path) -> Result<String, Box<dyn Error>> {
    let name = file.display();
    let bytes = std::fs::read(file).map_err(|error| format!("{name} cannot be read: {error}"))?;
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(format!("{name} is in UTF-16 (\"Unicode text\"): save it as \"CSV UTF-8\"").into());
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..valid].iter().filter(|byte| **byte == b'\n').count();
        format!("{name}, line {line}: this is not UTF-8, perhaps Windows-1252: save it as \"CSV UTF-8\"").into()
    })
}

/// Writes the links that are shown; says how many.
fn write_links(file: std::fs::File, invitations: &[Invitation]) -> Result<usize, Box<dyn Error>> {
    let mut writer = csv::Writer::from_writer(&file);
    writer.write_record(["line", "unit", "email", "link", "expires_at"])?;
    let mut shown = 0;
    for invitation in invitations {
        let Some(link) = &invitation.secret_link else { continue };
        shown += 1;
        let line = invitation.line.to_string();
        let cells = [
            &line,
            &invitation.unit_name,
            &invitation.email,
            link,
            &invitation.expires_at,
        ];
        writer.write_record(cells.map(|cell| harmless(cell.clone())))?;
    }
    writer.flush()?;
    drop(writer);
    file.sync_all()?;
    Ok(shown)
}

fn report(imported: &Imported, names: &BTreeMap<String, String>, dry_run: bool) -> Outcome {
    for fault in &imported.faults {
        let file = names.get(&fault.file).unwrap_or(&fault.file);
        let column = fault
            .column
            .as_ref()
            .map_or_else(String::new, |column| format!(" {column}:"));
        say(&format!("{file}:{}:{column} {}", fault.line, fault.why));
    }
    if imported.fault_count > 0 {
        return Err(format!("nothing came in; faults: {}", imported.fault_count).into());
    }
    for table in names.keys() {
        let count = |of: &BTreeMap<String, u64>| of.get(table).copied().unwrap_or_default();
        let (added, unchanged) = (count(&imported.added), count(&imported.unchanged));
        let done = if dry_run { "would come in" } else { "came in" };
        say(&format!("{table}: {added} {done}, {unchanged} stand already"));
    }
    Ok(())
}
