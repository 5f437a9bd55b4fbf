//! Requests as any client makes them.

use std::future::{Future, IntoFuture};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};

use super::{Answer, PASSWORD};
use crate::fixtures::wait::soon;

/// The way to the server. Clones are the same one, and stay right when the server starts again elsewhere.
#[derive(Clone)]
pub struct Http {
    client: reqwest::Client,
    address: Arc<Mutex<SocketAddr>>,
}

impl Http {
    /// The way to the server there.
    pub fn to(address: SocketAddr) -> Self {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self {
            client,
            address: Arc::new(Mutex::new(address)),
        }
    }

    pub(super) fn move_to(&self, address: SocketAddr) {
        *self.address.lock().unwrap() = address;
    }

    /// Where the server is: `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The server's socket.
    pub fn address(&self) -> SocketAddr {
        *self.address.lock().unwrap()
    }

    /// A request with this method; sent when it is awaited.
    pub fn request(&self, method: &str, path: &str) -> Request {
        let method: Method = method.parse().unwrap();
        let line = format!("{method} {path}");
        let builder = self.client.request(method, format!("{}{path}", self.base_url()));
        Request {
            line,
            builder,
            prover: None,
        }
    }

    /// `GET`.
    pub fn get(&self, path: &str) -> Request {
        self.request("GET", path)
    }

    /// `POST`, without a body so far.
    pub fn post(&self, path: &str) -> Request {
        self.request("POST", path)
    }
}

/// A request that is sent when it is awaited.
pub struct Request {
    line: String,
    builder: reqwest::RequestBuilder,
    prover: Option<Prover>,
}

/// Whoever proves who they are where an answer asks for it.
struct Prover {
    http: Http,
    token: String,
}

impl Request {
    /// By somebody who enters [`PASSWORD`] where they are asked to prove who they are, and asks again then: as their app
    /// does. Tests in which days go by need not say so each time.
    pub(super) fn proving(mut self, http: &Http, token: &str) -> Self {
        self.prover = Some(Prover {
            http: http.clone(),
            token: token.to_owned(),
        });
        self
    }

    /// With this access token.
    pub fn bearer(self, token: &str) -> Self {
        self.header(AUTHORIZATION.as_str(), &format!("Bearer {token}"))
    }

    /// With this body.
    pub fn json(self, body: Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// With this body, right or wrong.
    pub fn body(mut self, media_type: &str, body: impl Into<reqwest::Body>) -> Self {
        self.builder = self.builder.header(CONTENT_TYPE, media_type).body(body);
        self
    }

    /// With this header too.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    /// As if it came through the reverse proxy on this machine from a client at `address`.
    pub fn coming_from(self, address: &str) -> Self {
        self.header("X-Forwarded-For", address)
    }

    /// With this `Idempotency-Key`.
    pub fn idempotency_key(self, key: &str) -> Self {
        self.header("Idempotency-Key", key)
    }
}

impl Request {
    /// Sends it to a server that may be gone before it has answered: then there is no answer.
    pub async fn try_send(self) -> Option<Answer> {
        let Self { line, builder, .. } = self;
        let response = builder.send().await.ok()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.ok()?;
        Some(Answer::new(line, status, headers, text))
    }
}

/// An answer that goes on and on.
pub struct Streamed {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    response: reqwest::Response,
    read: String,
}

impl Streamed {
    /// Reads up to and with the next empty line, without it; `None` at the end.
    pub async fn paragraph(&mut self) -> Option<String> {
        loop {
            if let Some((paragraph, rest)) = self.read.split_once("\n\n") {
                let (paragraph, rest) = (paragraph.to_owned(), rest.to_owned());
                self.read = rest;
                return Some(paragraph);
            }
            let more = soon("more of the answer", self.response.chunk()).await.ok()??;
            self.read.push_str(std::str::from_utf8(&more).unwrap());
        }
    }
}

impl Request {
    /// Sends it, and leaves the body of the answer to be read.
    pub async fn open(self) -> Streamed {
        let response = self.builder.send().await.unwrap();
        Streamed {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            response,
            read: String::new(),
        }
    }
}

impl IntoFuture for Request {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { line, builder, prover } = self;
            let again = prover.zip(builder.try_clone());
            let answer = answer_to(line.clone(), builder).await;
            match again {
                Some((prover, builder)) if answer.text.contains("urn:doorward:problem:proof-needed") => {
                    let prove = prover.http.post("/v1/auth/prove").bearer(&prover.token);
                    prove.json(json!({ "password": PASSWORD })).await.expect(200);
                    answer_to(line, builder).await
                }
                _ => answer,
            }
        })
    }
}

async fn answer_to(line: String, builder: reqwest::RequestBuilder) -> Answer {
    let response = builder.send().await.unwrap_or_else(|error| panic!("{line}: {error:?}"));
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    // One that goes on and on is left unread.
    let is_endless = headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind == "text/event-stream");
    let text = match is_endless {
        true => String::new(),
        false => (response.text().await).unwrap_or_else(|error| panic!("{line}: {error:?}")),
    };
    Answer::new(line, status, headers, text)
}
