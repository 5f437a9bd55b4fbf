//! Where a backend is, or a door on the local network, and one request to it over HTTP. No redirect is followed and no
//! proxy is asked: a claim code goes to the address that the operator gave, or nowhere.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::mqtt::address::{BadAuthority, trusting};

/// Longest wait for TCP and TLS together.
const CONNECT: Duration = Duration::from_secs(10);
/// Longest wait for the answer.
const ANSWER: Duration = Duration::from_secs(30);
/// The longest answer in bytes.
const ANSWER_LIMIT: usize = 256 * 1024;

/// The address of a backend: `https://…`, or `http://…` on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendAddress {
    is_secure: bool,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
    /// As it stands in `Host`.
    authority: String,
    /// Without a slash at its end.
    path: String,
}

/// A text is not the address of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// Not a URL of the right form.
    #[error("expected an address such as https://doors.example, without a query or user name")]
    Malformed,
    /// Claim code and broker password would cross a network in the open.
    #[error("plain http is for this machine only: use https")]
    Open,
}

impl FromStr for BackendAddress {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let address = Self::in_the_open(text)?;
        if address.is_secure || is_this_machine(&address.host) {
            Ok(address)
        } else {
            Err(BadAddress::Open)
        }
    }
}

impl BackendAddress {
    /// An address to which nothing secret is said, so that plain HTTP does on any machine.
    pub(crate) fn in_the_open(text: &str) -> Result<Self, BadAddress> {
        let uri: Uri = text.parse().map_err(|_| BadAddress::Malformed)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(BadAddress::Malformed);
        };
        if uri.query().is_some() || authority.as_str().contains('@') {
            return Err(BadAddress::Malformed);
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let (is_secure, default_port) = match scheme {
            "https" => (true, 443),
            "http" => (false, 80),
            _ => return Err(BadAddress::Malformed),
        };
        if host.is_empty() {
            return Err(BadAddress::Malformed);
        }
        Ok(Self {
            is_secure,
            host,
            port: authority.port_u16().unwrap_or(default_port),
            authority: authority.as_str().to_owned(),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for BackendAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

/// Nobody can be trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The operator's file cannot be read.
    #[error("{path} cannot be read")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It holds no authority.
    #[error("{path} holds no certificate authority to trust")]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: BadAuthority,
    },
    /// This machine trusts nobody.
    #[error("this machine has no certificate authorities: install `ca-certificates`, or name a file")]
    Nobody,
    /// The library does not have TLS 1.3 or 1.2, which it has.
    #[error("TLS cannot be used")]
    Library(#[from] rustls::Error),
}

/// A backend, and whom to believe that it is the one.
#[derive(Clone)]
pub struct Server {
    address: BackendAddress,
    tls: Option<Arc<ClientConfig>>,
    patience: Duration,
}

/// What a backend answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Vec<u8>,
}

/// What a request shows of whoever makes it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shown<'a> {
    /// An access token.
    pub(crate) token: Option<&'a str>,
    /// That whoever asks holds a key (RFC 9449), to which the token is bound where there is one.
    pub(crate) proof: Option<&'a str>,
    /// Under which key the request is to happen once.
    pub(crate) once: Option<&'a str>,
}

/// An answer whose body is on its way.
pub(crate) struct Opened {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    carrier: JoinHandle<()>,
    patience: Duration,
}

impl Opened {
    /// The next bytes of the body; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Unanswered> {
        let lost = |error: String| Unanswered::Lost(error);
        loop {
            let frame = timeout(self.patience, self.body.frame()).await;
            let frame = frame.map_err(|_| lost(format!("nothing more came within {:?}", self.patience)))?;
            match frame.transpose().map_err(|error| lost(error.to_string()))? {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }

    /// The whole body, at most `limit` bytes of it.
    pub(crate) async fn rest(mut self, limit: usize) -> Result<Vec<u8>, Unanswered> {
        let mut body = Vec::new();
        while let Some(bytes) = self.chunk().await? {
            if body.len() + bytes.len() > limit {
                return Err(Unanswered::Lost(format!("the answer is longer than {limit} bytes")));
            }
            body.extend_from_slice(&bytes);
        }
        Ok(body)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

/// There is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswered {
    /// The request was not sent: asking again does no harm.
    #[error("{0}")]
    NotSent(String),
    /// It may have been: the backend may have done what was asked.
    #[error("{0}")]
    Lost(String),
}

impl Server {
    /// The backend at `address`, believed on the word of the authorities in `ca_file`, or else of those that this
    /// machine trusts.
    ///
    /// # Errors
    /// [`TrustError`] where an `https` address comes with nobody to trust.
    pub fn new(address: BackendAddress, ca_file: Option<&Path>) -> Result<Self, TrustError> {
        let tls = match (address.is_secure, ca_file) {
            (false, _) => None,
            (true, Some(path)) => Some(trusting_file(path)?),
            (true, None) => Some(trusting_this_machine()?),
        };
        Ok(Self {
            address,
            tls,
            patience: ANSWER,
        })
    }

    /// Whoever is at `address`, over plain HTTP; an answer may take this long.
    pub(crate) fn without_tls(address: BackendAddress, patience: Duration) -> Self {
        Self {
            address,
            tls: None,
            patience,
        }
    }

    /// The same, where an answer, or each part of a long one, may take this long.
    #[must_use]
    pub fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> &BackendAddress {
        &self.address
    }

    /// Posts `body`, a JSON text, to `path`.
    pub(crate) async fn post(&self, path: &str, body: String) -> Result<Answer, Unanswered> {
        self.ask(Method::POST, path, Shown::default(), Some(body)).await
    }

    /// Asks for `path` by this method, as whoever has what is `shown`, with `body`, a JSON text.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        shown: Shown<'_>,
        body: Option<String>,
    ) -> Result<Answer, Unanswered> {
        let answer = timeout(self.patience, async {
            let opened = self.open(method, path, shown, body).await?;
            let seconds = opened.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            Ok(Answer {
                status: opened.status,
                retry_after: seconds.and_then(|text| text.parse().ok()).map(Duration::from_secs),
                body: opened.rest(ANSWER_LIMIT).await?,
            })
        });
        // A connection that does not stand within its own time says so itself, and sooner.
        answer
            .await
            .unwrap_or_else(|_| Err(Unanswered::Lost(format!("no answer within {:?}", self.patience))))
    }

    /// As [`Self::ask`]; the body is read as it comes.
    pub(crate) async fn open(
        &self,
        method: Method,
        path: &str,
        shown: Shown<'_>,
        body: Option<String>,
    ) -> Result<Opened, Unanswered> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.address.path))
            .header(HOST, &self.address.authority)
            .header(USER_AGENT, concat!("doorward-lock/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "application/json, application/problem+json");
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(key) = shown.once {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(proof) = shown.proof {
            request = request.header("DPoP", proof);
        }
        if let Some(token) = shown.token {
            let scheme = if shown.proof.is_some() { "DPoP" } else { "Bearer" };
            let value = HeaderValue::try_from(format!("{scheme} {token}"));
            let mut value = value.map_err(|error| Unanswered::NotSent(error.to_string()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let request = request
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|error| Unanswered::NotSent(error.to_string()))?;
        let stream = timeout(CONNECT, self.connect())
            .await
            .map_err(|_| Unanswered::NotSent(format!("no connection within {CONNECT:?}")))?;
        let answer = match stream.map_err(|error| Unanswered::NotSent(error.to_string()))? {
            Stream::Plain(stream) => timeout(self.patience, exchange(stream, request)).await,
            Stream::Tls(stream) => timeout(self.patience, exchange(stream, request)).await,
        };
        let (response, carrier) = answer
            .map_err(|_| Unanswered::Lost(format!("no answer within {:?}", self.patience)))?
            .map_err(|error| Unanswered::Lost(error.to_string()))?;
        let (parts, body) = response.into_parts();
        Ok(Opened {
            status: parts.status,
            headers: parts.headers,
            body,
            carrier,
            patience: self.patience,
        })
    }

    async fn connect(&self) -> std::io::Result<Stream> {
        let stream = TcpStream::connect((self.address.host.as_str(), self.address.port)).await?;
        let Some(tls) = &self.tls else {
            return Ok(Stream::Plain(stream));
        };
        let name = ServerName::try_from(self.address.host.clone()).map_err(std::io::Error::other)?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?;
        Ok(Stream::Tls(Box::new(stream)))
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

/// One request on a connection of its own: the head of its answer, and what carries the rest.
async fn exchange<T>(
    stream: T,
    request: Request<Full<Bytes>>,
) -> Result<(Response<Incoming>, JoinHandle<()>), hyper::Error>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let carrier = tokio::spawn(async move {
        // What breaks here breaks the answer too, which says it.
        connection.await.unwrap_or_default();
    });
    match sender.send_request(request).await {
        Ok(response) => Ok((response, carrier)),
        Err(error) => {
            carrier.abort();
            Err(error)
        }
    }
}

fn trusting_file(path: &Path) -> Result<Arc<ClientConfig>, TrustError> {
    let pem = std::fs::read(path).map_err(|source| TrustError::File {
        path: path.to_owned(),
        source,
    })?;
    trusting(&pem).map_err(|source| TrustError::Authority {
        path: path.to_owned(),
        source,
    })
}

fn trusting_this_machine() -> Result<Arc<ClientConfig>, TrustError> {
    let mut roots = rustls::RootCertStore::empty();
    // Some machines carry certificates that no library takes; those that it does take are enough.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(TrustError::Nobody);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(Arc::new(
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_or_this_machine() {
        for (text, expected) in [
            ("https://doors.example", Ok("https://doors.example")),
            ("https://doors.example:8443/", Ok("https://doors.example:8443")),
            ("https://doors.example/behind/", Ok("https://doors.example/behind")),
            ("https://[2001:db8::1]:8443", Ok("https://[2001:db8::1]:8443")),
            ("http://localhost:8080", Ok("http://localhost:8080")),
            ("http://127.0.0.1:8080", Ok("http://127.0.0.1:8080")),
            ("http://[::1]:8080", Ok("http://[::1]:8080")),
            ("http://doors.example", Err(BadAddress::Open)),
            ("http://192.0.2.1", Err(BadAddress::Open)),
            ("http://localhost.evil.example", Err(BadAddress::Open)),
            ("doors.example", Err(BadAddress::Malformed)),
            ("https://", Err(BadAddress::Malformed)),
            ("ftp://doors.example", Err(BadAddress::Malformed)),
            ("https://ana@doors.example", Err(BadAddress::Malformed)),
            ("https://doors.example/?q", Err(BadAddress::Malformed)),
        ] {
            let address = text.parse::<BackendAddress>().map(|address| address.to_string());
            assert_eq!(address, expected.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn brackets_are_no_part_of_the_host() {
        let address: BackendAddress = "http://[::1]:8080/x/".parse().unwrap();
        assert_eq!(
            (address.host.as_str(), address.port, address.path.as_str()),
            ("::1", 8080, "/x")
        );
    }
}
