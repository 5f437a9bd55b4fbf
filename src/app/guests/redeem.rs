//! A phone comes with a link.

use std::sync::Arc;

use super::links::write_down;
use crate::app::notices::tell;
use crate::app::phones::{KEY_REMOVED, KEY_TAKEN, TOO_MANY};
use crate::app::sessions::Tokens;
use crate::app::{App, Error, What};
use crate::crypto::public_key::PublicKey;
use crate::crypto::random::Random;
use crate::crypto::redemption;
use crate::crypto::secret::Secret;
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::{PersonName, Scope};
use crate::domain::grant::{Grant, Holder};
use crate::domain::guest::GuestLink;
use crate::domain::ids::{PersonId, PhoneId, SessionId};
use crate::domain::notice::{self, News};
use crate::domain::phone::{MOST_PHONES, Phone, PhoneName};
use crate::domain::session::{DeviceName, hour_of};
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::store::sessions::{self, Living};
use crate::store::{Conn, StoreError, accounts, grants, guest_links, locks, phones};

/// What a phone is given for a link.
#[derive(Debug)]
pub struct Redeemed {
    /// The tokens of a session that reaches the link's grant alone.
    pub tokens: Tokens,
    /// The phone as it is known from now on.
    pub phone: PhoneId,
    /// Whose access it is.
    pub guest: PersonName,
    /// The first instant at which it opens anything.
    pub starts_at: Timestamp,
    /// The end, exclusive, of the access and of the session.
    pub ends_at: Timestamp,
}

/// The one answer for links that are unknown, void, over, or whose grant is.
const NO_LINK: Error = Error::NotFound(What::Link);

/// A phone that comes, before it is known whose.
struct Newcomer {
    id: PhoneId,
    key: PublicKey,
    thumbprint: String,
}

impl App {
    /// Exchanges a link's secret for a session that reaches the link's grant, from this phone. The first phones have it,
    /// as many as the link allows, and each may come again: its sessions before end. The session is bound to the phone's key
    /// where that is the one of the thumbprint `bound_to`.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the proof is not by this key over this secret, about now; [`Error::ProofRefused`] where the
    /// session is to be bound to another key; [`Error::NotFound`] where the
    /// link does not let anybody in any more; [`Error::Conflict`] `link-used` for one phone too many, `key-taken`,
    /// `phone-removed`, `too-many-phones`.
    pub async fn redeem_link(
        &self,
        secret: Secret,
        key: PublicKey,
        proof: &str,
        bound_to: Option<String>,
    ) -> Result<Redeemed, Error> {
        let now = self.now();
        redemption::verify(proof, &key, &secret, now).map_err(|bad| Error::invalid("proof", bad))?;
        if bound_to.as_ref().is_some_and(|shown| *shown != key.thumbprint()) {
            return Err(Error::ProofRefused);
        }
        let digest = secret.digest();
        let newcomer = Newcomer {
            id: PhoneId::from_bits(self.id_bits(now)),
            thumbprint: key.thumbprint(),
            key,
        };
        let session = SessionId::from_bits(self.id_bits(now));
        let (tokens, pair) = self.new_tokens(now, bound_to.is_some());
        let random = Arc::clone(&self.random);
        let (reach, pair, guest) = self
            .db
            .write(move |conn| {
                let link = guest_links::find_by_secret(conn, &digest)?.ok_or(NO_LINK)?;
                let (grant, holder) = hold_grant(conn, &link, now)?.ok_or(NO_LINK)?;
                let (phone, is_new) = let_in(conn, &link, &holder, newcomer, now)?;
                let reach = guest_links::reach(conn, &link.id, &phone, now)?.ok_or(NO_LINK)?;
                sessions::end_of_link(conn, &link.id, Some(&phone), "link-redeemed-again", now)?;
                let pair = pair.until(reach.ends_at);
                let session = Living {
                    id: session,
                    person: holder.clone(),
                    by_link: Some((link.id.clone(), phone.clone())),
                    key: bound_to,
                    proven_at: now,
                    used_at: hour_of(now),
                };
                sessions::add(conn, &session, &DeviceName::by_link(), &pair, now)?;
                if is_new {
                    record(conn, &*random, &link, &grant, &holder, &phone, now)?;
                }
                let guest = accounts::find_person(conn, &holder)?.ok_or(NO_LINK)?.name;
                Ok::<_, Error>((reach, pair, guest))
            })
            .await?;
        Ok(Redeemed {
            tokens: tokens.into_kept(&pair),
            phone: reach.phone,
            guest,
            starts_at: reach.starts_at,
            ends_at: reach.ends_at,
        })
    }
}

