//! The certificate authority of this installation: made at first run, pinned by every lock when it enrols, for the one
//! purpose of proving the broker's name. No lock trusts anybody else's authority, and nobody else need trust this one.

use std::path::Path;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use crate::crypto::digest::digest;
use crate::crypto::private_folder::{FolderError, PrivateFolder};
use crate::domain::time::Timestamp;

/// The file with the authority's private key and its certificate, as PEM.
const PRIVATE_FILE: &str = "authority.pem";

/// The file with the authority's certificate alone, for whoever connects to the broker.
const PUBLIC_FILE: &str = "ca.pem";

/// How long the authority lives: ten years.
const LIFE: Duration = Duration::from_hours(10 * 365 * 24);

/// How long a certificate that it issues lives: 90 days.
pub const CERTIFICATE_LIFE: Duration = Duration::from_hours(90 * 24);

/// How far back a certificate is valid, for clients whose clocks are behind: one day.
const BACK: Duration = Duration::from_hours(24);

/// The certificate authority cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The folder or a file in it cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The file is not one of ours: restore it, for no lock would believe a new authority.
    #[error("{0} is damaged: restore it from a backup")]
    Damaged(std::path::PathBuf),
    /// A certificate could not be made; a host name that is none does that.
    #[error("a certificate could not be made")]
    NotMade(#[from] rcgen::Error),
}

/// A certificate with its private key, for a TLS server.
#[derive(Debug)]
pub struct IssuedCertificate {
    /// The certificate; whoever is to believe it holds the authority's already.
    pub certificate: CertificateDer<'static>,
    /// The private key.
    pub key: PrivateKeyDer<'static>,
    /// When it ends.
    pub ends_at: Timestamp,
}

/// The certificate authority: P-256, one level, for ten years.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    /// Reads the authority of `folder`, or makes one where it holds none; nodes that share the folder share it. Leaves its
    /// certificate as `ca.pem` for clients to be told of.
    ///
    /// # Errors
    /// [`AuthorityError::Folder`] where folder or file are open to others or cannot be read or written,
    /// [`AuthorityError::Damaged`] where the file is not whole.
    pub fn open(folder: &Path, now: Timestamp) -> Result<Self, AuthorityError> {
        let folder = PrivateFolder::open(folder)?;
        let content = folder.read_or_make(PRIVATE_FILE, || make(now))?;
        let authority = Self::read(&content).ok_or_else(|| AuthorityError::Damaged(folder.path(PRIVATE_FILE)))?;
        folder.publish(PUBLIC_FILE, authority.pem.as_bytes())?;
        Ok(authority)
    }

    fn read(content: &[u8]) -> Option<Self> {
        let key = PrivatePkcs8KeyDer::from_pem_slice(content).ok()?;
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256).ok()?;
        CertificateDer::from_pem_slice(content).ok()?;
        let pem = std::str::from_utf8(content).ok()?;
        let pem = pem.get(pem.find("-----BEGIN CERTIFICATE-----")?..)?.to_owned();
        // Name and key usage follow from the key, so nothing needs to be read out of the certificate.
        Some(Self {
            issuer: Issuer::new(describe(&key), key),
            pem,
        })
    }

    /// The authority's certificate as PEM: what a lock pins.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate with a new key for a server of these host names and addresses, valid for [`CERTIFICATE_LIFE`].
    ///
    /// # Errors
    /// [`AuthorityError::NotMade`] where a name is neither a host name nor an address.
    pub fn issue(&self, names: &[String], now: Timestamp) -> Result<IssuedCertificate, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = named("Doorward broker");
        limit(&mut params, now - BACK, now + CERTIFICATE_LIFE);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(IssuedCertificate {
            certificate: certificate.der().clone(),
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            ends_at: now + CERTIFICATE_LIFE,
        })
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority(…)")
    }
}

/// A new authority as PEM: the private key, then the certificate.
fn make(now: Timestamp) -> Result<Zeroizing<Vec<u8>>, AuthorityError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = describe(&key);
    limit(&mut params, now - BACK, now + LIFE);
    let mut content = Zeroizing::new(key.serialize_pem().into_bytes());
    content.extend_from_slice(params.self_signed(&key)?.pem().as_bytes());
    Ok(content)
}

/// What the authority's certificate says, as far as it follows from the key. Installations differ in name, so that one
/// who keeps certificates of several can tell them apart.
fn describe(key: &KeyPair) -> CertificateParams {
    let [a, b, c, d, ..] = digest(key.public_key_raw());
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&format!("Doorward authority {a:02x}{b:02x}{c:02x}{d:02x}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// Sets from when to when a certificate is valid, in whole seconds.
fn limit(params: &mut CertificateParams, from: Timestamp, to: Timestamp) {
    let seconds = |at: Timestamp| Duration::from_secs(at.as_seconds());
    params.not_before = date_time_ymd(1970, 1, 1) + seconds(from);
    params.not_after = date_time_ymd(1970, 1, 1) + seconds(to);
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_772_441_999_999);

    #[test]
    fn the_authority_is_made_once_and_stays() {
        let state = tempfile::tempdir().unwrap();
        let folder = state.path().join("tls");
        let first = Authority::open(&folder, NOW).unwrap();
        let again = Authority::open(&folder, NOW + LIFE).unwrap();
        assert_eq!(first.pem(), again.pem());
        assert_eq!(std::fs::read_to_string(folder.join(PUBLIC_FILE)).unwrap(), first.pem());
        assert!(!first.pem().contains("PRIVATE"));
    }

    #[test]
    fn a_damaged_file_is_never_replaced() {
        let state = tempfile::tempdir().unwrap();
        let folder = state.path().join("tls");
        Authority::open(&folder, NOW).unwrap();
        let path = folder.join(PRIVATE_FILE);
        let good = std::fs::read_to_string(&path).unwrap();
        let (key, certificate) = good.split_at(good.find("-----BEGIN CERTIFICATE").unwrap());
        for bad in ["", key, certificate] {
            std::fs::write(&path, bad).unwrap();
            let message = Authority::open(&folder, NOW).unwrap_err().to_string();
            assert!(message.contains("restore it from a backup"), "{message}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), bad);
        }
    }

    #[test]
    fn a_certificate_needs_names_that_are_names() {
        let state = tempfile::tempdir().unwrap();
        let authority = Authority::open(&state.path().join("tls"), NOW).unwrap();
        let issued = authority
            .issue(
                &["door.example".to_owned(), "192.0.2.1".to_owned(), "::1".to_owned()],
                NOW,
            )
            .unwrap();
        assert_eq!(issued.ends_at, NOW + CERTIFICATE_LIFE);
        assert!(authority.issue(&["tür.example".to_owned()], NOW).is_err());
    }
}
