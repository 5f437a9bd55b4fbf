//! Who calls: the extractors are the roles.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};

use super::peer::client_address;
use super::problem::Problem;
use super::{Service, scopes};
use crate::app::Actor;
use crate::crypto::api_key::KeyText;
use crate::crypto::dpop;
use crate::crypto::secret::Secret;
use crate::domain::account::Role;
use crate::domain::api_key::ApiKey;

/// Anybody who is signed in, or has come by a guest's link: who may ask at doors.
#[derive(Debug)]
pub struct Caller(pub Actor);

/// Anybody who is signed in; who has come by a guest's link is not.
#[derive(Debug)]
pub struct Anyone(pub Actor);

/// Somebody who owns at least one organization.
#[derive(Debug)]
pub struct Owner(pub Actor);

/// Somebody who manages at least one organization. Which things are theirs is for the use case to say.
#[derive(Debug)]
pub struct Manager(pub Actor);

/// Somebody who may look at the rights and the access log of at least one organization.
#[derive(Debug)]
pub struct Viewer(pub Actor);

/// Somebody who sits at the desk of at least one organization.
#[derive(Debug)]
pub struct Desk(pub Actor);

/// Somebody who works for at least one organization.
#[derive(Debug)]
pub struct Staff(pub Actor);

type Extracted<T> = Pin<Box<dyn Future<Output = Result<T, Problem>>>>;

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Extracted<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move { admit(&req).await.map(Self) })
    }
}

impl FromRequest for Anyone {
    type Error = Problem;
    type Future = Extracted<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move { signed_in(&req).await.map(Self) })
    }
}

/// Lets the caller in, unless a guest's link is all that they have: that opens the doors of one grant, and lends nothing
/// else of what its holder may.
async fn signed_in(req: &HttpRequest) -> Result<Actor, Problem> {
    let who = admit(req).await?;
    match who.reach {
        None => Ok(who),
        Some(_) => Err(Problem::beyond_link()),
    }
}

macro_rules! roles {
    ($($extractor:ident = $may:path;)+) => {$(
        impl FromRequest for $extractor {
            type Error = Problem;
            type Future = Extracted<Self>;

            fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
                let req = req.clone();
                Box::pin(async move {
                    let who = signed_in(&req).await?;
                    if who.memberships.iter().any(|membership| $may(membership.role)) {
                        Ok(Self(who))
                    } else {
                        Err(Problem::forbidden())
                    }
                })
            }
        }
    )+};
}

roles! {
    Owner = Role::owns;
    Manager = Role::manages;
    Viewer = Role::views;
    Desk = Role::serves_desk;
    Staff = Role::is_staff;
}

/// What a request shows.
#[derive(Debug)]
pub(super) enum Shown {
    /// The access token of a session.
    Token(Secret),
    /// The API key of a program.
    Key(KeyText),
}

impl Shown {
    /// The secret in it, which nobody else has.
    pub(super) fn secret(&self) -> &Secret {
        match self {
            Self::Token(token) => token,
            Self::Key(key) => key.secret(),
        }
    }
}

/// The header of a proof by the caller's key (RFC 9449, 4.1).
const DPOP: &str = "DPoP";

/// The key by which a session is to be bound that begins now: that of the `DPoP` proof, where the request has one.
#[derive(Debug)]
pub struct SessionKey(pub Option<String>);

impl FromRequest for SessionKey {
    type Error = Problem;
    type Future = Extracted<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move {
            if !req.headers().contains_key(DPOP) {
                return Ok(Self(None));
            }
            let service = Service::behind(&req)?;
            // Anybody makes proofs for nothing, and each that holds is written down.
            let address = client_address(&req, service);
            service.limits.spend_stranger(address)?;
            let proof = proven(&req, None)?;
            take(service, &proof)?;
            use_up(&req, &proof).await?;
            Ok(Self(Some(proof.key)))
        })
    }
}

/// The proof of the request, with this access token where it shows one; whether it was used before is not looked at.
///
/// # Errors
/// `proof-refused`.
fn proven(req: &HttpRequest, token: Option<&Secret>) -> Result<dpop::Proof, Problem> {
    let service = Service::behind(req)?;
    let mut given = req.headers().get_all(DPOP);
    let (Some(only), None) = (given.next(), given.next()) else {
        return Err(Problem::proof_refused("expected one proof in the header `DPoP`"));
    };
    let only = only.to_str().unwrap_or_default();
    let request = dpop::Request {
        method: req.method().as_str(),
        url: &format!("{}{}", service.app.public_url(), req.path()),
        token,
    };
    dpop::verify(only, &request, service.app.now()).map_err(Problem::proof_refused)
}

/// Takes a proof, once at this node.
///
/// # Errors
/// `proof-refused` where it was taken before.
fn take(service: &Service, proof: &dpop::Proof) -> Result<(), Problem> {
    match service.proofs.take(proof.digest, service.app.now()) {
        true => Ok(()),
        false => Err(Problem::proof_refused(
            "the proof was used before: make one for each request",
        )),
    }
}

/// Uses up, at all nodes, the proof of a request that changes something.
///
/// # Errors
/// `proof-refused` where it was used before.
async fn use_up(req: &HttpRequest, proof: &dpop::Proof) -> Result<(), Problem> {
    if req.method().is_safe() {
        return Ok(());
    }
    Ok(Service::behind(req)?.app.use_proof(proof).await?)
}

/// How the request says that its token is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// From whoever shows it.
    Bearer,
    /// From whoever proves that they hold its key.
    Dpop,
}

