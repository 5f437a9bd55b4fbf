//! What may be called at a lock's door.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use doorward_lock::jws::Message;
use doorward_lock::wire::{Action, Cause, MAX_MESSAGE, Pass};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::agent::controller::{AtDoor, Doorway, OutOfOrder, Shown, Typed, Verdict};
use crate::crypto::public_key::PublicKey;

/// The most messages that are handed over at once.
const MESSAGES: usize = 16;

/// The longest body in bytes.
const BODY: usize = 96 * 1024;

/// Longest wait for the body.
const READ: Duration = Duration::from_secs(5);

/// Longest wait for the end of a movement, which may have to wait for another one.
const ENTER: Duration = Duration::from_secs(50);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShowPass {
    pass: String,
    public_key: PublicKey,
    act: Action,
    nonce: String,
    signature: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypeIn {
    pin: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Carry {
    messages: Vec<String>,
}

#[derive(Serialize)]
struct Challenge<'a> {
    challenge: &'a str,
}

#[derive(Serialize)]
struct Events<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a str>,
    events: Vec<&'a str>,
}

/// Why a call is not answered (RFC 9457).
#[derive(Debug, Serialize)]
struct Problem {
    #[serde(skip)]
    status: StatusCode,
    title: &'static str,
}

impl Problem {
    const fn new(status: StatusCode, title: &'static str) -> Self {
        Self { status, title }
    }
}

impl From<OutOfOrder> for Problem {
    fn from(_: OutOfOrder) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The lock cannot write down what happens",
        )
    }
}

type Answer = Response<Full<Bytes>>;

/// Answers one call.
pub(super) async fn answer(door: &Doorway, request: Request<Incoming>) -> Answer {
    let answered = match check_host(request.headers()) {
        Ok(()) => route(door, request).await,
        Err(problem) => Err(problem),
    };
    answered.unwrap_or_else(|problem| {
        let mut answer = json(problem.status, &problem);
        let problem_type = HeaderValue::from_static("application/problem+json");
        answer.headers_mut().insert(CONTENT_TYPE, problem_type);
        if problem.status == StatusCode::METHOD_NOT_ALLOWED {
            answer
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, POST"));
        }
        answer
    })
}

async fn route(door: &Doorway, request: Request<Incoming>) -> Result<Answer, Problem> {
    let path = request.uri().path().to_owned();
    match (request.method(), path.as_str()) {
        (&Method::POST, "/challenge") => {
            let Nothing {} = body(request).await?;
            let shown = door.ask(AtDoor::Challenge).await?;
            let challenge = shown.first().ok_or(OutOfOrder)?;
            Ok(json(StatusCode::OK, &Challenge { challenge }))
        }
        (&Method::POST, "/pass") => show_pass(door, body(request).await?).await,
        (&Method::POST, "/pin") => type_in(door, body(request).await?).await,
        (&Method::POST, "/messages") => carry(door, body(request).await?).await,
        (&Method::GET, "/events") => {
            let from = first_event(request.uri().query())?;
            Ok(events(None, &door.ask(AtDoor::Collect(from)).await?))
        }
        (_, "/challenge" | "/pass" | "/pin" | "/messages" | "/events") => Err(Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "This is not called that way",
        )),
        _ => Err(Problem::new(StatusCode::NOT_FOUND, "There is nothing here")),
    }
}

async fn show_pass(door: &Doorway, shown: ShowPass) -> Result<Answer, Problem> {
    let ShowPass {
        pass,
        public_key,
        act,
        nonce,
        signature,
    } = shown;
    let gid = gid(&pass);
    let shown = AtDoor::Present(Box::new(Shown {
        pass,
        public_key,
        act,
        nonce,
        signature,
    }));
    let is_theirs = |cause: &Cause<'_>| matches!((cause, &gid), (Cause::Pass(of), Some(gid)) if of == gid);
    told(timeout(ENTER, door.enter(shown, is_theirs)).await)
}

