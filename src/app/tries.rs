//! Tries to sign in: how many have failed lately, of whom and from where, and where an account has come in before.

use std::net::IpAddr;

use super::Error;
use crate::crypto::digest::digest;
use crate::domain::account::Email;
use crate::domain::signin::{self, Failures, Verdict};
use crate::domain::time::Timestamp;
use crate::store::{Conn, StoreError, sessions};

/// Whose failures count together.
pub(super) struct Subjects {
    /// The account; for an address at which it signed in before, the account at that address.
    account: [u8; 32],
    pub(super) known: [u8; 32],
    address: [u8; 32],
}

impl Subjects {
    pub(super) fn of(email: &Email, address: IpAddr) -> Self {
        // One IPv6 customer has a whole /64 to try from.
        let network = match address {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("{:x?}", &v6.segments()[..4]),
        };
        let email = email.as_str();
        Self {
            account: digest(format!("account {email}").as_bytes()),
            known: digest(format!("account {email} at {network}").as_bytes()),
            address: digest(format!("address {network}").as_bytes()),
        }
    }
}

/// What a try at a password was booked as, before it was known how it comes out.
pub(super) struct Booked {
    pub(super) account: Booking,
    address: Booking,
}

/// One failure on the record of one subject.
pub(super) struct Booking {
    pub(super) subject: [u8; 32],
    before: Failures,
    booked: Failures,
}

impl Booking {
    fn take_back(&self, conn: &mut Conn) -> Result<(), StoreError> {
        let parts = |failures: Failures| (failures.count, failures.last_at);
        sessions::take_failure_back(conn, &self.subject, parts(self.booked), parts(self.before))
    }
}

/// The failures on record for the subject, which nobody else reads until this transaction ends.
fn hold(conn: &mut Conn, subject: &[u8; 32]) -> Result<Failures, StoreError> {
    let (count, last_at) = sessions::hold_failures(conn, subject, Failures::NONE.last_at)?;
    Ok(Failures { count, last_at })
}

/// Books a try as a failure, if one may be made now: tries that come at once all count before any is checked. An address
/// where this account signed in before answers for its own failures only: a stranger who guesses elsewhere does not
/// lock the tenant out. The account's record is held before the address's, here and in [`unbook`].
pub(super) fn book_try(conn: &mut Conn, subjects: &Subjects, now: Timestamp) -> Result<Booked, Error> {
    let (account, of_account) = match sessions::failures(conn, &subjects.known)? {
        Some((count, last_at)) => (subjects.known, Failures { count, last_at }),
        None => (subjects.account, hold(conn, &subjects.account)?),
    };
    let of_address = hold(conn, &subjects.address)?;
    if let Verdict::Wait { until } = signin::verdict(of_account, of_address, now) {
        return Err(Error::Throttled {
            retry_after: until.since(now),
        });
    }
    let booking = |subject, before, booked: Failures| Booking {
        subject,
        before,
        booked,
    };
    let account = booking(account, of_account, of_account.after_failure_of_account(now));
    let address = booking(subjects.address, of_address, of_address.after_failure_of_address(now));
    for Booking { subject, booked, .. } in [&account, &address] {
        sessions::set_failures(conn, subject, booked.count, booked.last_at)?;
    }
    Ok(Booked { account, address })
}

/// Remembers that the account of this address came in from there: the next sign-in there is no news.
pub(super) fn know_there(conn: &mut Conn, email: &Email, from: IpAddr, now: Timestamp) -> Result<(), StoreError> {
    sessions::set_failures(conn, &Subjects::of(email, from).known, 0, now)
}

/// Whether the account of this address came in from there before, as far as that is remembered.
pub(super) fn is_known_there(conn: &mut Conn, email: &Email, from: IpAddr) -> Result<bool, StoreError> {
    Ok(sessions::failures(conn, &Subjects::of(email, from).known)?.is_some())
}

/// Takes the booking back: the try succeeded, or was not made. What others have failed at meanwhile stays on record.
/// After a success the address is a known one.
pub(super) fn unbook(conn: &mut Conn, booked: &Booked, known: Option<&[u8; 32]>, now: Timestamp) -> Result<(), Error> {
    match known {
        Some(known) => {
            sessions::clear_failures(conn, &booked.account.subject)?;
            sessions::set_failures(conn, known, 0, now)?;
        }
        None => booked.account.take_back(conn)?,
    }
    Ok(booked.address.take_back(conn)?)
}
