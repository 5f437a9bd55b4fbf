//! What is asked of grants: access to give, what a grant is to give instead, and which grants.

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::app::grants::{To, Which};
use crate::domain::account::{Email, PersonName};
use crate::domain::grant::{GrantReason, NewGrant, Way};
use crate::domain::ids::{LockId, PersonId};
use crate::domain::pass::Role;
use crate::domain::schedule::Schedule;
use crate::domain::spare::{Minutes, OnSilence, Spare};
use crate::domain::time::Timestamp;
use crate::http::json::{Object, object_or_nothing};
use crate::http::problem::Problem;
use crate::http::schema;

/// A request that names all that a grant gives, and its own fields besides. serde cannot refuse what is unknown in a struct
/// that is made of two; so the fields stand here once, and each request has them itself.
macro_rules! terms {
    ($(#[$about:meta])* $name:ident { $($(#[$of_own:meta])* $own:ident: $own_type:ty,)* }) => {
        $(#[$about])*
        #[derive(Debug, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            $($(#[$of_own])* $own: $own_type,)*
            /// The doors, all of one organization.
            #[schema(value_type = Vec<schema::LockId>, min_items = 1, max_items = 50)]
            lock_ids: Vec<LockId>,
            #[schema(value_type = schema::Time)]
            starts_at: Timestamp,
            /// The end, exclusive; left out for none.
            #[schema(value_type = Option<schema::Time>)]
            ends_at: Option<Timestamp>,
            /// When within that, by the clock of the property; left out for always.
            #[serde(default, deserialize_with = "object_or_nothing")]
            #[schema(value_type = Option<schema::Schedule>)]
            schedule: Option<Schedule>,
            /// How many openings in all, those that are taken included; left out for any number.
            #[schema(minimum = 1, maximum = 1000)]
            uses: Option<u32>,
            /// The ways in, `app` among them; left out for `app` and `offline`.
            #[schema(value_type = Option<Vec<schema::Way>>)]
            ways: Option<Vec<Way>>,
            /// As what its holder comes; a guest where it is left out. A vendor's offline passes live shorter.
            #[schema(value_type = Option<schema::GrantRole>)]
            role: Option<Role>,
            /// Whether its holder may give others access under it.
            delegable: Option<bool>,
            /// Why; needed where it lets somebody who works for the landlord, or a program, into homes of others, who are told.
            #[schema(value_type = Option<schema::GrantReason>)]
            reason: Option<GrantReason>,
            /// Whether it is a spare key: it opens nothing until it is released.
            spare: Option<bool>,
            /// Of a spare key: what becomes of an ask that nobody answers. `refuse` where it is left out.
            #[schema(value_type = Option<schema::OnSilence>)]
            on_silence: Option<OnSilence>,
            /// Of a spare key: how long there is to answer; 60 where it is left out.
            #[schema(value_type = Option<u16>, minimum = 1, maximum = 1440)]
            answer_within_minutes: Option<Minutes>,
            /// Of a spare key: how long a release lasts; 60 where it is left out.
            #[schema(value_type = Option<u16>, minimum = 1, maximum = 1440)]
            release_minutes: Option<Minutes>,
            /// Of a spare key that a tenant gives: whether the landlord's desk may release it too.
            landlord_may_release: Option<bool>,
        }

        impl $name {
            /// What the grant is to give, and the request's own fields.
            ///
            /// # Errors
            /// `invalid-field` for terms of a spare key where it is to be none.
            pub(super) fn read(self) -> Result<(NewGrant, $($own_type,)*), Problem> {
                let spare = SpareTerms {
                    spare: self.spare,
                    on_silence: self.on_silence,
                    answer_within_minutes: self.answer_within_minutes,
                    release_minutes: self.release_minutes,
                    landlord_may_release: self.landlord_may_release,
                };
                let new = NewGrant {
                    locks: self.lock_ids,
                    starts_at: self.starts_at,
                    ends_at: self.ends_at,
                    schedule: self.schedule,
                    uses: self.uses,
                    ways: self.ways,
                    role: self.role,
                    delegable: self.delegable,
                    reason: self.reason,
                    spare: spare.read()?,
                };
                Ok((new, $(self.$own,)*))
            }
        }
    };
}

terms! {
    /// Access to give.
    Give {
        #[schema(value_type = schema::Receiver)]
        to: Receiver,
    }
}

terms! {
    /// What a grant is to give from now on, as a whole: what is left out is what it is in a new grant.
    Change {}
}

/// What a request says of a spare key.
struct SpareTerms {
    spare: Option<bool>,
    on_silence: Option<OnSilence>,
    answer_within_minutes: Option<Minutes>,
    release_minutes: Option<Minutes>,
    landlord_may_release: Option<bool>,
}

impl SpareTerms {
    /// The terms of the spare key; `None` where it is to be none.
    fn read(self) -> Result<Option<Spare>, Problem> {
        let usual = Spare::default();
        if self.spare == Some(true) {
            return Ok(Some(Spare {
                on_silence: self.on_silence.unwrap_or(usual.on_silence),
                answer_within: self.answer_within_minutes.unwrap_or(usual.answer_within),
                release_for: self.release_minutes.unwrap_or(usual.release_for),
                by_landlord: self.landlord_may_release.unwrap_or(usual.by_landlord),
            }));
        }
        let stray = [
            (self.on_silence.is_some(), "on_silence"),
            (self.answer_within_minutes.is_some(), "answer_within_minutes"),
            (self.release_minutes.is_some(), "release_minutes"),
            (self.landlord_may_release.is_some(), "landlord_may_release"),
        ];
        match stray.into_iter().find(|(is_said, _)| *is_said) {
            Some((_, field)) => Err(Problem::invalid_field(field, "this is for a grant with `spare: true`")),
            None => Ok(None),
        }
    }
}

/// To whom.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Object<WrittenReceiver>")]
pub(super) enum Receiver {
    /// A member of the organization.
    PersonId(PersonId),
    /// Whoever has this address; somebody who is no member is invited as a guest.
    Email(Email),
    /// Somebody without an account.
    Guest(PersonName),
}

/// Somebody without an account, by name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedGuest {
    name: PersonName,
}

