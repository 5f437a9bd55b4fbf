//! What the server answers, and what tests expect of it.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    line: String,
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub text: String,
    /// The body, where it is JSON.
    pub json: Value,
}

impl Answer {
    pub(super) fn new(line: String, status: u16, headers: HeaderMap, text: String) -> Self {
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Self {
            line,
            status,
            headers,
            text,
            json,
        }
    }

    /// The header's value; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body, if the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.line, self.text);
        self.json
    }

    /// The text in this member of the body.
    #[track_caller]
    pub fn text_of(&self, member: &str) -> String {
        let value = self.json[member].as_str();
        value
            .unwrap_or_else(|| panic!("{}: no {member} in {}", self.line, self.text))
            .to_owned()
    }

    /// The problem's body, if the answer is a problem of this status and word in the form that all of them have.
    #[track_caller]
    pub fn expect_problem(self, status: u16, word: &str) -> Value {
        let (line, text) = (&self.line, &self.text);
        assert_eq!(self.status, status, "{line}: {text}");
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{line}: {text}"
        );
        assert_eq!(
            self.json["type"],
            format!("urn:doorward:problem:{word}"),
            "{line}: {text}"
        );
        assert_eq!(self.json["status"], status, "{line}: {text}");
        for member in ["title", "detail"] {
            assert!(
                self.json[member].as_str().is_some_and(|said| !said.is_empty()),
                "{line}: {text}"
            );
        }
        if matches!(status, 429 | 503) {
            let wait = self.header("retry-after").parse::<u64>();
            assert!(wait.is_ok_and(|seconds| seconds > 0), "{line}: {:?}", self.headers);
        }
        self.json
    }

    /// As [`Self::expect_problem`], 422 `invalid-field` at this field.
    #[track_caller]
    pub fn expect_invalid(self, field: &str) {
        let line = self.line.clone();
        let problem = self.expect_problem(422, "invalid-field");
        assert_eq!(problem["field"], field, "{line}: {problem}");
    }

    /// The bolt moved, and the lock said so: the attempt.
    #[track_caller]
    pub fn expect_opened(self) -> Value {
        let attempt = self.expect(200);
        assert_eq!(attempt["status"], "confirmed", "{attempt}");
        attempt
    }

    /// The door stayed shut for this reason: the problem.
    #[track_caller]
    pub fn expect_refused(self, reason: &str) -> Value {
        let problem = self.expect_problem(403, "access-refused");
        assert_eq!(problem["reason"], reason, "{problem}");
        problem
    }

    /// The lock is away: the problem.
    #[track_caller]
    pub fn expect_offline(self) -> Value {
        self.expect_problem(409, "lock-offline")
    }

    /// There is no such thing, as far as the caller may know.
    #[track_caller]
    pub fn expect_no(self, what: &str) {
        let line = self.line.clone();
        let problem = self.expect_problem(404, "not-found");
        assert_eq!(problem["what"], what, "{line}: {problem}");
    }
}
