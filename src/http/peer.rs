//! From where, and with what, a request comes.

use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};

use super::Service;
use super::problem::Problem;
use crate::domain::session::DeviceName;

/// Where the request comes from.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub IpAddr);

/// What the client's program is, in a phrase of our own.
#[derive(Debug, Clone)]
pub struct ClientDevice(pub DeviceName);

impl FromRequest for ClientAddress {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Service::behind(req).map(|service| Self(client_address(req, service))))
    }
}

impl FromRequest for ClientDevice {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let said = req
            .headers()
            .get(header::USER_AGENT)
            .and_then(|value| value.to_str().ok());
        std::future::ready(Ok(Self(DeviceName::of_user_agent(said.unwrap_or_default()))))
    }
}

/// The address that counts for throttling: the peer's, or, where the peer is a trusted proxy, the nearest one in
/// `X-Forwarded-For` that is not: everything further left is hearsay.
pub(super) fn client_address(req: &HttpRequest, service: &Service) -> IpAddr {
    let peer = req.peer_addr().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.ip());
    let hops: Vec<&str> = req
        .headers()
        .get_all(header::X_FORWARDED_FOR)
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .collect();
    nearest_untrusted(peer, &hops, &service.settings.trusted_proxies)
}

fn nearest_untrusted(peer: IpAddr, hops: &[&str], trusted: &[IpAddr]) -> IpAddr {
    let mut nearest = peer.to_canonical();
    for hop in hops.iter().rev() {
        if !trusted.contains(&nearest) {
            break;
        }
        match hop.trim().parse::<IpAddr>() {
            Ok(address) => nearest = address.to_canonical(),
            Err(_) => break,
        }
    }
    nearest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_are_believed() {
        let trusted = ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
        for (peer, hops, client) in [
            ("192.0.2.7", &[][..], "192.0.2.7"),
            ("192.0.2.7", &["1.2.3.4"], "192.0.2.7"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["1.2.3.4"], "1.2.3.4"),
            ("::ffff:10.0.0.1", &["1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", &["6.6.6.6", " 1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", &["1.2.3.4", "10.0.0.2"], "1.2.3.4"),
            ("10.0.0.1", &["1.2.3.4", "nonsense"], "10.0.0.1"),
        ] {
            let found = nearest_untrusted(peer.parse().unwrap(), hops, &trusted);
            assert_eq!(found, client.parse::<IpAddr>().unwrap(), "{peer} {hops:?}");
        }
    }
}
