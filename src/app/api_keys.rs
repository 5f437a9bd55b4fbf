//! API keys: programs' accounts get them from managers, and programs come in by them.

use std::sync::Arc;

use super::{Actor, App, ByKey, Error, What, managed_by, must_have_phone_key};
use crate::crypto::api_key::KeyText;
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::{Role, Scope};
use crate::domain::api_key::{ApiKey, KeyScope, NewKey};
use crate::domain::ids::{ApiKeyId, OrganizationId, PersonId, SessionId};
use crate::domain::page::{Page, PageRequest};
use crate::domain::time::Timestamp;
use crate::store::{Conn, access_log, accounts, api_keys};

/// A key that was made, with its text, which is shown once.
#[derive(Debug)]
pub struct MadeKey {
    /// The key.
    pub key: ApiKey,
    /// What the program is to show.
    pub text: KeyText,
}

impl Actor {
    /// The program that shows this key, for a call that needs `scope`. The key has it.
    #[must_use]
    pub fn by_key(key: Arc<ApiKey>, scope: Option<KeyScope>) -> Self {
        let by_key = ByKey { key, scope };
        Self {
            person: by_key.key.account.clone(),
            // Budgets and answers that are kept for a second time belong to a session: a key has one of its own.
            session: SessionId::from_bits(by_key.key.id.bits()),
            memberships: vec![by_key.membership()],
            key: Some(by_key),
            proven_at: Timestamp::MIN,
            reach: None,
            bound_to: None,
        }
    }
}

impl App {
    /// The key of this text, which is used now: that is noted once a minute.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] where it is unknown, void or over, or its account is no program of its organization any
    /// more: all alike.
    pub async fn authenticate_key(&self, text: &KeyText) -> Result<Arc<ApiKey>, Error> {
        let (now, digest) = (self.now(), text.digest());
        let key = self
            .db
            .read(move |conn| api_keys::find_by_digest(conn, &digest, now)?.ok_or(Error::Unauthenticated))
            .await?;
        if key.is_use_noted(now) {
            let id = key.id.clone();
            let noted = self
                .db
                .write(move |conn| Ok::<_, Error>(api_keys::note_use(conn, &id, now)?));
            if let Err(error) = noted.await {
                // It says when a key can be thrown away. No door waits for that.
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, key.id = %key.id, "the use of {} was not noted", key.id);
            }
        }
        Ok(Arc::new(key))
    }

    /// Makes a key for the account of a program. Where the account belongs to several organizations of the caller's,
    /// `organization` says for which.
    ///
    /// # Errors
    /// [`Error::ProofNeeded`], [`Error::Forbidden`]; [`Error::NotFound`] where there is no such program; [`Error::Invalid`] where the key makes no
    /// sense; [`Error::Conflict`] where the account has as many as it may.
    pub async fn make_key(
        &self,
        who: &Actor,
        account: PersonId,
        organization: Option<OrganizationId>,
        new: NewKey,
    ) -> Result<MadeKey, Error> {
        let (now, who) = (self.now(), who.clone());
        let new = new.check(now).map_err(|bad| Error::invalid(bad.field(), bad))?;
        let id = ApiKeyId::from_bits(self.id_bits(now));
        let text = KeyText::new(self.random.secret());
        let digest = text.digest();
        let key = self
            .db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                who.must_have_proven(now)?;
                let organization = where_it_serves(conn, &account, &scope, organization)?;
                must_have_phone_key(conn, &organization, &who)?;
                // Neither does the account leave meanwhile, nor is another key of it made.
                if !accounts::hold_membership(conn, &organization, &account)? {
                    return Err(Error::NotFound(What::Person));
                }
                let standing = api_keys::count(conn, &organization, &account, now)?;
                if usize::try_from(standing).is_ok_and(|standing| standing >= NewKey::MOST) {
                    return Err(Error::Conflict {
                        word: "too-many-keys",
                        why: "this account has as many keys as it may; revoke one first",
                    });
                }
                let key = ApiKey {
                    id,
                    account,
                    organization,
                    name: new.name,
                    scopes: new.scopes,
                    made_by: who.person.clone(),
                    created_at: now,
                    ends_at: new.ends_at,
                    last_used_at: None,
                };
                api_keys::add(conn, &key, &digest)?;
                write_down(conn, &who, &key, Kind::KeyMade, None, now)?;
                Ok(key)
            })
            .await?;
        Ok(MadeKey { key, text })
    }

    /// The keys of a program's account that were not made void; of one that has ended too.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn keys_of(
        &self,
        who: &Actor,
        account: PersonId,
        page: PageRequest<ApiKeyId>,
    ) -> Result<Page<ApiKey, ApiKeyId>, Error> {
        let who = who.clone();
        self.db
            .read(move |conn| {
                let scope = managed_by(conn, &who)?;
                if serves(conn, &account, &scope)?.is_empty() {
                    return Err(Error::NotFound(What::Person));
                }
                let limit = i64::from(page.limit) + 1;
                let found = api_keys::of_account(conn, &account, &scope, page.after.as_ref(), limit)?;
                Ok(Page::cut(found, page.limit, |key| key.id.clone()))
            })
            .await
    }

    /// Makes a key void: whoever shows it is nobody from the next request on. A second time changes nothing.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn revoke_key(&self, who: &Actor, account: PersonId, id: ApiKeyId) -> Result<(), Error> {
        let (now, who) = (self.now(), who.clone());
        self.db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                if serves(conn, &account, &scope)?.is_empty() {
                    return Err(Error::NotFound(What::Person));
                }
                let key = api_keys::find(conn, &id, &account, &scope)?.ok_or(Error::NotFound(What::ApiKey))?;
                if api_keys::revoke(conn, &id, &who.person, now)? {
                    write_down(conn, &who, &key, Kind::KeyRevoked, None, now)?;
                }
                Ok(())
            })
            .await
    }
}

