//! TLS for the broker's listener: which certificate it shows, and a configuration that thousands of idle locks fit in.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;

use crate::crypto::authority::{Authority, AuthorityError};
use crate::domain::time::Timestamp;

/// How long before its end an issued certificate is replaced: 30 days.
const RENEW_BEFORE: Duration = Duration::from_hours(30 * 24);

/// The server has no certificate to show.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The authority issued none.
    #[error("the authority issued no certificate")]
    Authority(#[from] AuthorityError),
    /// A file cannot be read as PEM.
    #[error("{path} cannot be read as {what} in PEM")]
    File {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What is wrong with it.
        source: rustls::pki_types::pem::Error,
    },
    /// The file holds no certificate.
    #[error("{0} holds no certificate")]
    Empty(PathBuf),
    /// The key is not the certificate's, or of a kind that TLS does not take.
    #[error("the private key does not go with the certificate")]
    Mismatch(#[from] rustls::Error),
}

/// Where a server's certificate comes from.
#[derive(Debug)]
pub enum Source {
    /// Issued by our own authority for these host names and addresses; its key never leaves memory.
    Issued {
        /// Who issues it.
        authority: Arc<Authority>,
        /// The names and addresses.
        names: Vec<String>,
    },
    /// The operator's own files, as PEM.
    Files {
        /// The chain, the server's own certificate first.
        chain: PathBuf,
        /// The private key.
        key: PathBuf,
    },
}

/// The certificate that a server shows at present. Connections that stand keep the one that they began with.
#[derive(Debug)]
pub struct ServerIdentity {
    source: Source,
    present: RwLock<Present>,
}

#[derive(Debug)]
struct Present {
    certified: Arc<CertifiedKey>,
    /// When an issued certificate is to be replaced; files are read again at every [`ServerIdentity::renew`].
    due_at: Option<Timestamp>,
}

impl ServerIdentity {
    /// Issues or reads the first certificate.
    ///
    /// # Errors
    /// [`IdentityError`] where there is none.
    pub fn new(source: Source, now: Timestamp) -> Result<Arc<Self>, IdentityError> {
        let present = RwLock::new(source.obtain(now)?);
        Ok(Arc::new(Self { source, present }))
    }

    /// Replaces an issued certificate that is near its end, or takes over what now stands in the files; to be called once
    /// a day. Says whether another certificate is shown from now on. On an error the present one stays.
    ///
    /// # Errors
    /// [`IdentityError`] where there is no other.
    pub fn renew(&self, now: Timestamp) -> Result<bool, IdentityError> {
        let present = self.present.read().unwrap_or_else(PoisonError::into_inner);
        if present.due_at.is_some_and(|due_at| now < due_at) {
            return Ok(false);
        }
        let shown = present.certified.cert.clone();
        drop(present);
        let next = self.source.obtain(now)?;
        if next.certified.cert == shown {
            return Ok(false);
        }
        *self.present.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(true)
    }

    /// A configuration that shows this identity: TLS 1.3 and 1.2, no certificates from clients, nothing kept for a
    /// connection that may come back (a lock that reconnects does the whole handshake, and costs no memory while away).
    ///
    /// # Errors
    /// Where the library does not have these protocol versions, which it has.
    pub fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Self>::clone(self));
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for ServerIdentity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(
            &self.present.read().unwrap_or_else(PoisonError::into_inner).certified,
        ))
    }
}

impl Source {
    fn obtain(&self, now: Timestamp) -> Result<Present, IdentityError> {
        let (chain, key, due_at) = match self {
            Self::Issued { authority, names } => {
                let issued = authority.issue(names, now)?;
                (
                    vec![issued.certificate],
                    issued.key,
                    Some(issued.ends_at - RENEW_BEFORE),
                )
            }
            Self::Files {
                chain: chain_path,
                key: key_path,
            } => {
                let unreadable = |path: &PathBuf, what, source| IdentityError::File {
                    path: path.clone(),
                    what,
                    source,
                };
                let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(chain_path)
                    .and_then(Iterator::collect)
                    .map_err(|error| unreadable(chain_path, "certificates", error))?;
                if chain.is_empty() {
                    return Err(IdentityError::Empty(chain_path.clone()));
                }
                let key = PrivateKeyDer::from_pem_file(key_path)
                    .map_err(|error| unreadable(key_path, "a private key", error))?;
                (chain, key, None)
            }
        };
        let certified = Arc::new(CertifiedKey::from_der(chain, key, &default_provider())?);
        Ok(Present { certified, due_at })
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ClientConnection, Connection, RootCertStore, ServerConnection};

