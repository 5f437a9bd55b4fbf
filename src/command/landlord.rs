//! `doorward landlord add`.

use std::error::Error;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use doorward::domain::account::{Email, OrganizationName, PersonName};
use doorward::domain::password::Password;
use doorward::server::{Sources, offline_app};

use super::{ConfigFile, Outcome, configured, say};

/// What can be done about landlords.
#[derive(Debug, Subcommand)]
pub enum Landlord {
    /// Add an organization and its owner. With SQLite the backend must not be running meanwhile.
    Add(Add),
}

/// Options of `landlord add`.
#[derive(Debug, clap::Args)]
pub struct Add {
    #[command(flatten)]
    file: ConfigFile,
    /// The landlord's e-mail address, to sign in with.
    #[arg(long)]
    email: Email,
    /// The landlord's name.
    #[arg(long, value_parser = |text: &str| PersonName::try_from(text.to_owned()))]
    name: PersonName,
    /// The organization's name.
    #[arg(long, value_parser = |text: &str| OrganizationName::try_from(text.to_owned()))]
    organization: OrganizationName,
    /// A file whose first line is the password, or `-` for the standard input. Without it one is made and shown once.
    #[arg(long)]
    password_file: Option<PathBuf>,
}

impl Landlord {
    /// Runs the command.
    pub async fn run(self) -> Outcome {
        match self {
            Self::Add(add) => add.run().await,
        }
    }
}

impl Add {
    async fn run(self) -> Outcome {
        let config = configured(self.file.config.as_deref())?;
        let sources = Sources::machine();
        let (password, made) = match &self.password_file {
            Some(file) => (first_line(file)?.parse::<Password>()?, None),
            None => {
                let made = sources.random.secret();
                (made.expose().parse()?, Some(made))
            }
        };
        let (app, db) = offline_app(&config, sources).await?;
        let added = app
            .add_landlord(self.organization, self.email, self.name, password)
            .await;
        drop(app);
        db.close().await;
        let (organization, person) = added?;
        say(&format!("added {organization} with its owner {person}"));
        if let Some(made) = made {
            say(&format!("password, shown once: {}", made.expose()));
        }
        Ok(())
    }
}

/// The first line of the file, or of the standard input.
fn first_line(file: &Path) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().take(4096).read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(file)?;
    }
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