/// Makes void what keys the person has in the organization, or has made there: whoever leaves, or manages no more, may have
/// kept the text of a key.
pub(super) fn end_keys_of(
    conn: &mut Conn,
    who: &Actor,
    organization: &OrganizationId,
    person: &PersonId,
    now: Timestamp,
) -> Result<(), Error> {
    for key in api_keys::revoke_all_of(conn, organization, person, &who.person, now)? {
        let reason = if key.account == *person {
            "account-removed"
        } else {
            "maker-manages-no-more"
        };
        write_down(conn, who, &key, Kind::KeyRevoked, Some(reason), now)?;
    }
    Ok(())
}

/// The organizations within `scope` that the account serves as a program.
fn serves(conn: &mut Conn, account: &PersonId, scope: &Scope) -> Result<Vec<OrganizationId>, Error> {
    let memberships = accounts::memberships(conn, account)?.into_iter();
    Ok(memberships
        .filter(|membership| membership.role == Role::Service && scope.contains(&membership.organization))
        .map(|membership| membership.organization)
        .collect())
}

/// The one of them that is meant.
fn where_it_serves(
    conn: &mut Conn,
    account: &PersonId,
    scope: &Scope,
    meant: Option<OrganizationId>,
) -> Result<OrganizationId, Error> {
    let mut served = serves(conn, account, scope)?;
    if let Some(meant) = meant {
        served.retain(|organization| *organization == meant);
    }
    match served.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Error::NotFound(What::Person)),
        _ => Err(Error::invalid(
            "organization_id",
            "the account serves several organizations of yours; name one",
        )),
    }
}

fn write_down(
    conn: &mut Conn,
    who: &Actor,
    key: &ApiKey,
    kind: Kind,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<(), Error> {
    let entry = NewEntry {
        reason: reason.map(str::to_owned),
        person: Some(key.account.clone()),
        actor: Some(who.person.clone()),
        detail: Some(serde_json::json!({
            "key_id": key.id,
            "name": key.name,
            "scopes": key.scopes,
            "ends_at": key.ends_at,
        })),
        ..NewEntry::new(kind, now)
    };
    access_log::append(conn, &key.organization, &entry, now)?;
    Ok(())
}
