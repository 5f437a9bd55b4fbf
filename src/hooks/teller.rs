//! Tells webhooks over HTTP: nobody is followed elsewhere, no proxy is asked, and what a name leads to is looked at before
//! there is a connection to it and is the address of that connection.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client};

use super::addresses::Addresses;
use crate::domain::webhook::{Answer, Message, NoAnswer, Teller, WebhookUrl};

/// How long it may take until there is a connection.
const CONNECTING: Duration = Duration::from_secs(5);

/// How long a webhook may take in all (Standard Webhooks: 15 to 30 s).
const IN_ALL: Duration = Duration::from_secs(15);

/// Webhooks cannot be told as the configuration says.
#[derive(Debug, thiserror::Error)]
pub enum BadTeller {
    /// The authority is none.
    #[error("the file holds no certificate in PEM")]
    Authority(#[source] reqwest::Error),
    /// The library cannot be set up.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
}

/// Tells over HTTP.
pub struct HttpTeller {
    addresses: Arc<Addresses>,
    client: Client,
}

impl HttpTeller {
    /// Tells at addresses of the public internet and of the networks `allowed`; `authority` in PEM is trusted besides those
    /// that this machine trusts.
    ///
    /// # Errors
    /// [`BadTeller`].
    pub fn new(allowed: Vec<IpNet>, authority: Option<&[u8]>) -> Result<Self, BadTeller> {
        let addresses = Arc::new(Addresses { allowed });
        let mut builder = Client::builder()
            .user_agent(concat!("Doorward/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECTING)
            .timeout(IN_ALL)
            .pool_max_idle_per_host(1)
            .dns_resolver(Resolver(Arc::clone(&addresses)));
        if let Some(authority) = authority {
            let certificates = Certificate::from_pem_bundle(authority).map_err(BadTeller::Authority)?;
            builder = builder.tls_certs_merge(certificates);
        }
        Ok(Self {
            addresses,
            client: builder.build().map_err(BadTeller::Client)?,
        })
    }
}

#[async_trait]
impl Teller for HttpTeller {
    fn may_tell(&self, url: &WebhookUrl) -> bool {
        match (literal(url), url.is_plain()) {
            // Nobody connects by the name of a literal address: no resolver would be asked.
            (Some(address), false) => self.addresses.allows(address),
            (Some(address), true) => self.addresses.names(address),
            (None, false) => true,
            // A name is only good for plain HTTP where it leads into a network of the operator's, which nobody knows
            // before it is looked up; a name that leads elsewhere tomorrow must not be told in plain then.
            (None, true) => false,
        }
    }

    async fn tell(&self, message: Message) -> Answer {
        // Asked again for each try: the operator's networks may be others than when the address was taken.
        if !self.may_tell(&message.url) {
            return Answer::None(NoAnswer::Forbidden);
        }
        let request = self
            .client
            .post(message.url.as_str())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", message.id)
            .header("webhook-timestamp", message.timestamp)
            .header("webhook-signature", message.signature)
            .body(message.body.to_string());
        match request.send().await {
            // What it says beside the status is not read.
            Ok(response) => Answer::Status {
                status: response.status().as_u16(),
                retry_after: retry_after(response.headers()),
            },
            Err(error) => Answer::None(why_none(&error)),
        }
    }
}

/// The address that the host is, where it is no name.
fn literal(url: &WebhookUrl) -> Option<IpAddr> {
    let host = url.host();
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    inner.unwrap_or(host).parse().ok()
}

/// The seconds that it asks for (RFC 9110, 10.2.3); dates are not understood.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn why_none(error: &reqwest::Error) -> NoAnswer {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(NoWay(why)) = inner.downcast_ref::<NoWay>() {
            return *why;
        }
        cause = inner.source();
    }
    if error.is_timeout() {
        NoAnswer::Slow
    } else {
        NoAnswer::NotReached
    }
}

/// A name does not lead to where webhooks may be told.
#[derive(Debug, thiserror::Error)]
#[error("{0:?}")]
struct NoWay(NoAnswer);

/// Looks names up, and gives only addresses at which webhooks may be told.
struct Resolver(Arc<Addresses>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let addresses = Arc::clone(&self.0);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found: Vec<SocketAddr> = found.map_err(|_| NoWay(NoAnswer::NoAddress))?.collect();
            if found.is_empty() {
                return Err(NoWay(NoAnswer::NoAddress).into());
            }
            let allowed: Vec<SocketAddr> = found.into_iter().filter(|at| addresses.allows(at.ip())).collect();
            if allowed.is_empty() {
                return Err(NoWay(NoAnswer::Forbidden).into());
            }
            let allowed: Addrs = Box::new(allowed.into_iter());
            Ok(allowed)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_tell(allowed: &[&str], url: &str) -> bool {
        let allowed = allowed.iter().map(|network| network.parse().unwrap()).collect();
        let url = WebhookUrl::try_from(url.to_owned()).unwrap();
        HttpTeller::new(allowed, None).unwrap().may_tell(&url)
    }

    #[test]
    fn the_inside_and_plain_http_are_for_the_operator_to_allow() {
        for (url, without, with) in [
            ("https://hooks.example/", true, true),
            ("http://hooks.example/", false, false),
            ("https://127.0.0.1/", false, true),
            ("https://2130706433/", false, true),
            ("http://127.0.0.1:9/", false, true),
            ("http://1.1.1.1/", false, false),
            ("https://1.1.1.1/", true, true),
            ("https://[::1]/", false, false),
            ("https://[::ffff:7f00:1]/", false, true),
        ] {
            assert_eq!(may_tell(&[], url), without, "{url}");
            assert_eq!(may_tell(&["127.0.0.0/8"], url), with, "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_told() {
        let teller = HttpTeller::new(Vec::new(), None).unwrap();
        let message = |url: &str| Message {
            url: WebhookUrl::try_from(url.to_owned()).unwrap(),
            id: "a".to_owned(),
            timestamp: 1,
            signature: "v1,a".to_owned(),
            body: String::new().into(),
        };
        let answer = teller.tell(message("https://localhost:9/")).await;
        assert_eq!(answer, Answer::None(NoAnswer::Forbidden));
        let answer = teller.tell(message("https://no-such-name.invalid/")).await;
        assert_eq!(answer, Answer::None(NoAnswer::NoAddress));
    }
}
