//! `doorward service-account add`.

use clap::Subcommand;
use doorward::domain::account::PersonName;
use doorward::domain::ids::OrganizationId;
use doorward::server::{Sources, offline_app};

use super::{ConfigFile, Outcome, configured, say};

/// What can be done about accounts of programs.
#[derive(Debug, Subcommand)]
pub enum ServiceAccount {
    /// Add an account that nobody can sign in as, and print its id. It opens what a landlord gives it grants for. With
    /// SQLite the backend must not be running meanwhile.
    Add(Add),
}

/// Options of `service-account add`.
#[derive(Debug, clap::Args)]
pub struct Add {
    #[command(flatten)]
    file: ConfigFile,
    /// What the program is called in lists and in the access log.
    #[arg(long, value_parser = |text: &str| PersonName::try_from(text.to_owned()))]
    name: PersonName,
    /// The id of the organization that it belongs to; may be given several times.
    #[arg(long, required = true)]
    organization: Vec<OrganizationId>,
}

impl ServiceAccount {
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
        let (app, db) = offline_app(&config, Sources::machine()).await?;
        let added = app.add_service_account(self.name, self.organization).await;
        drop(app);
        db.close().await;
        say(&format!("added {}", added?));
        Ok(())
    }
}
