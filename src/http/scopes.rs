//! How far API keys reach: which operations, with which scope. What does not stand here is for persons.

use super::problem::Problem;
use crate::domain::api_key::{ApiKey, KeyScope};

/// The operations that a key reaches with a scope. Nothing by which rules, roles, members, keys or a program's own access
/// change may ever stand here.
const REACHED: &[(&str, KeyScope)] = &[
    ("GET /v1/me/locks", KeyScope::Unlock),
    ("POST /v1/locks/{lock_id}/unlock", KeyScope::Unlock),
    ("POST /v1/locks/{lock_id}/lock", KeyScope::Unlock),
    ("GET /v1/attempts/{attempt_id}", KeyScope::Unlock),
    ("GET /v1/properties", KeyScope::PlacesRead),
    ("GET /v1/properties/{property_id}", KeyScope::PlacesRead),
    ("GET /v1/properties/{property_id}/units", KeyScope::PlacesRead),
    ("GET /v1/locks", KeyScope::LocksRead),
    ("GET /v1/locks/{lock_id}", KeyScope::LocksRead),
    ("GET /v1/tenancies", KeyScope::GrantsRead),
    ("GET /v1/tenancies/{tenancy_id}", KeyScope::GrantsRead),
    ("GET /v1/grants", KeyScope::GrantsRead),
    ("GET /v1/grants/{grant_id}", KeyScope::GrantsRead),
    ("GET /v1/locks/{lock_id}/pins", KeyScope::GrantsRead),
    ("POST /v1/grants", KeyScope::GrantsWrite),
    ("PUT /v1/grants/{grant_id}", KeyScope::GrantsWrite),
    ("POST /v1/grants/{grant_id}/revoke", KeyScope::GrantsWrite),
    ("POST /v1/grants/{grant_id}/pin", KeyScope::GrantsWrite),
    ("DELETE /v1/grants/{grant_id}/pin", KeyScope::GrantsWrite),
    ("POST /v1/grants/{grant_id}/link", KeyScope::GrantsWrite),
    ("DELETE /v1/grants/{grant_id}/link", KeyScope::GrantsWrite),
    // Whoever asks at the desk was seen there by a person.
    ("GET /v1/lockouts", KeyScope::Lockouts),
    ("GET /v1/lockouts/{lockout_id}", KeyScope::Lockouts),
    ("POST /v1/lockouts/{lockout_id}/approve", KeyScope::Lockouts),
    ("POST /v1/lockouts/{lockout_id}/deny", KeyScope::Lockouts),
    // Whoever lets a vendor in has heard the code from a person.
    ("GET /v1/visits", KeyScope::Visits),
    ("POST /v1/visits", KeyScope::Visits),
    ("GET /v1/visits/{visit_id}", KeyScope::Visits),
    ("POST /v1/visits/{visit_id}/cancel", KeyScope::Visits),
    ("GET /v1/access-log", KeyScope::LogRead),
    ("GET /v1/events", KeyScope::LogRead),
    ("GET /v1/access-log/export", KeyScope::LogRead),
    ("GET /v1/access-log/checkpoint", KeyScope::LogRead),
    ("GET /v1/access-log/consistency", KeyScope::LogRead),
    ("GET /v1/access-log/{seq}/proof", KeyScope::LogRead),
];

/// What a program may ask with any key: who it is.
const ANY_KEY: &str = "GET /v1/me";

/// The scope that an operation, `GET /v1/locks`, asks of a key; `None` where no scope reaches it.
pub(super) fn needed(operation: &str) -> Option<KeyScope> {
    let entry = REACHED.iter().find(|(reached, _)| *reached == operation);
    entry.map(|(_, scope)| *scope)
}

/// The scope in which the key is used for this operation; `None` where it needs none.
///
/// # Errors
/// `scope-missing` where the key lacks it, `forbidden` where no key reaches that far.
pub(super) fn used(key: &ApiKey, operation: &str) -> Result<Option<KeyScope>, Problem> {
    if operation == ANY_KEY {
        return Ok(None);
    }
    match needed(operation) {
        Some(scope) if key.scopes.contains(&scope) => Ok(Some(scope)),
        Some(scope) => Err(Problem::scope_missing(scope)),
        None => Err(Problem::forbidden()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::http::openapi;

    #[test]
    fn every_reached_operation_is_one() {
        let document = openapi::document();
        let operations = openapi::Operations::of(&document);
        let mut seen = BTreeSet::new();
        for operation in REACHED.iter().map(|(operation, _)| *operation).chain([ANY_KEY]) {
            let (method, route) = operation.split_once(' ').unwrap();
            let described = operations.at(route).and_then(|methods| methods.get(method));
            assert!(described.is_some(), "{operation}");
            assert!(seen.insert(operation), "{operation} twice");
        }
    }

    #[test]
    fn no_key_changes_rules_roles_members_keys_or_doors() {
        for (operation, scope) in REACHED.iter().copied() {
            let writes = !operation.starts_with("GET ");
            let its_own = [
                "/organizations/",
                "/service-accounts/",
                "/proposals/",
                "/invitations",
                "/auth/",
                "/phones",
            ];
            assert!(!its_own.iter().any(|part| operation.contains(part)), "{operation}");
            let may_write = matches!(
                scope,
                KeyScope::Unlock | KeyScope::GrantsWrite | KeyScope::Lockouts | KeyScope::Visits
            );
            assert!(!writes || may_write, "{operation} by {scope:?}");
        }
    }
}
