//! What only a client that speaks HTTP by hand can do.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::House;

/// Sends `bytes` on one connection and reads answers until `ends` of them have come, or the connection ends.
async fn say(house: &House, bytes: &[u8], ends: &str, times: usize) -> String {
    let mut stream = TcpStream::connect(house.server.http()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&answer);
        if text.matches(ends).count() >= times {
            return text.into_owned();
        }
        match stream.read(&mut part).await.unwrap() {
            0 => return String::from_utf8_lossy(&answer).into_owned(),
            read => answer.extend_from_slice(&part[..read]),
        }
    }
}

#[tokio::test]
async fn a_body_that_nobody_asked_for_does_not_cost_the_connection() {
    let house = House::open().await;
    let request = "POST /v1/auth/sign-out HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n{\"a\"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = say(&house, request.as_bytes(), "\"status\":\"ok\"", 1).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(answer.contains("\"status\":\"ok\""), "{answer}");
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_however_it_is_announced() {
    let house = House::open().await;
    let announced = "POST /v1/auth/sign-in HTTP/1.1\r\nHost: a\r\nContent-Length: 16385\r\n\r\n".to_owned();
    let chunk = format!("4000\r\n{}\r\n", "a".repeat(0x4000));
    let chunked = format!(
        "POST /v1/auth/sign-in HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}1\r\na\r\n0\r\n\r\n"
    );
    for request in [announced, chunked] {
        let answer = say(&house, request.as_bytes(), "body-too-large", 1).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        assert!(answer.contains("application/problem+json"), "{answer}");
    }
}

#[tokio::test]
async fn garbage_ends_one_connection_and_not_the_service() {
    let house = House::open().await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(house.server.http()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // A connection that is reset is as good an end as any.
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{bytes:?}");
    }
    assert_eq!(house.get("/healthz").await.status, 200);
}
