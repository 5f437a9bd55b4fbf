//! The REST surface from outside, byte by byte where it must be: what is refused, and how.

use std::net::SocketAddr;

use doorward::config::Config;
use doorward::server::{Server, Sources};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

mod bodies;
mod raw;
mod repetition;
mod service;

/// A server with one landlord, who is signed in.
struct House {
    server: Server,
    client: reqwest::Client,
    token: String,
    organization: String,
    _folder: TempDir,
}

impl House {
    async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    async fn open_with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = TempDir::new().unwrap();
        let mut config = Config {
            state_dir: folder.path().join("state"),
            ..Config::default()
        };
        config.http.bind = SocketAddr::from(([127, 0, 0, 1], 0));
        config.http.workers = 1;
        config.metrics.bind = None;
        config.mqtt.embedded.bind = SocketAddr::from(([127, 0, 0, 1], 0));
        config.limits.requests_per_minute = 100_000;
        config.limits.sign_ins_per_minute = 100_000;
        change(&mut config);
        let server = Server::start(&config, Sources::machine()).await.unwrap();
        let (organization, _) = server
            .app()
            .add_landlord(
                "Ana's houses".to_owned().try_into().unwrap(),
                "ana@example.org".parse().unwrap(),
                "Ana".to_owned().try_into().unwrap(),
                "correct horse".parse().unwrap(),
            )
            .await
            .unwrap();
        let mut house = Self {
            server,
            client: reqwest::Client::new(),
            token: String::new(),
            organization: organization.to_string(),
            _folder: folder,
        };
        let sign_in = json!({ "email": "ana@example.org", "password": "correct horse" });
        let tokens = house.post("/v1/auth/sign-in", &sign_in).await;
        house.token = tokens.body["access_token"].as_str().unwrap().to_owned();
        house
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.server.http());
        let request = self.client.request(method, url);
        if self.token.is_empty() {
            request
        } else {
            request.bearer_auth(&self.token)
        }
    }

    async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path).send().await.unwrap()).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(body).send().await.unwrap()).await
    }

    /// A property to add.
    fn property(&self, name: &str) -> Value {
        json!({
            "organization_id": self.organization, "name": name, "address": "Gasse 1, 1010 Wien",
            "time_zone": "Europe/Vienna",
        })
    }
}

/// An answer, read to its end.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
    body: Value,
}

impl Answer {
    async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Self {
            status,
            headers,
            text,
            body,
        }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The problem's word; a problem says its status twice and has its own media type.
    #[track_caller]
    fn problem(&self) -> &str {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert_eq!(self.body["status"], self.status, "{self:?}");
        let word = self.body["type"]
            .as_str()
            .and_then(|text| text.strip_prefix("urn:doorward:problem:"));
        word.unwrap()
    }

    #[track_caller]
    fn expect(&self, status: u16, word: &str) {
        assert_eq!((self.status, self.problem()), (status, word), "{self:?}");
    }
}