async fn type_in(door: &Doorway, TypeIn { pin }: TypeIn) -> Result<Answer, Problem> {
    let pin = Zeroizing::new(pin);
    let typed = Typed::read(&pin).ok_or(Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "Expected 6 to 8 digits, or 10",
    ))?;
    told(timeout(ENTER, door.type_in(typed)).await)
}

/// How a wish to move the bolt ended.
fn told(ended: Result<Result<Verdict, OutOfOrder>, Elapsed>) -> Result<Answer, Problem> {
    match ended {
        Ok(verdict) => {
            let verdict = verdict?;
            Ok(events(Some(&verdict.result), &verdict.events))
        }
        Err(_) => Err(Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "The lock has not said how it ended",
        )),
    }
}

/// The grant of a pass, whoever made it.
fn gid(pass: &str) -> Option<String> {
    let message = Message::parse(pass).ok()?;
    let pass: Pass<'_> = message.claims().ok()?;
    Some(pass.gid.to_owned())
}

async fn carry(door: &Doorway, carried: Carry) -> Result<Answer, Problem> {
    let good = |message: &String| message.len() <= MAX_MESSAGE;
    if !(1..=MESSAGES).contains(&carried.messages.len()) || !carried.messages.iter().all(good) {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Expected 1 to 16 messages of at most 4,096 bytes",
        ));
    }
    let mut shown = Vec::new();
    for message in carried.messages {
        shown.extend(door.ask(AtDoor::Carry(message.into_bytes())).await?);
    }
    Ok(events(None, &shown))
}

fn events(result: Option<&str>, events: &[Arc<str>]) -> Answer {
    let events = events.iter().map(AsRef::as_ref).collect();
    json(StatusCode::OK, &Events { result, events })
}

fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    // What is written here is text and lists of it, which always can be.
    let text = serde_json::to_string(body).unwrap_or_default();
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

async fn body<T: for<'de> Deserialize<'de>>(request: Request<Incoming>) -> Result<T, Problem> {
    // A web page may post text to any address without being asked; JSON it may not.
    let media_type = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let is_json = media_type.and_then(|value| value.split(';').next()).map(str::trim) == Some("application/json");
    if !is_json {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Expected application/json",
        ));
    }
    let read = timeout(READ, Limited::new(request.into_body(), BODY).collect()).await;
    let collected = read.map_err(|_| Problem::new(StatusCode::REQUEST_TIMEOUT, "The body did not come"))?;
    let bytes = collected
        .map_err(|_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "The body is too long, or broke off"))?
        .to_bytes();
    serde_json::from_slice(&bytes)
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "The body is not what it should be"))
}

fn first_event(query: Option<&str>) -> Result<u64, Problem> {
    let Some(query) = query else { return Ok(0) };
    let from = query.strip_prefix("from=").and_then(|from| from.parse().ok());
    from.ok_or(Problem::new(StatusCode::BAD_REQUEST, "Expected ?from=SEQ"))
}

/// A name on the internet may be made to lead here, and a web page of that name would read what the lock says.
fn check_host(headers: &HeaderMap) -> Result<(), Problem> {
    let host = headers.get(HOST).and_then(|value| value.to_str().ok());
    if host.is_some_and(is_local) {
        Ok(())
    } else {
        Err(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "This lock has no such name",
        ))
    }
}

fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".local")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_names_are_answered() {
        for (host, good) in [
            ("192.168.1.20:8100", true),
            ("192.168.1.20", true),
            ("[fe80::1]:8100", true),
            ("[::1]", true),
            ("localhost:8100", true),
            ("front-door.local:8100", true),
            ("evil.example", false),
            ("192.168.1.20.evil.example:80", false),
            ("", false),
        ] {
            assert_eq!(is_local(host), good, "{host}");
        }
    }

    #[test]
    fn an_event_is_named_by_its_number() {
        for (query, from) in [
            (None, Some(0)),
            (Some("from=7"), Some(7)),
            (Some("from="), None),
            (Some("from=-1"), None),
            (Some("to=1"), None),
        ] {
            assert_eq!(first_event(query).ok(), from, "{query:?}");
        }
    }
}
