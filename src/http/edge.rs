//! What happens to every request, whatever its route: an id, a body read to its end within bounds, a query without
//! strangers, a caller let in, an answer even after a panic, headers, one line in the log.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::{Bytes, BytesMut, Data};
use actix_web::{Error, HttpMessage as _, HttpResponse};
use futures_util::{FutureExt as _, StreamExt as _};

use super::json::Body;
use super::problem::Problem;
use super::{Service, auth, idempotency, query};
use crate::app::metrics::RequestLabels;
use crate::domain::time::Timestamp;

/// The longest body that is read, in bytes.
pub(super) const LONGEST_BODY: usize = 16 * 1024;

/// The most bytes of a body with a lock's messages: 64 events with room to spare.
const LONGEST_CARRIED: usize = 96 * 1024;

/// The most bytes of a body with tables to bring in: some 20,000 flats with their doors and tenants.
const LONGEST_IMPORT: usize = 6 * 1024 * 1024;

/// The one operation with a body that long.
const IMPORT: &str = "/v1/organizations/{organization_id}/import";

/// How long a body may take to come.
const BODY_TIME: Duration = Duration::from_secs(10);

/// How long tables may take: whoever sends them was let in before, and may have no more than a thin line.
const IMPORT_TIME: Duration = Duration::from_secs(60);

/// The header that names the request in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names for requests: when this process began, and which request of it.
#[derive(Debug)]
pub(super) struct RequestIds {
    began_at: Timestamp,
    given: AtomicU64,
}

impl RequestIds {
    /// Names that no earlier process has given.
    pub(super) fn since(began_at: Timestamp) -> Self {
        Self {
            began_at,
            given: AtomicU64::new(0),
        }
    }

    fn next(&self) -> String {
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        format!("{:x}-{number:x}", self.began_at.as_millis())
    }
}

/// Takes the request through, and sees to its answer.
pub(super) async fn pass(
    service: Data<Service>,
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let (began, id) = (Instant::now(), service.requests.next());
    let method = req.method().clone();
    let route = req.match_pattern();
    let walk = AssertUnwindSafe(walk(&service, route.as_deref(), req, next)).catch_unwind();
    let mut answer = match walk.await {
        Ok(answer) => answer?,
        // The request went down with the handler: what is left is an answer without one. The panic hook has logged it.
        Err(_) => {
            tracing::error!(request.id = %id, "the handler of request {id} panicked");
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            note(&service, &method, route, status, began.elapsed(), &id);
            return Err(Problem::internal().with("request_id", id).into());
        }
    };
    explain(&mut answer, &id);
    dress(&mut answer, &id);
    note(&service, &method, route, answer.status(), began.elapsed(), &id);
    Ok(answer)
}

/// The way from the door to the handler.
async fn walk(
    service: &Data<Service>,
    route: Option<&str>,
    mut req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match prepare(service, route, &mut req).await {
        Ok(Passage::Once) => idempotency::once(service, req, next).await,
        Ok(Passage::Any) => Ok(next.call(req).await?.map_into_boxed_body()),
        Err(problem) => Ok(req.error_response(problem)),
    }
}

/// How a request goes on to its handler.
enum Passage {
    /// Once under its `Idempotency-Key`.
    Once,
    /// As often as it comes.
    Any,
}

/// Reads the body, checks the query, lets the caller in.
async fn prepare(service: &Data<Service>, route: Option<&str>, req: &mut ServiceRequest) -> Result<Passage, Problem> {
    if route == Some(IMPORT) {
        // So much is held in memory for nobody who is not let in.
        auth::admit(req.request()).await?;
    }
    // Read even where no handler wants it: what is left unread would cost the connection.
    let (longest, within) = bounds_of_body(route);
    let body = read_body(req, longest, within).await?;
    req.extensions_mut().insert(Body(body));
    let Some(operations) = route.and_then(|route| service.operations.at(route)) else {
        return Ok(Passage::Any);
    };
    let Some(operation) = operations.get(req.method().as_str()) else {
        let allowed: Vec<&str> = operations.keys().map(String::as_str).collect();
        return Err(Problem::wrong_method(&allowed.join(", ")));
    };
    if operation.protected {
        auth::admit(req.request()).await?;
    }
    query::check_names(req.query_string(), &operation.query)?;
    Ok(if operation.once { Passage::Once } else { Passage::Any })
}

