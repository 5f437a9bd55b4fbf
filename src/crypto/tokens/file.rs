//! Signatures over files that people take away, such as the ledger: detached (RFC 7515, appendix F), so that the file
//! stays what it is.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_lock::jws::{ALG, Header};
use doorward_lock::wire::Use;
use jsonwebtoken::Algorithm;

use super::SignError;
use crate::crypto::keys::Signer;

/// `typ` of the signature over an export of the ledger. No lock knows it, so none takes one for a message.
pub const LEDGER: &str = "doorward-ledger+jws";

impl Signer {
    /// The detached signature over an export of the ledger, byte for byte: `header..signature`.
    ///
    /// # Errors
    /// As [`Self::sign_unlock`].
    pub fn sign_ledger(&self, file: &[u8]) -> Result<String, SignError> {
        let key = self.key(Use::Doc)?;
        let header = serde_json::to_vec(&Header {
            alg: ALG,
            typ: LEDGER,
            kid: key.kid(),
        })?;
        let header = URL_SAFE_NO_PAD.encode(header);
        let mut signed = format!("{header}.");
        URL_SAFE_NO_PAD.encode_string(file, &mut signed);
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), key.private(), Algorithm::ES256)?;
        Ok(format!("{header}..{signature}"))
    }
}
