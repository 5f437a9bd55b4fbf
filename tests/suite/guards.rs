//! What a copied access token is asked for besides itself, operation by operation; and that no operation is missing here.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::endpoints::{Place, ROLES, Role, TABLE, rules_with};
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::outsider::Outsider;
use crate::world::{Answer, Person, TestServer};

/// What whoever asks has to show besides an access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    Nothing,
    /// That it is they, within the last ten minutes.
    Proof,
    /// Their phone's key, where the house wants keys.
    Key,
    Both,
}

use Shows::{Both, Key, Nothing, Proof};

/// Every operation that changes something and that is not for everybody. What makes a way in, or hinders others from seeing or
/// taking back one, asks for the key; what can hardly be undone asks for the proof.
#[rustfmt::skip]
const GUARDS: &[(&str, Shows)] = &[
    ("POST /v1/auth/passkey",                                                           Nothing),
    // A phone takes passes with it, and keys of sessions.
    ("POST /v1/me/phones",                                                              Key),
    // But not of the phone that asks.
    ("DELETE /v1/me/phones/{phone_id}",                                                 Both),
    ("POST /v1/auth/prove",                                                             Nothing),
    ("POST /v1/me/second-factor",                                                       Proof),
    ("POST /v1/me/second-factor/confirm",                                               Proof),
    ("POST /v1/me/second-factor/recovery-codes",                                        Proof),
    ("DELETE /v1/me/second-factor",                                                     Proof),
    ("DELETE /v1/organizations/{organization_id}/members/{person_id}/second-factor",    Proof),
    ("POST /v1/auth/prove/passkey/options",                                             Nothing),
    ("POST /v1/auth/prove/passkey",                                                     Nothing),
    ("POST /v1/me/passkeys/options",                                                    Both),
    ("POST /v1/me/passkeys",                                                            Both),
    ("PATCH /v1/me/passkeys/{passkey_id}",                                              Nothing),
    ("DELETE /v1/me/passkeys/{passkey_id}",                                             Proof),
    ("DELETE /v1/me/sessions",                                                          Proof),
    ("DELETE /v1/me/sessions/{session_id}",                                             Proof),
    ("PUT /v1/me/notice-settings",                                                      Nothing),
    ("POST /v1/me/notices/{notice_id}/read",                                            Nothing),
    // Here and at the doors the key is the reason of a refusal, which is written down.
    ("POST /v1/passes",                                                                 Key),
    ("POST /v1/locks/{lock_id}/messages",                                               Nothing),
    ("POST /v1/looks",                                                                  Nothing),
    ("PUT /v1/properties/{property_id}/privacy",                                        Proof),
    ("POST /v1/locks/{lock_id}/lock",                                                   Key),
    ("POST /v1/locks/{lock_id}/unlock",                                                 Key),
    ("POST /v1/grants",                                                                 Key),
    ("PUT /v1/grants/{grant_id}",                                                       Key),
    ("POST /v1/grants/{grant_id}/ask",                                                  Nothing),
    ("POST /v1/grants/{grant_id}/release",                                              Key),
    ("POST /v1/grants/{grant_id}/refuse",                                               Nothing),
    ("POST /v1/grants/{grant_id}/link",                                                 Key),
    ("POST /v1/grants/{grant_id}/pin",                                                  Key),
    ("POST /v1/tenancies",                                                              Key),
    ("PUT /v1/tenancies/{tenancy_id}",                                                  Key),
    ("PATCH /v1/locks/{lock_id}/pins",                                                  Nothing),
    ("POST /v1/locks/{lock_id}/rotate-codes",                                           Nothing),
    ("POST /v1/visits",                                                                 Key),
    ("POST /v1/visits/{visit_id}/consent",                                              Key),
    ("POST /v1/visits/{visit_id}/decline",                                              Nothing),
    ("POST /v1/visits/{visit_id}/emergency",                                            Key),
    ("POST /v1/visits/{visit_id}/call",                                                 Key),
    ("POST /v1/visits/{visit_id}/verify",                                               Key),
    ("POST /v1/visits/{visit_id}/lock-change",                                          Proof),
    ("POST /v1/visits/{visit_id}/cancel",                                               Nothing),
    ("POST /v1/invitations",                                                            Key),
    ("DELETE /v1/invitations/{invitation_id}",                                          Nothing),
    ("POST /v1/locks",                                                                  Nothing),
    // Its name alone; of its unit `dpop` tells.
    ("PATCH /v1/locks/{lock_id}",                                                       Nothing),
    // One that nobody has claimed; where there was a controller before it asks for a proof too.
    ("POST /v1/locks/{lock_id}/claim",                                                  Key),
    ("POST /v1/locks/{lock_id}/release",                                                Proof),
    ("POST /v1/locks/{lock_id}/replace",                                                Both),
    ("POST /v1/locks/{lock_id}/retire",                                                 Proof),
    ("POST /v1/locks/{lock_id}/transfer",                                               Both),
    // A guest; who works for the house is put out after a proof.
    ("DELETE /v1/organizations/{organization_id}/members/{person_id}",                  Nothing),
    ("PUT /v1/organizations/{organization_id}/members/{person_id}/role",                Both),
    ("PUT /v1/properties/{property_id}/lockdown-lists/{list_name}",                     Key),
    // What takes access away is never made slower.
    ("POST /v1/properties/{property_id}/lockdown",                                      Nothing),
    ("PUT /v1/lockdowns/{lockdown_id}",                                                 Key),
    ("DELETE /v1/lockdowns/{lockdown_id}",                                              Key),
    ("DELETE /v1/properties/{property_id}/lockdown",                                    Key),
    ("POST /v1/webhooks",                                                               Proof),
    // Its events alone; another address, and to let it go on, asks for a proof.
    ("PATCH /v1/webhooks/{webhook_id}",                                                 Nothing),
    ("POST /v1/webhooks/{webhook_id}/secret",                                           Proof),
    ("POST /v1/webhooks/{webhook_id}/replay",                                           Nothing),
    ("DELETE /v1/webhooks/{webhook_id}",                                                Nothing),
    ("PUT /v1/organizations/{organization_id}/rules",                                   Both),
    ("POST /v1/proposals/{proposal_id}/confirm",                                        Both),
    ("POST /v1/proposals/{proposal_id}/refuse",                                         Nothing),
    ("POST /v1/organizations/{organization_id}/service-accounts",                       Proof),
    ("POST /v1/service-accounts/{person_id}/keys",                                      Both),
    ("DELETE /v1/service-accounts/{person_id}/keys/{key_id}",                           Nothing),
    ("PUT /v1/properties/{property_id}/lockout-policy",                                 Both),
    ("POST /v1/lockouts",                                                               Nothing),
    ("POST /v1/lockouts/{lockout_id}/identify",                                         Nothing),
    ("POST /v1/lockouts/{lockout_id}/call",                                             Key),
    ("POST /v1/lockouts/{lockout_id}/approve",                                          Key),
    ("POST /v1/lockouts/{lockout_id}/deny",                                             Nothing),
    ("POST /v1/lockouts/{lockout_id}/way-in",                                           Key),
    ("POST /v1/lockouts/{lockout_id}/cancel",                                           Nothing),
    ("POST /v1/ledger/{line_id}/waive",                                                 Nothing),
    ("POST /v1/properties",                                                             Nothing),
    // Its address alone; another time zone asks for both.
    ("PATCH /v1/properties/{property_id}",                                              Nothing),
    ("DELETE /v1/properties/{property_id}",                                             Proof),
    ("POST /v1/properties/{property_id}/units",                                         Nothing),
    // Of a property alone; of tenancies `imports` tells.
    ("POST /v1/organizations/{organization_id}/import",                                 Nothing),
    ("DELETE /v1/grants/{grant_id}/link",                                               Nothing),
    ("DELETE /v1/grants/{grant_id}/pin",                                                Nothing),
    ("POST /v1/grants/{grant_id}/revoke",                                               Nothing),
    ("POST /v1/tenancies/{tenancy_id}/end",                                             Nothing),
    // This and erasing take the password.
    ("POST /v1/auth/password",                                                          Nothing),
    ("POST /v1/auth/sign-out",                                                          Nothing),
    ("POST /v1/me/erase",                                                               Nothing),
];