/// The most bytes of a body, and how long it may take: what a phone carries in from a lock, and tables, are longer than what
/// anybody writes.
fn bounds_of_body(route: Option<&str>) -> (usize, Duration) {
    match route {
        Some("/v1/locks/{lock_id}/messages") => (LONGEST_CARRIED, BODY_TIME),
        Some(IMPORT) => (LONGEST_IMPORT, IMPORT_TIME),
        _ => (LONGEST_BODY, BODY_TIME),
    }
}

async fn read_body(req: &mut ServiceRequest, longest: usize, within: Duration) -> Result<Bytes, Problem> {
    let too_large = || {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            "The body is too large",
            format!("a body has at most {longest} bytes here"),
        )
    };
    let length = req.headers().get(header::CONTENT_LENGTH);
    let length: Option<u64> = length.and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length| length > longest as u64) {
        return Err(too_large());
    }
    let mut payload = req.take_payload();
    let mut body = BytesMut::new();
    let read = async {
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| {
                Problem::new(
                    StatusCode::BAD_REQUEST,
                    "malformed-body",
                    "The body did not come whole",
                    "the connection or the framing broke within the body",
                )
            })?;
            if body.len() + chunk.len() > longest {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(())
    };
    match tokio::time::timeout(within, read).await {
        Ok(read) => read?,
        Err(_) => {
            return Err(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "slow-body",
                "The body took too long",
                format!("a body comes within {} s here", within.as_secs()),
            ));
        }
    }
    Ok(body.freeze())
}

/// Nothing is at this address.
pub(super) async fn no_route() -> Result<HttpResponse, Problem> {
    Err(Problem::no_route())
}

/// Logs, once, what is behind a problem that is ours, and tells the caller under which id.
fn explain(answer: &mut ServiceResponse, id: &str) {
    let Some(problem) = answer.response().error().and_then(Error::as_error::<Problem>) else {
        // Whoever serves pages says no more than the status.
        if answer.status() == StatusCode::NOT_FOUND && answer.response().body().size() == BodySize::Sized(0) {
            *answer.response_mut() = Problem::no_route().answer(None);
        }
        return;
    };
    if let Some(cause) = problem.cause() {
        let chain = chain(cause);
        tracing::error!(request.id = %id, problem = problem.word(), "request {id} ended as {}: {chain}", problem.word());
    }
    if problem.status() == StatusCode::INTERNAL_SERVER_ERROR {
        *answer.response_mut() = problem.answer(Some(id));
    }
}

/// An error and everything behind it, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        words.push_str(": ");
        words.push_str(&error.to_string());
        next = error.source();
    }
    words
}

/// The headers that every answer wears, except where a page has its own.
fn dress(answer: &mut ServiceResponse, id: &str) {
    let headers = answer.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
    ] {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}

/// One line in the log and one request more in the metrics; the route as registered, never the path or the query.
fn note(service: &Service, method: &Method, route: Option<String>, status: StatusCode, took: Duration, id: &str) {
    let known = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
    ];
    let method = if known.contains(method) {
        method.as_str()
    } else {
        "other"
    };
    let route = route.unwrap_or_else(|| "none".to_owned());
    let took_ms = took.as_millis();
    let status = status.as_u16();
    tracing::info!(
        request.id = %id, http.method = method, http.route = route, http.status = status, took_ms,
        "{method} {route}: {status} in {took_ms} ms"
    );
    let metrics = service.app.metrics();
    metrics.request_seconds.observe(took.as_secs_f64());
    let labels = RequestLabels {
        route,
        method: method.to_owned(),
        status,
    };
    metrics.requests.get_or_create(&labels).inc();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::fmt::Error);

    #[test]
    fn a_chain_names_every_cause_on_one_line() {
        let words = chain(&Outer(std::fmt::Error));
        assert!(words.starts_with("outer: ") && !words.contains('\n'), "{words}");
    }

    #[test]
    fn no_two_requests_have_one_name() {
        let ids = RequestIds::since(Timestamp::from_millis(0x12));
        assert_eq!([ids.next(), ids.next()], ["12-0", "12-1"]);
    }
}