/// What the request shows: the one and only `Authorization` header, scheme `Bearer` or `DPoP`.
///
/// # Errors
/// `unauthenticated` where there is none, or none that can be ours.
pub(super) fn bearer(headers: &HeaderMap) -> Result<(Scheme, Shown), Problem> {
    let mut given = headers.get_all(header::AUTHORIZATION);
    let (Some(only), None) = (given.next(), given.next()) else {
        return Err(Problem::unauthenticated());
    };
    let (scheme, token) = only
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or_else(Problem::unauthenticated)?;
    let scheme = match scheme {
        bearer if bearer.eq_ignore_ascii_case("Bearer") => Scheme::Bearer,
        dpop if dpop.eq_ignore_ascii_case("DPoP") => Scheme::Dpop,
        _ => return Err(Problem::unauthenticated()),
    };
    let token = token.trim();
    let shown = match token.parse() {
        Ok(key) => Some(Shown::Key(key)),
        Err(_) => token.parse().ok().map(Shown::Token),
    };
    let shown = shown.ok_or_else(Problem::unauthenticated)?;
    Ok((scheme, shown))
}

/// Who comes in.
enum LetIn {
    /// With the proof that they hold the key of their session, where it has one.
    Person(Box<Actor>, Option<dpop::Proof>),
    Program(Arc<ApiKey>),
}

/// Lets the caller in and takes the request from their budget; once a request, however often it is asked.
///
/// # Errors
/// `unauthenticated`, `throttled`; of a program, `scope-missing` and `forbidden` where its key does not reach that far.
pub(super) async fn admit(req: &HttpRequest) -> Result<Actor, Problem> {
    if let Some(who) = req.extensions().get::<Actor>() {
        return Ok(who.clone());
    }
    let service = Service::behind(req)?;
    let address = client_address(req, service);
    let shown = match bearer(req.headers()) {
        Ok(shown) => shown,
        Err(problem) => {
            service.limits.spend_stranger(address)?;
            return Err(problem);
        }
    };
    let (scheme, shown) = shown;
    let let_in = match shown {
        Shown::Token(token) => match service.app.authenticate(&token).await {
            Ok(who) => holds_key(req, scheme, &token, &who).map(|proof| LetIn::Person(Box::new(who), proof)),
            Err(error) => Err(error.into()),
        },
        Shown::Key(_) if scheme == Scheme::Dpop => Err(Problem::proof_refused("an API key is bound to no other key")),
        Shown::Key(key) => service
            .app
            .authenticate_key(&key)
            .await
            .map(LetIn::Program)
            .map_err(Problem::from),
    };
    let (who, proof) = match let_in {
        Err(problem) if matches!(problem.word(), "unauthenticated" | "proof-refused") => {
            service.limits.spend_stranger(address)?;
            return Err(problem);
        }
        Err(problem) => return Err(problem),
        Ok(LetIn::Person(who, proof)) => (*who, proof),
        Ok(LetIn::Program(key)) => {
            let operation = format!("{} {}", req.method(), req.match_pattern().unwrap_or_default());
            match scopes::used(&key, &operation) {
                Ok(scope) => (Actor::by_key(key, scope), None),
                Err(problem) => {
                    service.limits.spend(&Actor::by_key(key, None), false)?;
                    return Err(problem);
                }
            }
        }
    };
    service.limits.spend(&who, moves_a_door(req))?;
    if let Some(proof) = proof {
        use_up(req, &proof).await?;
    }
    req.extensions_mut().insert(who.clone());
    Ok(who)
}

/// Lets a token in that is bound to a key only with a proof by that key, and as such; a copy of it is worth nothing.
///
/// # Errors
/// `proof-refused`.
fn holds_key(req: &HttpRequest, scheme: Scheme, token: &Secret, who: &Actor) -> Result<Option<dpop::Proof>, Problem> {
    match (&who.bound_to, scheme) {
        (None, Scheme::Bearer) => Ok(None),
        (None, Scheme::Dpop) => Err(Problem::proof_refused("this session is bound to no key")),
        (Some(_), Scheme::Bearer) => Err(Problem::proof_refused(
            "this session is bound to a key: send `Authorization: DPoP` and a proof in `DPoP`",
        )),
        (Some(key), Scheme::Dpop) => match proven(req, Some(token))? {
            proof if proof.key == *key => take(Service::behind(req)?, &proof).map(|()| Some(proof)),
            _ => Err(Problem::proof_refused("the proof is by another key than the session's")),
        },
    }
}

/// Whether the request is one of the two that move a bolt; they have a budget of their own.
fn moves_a_door(req: &HttpRequest) -> bool {
    req.match_pattern().is_some_and(|route| {
        matches!(
            route.as_str(),
            "/v1/locks/{lock_id}/unlock" | "/v1/locks/{lock_id}/lock"
        )
    })
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{AUTHORIZATION, HeaderValue};

    use super::*;

    #[test]
    fn a_token_comes_in_one_way_only() {
        let token = Secret::from_bytes(&[7; 32]);
        let good = format!("Bearer {}", token.expose());
        let lower = format!("bearer {}", token.expose());
        let basic = format!("Basic {}", token.expose());
        for (lines, accepted) in [
            (&[][..], false),
            (&[good.as_str()], true),
            (&[lower.as_str()], true),
            (&[good.as_str(), good.as_str()], false),
            (&[basic.as_str()], false),
            (&["Bearer"], false),
            (&["Bearer "], false),
            (&["Bearer short"], false),
            (&[token.expose()], false),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(AUTHORIZATION, HeaderValue::from_str(line).unwrap());
            }
            assert_eq!(bearer(&headers).is_ok(), accepted, "{lines:?}");
        }
    }
}