    use super::*;
    use crate::crypto::authority::CERTIFICATE_LIFE;

    /// Certificates are verified against the machine's clock, which no test moves.
    #[expect(clippy::disallowed_methods, reason = "the TLS library asks the machine's clock too")]
    fn now() -> Timestamp {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
    }

    fn authority(state: &tempfile::TempDir, name: &str) -> Arc<Authority> {
        Arc::new(Authority::open(&state.path().join(name), now()).unwrap())
    }

    fn issued(authority: &Arc<Authority>, now: Timestamp) -> Arc<ServerIdentity> {
        let names = vec!["door.example".to_owned(), "127.0.0.1".to_owned()];
        ServerIdentity::new(
            Source::Issued {
                authority: Arc::clone(authority),
                names,
            },
            now,
        )
        .unwrap()
    }

    /// Carries a handshake from side to side in memory until it stands or one side refuses.
    fn handshake(identity: &Arc<ServerIdentity>, pinned: &Authority, name: &str) -> Result<(), rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(pinned.pem().as_bytes()).unwrap())
            .unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut client = Connection::Client(ClientConnection::new(Arc::new(config), name)?);
        let mut server = Connection::Server(ServerConnection::new(identity.server_config()?)?);
        while client.is_handshaking() || server.is_handshaking() {
            carry(&mut client, &mut server)?;
            carry(&mut server, &mut client)?;
        }
        Ok(())
    }

    fn carry(from: &mut Connection, to: &mut Connection) -> Result<(), rustls::Error> {
        let mut wire = Vec::new();
        while from.wants_write() {
            from.write_tls(&mut wire).unwrap();
        }
        let mut wire = wire.as_slice();
        while !wire.is_empty() {
            to.read_tls(&mut wire).unwrap();
            to.process_new_packets()?;
        }
        Ok(())
    }

    #[test]
    fn a_client_believes_the_pinned_authority_for_the_named_hosts_only() {
        let state = tempfile::tempdir().unwrap();
        let (ours, other) = (authority(&state, "ours"), authority(&state, "other"));
        let identity = issued(&ours, now());
        for (pinned, name, believed) in [
            (&ours, "door.example", true),
            (&ours, "127.0.0.1", true),
            (&ours, "other.example", false),
            (&ours, "127.0.0.2", false),
            (&other, "door.example", false),
        ] {
            assert_eq!(handshake(&identity, pinned, name).is_ok(), believed, "{name}");
        }
    }

    #[test]
    fn an_issued_certificate_is_replaced_before_its_end() {
        let state = tempfile::tempdir().unwrap();
        let start = now();
        let ours = authority(&state, "ours");
        let identity = issued(&ours, start);
        let due = start + (CERTIFICATE_LIFE - RENEW_BEFORE);
        assert!(!identity.renew(due - Duration::from_millis(1)).unwrap());
        assert!(identity.renew(due).unwrap());
        assert!(!identity.renew(due).unwrap());
        assert!(issued(&ours, start).renew(start + CERTIFICATE_LIFE).unwrap());
    }

    #[test]
    fn an_operators_files_are_taken_over_when_they_change() {
        let state = tempfile::tempdir().unwrap();
        let (chain, key) = (state.path().join("chain.pem"), state.path().join("key.pem"));
        let write = |name: &str| {
            let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
            std::fs::write(&chain, made.cert.pem()).unwrap();
            std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        };
        let files = || Source::Files {
            chain: chain.clone(),
            key: key.clone(),
        };
        assert!(matches!(
            ServerIdentity::new(files(), now()),
            Err(IdentityError::File { .. })
        ));
        write("door.example");
        let identity = ServerIdentity::new(files(), now()).unwrap();
        assert!(!identity.renew(now()).unwrap());
        write("gate.example");
        assert!(identity.renew(now()).unwrap());
        std::fs::write(&key, authority(&state, "ours").pem()).unwrap();
        assert!(matches!(
            identity.renew(now()),
            Err(IdentityError::File {
                what: "a private key",
                ..
            })
        ));
        std::fs::write(&chain, "").unwrap();
        assert!(matches!(identity.renew(now()), Err(IdentityError::Empty(_))));
    }
}
