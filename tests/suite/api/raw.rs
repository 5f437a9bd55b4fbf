//! What only a client that speaks HTTP by hand can do.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::fixtures::databases::TestDatabase;
use crate::fixtures::wait;
use crate::world::TestServer;

/// Sends `bytes` on one connection and reads answers until one of them says `word`, or the connection ends.
async fn say(t: &TestServer, bytes: &[u8], word: &str) -> String {
    let mut stream = TcpStream::connect(t.http.address()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&answer);
        if text.contains(word) {
            return text.into_owned();
        }
        match wait::soon(word, stream.read(&mut part)).await.unwrap() {
            0 => return text.into_owned(),
            read => answer.extend_from_slice(&part[..read]),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_nobody_asked_for_does_not_cost_the_connection() {
    let t = TestServer::start(&TestDatabase::sqlite()).await;
    let first = "POST /v1/auth/sign-out HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n{\"a\"";
    let second = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = say(&t, format!("{first}{second}").as_bytes(), "\"status\":\"ok\"").await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(answer.contains("\"status\":\"ok\""), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_beyond_the_limit_is_refused_however_it_is_announced() {
    let t = TestServer::start(&TestDatabase::sqlite()).await;
    let announced = "POST /v1/auth/sign-in HTTP/1.1\r\nHost: a\r\nContent-Length: 16385\r\n\r\n".to_owned();
    let chunk = format!("4000\r\n{}\r\n", "a".repeat(0x4000));
    let chunked = format!(
        "POST /v1/auth/sign-in HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}1\r\na\r\n0\r\n\r\n"
    );
    for request in [announced, chunked] {
        let answer = say(&t, request.as_bytes(), "body-too-large").await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        assert!(answer.contains("application/problem+json"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_ends_one_connection_and_not_the_service() {
    let t = TestServer::start(&TestDatabase::sqlite()).await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /v1/me HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(t.http.address()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // A connection that is reset is as good an end as any.
        let _ = wait::soon("the connection to end", stream.read_to_end(&mut answer)).await;
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{bytes:?}");
    }
    t.http.get("/healthz").await.expect(200);
}