/// What makes every house want keys, and takes that back.
const KEYS: [&str; 2] = [
    "UPDATE organization_rules SET phone_key_required = TRUE",
    "UPDATE organization_rules SET phone_key_required = FALSE",
];

/// What makes every proof too old, and takes that back.
const STALE: [&str; 2] = [
    "UPDATE sessions SET proven_at_ms = proven_at_ms - 700000",
    "UPDATE sessions SET proven_at_ms = proven_at_ms + 700000",
];

on_each_database!(a_copied_token_is_asked_for_more, what_is_dangerous_in_some_cases_alone);

/// The role that asks: the first whom the operation is for, the owner before others.
fn asker(operation: &str) -> Role {
    let (_, statuses) = TABLE.iter().find(|(known, _)| *known == operation).unwrap();
    let of = |goes: fn(u16) -> bool| [6, 2, 1, 5].into_iter().find(|at| goes(statuses[*at]));
    let at = of(|status| status < 300).or_else(|| of(|status| status == 409));
    ROLES[at.unwrap_or(6)]
}

/// Asks with nothing but the access token while `change` holds in the database, which `back` takes back.
async fn ask(place: &Place, outsider: &mut Outsider, operation: &str, [change, back]: [&str; 2]) -> Answer {
    let (method, _) = operation.split_once(' ').unwrap();
    let role = asker(operation);
    let person = place.person(role).unwrap();
    let (path, body) = place.prepare(operation, role).await;
    outsider.run(change);
    let request = person.http().request(method, &path).bearer(&person.access_token());
    let answer = match body {
        Value::Null => request.await,
        body => request.json(body).await,
    };
    outsider.run(back);
    if person.get("/v1/me").await.status == 401 && operation != "POST /v1/me/erase" {
        person.sign_in_again().await;
    }
    answer
}