/// Keeps the link's grant and then the link until this transaction ends; `None` where one of them does not let anybody
/// in.
fn hold_grant(conn: &mut Conn, link: &GuestLink, now: Timestamp) -> Result<Option<(Grant, PersonId)>, Error> {
    let scope = Scope::only(link.organization.clone());
    let Some(grant) = grants::find(conn, &link.grant, &scope)? else {
        return Ok(None);
    };
    let Holder::Person(holder) = grant.holder.clone() else {
        return Ok(None);
    };
    let right = RightSource::Grant(grant.id.clone());
    let stands = link.terms.ends_at > now
        && grants::hold(conn, &right, (&grant.organization, &holder), now)?
        && guest_links::keep(conn, &link.id)?;
    Ok(stands.then_some((grant, holder)))
}

/// The phone, bound to the link; says whether it is new there.
fn let_in(
    conn: &mut Conn,
    link: &GuestLink,
    holder: &PersonId,
    newcomer: Newcomer,
    now: Timestamp,
) -> Result<(PhoneId, bool), Error> {
    let redeemed = guest_links::redeemed(conn, &link.id)?;
    let known = match phones::find_by_key(conn, &newcomer.thumbprint)? {
        Some((known, _)) if known.person != *holder => return Err(KEY_TAKEN),
        Some((_, true)) => return Err(KEY_REMOVED),
        Some((known, false)) => Some(known.id),
        None => None,
    };
    if let Some(known) = &known
        && redeemed.iter().any(|(phone, _)| phone == known)
    {
        return Ok((known.clone(), false));
    }
    if redeemed.len() >= usize::try_from(link.terms.phones).unwrap_or(usize::MAX) {
        return Err(Error::Conflict {
            word: "link-used",
            why: "this link belongs to another phone; ask whoever sent it for a new one",
        });
    }
    let phone = match known {
        Some(known) => known,
        None => register(conn, holder, newcomer, now)?,
    };
    guest_links::bind(conn, &link.id, &phone, now)?;
    Ok((phone, true))
}

/// Registers the phone for the holder, so that passes can be bound to it.
fn register(conn: &mut Conn, holder: &PersonId, newcomer: Newcomer, now: Timestamp) -> Result<PhoneId, Error> {
    if phones::of_person(conn, holder)?.len() >= MOST_PHONES {
        return Err(TOO_MANY);
    }
    let phone = Phone {
        id: newcomer.id,
        person: holder.clone(),
        name: PhoneName::by_link(),
        thumbprint: newcomer.thumbprint,
        registered_at: now,
    };
    match phones::add(conn, &phone, &newcomer.key.to_json()) {
        Err(StoreError::Conflict { .. }) => Err(KEY_TAKEN),
        added => Ok(added?),
    }?;
    Ok(phone.id)
}

/// Writes down that a phone acts for the holder from now on, and tells who made the link and who gave the access.
fn record(
    conn: &mut Conn,
    random: &dyn Random,
    link: &GuestLink,
    grant: &Grant,
    holder: &PersonId,
    phone: &PhoneId,
    now: Timestamp,
) -> Result<(), Error> {
    let detail = serde_json::json!({ "link_id": link.id, "phone_id": phone });
    let entry = NewEntry {
        person: Some(holder.clone()),
        detail: Some(detail),
        ..NewEntry::new(Kind::LinkRedeemed, now)
    };
    write_down(conn, grant, entry, now)?;
    let mut news = News {
        actor: Some(holder.clone()),
        detail: Some(serde_json::json!({ "grant_id": grant.id, "phone_id": phone })),
        ..News::new(notice::Kind::LinkRedeemed, grant.organization.clone())
    };
    if let [only] = grant.terms.locks.as_slice()
        && let Some(lock) = locks::with_ids(conn, std::slice::from_ref(only))?.pop()
    {
        news = news.about(&lock);
    }
    tell(conn, random, [link.made_by.clone(), grant.given_by.clone()], &news, now)
}
