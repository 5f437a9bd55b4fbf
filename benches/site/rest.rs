//! A client on one kept connection, with as little of its own as can be.

use std::net::SocketAddr;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::Failure;

/// One connection to a backend.
pub struct Client {
    requests: SendRequest<Full<Bytes>>,
    host: String,
}

/// What came back.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub body: Bytes,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// Where nobody listens.
    pub async fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self {
            requests,
            host: address.to_string(),
        })
    }

    /// Asks, and waits for the whole answer.
    ///
    /// # Errors
    /// Where the connection breaks.
    pub async fn ask(&mut self, method: &str, path: &str, token: &str, body: Bytes) -> Result<Answer, Failure> {
        let mut request = Request::builder().method(method).uri(path).header(HOST, &self.host);
        if !token.is_empty() {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(body))?;
        self.requests.ready().await?;
        let answer = self.requests.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        Ok(Answer { status, body })
    }

    /// Gets what is at `path` and lets go of it as it comes. Gives how many lines it has.
    ///
    /// # Errors
    /// Where the connection breaks, or the answer is no success.
    #[allow(dead_code, reason = "not every bench gets what is long")]
    pub async fn count_lines(&mut self, path: &str, token: &str) -> Result<usize, Failure> {
        let request = Request::builder().uri(path).header(HOST, &self.host);
        let request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        self.requests.ready().await?;
        let answer = self
            .requests
            .send_request(request.body(Full::new(Bytes::new()))?)
            .await?;
        let status = answer.status();
        let mut body = answer.into_body();
        let mut lines = 0;
        while let Some(frame) = body.frame().await {
            if let Ok(part) = frame?.into_data() {
                lines += part.iter().filter(|byte| **byte == b'\n').count();
            }
        }
        if status.is_success() {
            Ok(lines)
        } else {
            Err(format!("{path}: {status}").into())
        }
    }

    /// Posts `body` and reads the answer, which must be a success.
    ///
    /// # Errors
    /// Where it is not, with what the backend said.
    pub async fn post(&mut self, path: &str, token: &str, body: &Value) -> Result<Value, Failure> {
        let answer = self.ask("POST", path, token, serde_json::to_vec(body)?.into()).await?;
        read(path, &answer)
    }

    /// Gets what is at `path`.
    ///
    /// # Errors
    /// As [`Self::post`].
    pub async fn get(&mut self, path: &str, token: &str) -> Result<Value, Failure> {
        let answer = self.ask("GET", path, token, Bytes::new()).await?;
        read(path, &answer)
    }
}

fn read(path: &str, answer: &Answer) -> Result<Value, Failure> {
    if answer.status.is_success() {
        return Ok(serde_json::from_slice(&answer.body)?);
    }
    let said = String::from_utf8_lossy(&answer.body);
    Err(format!("{path}: {}: {said}", answer.status).into())
}

/// The text in the member `name`.
pub(super) fn text(value: &Value, name: &str) -> Result<String, Failure> {
    let text = value.get(name).and_then(Value::as_str);
    Ok(text.ok_or_else(|| format!("an answer without `{name}`"))?.to_owned())
}
