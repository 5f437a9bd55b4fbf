//! Where the database is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where the database is: `sqlite:PATH`, `sqlite://PATH`, `postgres://…` or `postgresql://…`.
/// Neither `Debug` nor `Display` shows a password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(pub(super) Place);

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The file, as it was written: relative to the working directory or absolute.
    Sqlite(PathBuf),
    /// The whole URL for libpq, with its secrets.
    Postgres(PostgresUrl),
}

/// A URL of Postgres, and what of it must not be shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct PostgresUrl {
    text: String,
    secrets: Vec<String>,
}

/// A text is not the URL of a database that this program can use. Says why, and repeats no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// Another scheme, or none.
    #[error("the database must be sqlite:PATH or postgres://…")]
    Scheme,
    /// `sqlite:` without a file. A database in memory is not offered: nothing of it would last.
    #[error("sqlite: needs the path of a file")]
    NoFile,
    /// The URL cannot be read without guessing where the password ends.
    #[error(
        "the user and password of a postgres:// URL must write the characters @ : / ? # % as %40 %3A %2F %3F %23 %25"
    )]
    Encoding,
}

impl DatabaseUrl {
    /// The SQLite database in this file.
    #[must_use]
    pub fn sqlite(file: impl Into<PathBuf>) -> Self {
        Self(Place::Sqlite(file.into()))
    }

    /// The file of a SQLite database.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match &self.0 {
            Place::Sqlite(file) => Some(file),
            Place::Postgres(_) => None,
        }
    }
}

impl PostgresUrl {
    /// What libpq reads: the URL, with our name and limits on waiting where it says nothing of them.
    pub(super) fn for_libpq(&self) -> String {
        let defaults = [
            ("application_name", "doorward"),
            ("connect_timeout", "5"),
            ("keepalives_idle", "15"),
            ("keepalives_interval", "5"),
            ("tcp_user_timeout", "15000"),
        ];
        let mut text = self.text.clone();
        for (key, value) in defaults {
            if !self.text.contains(&format!("{key}=")) {
                text.push(if text.contains('?') { '&' } else { '?' });
                text.push_str(&format!("{key}={value}"));
            }
        }
        text
    }

    /// `text` without the URL's secrets: errors of libpq may quote what they were given.
    pub(super) fn redact(&self, text: &str) -> String {
        self.secrets
            .iter()
            .fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
    }
}

impl FromStr for DatabaseUrl {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        if let Some(rest) = text.strip_prefix("sqlite:") {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            // `:memory:` and `file:…?…` are SQLite's own language for places that are no plain file.
            let plain =
                !path.is_empty() && !path.starts_with(':') && !path.starts_with("file:") && !path.contains('\0');
            return if plain {
                Ok(Self::sqlite(path))
            } else {
                Err(BadUrl::NoFile)
            };
        }
        let Some(rest) = text
            .strip_prefix("postgres://")
            .or_else(|| text.strip_prefix("postgresql://"))
        else {
            return Err(BadUrl::Scheme);
        };
        let secrets = secrets(rest)?;
        Ok(Self(Place::Postgres(PostgresUrl {
            text: text.to_owned(),
            secrets,
        })))
    }
}

/// The passwords in what follows `postgres://`, as written and as meant.
fn secrets(rest: &str) -> Result<Vec<String>, BadUrl> {
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = before_query
        .split_once('/')
        .map_or(before_query, |(authority, _)| authority);
    let mut at = authority.split('@');
    let first = at.next().unwrap_or_default();
    let user_and_password = at.next().map_or("", |_| first);
    let password = user_and_password.split_once(':').map_or("", |(_, password)| password);
    // An `@` elsewhere belongs to a password that was cut by its own `/` or `?`.
    if at.next().is_some() || password.contains(':') || rest[authority.len()..].contains('@') || rest.contains('\0') {
        return Err(BadUrl::Encoding);
    }
    let in_query = query.split('&').filter_map(|pair| pair.split_once('='));
    let in_query = in_query
        .filter(|(key, _)| matches!(*key, "password" | "sslpassword"))
        .map(|(_, value)| value);
    let mut secrets = Vec::new();
    for written in std::iter::once(password)
        .chain(in_query)
        .filter(|written| !written.is_empty())
    {
        secrets.push(written.to_owned());
        secrets.push(decode(written).ok_or(BadUrl::Encoding)?);
    }
    if decode(rest).is_none() {
        Err(BadUrl::Encoding)
    } else {
        Ok(secrets)
    }
}

