//! Live events: the access log as it grows, as server-sent events.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ContentEncoding, HeaderMap};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, get};
use futures_util::stream;
use tokio::time::Instant;

use super::access_log::LogFilter;
use super::auth::Anyone;
use super::edge::chain;
use super::problem::Problem;
use super::query::Query;
use super::{Service, schema, webhooks};
use crate::app::Error;
use crate::app::live::{Follower, Heard};
use crate::domain::access_log::EntryNumber;

/// The header in which a client says which event it had last (WHATWG HTML, 9.2).
const LAST_EVENT_ID: &str = "Last-Event-ID";

/// How long a stream is silent before it says that it is still there: less than proxies wait.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);

/// After how long a client comes again whose stream has ended, in milliseconds.
const COME_AGAIN_MS: u32 = 3000;

/// A stream on its way.
struct Stream {
    follower: Follower,
    ends_at: Instant,
    waiting: VecDeque<Bytes>,
}

impl Stream {
    /// The next part; `None` at the end.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Error> {
        if let Some(part) = self.waiting.pop_front() {
            return Ok(Some((part, self)));
        }
        let left = self.ends_at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        let part = match self.follower.next(left.min(SIGN_OF_LIFE)).await {
            Ok(Heard::Entries(entries)) => {
                let mut part = String::new();
                for named in entries {
                    let seq = named.entry.seq;
                    let event = webhooks::event(named);
                    let event = event.map_err(|error| Error::Internal("writing an event", error.into()))?;
                    // JSON has no line breaks of its own.
                    part.push_str(&format!("id: {seq}\ndata: {event}\n\n"));
                }
                part
            }
            Ok(Heard::Nothing) => ":\n\n".to_owned(),
            // Whoever is not signed in any more is told so when they come again.
            Ok(Heard::End) | Err(Error::Unauthenticated | Error::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some((part.into(), self)))
    }
}

/// The number in `Last-Event-ID`.
fn last_event(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(given) = headers.get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    match given.to_str().ok().and_then(|text| text.parse().ok()) {
        Some(EntryNumber(seq)) => Ok(Some(seq)),
        None => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid-last-event-id",
            "The last event is none",
            "expected the `id` of an event of this stream in `Last-Event-ID`",
        )),
    }
}

/// The access log as it grows, of it what is for the caller: server-sent events
///
/// Each event's `id` is the number of the entry, and its `data` is `{type, timestamp, data}` as webhooks are told it. A
/// stream begins after the event that `Last-Event-ID` names, or now, and ends after the life of an access token: come
/// again with a new one and the last `id`.
#[utoipa::path(
    tag = "access log",
    params(
        LogFilter,
        ("Last-Event-ID" = Option<schema::EntryNumber>, Header, description = "The `id` of the last event that you had"),
    ),
    responses(
        (status = 200, description = "Events, as they happen", content((String = "text/event-stream"))),
        (status = 400), (status = 404),
    )
)]
#[get("/v1/events")]
pub(super) async fn follow(
    service: Data<Service>,
    Anyone(who): Anyone,
    req: HttpRequest,
    Query(filter): Query<LogFilter>,
) -> Result<HttpResponse, Problem> {
    let after = last_event(req.headers())?;
    let (view, filter) = filter.view(&service, &who).await?;
    let follower = Arc::clone(&service.app).follow_log(&who, view, filter, after).await?;
    let stream = Stream {
        follower,
        ends_at: Instant::now() + service.app.access_life(),
        waiting: VecDeque::from([Bytes::from(format!("retry: {COME_AGAIN_MS}\n\n"))]),
    };
    let parts = stream::try_unfold(stream, |stream| async {
        let broke_off = |error: &Error| tracing::warn!("a stream of events broke off: {}", chain(error));
        stream.next().await.inspect_err(broke_off)
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        // What is compressed waits for more of it.
        .insert_header(ContentEncoding::Identity)
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(parts))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn the_last_event_is_the_number_of_an_entry() {
        assert_eq!(last_event(&HeaderMap::new()).unwrap(), None);
        for (text, expected) in [
            ("7", Some(7)),
            ("0", None),
            ("-1", None),
            ("07", None),
            ("a", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(
                HeaderName::from_static("last-event-id"),
                HeaderValue::from_str(text).unwrap(),
            );
            assert_eq!(last_event(&headers).ok().flatten(), expected, "{text}");
        }
    }
}
