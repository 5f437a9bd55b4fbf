//! The link that a QR picture holds: a claim code, and the server where it can be used.

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

use super::claim_code::ClaimCode;

/// What every link begins with.
const BEGINNING: &str = "doorward:claim?";

/// A text is not the link of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a link such as {BEGINNING}server=https%3A%2F%2Fdoors.example&code=0A1B2-…")]
pub struct BadClaimLink;

/// `doorward:claim?server=…&code=…`: all that a new lock needs to be told. It is as secret as the code in it.
#[derive(Clone, PartialEq, Eq)]
pub struct ClaimLink {
    /// The backend's address.
    pub server: String,
    /// The code.
    pub code: ClaimCode,
}

impl ClaimLink {
    /// Whether the text means to be a link and not a bare code.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.contains(':')
    }

    /// The link as text, for the one answer that shows it.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        let mut query = form_urlencoded::Serializer::for_suffix(BEGINNING.to_owned(), BEGINNING.len());
        query.append_pair("server", &self.server);
        query.append_pair("code", &self.code.expose());
        Zeroizing::new(query.finish())
    }
}

impl FromStr for ClaimLink {
    type Err = BadClaimLink;

    /// Reads a link. Members that are not known here are skipped; one that comes twice refuses it.
    fn from_str(text: &str) -> Result<Self, BadClaimLink> {
        let text = text.trim();
        let (beginning, query) = text.split_at_checked(BEGINNING.len()).ok_or(BadClaimLink)?;
        if !beginning.eq_ignore_ascii_case(BEGINNING) {
            return Err(BadClaimLink);
        }
        let (mut server, mut code) = (None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let is_new = match &*name {
                "server" => server.replace(value.into_owned()).is_none(),
                "code" => code.replace(value.parse().map_err(|_| BadClaimLink)?).is_none(),
                _ => true,
            };
            if !is_new {
                return Err(BadClaimLink);
            }
        }
        match (server, code) {
            (Some(server), Some(code)) if !server.is_empty() => Ok(Self { server, code }),
            _ => Err(BadClaimLink),
        }
    }
}

impl fmt::Debug for ClaimLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClaimLink({})", self.server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(server: &str) -> ClaimLink {
        ClaimLink {
            server: server.to_owned(),
            code: ClaimCode::from_bits(u128::MAX),
        }
    }

    #[test]
    fn a_link_survives_its_text() {
        for server in [
            "https://doors.example",
            "http://127.0.0.1:8080",
            "https://example.org/a&b=c+d%20/döör",
        ] {
            let link = link(server);
            let text = link.expose();
            assert!(text.is_ascii(), "{}", text.as_str());
            assert_eq!(text.parse(), Ok(link), "{}", text.as_str());
        }
    }

    #[test]
    fn a_link_reads_well_and_shows_no_code() {
        let link = link("https://doors.example");
        assert_eq!(
            link.expose().as_str(),
            "doorward:claim?server=https%3A%2F%2Fdoors.example&code=7ZZZZ-ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZZ"
        );
        assert_eq!(format!("{link:?}"), "ClaimLink(https://doors.example)");
    }

    #[test]
    fn links_are_read_as_scanners_and_people_give_them() {
        let good = link("https://doors.example");
        for text in [
            "  doorward:claim?server=https%3A%2F%2Fdoors.example&code=7ZZZZ-ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZZ\n",
            "DOORWARD:CLAIM?server=https://doors.example&code=7zzzzzzzzzzzzzzzzzzzzzzzzz",
            "doorward:claim?code=7ZZZZ+ZZZZZ+ZZZZZ+ZZZZZ+ZZZZZZ&later=1&server=https://doors.example",
        ] {
            assert_eq!(text.parse(), Ok(good.clone()), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_links() {
        for text in [
            "",
            "doorward:claim",
            "doorward:claim?",
            "doorward:claim?code=7ZZZZ-ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZZ",
            "doorward:claim?server=&code=7ZZZZ-ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZZ",
            "doorward:claim?server=https://doors.example",
            "doorward:claim?server=https://doors.example&code=7ZZZZ",
            "doorward:claim?server=https://a.example&server=https://b.example&code=7ZZZZ-ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZZ",
            "https://doors.example/claim?server=https://doors.example&code=7ZZZZ-ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZZ",
            "döörward:claim?server=a&code=7ZZZZ-ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZZ",
            "7ZZZZ-ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZZ",
        ] {
            assert_eq!(text.parse::<ClaimLink>(), Err(BadClaimLink), "{text}");
        }
    }
}
