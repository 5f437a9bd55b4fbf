//! Where an external broker listens.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A text is not the address of a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected mqtts://HOST[:PORT], or mqtt://HOST[:PORT] without TLS, and no user name in it")]
pub struct BadBrokerUrl;

/// `mqtts://HOST:PORT` (TLS) or `mqtt://HOST:PORT` (plain TCP); the port is 8883 or 1883 where none is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerUrl {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Host name or address; an IPv6 address without its brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl BrokerUrl {
    /// Whether the broker is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback_host(&self.host)
    }
}

impl FromStr for BrokerUrl {
    type Err = BadBrokerUrl;

    fn from_str(text: &str) -> Result<Self, BadBrokerUrl> {
        let (tls, rest) = match text.split_once("://") {
            Some(("mqtts", rest)) => (true, rest),
            Some(("mqtt", rest)) => (false, rest),
            _ => return Err(BadBrokerUrl),
        };
        let (host, port) = split_port(rest).ok_or(BadBrokerUrl)?;
        let port = match port {
            None if tls => 8883,
            None => 1883,
            Some(port) => port,
        };
        Ok(Self {
            tls,
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

/// Splits `HOST`, `HOST:PORT`, `[V6]` or `[V6]:PORT`; `None` where that is not what it is.
pub(super) fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (
                host,
                if after.is_empty() {
                    None
                } else {
                    Some(after.strip_prefix(':')?)
                },
            )
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let known = host
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b':'));
    let port = port.map(|port| port.parse::<u16>().ok().filter(|port| *port > 0));
    match port {
        _ if host.is_empty() || !known => None,
        None => Some((host, None)),
        Some(port) => Some((host, Some(port?))),
    }
}

/// Whether `host` is this machine's loopback.
pub(super) fn is_loopback_host(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_has_a_scheme_a_host_and_a_port() {
        for (text, expected) in [
            ("mqtts://mq.example", Some((true, "mq.example", 8883))),
            ("mqtts://mq.example:443", Some((true, "mq.example", 443))),
            ("mqtt://127.0.0.1", Some((false, "127.0.0.1", 1883))),
            ("mqtt://[::1]:1884", Some((false, "::1", 1884))),
            ("mq.example:8883", None),
            ("http://mq.example", None),
            ("mqtts://", None),
            ("mqtts://:8883", None),
            ("mqtts://mq.example:0", None),
            ("mqtts://mq.example:99999", None),
            ("mqtts://mq.example/", None),
            ("mqtts://user:word@mq.example", None),
            ("mqtts://[mq.example]", None),
            ("mqtts://::1", None),
        ] {
            let read = text.parse::<BrokerUrl>().ok();
            assert_eq!(
                read.as_ref().map(|url| (url.tls, url.host.as_str(), url.port)),
                expected,
                "{text}"
            );
            if let Some(url) = read {
                assert_eq!(url.to_string().parse(), Ok(url));
            }
        }
    }

    #[test]
    fn loopback_is_known_by_name_and_by_number() {
        for (host, loopback) in [
            ("localhost", true),
            ("127.0.0.2", true),
            ("::1", true),
            ("192.0.2.1", false),
            ("localhost.example", false),
        ] {
            assert_eq!(is_loopback_host(host), loopback, "{host}");
        }
    }
}
