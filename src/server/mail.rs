//! The mail server, where the configuration names one.

use std::sync::Arc;

use super::StartError;
use crate::config::Config;
use crate::domain::letter::Carrier;
use crate::mail::smtp::{Privacy, Smtp, SmtpOptions};

/// The way out to people's mailboxes; `None` where letters are off.
pub(super) fn carrier(config: &Config) -> Result<Option<Arc<dyn Carrier>>, StartError> {
    let mail = &config.mail;
    if !mail.is_on() {
        return Ok(None);
    }
    let url = mail.url()?;
    let authority = match &mail.ca_file {
        Some(path) => Some(std::fs::read(path).map_err(|source| StartError::MailAuthority {
            path: path.clone(),
            source,
        })?),
        None => None,
    };
    let privacy = match (url.tls, url.is_loopback() && authority.is_none()) {
        (true, _) => Privacy::Tls,
        (false, true) => Privacy::Plain,
        (false, false) => Privacy::StartTls,
    };
    let credentials = (mail.username.clone(), mail.password.expose().to_owned());
    let smtp = Smtp::new(SmtpOptions {
        host: url.host,
        port: url.port,
        privacy,
        authority,
        credentials: (!mail.username.is_empty()).then_some(credentials),
        from: mail.from.parse()?,
        public_url: config.public_url(),
    })?;
    Ok(Some(Arc::new(smtp)))
}