/// As it stands in a body: one of the three. An enum of serde would call any other number of members broken JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenReceiver {
    person_id: Option<PersonId>,
    email: Option<Email>,
    #[serde(default, deserialize_with = "object_or_nothing")]
    guest: Option<NamedGuest>,
}

impl TryFrom<Object<WrittenReceiver>> for Receiver {
    type Error = &'static str;

    fn try_from(Object(written): Object<WrittenReceiver>) -> Result<Self, Self::Error> {
        match (written.person_id, written.email, written.guest) {
            (Some(person), None, None) => Ok(Self::PersonId(person)),
            (None, Some(email), None) => Ok(Self::Email(email)),
            (None, None, Some(guest)) => Ok(Self::Guest(guest.name)),
            _ => Err("expected one of `person_id`, `email` and `guest`"),
        }
    }
}

impl From<Receiver> for To {
    fn from(receiver: Receiver) -> Self {
        match receiver {
            Receiver::PersonId(person) => Self::Person(person),
            Receiver::Email(email) => Self::Email(email),
            Receiver::Guest(name) => Self::Guest(name),
        }
    }
}

/// Which grants.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct GrantFilter {
    /// Only those that name this lock.
    #[param(value_type = schema::LockId, required = false)]
    lock_id: Option<LockId>,
    /// Only those that this person holds.
    #[param(value_type = schema::PersonId, required = false)]
    person_id: Option<PersonId>,
    /// Those that the caller holds, in the place of those that they look after or gave.
    #[param(required = false)]
    held: Option<bool>,
}

impl From<GrantFilter> for Which {
    fn from(filter: GrantFilter) -> Self {
        Self {
            lock: filter.lock_id,
            person: filter.person_id,
            held: filter.held.unwrap_or(false),
        }
    }
}
