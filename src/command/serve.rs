//! `doorward serve` and `doorward migrate`.

use doorward::server::{Server, Sources};

use super::{ConfigFile, Outcome, configured, told_to_stop};

/// Options of `serve` and `migrate`.
#[derive(Debug, clap::Args)]
pub struct Serve {
    #[command(flatten)]
    file: ConfigFile,
}

impl Serve {
    /// Runs the backend until it is told to stop.
    pub async fn run(self) -> Outcome {
        let config = configured(self.file.config.as_deref())?;
        let mut server = Server::start(&config, Sources::machine()).await?;
        if !server.app().has_landlord().await? {
            tracing::warn!(
                "nobody can sign in yet: stop, run `doorward landlord add` with this configuration, start again"
            );
        }
        let failed = tokio::select! {
            told = told_to_stop() => {
                told?;
                false
            }
            () = server.failed() => true,
        };
        server.stop().await;
        if failed {
            Err("a web server ended by itself".into())
        } else {
            Ok(())
        }
    }

    /// Brings the database up to date.
    pub async fn migrate(self) -> Outcome {
        let config = configured(self.file.config.as_deref())?;
        let db = doorward::server::open_database(&config).await?;
        db.close().await;
        Ok(())
    }
}