async fn a_copied_token_is_asked_for_more(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let place = Place::new(&t).await;
    let (owner, door, _) = place.parts();
    let _lock = door.install().await;
    let mut rules = rules_with(false);
    rules["phone_key_required"] = true.into();
    let path = format!("/v1/organizations/{}/rules", owner.organization);
    owner.put(&path).json(rules).await.expect(200);
    let mut outsider = Outsider::at(&database);
    outsider.run(KEYS[1]);

    let mut wrong = Vec::new();
    for (operation, expected) in GUARDS {
        let stale = ask(&place, &mut outsider, operation, STALE).await;
        let keyless = ask(&place, &mut outsider, operation, KEYS).await;
        for answer in [&stale, &keyless] {
            assert!(
                ![400, 404, 422, 500].contains(&answer.status),
                "{operation}: {}",
                answer.text
            );
        }
        let shows = match (
            stale.text.contains("proof-needed"),
            keyless.text.contains("phone-key-needed"),
        ) {
            (false, false) => Nothing,
            (true, false) => Proof,
            (false, true) => Key,
            (true, true) => Both,
        };
        if shows != *expected {
            wrong.push(format!(
                "{operation}: {shows:?}, not {expected:?}: {} {}",
                stale.text, keyless.text
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

async fn what_is_dangerous_in_some_cases_alone(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let place = Place::new(&t).await;
    let (owner, ..) = place.parts();
    let (mal, dee) = (owner.manager("mal").await, owner.staff("dee2", "desk").await);
    let hook = json!({ "organization_id": owner.organization, "url": "https://hooks.example/mal" });
    let hook = mal.post("/v1/webhooks").json(hook).await.text_of("id");
    let hook = format!("/v1/webhooks/{hook}");
    let member = |person: &Person| format!("/v1/organizations/{}/members/{}", owner.organization, person.id);
    owner.delete(&member(&mal)).await.expect(200);
    assert_eq!(owner.get(&hook).await.expect(200)["state"], "paused");
    let property = owner.get("/v1/properties").await.expect(200)["data"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let property = format!("/v1/properties/{property}");
    let mut outsider = Outsider::at(&database);
    for (method, path, body) in [
        ("PATCH", hook.clone(), json!({ "active": true })),
        ("DELETE", member(&dee), Value::Null),
        ("PATCH", property.clone(), json!({ "time_zone": "Asia/Tokyo" })),
    ] {
        outsider.run(STALE[0]);
        let ask = |method: &str| owner.http().request(method, &path).bearer(&owner.access_token());
        let refused = match &body {
            Value::Null => ask(method).await,
            body => ask(method).json(body.clone()).await,
        };
        refused.expect_problem(403, "proof-needed");
        outsider.run(STALE[1]);
        let done = match &body {
            Value::Null => ask(method).await,
            body => ask(method).json(body.clone()).await,
        };
        assert_eq!(done.status, 200, "{method} {path}: {}", done.text);
    }
    // It goes on in the name of whoever let it, and stops with them.
    assert_eq!(owner.get(&hook).await.expect(200)["created_by"], owner.id);
    let changed = &owner.list("/v1/access-log?kind=property-changed").await[0];
    assert_eq!(
        changed["detail"]["time_zone"],
        json!({ "from": "Europe/Vienna", "to": "Asia/Tokyo" })
    );
}

#[test]
fn no_operation_is_missing() {
    let for_somebody = |(operation, statuses): &(&'static str, [u16; 8])| {
        (statuses[0] == 401 && !operation.starts_with("GET ")).then_some(*operation)
    };
    let changing: BTreeSet<&str> = TABLE.iter().filter_map(for_somebody).collect();
    let listed: BTreeSet<&str> = GUARDS.iter().map(|(operation, _)| *operation).collect();
    assert_eq!(changing, listed);
    assert_eq!(listed.len(), GUARDS.len(), "each once");
}
