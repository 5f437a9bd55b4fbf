//! The way out to webhooks, as the configuration says.

use std::sync::Arc;

use super::StartError;
use crate::config::Config;
use crate::domain::webhook::Teller;
use crate::hooks::teller::HttpTeller;

/// Tells webhooks where the configuration allows it.
pub(super) fn teller(config: &Config) -> Result<Arc<dyn Teller>, StartError> {
    let webhooks = &config.webhooks;
    let authority = webhooks.ca_file.as_ref().map(|path| {
        std::fs::read(path).map_err(|source| StartError::WebhookAuthority {
            path: path.clone(),
            source,
        })
    });
    let authority = authority.transpose()?;
    let teller = HttpTeller::new(webhooks.allow_networks.clone(), authority.as_deref())?;
    Ok(Arc::new(teller))
}
