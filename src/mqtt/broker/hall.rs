//! Every connection, from the accepted socket to its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mqtt5::broker::client_handler::ClientHandler;
use mqtt5::broker::config::BrokerConfig;
use mqtt5::broker::resource_monitor::ResourceMonitor;
use mqtt5::broker::tls_acceptor::TlsStreamWrapper;
use mqtt5::broker::transport::BrokerTransport;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::door::{Door, Places};
use super::guest::{Guest, House, Stay};

/// Longest TLS handshake; `mqtt5` gives CONNECT as long again.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// One of the ways in.
#[derive(Clone)]
pub(super) struct Entrance {
    pub(super) door: Arc<Door>,
    pub(super) tls: Option<TlsAcceptor>,
    /// Whether it is for devices alone.
    pub(super) is_for_devices: bool,
}

/// What every connection's task shares.
pub(super) struct Hall {
    pub(super) house: Arc<House>,
    pub(super) config: Arc<BrokerConfig>,
    pub(super) resources: Arc<ResourceMonitor>,
    /// Tells every connection to end.
    pub(super) shutdown: broadcast::Sender<()>,
    /// Closed when the last connection is gone.
    pub(super) _open: mpsc::Sender<()>,
}

impl Hall {
    /// Takes in connections until `stop`.
    pub(super) async fn accept(self: Arc<Self>, listener: TcpListener, entrance: Entrance, stop: CancellationToken) {
        while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
            let (socket, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: they come back as connections end.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Some(places) = stop.run_until_cancelled(entrance.door.enter()).await else {
                break;
            };
            let Some(places) = places else {
                tracing::warn!("the broker is full: a connection was closed");
                continue;
            };
            let shutdown = self.shutdown.subscribe();
            tokio::spawn(Arc::clone(&self).serve(socket, peer, entrance.clone(), places, shutdown));
        }
        let _ = self.shutdown.send(());
    }

    async fn serve(
        self: Arc<Self>,
        socket: TcpStream,
        peer: SocketAddr,
        Entrance {
            door,
            tls,
            is_for_devices,
        }: Entrance,
        (seat, arrival): Places,
        shutdown: broadcast::Receiver<()>,
    ) {
        let (guest, signed_in) = Guest::arrive(Arc::clone(&self.house), arrival, is_for_devices);
        // Dropped in this order, also where the connection panics: the connection, the guest's stay, the seat.
        let _seat = seat;
        let _stay = Stay(Arc::clone(&guest));
        let connection = self.talk(socket, peer, tls, Arc::clone(&guest), shutdown);
        tokio::pin!(connection);
        let arrived = tokio::select! {
            // Whoever signs in at the last moment is in.
            biased;
            () = &mut connection => false,
            signed_in = signed_in => signed_in.is_ok(),
            () = door.dawdled() => false,
        };
        if arrived {
            tokio::select! {
                () = &mut connection => {}
                () = guest.shown_out() => {}
            }
        }
    }

    async fn talk(
        &self,
        socket: TcpStream,
        peer: SocketAddr,
        tls: Option<TlsAcceptor>,
        guest: Arc<Guest>,
        shutdown: broadcast::Receiver<()>,
    ) {
        // It only delays; a socket that refuses it is closed by the next read.
        let _ = socket.set_nodelay(true);
        let transport = match tls {
            None => BrokerTransport::tcp(socket),
            Some(acceptor) => match tokio::time::timeout(HANDSHAKE, acceptor.accept(socket)).await {
                Ok(Ok(stream)) => BrokerTransport::tls(TlsStreamWrapper::new(stream)),
                Ok(Err(error)) => return tracing::debug!(%peer, %error, "a TLS handshake failed"),
                Err(_) => return tracing::debug!(%peer, "a TLS handshake took too long"),
            },
        };
        let handler = ClientHandler::new(
            transport,
            peer,
            Arc::clone(&self.config),
            Arc::clone(self.house.router()),
            guest,
            None,
            Arc::clone(self.house.stats()),
            Arc::clone(&self.resources),
            shutdown,
        );
        if let Err(error) = handler.run().await {
            tracing::debug!(%peer, %error, "a connection ended");
        }
    }
}