/// `text` with its percent-encoding undone; `None` where it is malformed, which libpq would quote in its complaint.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                let value = u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?;
                if value == 0 || !digits[0].is_ascii_hexdigit() {
                    return None;
                }
                value
            }
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Sqlite(file) => write!(f, "sqlite:{}", file.display()),
            Place::Postgres(url) => f.write_str(&url.redact(&url.text)),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_chooses_the_database() {
        for (text, file) in [
            ("sqlite:doorward.db", Some("doorward.db")),
            (
                "sqlite:/var/lib/doorward/doorward.db",
                Some("/var/lib/doorward/doorward.db"),
            ),
            ("sqlite://doorward.db", Some("doorward.db")),
            ("sqlite:///var/lib/doorward.db", Some("/var/lib/doorward.db")),
            ("postgres://localhost/doorward", None),
            (
                "postgresql://doorward:secret@db.example:5433/doorward?sslmode=require",
                None,
            ),
            ("postgres:///doorward?host=/run/postgresql", None),
        ] {
            let url: DatabaseUrl = text.parse().unwrap();
            assert_eq!(url.file(), file.map(Path::new), "{text}");
        }
    }

    #[test]
    fn other_places_are_refused() {
        for (text, error) in [
            ("", BadUrl::Scheme),
            ("doorward.db", BadUrl::Scheme),
            ("mysql://root:secret@localhost/doorward", BadUrl::Scheme),
            ("SQLITE:doorward.db", BadUrl::Scheme),
            ("sqlite:", BadUrl::NoFile),
            ("sqlite://", BadUrl::NoFile),
            ("sqlite::memory:", BadUrl::NoFile),
            ("sqlite:file:doorward.db?mode=ro", BadUrl::NoFile),
            ("postgres://ana:se@cret@localhost/doorward", BadUrl::Encoding),
            ("postgres://ana:se/cr@localhost/doorward", BadUrl::Encoding),
            ("postgres://ana:se?cr@localhost/doorward", BadUrl::Encoding),
            ("postgres://ana:se:cr@localhost/doorward", BadUrl::Encoding),
            ("postgres://ana:100%@localhost/doorward", BadUrl::Encoding),
            ("postgres://ana:%00@localhost/doorward", BadUrl::Encoding),
        ] {
            let refused = text.parse::<DatabaseUrl>().unwrap_err();
            assert_eq!(refused, error, "{text}");
            assert!(!refused.to_string().contains("secret"), "{refused}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let text = "postgres://ana:s%65cret@localhost/doorward?sslpassword=hidden";
        let url: DatabaseUrl = text.parse().unwrap();
        assert_eq!(url.to_string(), "postgres://ana:…@localhost/doorward?sslpassword=…");
        assert_eq!(format!("{url:?}"), url.to_string());
        let Place::Postgres(url) = url.0 else {
            panic!("not Postgres")
        };
        assert_eq!(
            url.redact(r#"cannot use "secret" and "hidden""#),
            r#"cannot use "…" and "…""#
        );
        assert!(
            url.for_libpq()
                .starts_with(&format!("{text}&application_name=doorward&connect_timeout=5"))
        );
    }

    #[test]
    fn what_the_url_says_of_waiting_stands() {
        let url: DatabaseUrl = "postgres://localhost/doorward?connect_timeout=60".parse().unwrap();
        let Place::Postgres(url) = url.0 else {
            panic!("not Postgres")
        };
        assert_eq!(url.for_libpq().matches("connect_timeout").count(), 1);
    }
}
