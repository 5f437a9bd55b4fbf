//! The signed command: made, and handed to the broker.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_lock::wire;

use crate::app::{App, Error};
use crate::crypto::digest::digest;
use crate::domain::attempt::{Action, Attempt, Reason};
use crate::domain::ids::{OrganizationId, PersonId};
use crate::domain::relay::RelayAway;
use crate::domain::time::Timestamp;
use crate::store::lock_events::Clocks;

impl App {
    /// Signs the attempt's token and sends it; says when the broker had it.
    pub(super) async fn send_command(
        &self,
        attempt: &Attempt,
        clocks: Option<Clocks>,
        min_rev: u64,
    ) -> Result<Timestamp, Error> {
        let Some(command) = &attempt.command else {
            return Err(Error::Internal("sending", "an attempt without a command".into()));
        };
        let issuer = &self.settings.issuer;
        let subject = pseudonym(&attempt.person, &attempt.organization);
        let right = command.by.to_string();
        let held = clocks.map_or(0, |clocks| clocks.keyset);
        let signer = self.keys.signer(held, self.now());
        // What comes first on one topic is heard first.
        if let Some(keyset) = signer.keyset_first(wire::Use::Unlock) {
            self.answer(&attempt.lock, keyset.to_owned()).await;
        }
        let token = signer.sign_unlock(&wire::Unlock {
            ver: wire::VERSION,
            iss: &issuer.name,
            org: attempt.organization.as_str(),
            aud: attempt.lock.as_str(),
            sub: &subject,
            gid: &right,
            act: match attempt.action {
                Action::Unlock => wire::Action::Unlock,
                Action::Lock => wire::Action::Lock,
            },
            jti: &command.jti,
            iat: attempt.requested_at.as_seconds(),
            exp: command.deadline.as_seconds(),
            ctr: command.counter,
            lt: clocks.map(|clocks| lock_time(&clocks, command.deadline)),
            // Rounded up: what is revoked in the same second does not void what was decided after it.
            rev: (attempt.requested_at.as_seconds() + 1).max(min_rev),
            node: &self.settings.node,
        })?;
        let left = command.deadline.since(self.now());
        let sent = if left.is_zero() {
            Err(RelayAway)
        } else {
            self.relay.send(&attempt.lock, token, left).await
        };
        match sent {
            Ok(()) => Ok(self.now()),
            Err(away) => {
                self.close(&attempt.id, |attempt| attempt.fail(Reason::BROKER_AWAY))
                    .await?;
                tracing::warn!(lock.id = %attempt.lock, error = %away, "a command for {} could not be sent", attempt.lock);
                Err(Error::RelayAway)
            }
        }
    }
}

/// The person as the lock knows them: the same in every token of one organization, and nothing that leads back to them.
pub(in crate::app) fn pseudonym(person: &PersonId, organization: &OrganizationId) -> String {
    let hash = digest(format!("{organization} {person}").as_bytes());
    URL_SAFE_NO_PAD.encode(&hash[..16])
}

/// The deadline on the lock's own monotonic clock. The hello that told where it stood took some time to come, so the
/// lock's clock is a little ahead of this reckoning, and the deadline never late.
fn lock_time(clocks: &Clocks, deadline: Timestamp) -> wire::LockTime {
    wire::LockTime {
        boot: clocks.boot,
        dl: clocks.mono + deadline.since(clocks.at).as_secs(),
    }
}
