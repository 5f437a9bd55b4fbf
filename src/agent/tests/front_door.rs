//! The backend's front door, as far as an enrolling lock knocks at it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::backend::Backend;
use crate::agent::backend_address::Server;
use crate::crypto::claim_code::ClaimCode;
use crate::crypto::public_key::PublicKey;
use crate::crypto::tokens::{LockKey, Product};

/// What the front door answers to one request; `None` hangs up.
pub type Clerk = dyn Fn(&Value) -> Option<String> + Send + Sync;

/// A front door that takes one request a connection.
pub struct FrontDoor {
    pub port: u16,
    asked: Arc<AtomicU32>,
}

impl FrontDoor {
    pub async fn open(tls: Option<TlsAcceptor>, clerk: Arc<Clerk>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let door = Self {
            port: listener.local_addr().unwrap().port(),
            asked: Arc::default(),
        };
        let asked = Arc::clone(&door.asked);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (tls, clerk, asked) = (tls.clone(), Arc::clone(&clerk), Arc::clone(&asked));
                tokio::spawn(async move {
                    match tls {
                        None => serve(socket, &*clerk, &asked).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(socket).await {
                                serve(stream, &*clerk, &asked).await;
                            }
                        }
                    }
                });
            }
        });
        door
    }

    pub fn server(&self) -> Server {
        let address = format!("http://127.0.0.1:{}/", self.port).parse().unwrap();
        Server::new(address, None).unwrap()
    }

    pub fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, clerk: &Clerk, asked: &AtomicU32) {
    let mut request = Vec::new();
    let body = loop {
        let mut part = [0; 4096];
        let read = stream.read(&mut part).await.unwrap();
        request.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        assert!(head.starts_with("POST /v1/enrolments HTTP/1.1\r\n"), "{head}");
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .expect("a length");
        if body.len() == length.parse::<usize>().unwrap() {
            break serde_json::from_str(body).unwrap();
        }
    };
    asked.fetch_add(1, Ordering::Relaxed);
    if let Some(answer) = clerk(&body) {
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
    // The other side may have gone by now.
    let _ = stream.shutdown().await;
}

pub fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nretry-after: 0\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// Answers like a backend that has given out `code`.
pub fn honest(backend: Arc<Backend>, code: ClaimCode) -> Arc<Clerk> {
    Arc::new(move |asked| {
        let public: PublicKey = serde_json::from_value(asked["public_key"].clone()).unwrap();
        let typed: ClaimCode = asked["claim_code"].as_str().unwrap().parse().unwrap();
        assert_eq!(typed, code);
        let proof = asked["proof"].as_str().unwrap();
        let product = Product {
            model: asked["model"].as_str().unwrap(),
            firmware: asked["firmware"].as_str().unwrap(),
        };
        LockKey::of_newcomer(&public)
            .unwrap()
            .verify_enrolment(proof, &typed, product)
            .expect("the proof holds");
        let mut welcome = serde_json::to_value(backend.welcome(&public)).unwrap();
        welcome["something_new"] = Value::Bool(true);
        Some(answer("200 OK", &welcome.to_string()))
    })
}
