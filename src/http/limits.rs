//! Who may ask how often. The unlock's budget stands apart from all others: whoever has spent everything else can still
//! open their door.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use governor::clock::Clock as _;
use governor::{DefaultKeyedRateLimiter, Quota};

use super::problem::Problem;
use crate::app::Actor;
use crate::domain::ids::{PersonId, SessionId};

/// How often a minute, in the long run and at once; 0 counts as 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitSettings {
    /// Requests of one session, and requests from one address whose token lets nobody in.
    pub requests_per_minute: u32,
    /// From one address: sign-ins, refreshes and new passwords; accepted invitations; guests' links; enrolments; asks and codes of who is locked out. Each has this budget for itself.
    pub sign_ins_per_minute: u32,
    /// Unlock and lock commands of one person.
    pub unlocks_per_minute: u32,
}

/// What is left of the budgets, by whoever asks; one for all workers of this node.
pub struct Limits {
    general: Meter<SessionId>,
    unlock: Meter<PersonId>,
    sign_in: Meter<IpAddr>,
    invitation: Meter<IpAddr>,
    guest_link: Meter<IpAddr>,
    enrolment: Meter<IpAddr>,
    lockout: Meter<IpAddr>,
    stranger: Meter<IpAddr>,
}

impl Limits {
    /// Full budgets.
    #[must_use]
    pub fn new(settings: &LimitSettings) -> Self {
        Self {
            general: Meter::new(settings.requests_per_minute),
            unlock: Meter::new(settings.unlocks_per_minute),
            sign_in: Meter::new(settings.sign_ins_per_minute),
            invitation: Meter::new(settings.sign_ins_per_minute),
            guest_link: Meter::new(settings.sign_ins_per_minute),
            enrolment: Meter::new(settings.sign_ins_per_minute),
            lockout: Meter::new(settings.sign_ins_per_minute),
            stranger: Meter::new(settings.requests_per_minute),
        }
    }

    /// Takes one from the session's budget or, where a door is to move, from the person's for that.
    ///
    /// # Errors
    /// `throttled` where nothing is left.
    pub fn spend(&self, who: &Actor, moves_a_door: bool) -> Result<(), Problem> {
        if moves_a_door {
            self.unlock.spend(&who.person)
        } else {
            self.general.spend(&who.session)
        }
    }

    /// Takes one from what the address has for signing in.
    ///
    /// # Errors
    /// `throttled` where nothing is left.
    pub fn spend_sign_in(&self, from: IpAddr) -> Result<(), Problem> {
        self.sign_in.spend(&network(from))
    }

    /// Takes one from what the address has for accepting invitations.
    ///
    /// # Errors
    /// `throttled` where nothing is left.
    pub fn spend_invitation(&self, from: IpAddr) -> Result<(), Problem> {
        self.invitation.spend(&network(from))
    }

    /// Takes one from what the address has for redeeming guests' links.
    ///
    /// # Errors
    /// `throttled` where nothing is left.
    pub fn spend_guest_link(&self, from: IpAddr) -> Result<(), Problem> {
        self.guest_link.spend(&network(from))
    }

    /// Takes one from what the address has for enrolling locks.
    ///
    /// # Errors
    /// `throttled` where nothing is left.
    pub fn spend_enrolment(&self, from: IpAddr) -> Result<(), Problem> {
        self.enrolment.spend(&network(from))
    }

    /// Takes one from what the address has for asking as somebody who is locked out.
    ///
    /// # Errors
    /// `throttled` where nothing is left.
    pub fn spend_lockout(&self, from: IpAddr) -> Result<(), Problem> {
        self.lockout.spend(&network(from))
    }

    /// Takes one from what the address has for tokens that let nobody in.
    ///
    /// # Errors
    /// `throttled` where nothing is left.
    pub fn spend_stranger(&self, from: IpAddr) -> Result<(), Problem> {
        self.stranger.spend(&network(from))
    }
}

/// The addresses that count as one: one IPv6 customer has a whole /64 to ask from.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
    }
}

/// One budget of each asker.
struct Meter<K: Hash + Eq + Clone> {
    left: DefaultKeyedRateLimiter<K>,
    spent: AtomicU32,
}

impl<K: Hash + Eq + Clone> Meter<K> {
    /// After how many requests askers with a full budget are forgotten again: memory is bounded by who asked lately.
    const TIDY_EVERY: u32 = 4096;

    fn new(per_minute: u32) -> Self {
        let quota = Quota::per_minute(NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN));
        Self {
            left: DefaultKeyedRateLimiter::keyed(quota),
            spent: AtomicU32::new(0),
        }
    }

    fn spend(&self, who: &K) -> Result<(), Problem> {
        if self.spent.fetch_add(1, Ordering::Relaxed) % Self::TIDY_EVERY == Self::TIDY_EVERY - 1 {
            self.left.retain_recent();
            self.left.shrink_to_fit();
        }
        let now = self.left.clock().now();
        self.left
            .check_key(who)
            .map_err(|not_until| Problem::throttled(not_until.wait_time_from(now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    /// At one a minute or so, nothing comes back while a test runs.
    fn limits() -> Limits {
        Limits::new(&LimitSettings {
            requests_per_minute: 2,
            sign_ins_per_minute: 1,
            unlocks_per_minute: 3,
        })
    }

    fn somebody(n: u128) -> Actor {
        Actor {
            person: PersonId::from_bits(n),
            session: SessionId::from_bits(n),
            memberships: Vec::new(),
            key: None,
            proven_at: Timestamp::MIN,
            reach: None,
            bound_to: None,
        }
    }

    #[test]
    fn who_has_spent_everything_else_can_still_open_a_door() {
        let (limits, who) = (limits(), somebody(1));
        let spent: Vec<bool> = (0..4).map(|_| limits.spend(&who, false).is_ok()).collect();
        assert_eq!(spent, [true, true, false, false]);
        let opened: Vec<bool> = (0..4).map(|_| limits.spend(&who, true).is_ok()).collect();
        assert_eq!(opened, [true, true, true, false]);
        assert!(limits.spend(&somebody(2), false).is_ok());
    }

    #[test]
    fn a_whole_network_is_one_address_on_ipv6() {
        let limits = limits();
        for (address, left) in [
            ("2001:db8::1", true),
            ("2001:db8::2", false),
            ("2001:db8:0:1::1", true),
            ("192.0.2.1", true),
            ("192.0.2.2", true),
            ("192.0.2.1", false),
        ] {
            assert_eq!(
                limits.spend_sign_in(address.parse().unwrap()).is_ok(),
                left,
                "{address}"
            );
        }
        assert!(limits.spend_stranger("2001:db8::1".parse().unwrap()).is_ok());
    }
}
