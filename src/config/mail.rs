//! The operator's mail server, by which letters leave.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::broker_url::{is_loopback_host, split_port};
use super::secret_text::SecretText;
use super::sections::maybe_empty;
use super::{ConfigError, check};

/// The mail server, and who we are there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mail {
    /// `smtps://HOST:PORT` (TLS), or `smtp://HOST:PORT` (STARTTLS; none on this machine): no letters where it is empty.
    pub smtp_url: String,
    /// The user name there; empty where it asks for none.
    pub username: String,
    /// Its password.
    pub password: SecretText,
    /// A file with the password, instead of it.
    #[serde(with = "maybe_empty")]
    pub password_file: Option<PathBuf>,
    /// The authority of that server, in PEM; those that this machine trusts where it is empty.
    #[serde(with = "maybe_empty")]
    pub ca_file: Option<PathBuf>,
    /// The sender's address.
    pub from: String,
}

/// A text is not the address of a mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected smtps://HOST[:PORT] or smtp://HOST[:PORT], and no user name in it")]
pub struct BadSmtpUrl;

/// Where a mail server listens; the port is 465 with TLS and 587 without where none is given (RFC 8314, 7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpUrl {
    /// Whether TLS is spoken from the first byte.
    pub tls: bool,
    /// Host name or address; an IPv6 address without its brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl SmtpUrl {
    /// Whether the server is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback_host(&self.host)
    }
}

impl FromStr for SmtpUrl {
    type Err = BadSmtpUrl;

    fn from_str(text: &str) -> Result<Self, BadSmtpUrl> {
        let (tls, rest) = match text.split_once("://") {
            Some(("smtps", rest)) => (true, rest),
            Some(("smtp", rest)) => (false, rest),
            _ => return Err(BadSmtpUrl),
        };
        let (host, port) = split_port(rest).ok_or(BadSmtpUrl)?;
        let port = port.unwrap_or(if tls { 465 } else { 587 });
        Ok(Self {
            tls,
            host: host.to_owned(),
            port,
        })
    }
}

impl Mail {
    /// Whether letters are sent at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.smtp_url.is_empty()
    }

    /// Where the server is.
    ///
    /// # Errors
    /// [`ConfigError::BadValue`] where the URL is none; [`super::Config::load`] has seen to that where there is one.
    pub fn url(&self) -> Result<SmtpUrl, ConfigError> {
        let url = self.smtp_url.parse::<SmtpUrl>();
        url.map_err(|error| check::bad("mail.smtp_url", &error.to_string()))
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if !self.is_on() {
            return Ok(());
        }
        self.url()?;
        if !email_address::EmailAddress::is_valid(&self.from) {
            let why = "is needed: the address that letters come from, such as doors@example.org";
            return Err(check::bad("mail.from", why));
        }
        if self.username.is_empty() != self.password.is_empty() {
            return Err(check::bad("mail.username", "goes together with a password"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_server_has_a_scheme_a_host_and_a_port() {
        for (text, expected) in [
            ("smtps://mail.example", Some((true, "mail.example", 465))),
            ("smtp://mail.example", Some((false, "mail.example", 587))),
            ("smtp://127.0.0.1:25", Some((false, "127.0.0.1", 25))),
            ("smtp://[::1]:2525", Some((false, "::1", 2525))),
            ("mail.example", None),
            ("https://mail.example", None),
            ("smtp://", None),
            ("smtp://user:word@mail.example", None),
            ("smtp://mail.example/?tls=none", None),
        ] {
            let read = text.parse::<SmtpUrl>().ok();
            let read = read.as_ref().map(|url| (url.tls, url.host.as_str(), url.port));
            assert_eq!(read, expected, "{text}");
        }
    }
}
