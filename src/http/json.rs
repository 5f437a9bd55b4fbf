//! Bodies: JSON that says what the type asks for and nothing else.

use std::fmt;
use std::future::{Ready, ready};
use std::marker::PhantomData;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::error::Category;

use super::problem::Problem;

/// The request's body as it came, read to its end and within bounds ([`super::edge`]).
#[derive(Debug, Clone, Default)]
pub struct Body(pub Bytes);

/// The request's body as a `T`.
///
/// # Errors
/// `unsupported-media-type` where it is not JSON by its header, `malformed-body` where it is not by its text,
/// `invalid-field` where it does not say what `T` asks for: a field missing, unknown, doubled or of another type.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(check_media_type(req).and_then(|()| {
            let body = req.extensions().get::<Body>().cloned().unwrap_or_default();
            parse(&body.0).map(Self)
        }))
    }
}

/// The request's body as a `T`, or its default where there is none.
///
/// # Errors
/// As of [`Json`].
#[derive(Debug)]
pub struct JsonOrNothing<T>(pub T);

impl<T: DeserializeOwned + Default + 'static> FromRequest for JsonOrNothing<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_empty = req.extensions().get::<Body>().is_none_or(|body| body.0.is_empty());
        if is_empty {
            return ready(Ok(Self(T::default())));
        }
        ready(
            Json::from_request(req, payload)
                .into_inner()
                .map(|Json(value)| Self(value)),
        )
    }
}

fn check_media_type(req: &HttpRequest) -> Result<(), Problem> {
    let refuse = |detail| {
        Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "Unsupported media type",
            detail,
        ))
    };
    let encoding = req.headers().get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding != "identity") {
        return refuse("a body must come without a content encoding");
    }
    // By its essence: a `charset` says nothing, JSON is UTF-8 (RFC 8259, 8.1).
    if req.content_type().eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        refuse("a body must come as `Content-Type: application/json`")
    }
}

/// A `T` from a JSON object and from nothing else: a derived `Deserialize` would also take an array with the fields in
/// their order, which nobody means.
#[derive(Debug)]
pub(super) struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(fields))
            }
        }

        deserializer.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

/// For a field that may be left out, or `null`, or an [`Object`].
pub(super) fn object_or_nothing<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let given: Option<Object<T>> = Option::deserialize(deserializer)?;
    Ok(given.map(|object| object.0))
}

/// `body` as a `T`.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let Object(value) = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| refusal(&error.path().to_string(), error.inner()))?;
    deserializer.end().map_err(|error| refusal(".", &error))?;
    Ok(value)
}

fn refusal(path: &str, error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let why = text.rsplit_once(" at line ").map_or(text.as_str(), |(why, _)| why);
    if error.classify() == Category::Data {
        return Problem::invalid_field(&named_field(path, why), why);
    }
    Problem::new(
        StatusCode::BAD_REQUEST,
        "malformed-body",
        "The body is not JSON",
        format!("{why}, in line {}, column {}", error.line(), error.column()),
    )
    .with("line", error.line())
    .with("column", error.column())
}

/// The path of the field that `why` is about: serde names a missing, unknown or doubled field in its words only, and the
/// path ends at the object around it.
pub(super) fn named_field(path: &str, why: &str) -> String {
    let parent = if path == "." { "" } else { path };
    let named = ["missing field `", "unknown field `", "duplicate field `"]
        .into_iter()
        .find_map(|words| why.strip_prefix(words))
        .and_then(|rest| rest.split('`').next());
    match named {
        Some(name) if parent.is_empty() => name.to_owned(),
        Some(name) if parent == name || parent.ends_with(&format!(".{name}")) => parent.to_owned(),
        Some(name) => format!("{parent}.{name}"),
        None => parent.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::domain::time::Timestamp;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only whether it can be read is asked")]
    struct Visit {
        name: String,
        stay: Stay,
        doors: Option<Vec<u8>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only whether it can be read is asked")]
    struct Stay {
        starts_at: Timestamp,
    }

    #[test]
    fn a_body_that_is_not_json_is_malformed() {
        let deep = "[".repeat(1000);
        for body in [
            "",
            "{",
            "nonsense",
            "{\"name\":\"a\",}",
            "{'name':1}",
            &deep,
            "\u{feff}{}",
        ] {
            let problem = parse::<Visit>(body.as_bytes()).unwrap_err();
            assert!(matches!(problem.word(), "malformed-body" | "invalid-field"), "{body}");
        }
        assert_eq!(
            parse::<Visit>(b"{\"name\":\"\xff\"}").unwrap_err().word(),
            "malformed-body"
        );
        let trailing = r#"{"name":"a","stay":{"starts_at":"2026-03-02T09:00:00Z"}} {}"#;
        assert_eq!(
            parse::<Visit>(trailing.as_bytes()).unwrap_err().word(),
            "malformed-body"
        );
    }

    #[test]
    fn the_field_at_fault_is_named_by_its_path() {
        for (body, field) in [
            (r#"{"stay":{"starts_at":"2026-03-02T09:00:00Z"}}"#, "name"),
            (r#"{"name":5}"#, "name"),
            (r#"{"name":"a","name":"b"}"#, "name"),
            (r#"{"name":"a","nmae":"b"}"#, "nmae"),
            (r#"{"name":"a","stay":{}}"#, "stay.starts_at"),
            (
                r#"{"name":"a","stay":{"starts_at":"2026-03-02T09:00:00"}}"#,
                "stay.starts_at",
            ),
            (r#"{"name":"a","stay":{"until":1}}"#, "stay.until"),
            (r#"{"name":"a","doors":[1,300]}"#, "doors[1]"),
            (r#"{"name":"a","stay":null}"#, "stay"),
            ("[]", ""),
        ] {
            let problem = parse::<Visit>(body.as_bytes()).unwrap_err();
            let bytes = actix_web::body::MessageBody::try_into_bytes(problem.answer(None).into_body()).unwrap();
            let answer: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(answer["type"], "urn:doorward:problem:invalid-field", "{body}");
            assert_eq!(answer["field"], field, "{body}: {answer}");
            assert!(!answer["detail"].as_str().unwrap().contains(" at line "), "{answer}");
        }
    }
}
