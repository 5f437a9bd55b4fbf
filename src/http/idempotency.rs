//! `Idempotency-Key`: a request that makes or moves something can be sent again, and happens once.

use actix_web::body::{BoxBody, MessageBody, to_bytes};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage as _, HttpResponse, HttpResponseBuilder};
use serde::{Deserialize, Serialize};

use super::json::Body;
use super::problem::Problem;
use super::{Service, auth};
use crate::app::idempotency::{Begun, RequestKey, Ticket};

/// The header.
pub(super) const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    status: u16,
    content_type: Option<String>,
    body: String,
}

/// Takes the request to its handler, once under its key; without one, as often as it comes.
pub(super) async fn once(
    service: &Data<Service>,
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let begun = match key(req.headers()) {
        Ok(None) => return Ok(next.call(req).await?.map_into_boxed_body()),
        Ok(Some(key)) => begin(service, &req, &key).await,
        Err(problem) => Err(problem),
    };
    let ticket = match begun {
        Ok(Begun::First(ticket)) => ticket,
        Ok(Begun::Answered(answer)) => {
            let answer = again(&answer);
            return Ok(req.into_response(answer));
        }
        Ok(Begun::AnsweredElsewhere) => return Ok(req.error_response(answered_elsewhere())),
        Ok(Begun::Running) => return Ok(req.error_response(in_progress())),
        Ok(Begun::OtherRequest) => return Ok(req.error_response(reused())),
        Err(problem) => return Ok(req.error_response(problem)),
    };
    // On its own: a client that hangs up must not leave half of it done and no answer for the next time.
    let service = service.clone();
    let work = actix_web::rt::spawn(async move {
        let answer = next.call(req).await?.map_into_boxed_body();
        keep(&service, ticket, answer).await
    });
    match work.await {
        Ok(answer) => answer,
        // A panic goes on where it was going: the edge answers it. The key stays taken until it counts as lost.
        Err(broken) if broken.is_panic() => std::panic::resume_unwind(broken.into_panic()),
        Err(_) => Err(Problem::internal().into()),
    }
}

fn key(headers: &HeaderMap) -> Result<Option<RequestKey>, Problem> {
    let mut given = headers.get_all(KEY);
    let Some(key) = given.next() else {
        return Ok(None);
    };
    let key = key.to_str().ok().and_then(|text| text.parse().ok());
    match (key, given.next()) {
        (Some(key), None) => Ok(Some(key)),
        _ => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid-idempotency-key",
            "The Idempotency-Key is not acceptable",
            "expected one Idempotency-Key of 1 to 255 printable ASCII characters",
        )),
    }
}

async fn begin(service: &Data<Service>, req: &ServiceRequest, key: &RequestKey) -> Result<Begun, Problem> {
    let who = auth::admit(req.request()).await?;
    let (_, shown) = auth::bearer(req.headers())?;
    let body = req.extensions().get::<Body>().cloned().unwrap_or_default();
    let mut request = format!("{} {}\n", req.method(), req.uri()).into_bytes();
    request.extend_from_slice(&body.0);
    Ok(service.app.begin_request(&who, shown.secret(), key, &request).await?)
}

/// Keeps the answer for the next time, except one that another try may better.
async fn keep(
    service: &Data<Service>,
    ticket: Ticket,
    answer: ServiceResponse<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let status = answer.status();
    // Whoever proves who they are asks again with the same key.
    let problem = answer.response().error().and_then(|error| error.as_error::<Problem>());
    let wants_proof = problem.is_some_and(|problem| problem.word() == "proof-needed");
    let (req, answer) = answer.into_parts();
    let (answer, body) = answer.into_parts();
    let body = to_bytes(body).await.map_err(|_| Problem::internal())?;
    let passes = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || wants_proof;
    let kept = if passes {
        service.app.forget_request(ticket).await
    } else {
        let content_type = answer.headers().get(header::CONTENT_TYPE);
        let kept = Kept {
            status: status.as_u16(),
            content_type: content_type.and_then(|value| value.to_str().ok()).map(str::to_owned),
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        let kept = serde_json::to_vec(&kept).map_err(|_| Problem::internal())?;
        service.app.finish_request(ticket, &kept).await
    };
    if let Err(error) = kept {
        // What was done is done: the caller gets its answer all the same.
        tracing::warn!("the answer of a request was not kept: {}", super::edge::chain(&error));
    }
    Ok(ServiceResponse::new(req, answer.set_body(BoxBody::new(body))))
}

/// The answer that was kept.
fn again(kept: &[u8]) -> HttpResponse {
    let kept: Option<Kept> = serde_json::from_slice(kept).ok();
    let status = kept.as_ref().and_then(|kept| StatusCode::from_u16(kept.status).ok());
    let (Some(kept), Some(status)) = (kept, status) else {
        return HttpResponse::from_error(answered_elsewhere());
    };
    let mut answer = HttpResponseBuilder::new(status);
    if let Some(content_type) = kept.content_type {
        answer.content_type(content_type);
    }
    answer.body(kept.body)
}

fn reused() -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency-key-reused",
        "The Idempotency-Key belongs to another request",
        "another request came under this key; take a new key for every new request",
    )
}

fn in_progress() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "idempotency-in-progress",
        "The request is still being worked on",
        "the first request under this key has no answer yet; send it again shortly",
    )
}

fn answered_elsewhere() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "idempotency-answer-sealed",
        "The request was carried out before",
        "it was answered to an earlier access token of this session, for whose eyes alone the answer was kept",
    )
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn a_key_comes_once_or_not_at_all() {
        for (lines, outcome) in [
            (&[][..], Some(false)),
            (&["a"], Some(true)),
            (&["a", "a"], None),
            (&[""], None),
            (&["a", "b"], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(KEY, HeaderValue::from_static(line));
            }
            let found = key(&headers).ok().map(|key| key.is_some());
            assert_eq!(found, outcome, "{lines:?}");
        }
    }

    #[test]
    fn a_kept_answer_is_the_same_answer() {
        let kept = Kept {
            status: 201,
            content_type: Some("application/json".to_owned()),
            body: "{\"id\":1}".to_owned(),
        };
        let answer = again(&serde_json::to_vec(&kept).unwrap());
        assert_eq!(answer.status(), StatusCode::CREATED);
        assert_eq!(answer.headers().get(header::CONTENT_TYPE).unwrap(), "application/json");
        assert_eq!(answer.into_body().try_into_bytes().unwrap(), "{\"id\":1}");
    }
}
