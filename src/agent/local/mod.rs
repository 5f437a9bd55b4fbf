//! The local carrier: HTTP for whoever stands before the door while the backend is away (`docs/PROTOCOL.md`, "The local
//! carrier"). It trusts nobody and is trusted with nothing; what it has to bear is that anybody on the network may call.

mod calls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::controller::Doorway;

/// How many may call at once. More wait until one has been answered.
const CALLERS: usize = 32;

/// Longest wait for the head of a request.
const HEAD: Duration = Duration::from_secs(5);

/// How long a connection may last, with one call on it: a movement may have to wait for another one.
const CALL: Duration = Duration::from_secs(60);

/// How long the listener rests when the system has no more sockets.
const REST: Duration = Duration::from_millis(100);

/// A lock's door on the network. Dropped, it is closed.
#[derive(Debug)]
pub struct LocalCarrier {
    address: SocketAddr,
    _stop_when_dropped: DropGuard,
}

impl LocalCarrier {
    /// Opens the door to whoever calls at `address`; port 0 takes any.
    ///
    /// # Errors
    /// Where the system does not let it listen there.
    pub async fn open(address: SocketAddr, door: Doorway) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        tokio::spawn(
            stop.clone()
                .run_until_cancelled_owned(listen(listener, door, stop.clone())),
        );
        Ok(Self {
            address,
            _stop_when_dropped: stop.drop_guard(),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn listen(listener: TcpListener, door: Doorway, stop: CancellationToken) {
    let callers = Arc::new(Semaphore::new(CALLERS));
    loop {
        // The semaphore is never closed.
        let Ok(caller) = Arc::clone(&callers).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (door, stop) = (door.clone(), stop.clone());
                tokio::spawn(async move {
                    stop.run_until_cancelled_owned(serve(stream, door)).await;
                    drop(caller);
                });
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a caller at the door was lost"
                );
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// One call.
async fn serve(stream: TcpStream, door: Doorway) {
    let service = service_fn(|request: Request<Incoming>| {
        let door = door.clone();
        async move { Ok::<Response<Full<Bytes>>, std::convert::Infallible>(calls::answer(&door, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    if let Ok(Err(error)) = timeout(CALL, connection).await {
        tracing::debug!(error = &error as &dyn std::error::Error, "a call at the door broke off");
    }
}
