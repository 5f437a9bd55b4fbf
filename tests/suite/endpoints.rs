//! Every endpoint for everybody: what each role is answered, and that no endpoint is missing here.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::fixtures::authenticator::Authenticator;
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait::until;
use crate::world::{Answer, Door, Landlord, PASSWORD, Person, Phone, Property, TestServer, Unit};

/// Who asks, in the order of the table's columns.
#[derive(Debug, Clone, Copy)]
pub enum Role {
    Anonymous,
    Guest,
    Tenant,
    Viewer,
    Desk,
    Manager,
    Owner,
    /// The owner of another organization.
    Stranger,
}

pub const ROLES: [Role; 8] = [
    Role::Anonymous,
    Role::Guest,
    Role::Tenant,
    Role::Viewer,
    Role::Desk,
    Role::Manager,
    Role::Owner,
    Role::Stranger,
];

/// What everybody is answered who asks about things of the landlord's organization.
#[rustfmt::skip]
pub const TABLE: &[(&str, [u16; 8])] = &[
    // operation                                                        anonymous guest tenant viewer desk manager owner stranger
    ("GET /.well-known/jwks.json",                                        [200, 200, 200, 200, 200, 200, 200, 200]),
    ("GET /healthz",                                                      [200, 200, 200, 200, 200, 200, 200, 200]),
    ("GET /openapi.json",                                                 [200, 200, 200, 200, 200, 200, 200, 200]),
    ("GET /readyz",                                                       [200, 200, 200, 200, 200, 200, 200, 200]),
    ("POST /v1/auth/sign-in",                                             [200, 200, 200, 200, 200, 200, 200, 200]),
    ("POST /v1/auth/refresh",                                             [200, 200, 200, 200, 200, 200, 200, 200]),
    // Nobody's passkey signed.
    ("POST /v1/auth/passkey/options",                                     [200, 200, 200, 200, 200, 200, 200, 200]),
    ("POST /v1/auth/passkey",                                             [401, 401, 401, 401, 401, 401, 401, 401]),
    ("POST /v1/invitations/accept",                                       [200, 200, 200, 200, 200, 200, 200, 200]),
    ("POST /v1/guest/redeem",                                             [200, 200, 200, 200, 200, 200, 200, 200]),
    ("POST /v1/enrolments",                                               [409, 409, 409, 409, 409, 409, 409, 409]),
    ("GET /v1/me",                                                        [401, 200, 200, 200, 200, 200, 200, 200]),
    ("GET /v1/me/locks",                                                  [401, 200, 200, 200, 200, 200, 200, 200]),
    ("GET /v1/me/phones",                                                 [401, 200, 200, 200, 200, 200, 200, 200]),
    ("POST /v1/me/phones",                                                [401, 201, 201, 201, 201, 201, 201, 201]),
    // Everybody but the anonymous has a phone of their own to remove, except the stranger, who names the guest's.
    ("DELETE /v1/me/phones/{phone_id}",                                   [401, 200, 200, 200, 200, 200, 200, 404]),
    ("POST /v1/auth/prove",                                               [401, 200, 200, 200, 200, 200, 200, 200]),
    ("GET /v1/me/second-factor",                                          [401, 200, 200, 200, 200, 200, 200, 200]),
    ("POST /v1/me/second-factor",                                         [401, 201, 201, 201, 201, 201, 201, 201]),
    // Nobody's device has shown its code.
    ("POST /v1/me/second-factor/confirm",                                 [401, 401, 401, 401, 401, 401, 401, 401]),
    ("POST /v1/me/second-factor/recovery-codes",                          [401, 409, 409, 409, 409, 409, 409, 409]),
    ("DELETE /v1/me/second-factor",                                       [401, 409, 409, 409, 409, 409, 409, 409]),
    ("DELETE /v1/organizations/{organization_id}/members/{person_id}/second-factor", [401, 403, 403, 403, 403, 403, 409, 404]),
    // Nobody has one yet.
    ("POST /v1/auth/prove/passkey/options",                               [401, 409, 409, 409, 409, 409, 409, 409]),
    ("POST /v1/auth/prove/passkey",                                       [401, 401, 401, 401, 401, 401, 401, 401]),
    ("GET /v1/me/passkeys",                                               [401, 200, 200, 200, 200, 200, 200, 200]),
    ("POST /v1/me/passkeys/options",                                      [401, 201, 201, 201, 201, 201, 201, 201]),
    // No authenticator made one.
    ("POST /v1/me/passkeys",                                              [401, 401, 401, 401, 401, 401, 401, 401]),
    // Everybody but the anonymous has a passkey of their own, except the stranger, who names the guest's.
    ("PATCH /v1/me/passkeys/{passkey_id}",                                [401, 200, 200, 200, 200, 200, 200, 404]),
    ("DELETE /v1/me/passkeys/{passkey_id}",                               [401, 204, 204, 204, 204, 204, 204, 404]),
    ("GET /v1/me/sessions",                                               [401, 200, 200, 200, 200, 200, 200, 200]),
    ("DELETE /v1/me/sessions",                                            [401, 200, 200, 200, 200, 200, 200, 200]),
    // Everybody but the anonymous has another session of their own to end, except the stranger, who names the guest's.
    ("DELETE /v1/me/sessions/{session_id}",                               [401, 204, 204, 204, 204, 204, 204, 404]),
    ("GET /v1/me/notices",                                                [401, 200, 200, 200, 200, 200, 200, 200]),
    // Everybody names the guest's.
    ("GET /v1/me/notice-settings",                                        [401, 200, 200, 200, 200, 200, 200, 200]),
    ("PUT /v1/me/notice-settings",                                        [401, 200, 200, 200, 200, 200, 200, 200]),
    ("POST /v1/me/notices/{notice_id}/read",                              [401, 204, 404, 404, 404, 404, 404, 404]),
    ("POST /v1/passes",                                                   [401, 403, 200, 403, 403, 403, 403, 404]),
    ("POST /v1/locks/{lock_id}/messages",                                 [401, 403, 200, 403, 403, 200, 200, 404]),
    ("GET /v1/access-log",                                                [401, 200, 200, 200, 200, 200, 200, 404]),
    ("GET /v1/events",                                                    [401, 200, 200, 200, 200, 200, 200, 404]),
    ("GET /v1/access-log/export",                                         [401, 200, 200, 200, 200, 200, 200, 404]),
    ("GET /v1/access-log/checkpoint",                                     [401, 200, 200, 200, 200, 200, 200, 404]),
    ("GET /v1/access-log/consistency",                                    [401, 200, 200, 200, 200, 200, 200, 404]),
    ("GET /v1/access-log/{seq}/proof",                                    [401, 404, 404, 200, 404, 200, 200, 404]),
    ("GET /v1/me/export",                                                 [401, 200, 200, 200, 200, 200, 200, 200]),
    ("GET /v1/me/looks",                                                  [401, 200, 200, 200, 200, 200, 200, 200]),
    ("GET /v1/looks",                                                     [401, 403, 403, 200, 403, 200, 200, 200]),
    ("POST /v1/looks",                                                    [401, 403, 403, 403, 403, 201, 201, 404]),
    ("GET /v1/properties/{property_id}/privacy",                          [401, 404, 200, 200, 200, 200, 200, 404]),
    ("PUT /v1/properties/{property_id}/privacy",                          [401, 403, 403, 403, 403, 200, 200, 404]),
    // The tenant's, at their own door.
    ("GET /v1/attempts/{attempt_id}",                                     [401, 404, 200, 404, 404, 404, 404, 404]),
    ("POST /v1/locks/{lock_id}/lock",                                     [401, 403, 200, 403, 403, 403, 403, 404]),
    ("POST /v1/locks/{lock_id}/unlock",                                   [401, 403, 200, 403, 403, 403, 403, 404]),
    ("GET /v1/grants",                                                    [401, 200, 200, 200, 200, 200, 200, 200]),
    // Who lives behind the door gives access to it too.
    ("POST /v1/grants",                                                   [401, 403, 201, 403, 403, 201, 201, 404]),
    // The guest holds it.
    ("GET /v1/grants/{grant_id}",                                         [401, 200, 404, 200, 404, 200, 200, 404]),
    ("PUT /v1/grants/{grant_id}",                                         [401, 403, 404, 403, 404, 200, 200, 404]),
    // It is no spare key.
    ("POST /v1/grants/{grant_id}/ask",                                    [401, 409, 404, 403, 404, 403, 403, 404]),
    ("POST /v1/grants/{grant_id}/release",                                [401, 403, 404, 403, 409, 409, 409, 404]),
    ("POST /v1/grants/{grant_id}/refuse",                                 [401, 403, 404, 403, 409, 409, 409, 404]),
    ("POST /v1/grants/{grant_id}/link",                                   [401, 403, 404, 403, 404, 201, 201, 404]),
    ("DELETE /v1/grants/{grant_id}/link",                                 [401, 403, 404, 403, 404, 200, 200, 404]),
    ("POST /v1/grants/{grant_id}/revoke",                                 [401, 403, 404, 403, 404, 200, 200, 404]),
    ("POST /v1/grants/{grant_id}/pin",                                    [401, 403, 404, 403, 404, 409, 409, 404]),
    ("DELETE /v1/grants/{grant_id}/pin",                                  [401, 403, 404, 403, 404, 200, 200, 404]),
    ("GET /v1/tenancies",                                                 [401, 403, 403, 200, 200, 200, 200, 200]),
    ("POST /v1/tenancies",                                                [401, 403, 403, 403, 403, 201, 201, 404]),
    ("GET /v1/tenancies/{tenancy_id}",                                    [401, 403, 403, 200, 200, 200, 200, 404]),
    ("PUT /v1/tenancies/{tenancy_id}",                                    [401, 403, 403, 403, 403, 200, 200, 404]),
    ("POST /v1/tenancies/{tenancy_id}/end",                               [401, 403, 403, 403, 403, 200, 200, 404]),
    ("GET /v1/me/tenancies",                                              [401, 200, 200, 200, 200, 200, 200, 200]),
    ("GET /v1/locks/{lock_id}/pins",                                      [401, 403, 403, 200, 403, 200, 200, 404]),
    ("PATCH /v1/locks/{lock_id}/pins",                                    [401, 403, 403, 403, 403, 200, 200, 404]),
    ("POST /v1/locks/{lock_id}/rotate-codes",                             [401, 403, 403, 403, 403, 200, 200, 404]),
    ("GET /v1/me/visits",                                                 [401, 200, 200, 200, 200, 200, 200, 200]),
    ("GET /v1/visits",                                                    [401, 403, 403, 200, 200, 200, 200, 200]),
    ("POST /v1/visits",                                                   [401, 403, 403, 403, 201, 201, 201, 404]),
    ("GET /v1/visits/{visit_id}",                                         [401, 404, 200, 200, 200, 200, 200, 404]),
    ("POST /v1/visits/{visit_id}/consent",                                [401, 404, 200, 403, 403, 403, 403, 404]),
    ("POST /v1/visits/{visit_id}/decline",                                [401, 404, 200, 403, 403, 403, 403, 404]),
    ("POST /v1/visits/{visit_id}/emergency",                              [401, 403, 403, 403, 200, 200, 200, 404]),
    ("POST /v1/visits/{visit_id}/call",                                   [401, 403, 403, 403, 409, 409, 409, 404]),
    ("POST /v1/visits/{visit_id}/verify",                                 [401, 403, 403, 403, 409, 409, 409, 404]),
    ("POST /v1/visits/{visit_id}/lock-change",                            [401, 403, 403, 403, 403, 409, 409, 404]),
    ("POST /v1/visits/{visit_id}/cancel",                                 [401, 403, 403, 403, 200, 200, 200, 404]),
    ("POST /v1/invitations",                                              [401, 403, 403, 403, 403, 201, 201, 404]),
    ("GET /v1/invitations",                                               [401, 403, 403, 403, 403, 200, 200, 200]),
    ("DELETE /v1/invitations/{invitation_id}",                            [401, 403, 403, 403, 403, 200, 200, 404]),
    ("GET /v1/locks",                                                     [401, 403, 403, 200, 200, 200, 200, 200]),
    ("POST /v1/locks",                                                    [401, 403, 403, 403, 403, 201, 201, 404]),
    ("GET /v1/locks/{lock_id}",                                           [401, 403, 403, 200, 200, 200, 200, 404]),
    ("PATCH /v1/locks/{lock_id}",                                         [401, 403, 403, 403, 403, 200, 200, 404]),
    ("POST /v1/locks/{lock_id}/claim",                                    [401, 403, 403, 403, 403, 200, 200, 404]),
    ("POST /v1/locks/{lock_id}/release",                                  [401, 403, 403, 403, 403, 409, 409, 404]),
    ("POST /v1/locks/{lock_id}/replace",                                  [401, 403, 403, 403, 403, 200, 200, 404]),
    ("POST /v1/locks/{lock_id}/retire",                                   [401, 403, 403, 403, 403, 200, 200, 404]),
    ("POST /v1/locks/{lock_id}/transfer",                                 [401, 403, 403, 403, 403, 200, 200, 404]),
    ("GET /v1/organizations/{organization_id}/members",                   [401, 403, 403, 200, 200, 200, 200, 404]),
    ("DELETE /v1/organizations/{organization_id}/members/{person_id}",    [401, 403, 403, 403, 403, 200, 200, 404]),
    ("PUT /v1/organizations/{organization_id}/members/{person_id}/role",  [401, 403, 403, 403, 403, 200, 200, 404]),
    // Before the rules want a second person for a lockdown.
    ("GET /v1/properties/{property_id}/lockdown-lists",                   [401, 403, 403, 200, 403, 200, 200, 404]),
    ("PUT /v1/properties/{property_id}/lockdown-lists/{list_name}",       [401, 403, 403, 403, 403, 200, 200, 404]),
    ("POST /v1/properties/{property_id}/lockdown",                        [401, 403, 403, 403, 403, 201, 201, 404]),
    ("GET /v1/properties/{property_id}/lockdown",                         [401, 200, 200, 200, 200, 200, 200, 404]),
    ("PUT /v1/lockdowns/{lockdown_id}",                                   [401, 403, 403, 403, 403, 200, 200, 404]),
    ("DELETE /v1/lockdowns/{lockdown_id}",                                [401, 403, 403, 403, 403, 200, 200, 404]),
    ("DELETE /v1/properties/{property_id}/lockdown",                      [401, 403, 403, 403, 403, 200, 200, 404]),
    ("GET /v1/webhooks",                                                  [401, 403, 403, 403, 403, 200, 200, 200]),
    ("POST /v1/webhooks",                                                 [401, 403, 403, 403, 403, 201, 201, 404]),
    ("GET /v1/webhooks/{webhook_id}",                                     [401, 403, 403, 403, 403, 200, 200, 404]),
    ("PATCH /v1/webhooks/{webhook_id}",                                   [401, 403, 403, 403, 403, 200, 200, 404]),
    ("POST /v1/webhooks/{webhook_id}/secret",                             [401, 403, 403, 403, 403, 200, 200, 404]),
    ("POST /v1/webhooks/{webhook_id}/replay",                             [401, 403, 403, 403, 403, 202, 202, 404]),
    ("GET /v1/webhooks/{webhook_id}/deliveries",                          [401, 403, 403, 403, 403, 200, 200, 404]),
    ("DELETE /v1/webhooks/{webhook_id}",                                  [401, 403, 403, 403, 403, 204, 204, 404]),
    ("GET /v1/organizations/{organization_id}/rules",                     [401, 403, 403, 403, 403, 403, 200, 404]),
    ("PUT /v1/organizations/{organization_id}/rules",                     [401, 403, 403, 403, 403, 403, 200, 404]),
    ("GET /v1/proposals",                                                 [401, 403, 403, 403, 403, 200, 200, 200]),
    // The owner proposed it.
    ("POST /v1/proposals/{proposal_id}/confirm",                          [401, 403, 403, 403, 403, 200, 409, 404]),
    ("POST /v1/proposals/{proposal_id}/refuse",                           [401, 403, 403, 403, 403, 200, 200, 404]),
    ("GET /v1/organizations/{organization_id}/service-accounts",          [401, 403, 403, 403, 403, 200, 200, 404]),
    ("POST /v1/organizations/{organization_id}/service-accounts",         [401, 403, 403, 403, 403, 201, 201, 404]),
    ("GET /v1/service-accounts/{person_id}/keys",                         [401, 403, 403, 403, 403, 200, 200, 404]),
    ("POST /v1/service-accounts/{person_id}/keys",                        [401, 403, 403, 403, 403, 201, 201, 404]),
    ("DELETE /v1/service-accounts/{person_id}/keys/{key_id}",             [401, 403, 403, 403, 403, 204, 204, 404]),
    ("GET /v1/properties/{property_id}/lockout-policy",                   [401, 403, 200, 200, 200, 200, 200, 404]),
    ("PUT /v1/properties/{property_id}/lockout-policy",                   [401, 403, 403, 403, 403, 200, 200, 404]),
    ("GET /v1/lockouts",                                                  [401, 403, 403, 403, 200, 200, 200, 200]),
    ("POST /v1/lockouts",                                                 [401, 403, 201, 403, 403, 403, 403, 404]),
    ("POST /v1/lockouts/ask",                                             [202, 202, 202, 202, 202, 202, 202, 202]),
    // Nobody says the right code.
    ("POST /v1/lockouts/{lockout_id}/identify",                           [401, 401, 401, 401, 401, 401, 401, 401]),
    ("POST /v1/lockouts/{lockout_id}/call",                               [401, 403, 403, 403, 200, 200, 200, 404]),
    ("GET /v1/lockouts/{lockout_id}",                                     [401, 404, 200, 404, 200, 200, 200, 404]),
    ("POST /v1/lockouts/{lockout_id}/approve",                            [401, 403, 403, 403, 200, 200, 200, 404]),
    ("POST /v1/lockouts/{lockout_id}/deny",                               [401, 403, 403, 403, 200, 200, 200, 404]),
    // It is not approved.
    ("POST /v1/lockouts/{lockout_id}/way-in",                             [401, 404, 409, 404, 403, 403, 403, 404]),
    ("POST /v1/lockouts/{lockout_id}/cancel",                             [401, 404, 404, 404, 200, 200, 200, 404]),
    ("GET /v1/ledger",                                                    [401, 200, 200, 200, 200, 200, 200, 200]),
    ("GET /v1/ledger/export",                                             [401, 403, 403, 403, 200, 200, 200, 404]),
    ("POST /v1/ledger/{line_id}/waive",                                   [401, 403, 403, 403, 403, 201, 201, 404]),
    ("GET /v1/properties",                                                [401, 403, 403, 200, 200, 200, 200, 200]),
    ("POST /v1/properties",                                               [401, 403, 403, 403, 403, 201, 201, 404]),
    ("GET /v1/properties/{property_id}",                                  [401, 403, 403, 200, 200, 200, 200, 404]),
    ("PATCH /v1/properties/{property_id}",                                [401, 403, 403, 403, 403, 200, 200, 404]),
    ("DELETE /v1/properties/{property_id}",                               [401, 403, 403, 403, 403, 204, 204, 404]),
    ("GET /v1/properties/{property_id}/units",                            [401, 403, 403, 200, 200, 200, 200, 404]),
    ("POST /v1/properties/{property_id}/units",                           [401, 403, 403, 403, 403, 201, 201, 404]),
    ("GET /v1/organizations/{organization_id}/export",                    [401, 403, 403, 403, 403, 403, 200, 404]),
    ("POST /v1/organizations/{organization_id}/import",                   [401, 403, 403, 403, 403, 200, 200, 404]),
    // These end the caller's sessions.
    ("POST /v1/auth/password",                                            [401, 200, 200, 200, 200, 200, 200, 200]),
    ("POST /v1/auth/sign-out",                                            [401, 204, 204, 204, 204, 204, 204, 204]),
    // Nobody is left after this: who owns something or lives somewhere stays.
    ("POST /v1/me/erase",                                                 [401, 200, 409, 200, 200, 200, 409, 409]),
];

on_each_database!(
    everybody_gets_what_their_role_allows,
    a_guests_link_lends_its_doors_and_nothing_else,
    no_endpoint_is_missing_from_the_table
);

async fn everybody_gets_what_their_role_allows(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let place = Place::new(&t).await;
    let _lock = place.door.install().await;
    let mut wrong = Vec::new();
    for (operation, expected) in TABLE {
        for (role, expected) in ROLES.into_iter().zip(*expected) {
            let answer = place.ask(operation, role).await;
            if answer.status != expected {
                wrong.push(format!(
                    "{operation} as {role:?}: {}, not {expected}: {}",
                    answer.status, answer.text
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What who came by a link may ask, where signing in is needed, and what they are answered.
const BY_LINK: [(&str, u16); 5] = [
    ("GET /v1/me/locks", 200),
    ("GET /v1/attempts/{attempt_id}", 404),
    ("POST /v1/locks/{lock_id}/unlock", 200),
    ("POST /v1/locks/{lock_id}/lock", 200),
    ("POST /v1/passes", 200),
];

async fn a_guests_link_lends_its_doors_and_nothing_else(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let place = Place::new(&t).await;
    let gate = place.owner.add_lock(&place.house, "Gate").await;
    let _lock = gate.install().await;
    // The holder may do everything, and a session of theirs that began by a link still nothing of it.
    let grant = place.owner.grant(&place.manager, &gate, json!({})).await;
    let (linked, phone) = place.owner.link(&grant, json!({})).await.open().await;
    for &(operation, _) in TABLE.iter().filter(|(_, [anonymous, ..])| *anonymous == 401) {
        let (method, path) = operation.split_once(' ').unwrap();
        // The others are for everybody: 401 says that the code is wrong, or the passkey nobody's.
        let for_everybody = ["POST /v1/lockouts/{lockout_id}/identify", "POST /v1/auth/passkey"];
        if operation == "POST /v1/auth/sign-out" || for_everybody.contains(&operation) {
            continue;
        }
        let path = place.path(operation, path, Role::Anonymous).await;
        let path = path.replace(&place.door.id, &gate.id);
        let request = linked.request(method, &path);
        let body = match operation {
            "POST /v1/passes" => json!({ "lock_ids": [gate.id], "phone_id": phone.id }),
            _ => place.body(operation, Role::Anonymous).await,
        };
        let answer = match body {
            Value::Null => request.await,
            body => request.json(body).await,
        };
        match BY_LINK.iter().find(|(allowed, _)| *allowed == operation) {
            Some((_, status)) => assert_eq!(answer.status, *status, "{operation}: {}", answer.text),
            None => {
                answer.expect_problem(403, "forbidden");
            }
        }
    }
    linked.post("/v1/auth/sign-out").await.expect(204);
    linked.get("/v1/me/locks").await.expect_problem(401, "unauthenticated");
}

async fn no_endpoint_is_missing_from_the_table(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let document = t.http.get("/openapi.json").await.expect(200);
    let described: BTreeSet<String> = operations(&document).into_iter().collect();
    let listed: BTreeSet<String> = TABLE.iter().map(|(operation, _)| (*operation).to_owned()).collect();
    assert_eq!(described, listed);
    for (operation, [anonymous, .., stranger]) in TABLE.iter().copied() {
        let (_, path) = operation.split_once(' ').unwrap();
        let asks_nobody_who_calls = path.ends_with("/identify");
        if path.contains('{') && !asks_nobody_who_calls {
            assert_eq!((anonymous, stranger), (401, 404), "{operation}");
        }
    }
}

/// Rules by which a lockdown needs a second person, or does not.
pub fn rules_with(lockdown: bool) -> Value {
    json!({
        "two_person": { "whole_property_grants": false, "lockdown": lockdown },
        "self_grant_delay_hours": 24,
    })
}

/// The operations that a document describes: `GET /v1/me`.
pub fn operations(document: &Value) -> Vec<String> {
    let paths = document["paths"].as_object().unwrap();
    let methods = ["get", "post", "put", "patch", "delete"];
    let of_path = |(path, item): (&String, &Value)| {
        let item = item.as_object().unwrap();
        let here = item.keys().filter(|key| methods.contains(&key.as_str()));
        here.map(|method| format!("{} {path}", method.to_uppercase()))
            .collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

/// Asks as the tenant.
async fn lockout_of(tenant: &Person, door: &Door) -> String {
    let ask = json!({ "lock_id": door.id, "identity": { "kind": "session" } });
    tenant.post("/v1/lockouts").json(ask).await.text_of("id")
}

/// A house with everything that addresses name, and one person of each role.
pub struct Place {
    http: crate::world::Http,
    owner: Landlord,
    manager: Landlord,
    viewer: Person,
    desk: Person,
    tenant: Person,
    guest: Person,
    stranger: Landlord,
    house: Property,
    unit: Unit,
    door: Door,
    grant: String,
    tenancy: String,
    attempt: String,
    guest_phone: Phone,
    guest_notice: String,
    lockout: String,
    /// The account of a program, and a key of it.
    program: String,
    key: String,
}

impl Place {
    pub async fn new(t: &TestServer) -> Self {
        let owner = t.landlord("ana").await;
        let house = owner.add_property("Europe/Vienna").await;
        let unit = owner.add_unit(&house, "Flat 1").await;
        let door = owner.add_lock_of(&unit, "Flat 1").await;
        let tenant = owner.tenant("tom", &unit).await;
        let other_unit = owner.add_unit(&house, "Flat 2").await;
        let tenancy = owner
            .tenancy(&tenant, &other_unit, json!({ "starts_at": "2027-01-01T00:00:00Z" }))
            .await;
        let guest = owner.guest("gus").await;
        let spare = owner.add_lock(&house, "Cellar").await;
        let grant = owner.grant(&guest, &spare, json!({})).await;
        let attempt = tenant.unlock(&door).await.expect_refused("lock-not-in-service");
        let program = owner.program("Bookings").await;
        let key = owner.key(&program, &["unlock"]).await;
        let lockout = lockout_of(&tenant, &door).await;
        Self {
            http: t.http.clone(),
            lockout,
            manager: owner.manager("max").await,
            viewer: owner.staff("vic", "viewer").await,
            desk: owner.staff("dee", "desk").await,
            stranger: t.landlord("eve").await,
            guest_phone: guest.phone().await,
            guest_notice: guest.list("/v1/me/notices").await[0]["id"].as_str().unwrap().to_owned(),
            owner,
            tenant,
            guest,
            house,
            unit,
            door,
            grant: grant["id"].as_str().unwrap().to_owned(),
            tenancy: tenancy["id"].as_str().unwrap().to_owned(),
            attempt: attempt["attempt_id"].as_str().unwrap().to_owned(),
            program,
            key: key["id"].as_str().unwrap().to_owned(),
        }
    }

    /// Who that is here.
    pub fn person(&self, role: Role) -> Option<&Person> {
        match role {
            Role::Anonymous => None,
            Role::Guest => Some(&self.guest),
            Role::Tenant => Some(&self.tenant),
            Role::Viewer => Some(&self.viewer),
            Role::Desk => Some(&self.desk),
            Role::Manager => Some(&self.manager),
            Role::Owner => Some(&self.owner),
            Role::Stranger => Some(&self.stranger),
        }
    }

    /// The path and the body by which this role asks for the operation, `null` for no body; what it uses up is made for it.
    pub async fn prepare(&self, operation: &str, role: Role) -> (String, Value) {
        let (_, path) = operation.split_once(' ').unwrap();
        (self.path(operation, path, role).await, self.body(operation, role).await)
    }

    async fn ask(&self, operation: &str, role: Role) -> Answer {
        let (method, _) = operation.split_once(' ').unwrap();
        let (path, body) = self.prepare(operation, role).await;
        let who = self.person(role);
        let request = match who {
            Some(person) => person.request(method, &path),
            None => self.http.request(method, &path),
        };
        let answer = match body {
            Value::Null => request.await,
            body => request.json(body).await,
        };
        if let (Some(person), "POST /v1/auth/password" | "POST /v1/auth/sign-out") = (who, operation) {
            person.sign_in_again().await;
        }
        answer
    }

    /// The landlord of the house, its door, and the account of a program there.
    pub fn parts(&self) -> (&Landlord, &Door, &str) {
        (&self.owner, &self.door, &self.program)
    }

    /// Asks as a manager would, showing `token`.
    pub async fn ask_showing(&self, operation: &str, token: &str) -> Answer {
        let (method, _) = operation.split_once(' ').unwrap();
        let (path, body) = self.prepare(operation, Role::Manager).await;
        let request = self.http.request(method, &path).bearer(token);
        match body {
            Value::Null => request.await,
            body => request.json(body).await,
        }
    }

    /// The address with real things in it; what the operation uses up is made for it.
    async fn path(&self, operation: &str, path: &str, role: Role) -> String {
        let lock = match operation {
            // One that nobody has claimed.
            "POST /v1/locks/{lock_id}/claim"
            | "POST /v1/locks/{lock_id}/release"
            | "POST /v1/locks/{lock_id}/retire"
            | "POST /v1/locks/{lock_id}/transfer" => self.owner.add_lock(&self.house, "Spare").await.id,
            _ => self.door.id.clone(),
        };
        let property = match operation {
            "DELETE /v1/properties/{property_id}" => self.owner.add_property("Asia/Tokyo").await.id,
            _ => self.house.id.clone(),
        };
        let person = match operation {
            "DELETE /v1/organizations/{organization_id}/members/{person_id}"
            | "PUT /v1/organizations/{organization_id}/members/{person_id}/role" => {
                let name = self.unused_name();
                self.owner.guest(&name).await.id
            }
            _ if path.starts_with("/v1/service-accounts/") => self.program.clone(),
            _ => self.guest.id.clone(),
        };
        let phone = match operation {
            "DELETE /v1/me/phones/{phone_id}" if !matches!(role, Role::Anonymous | Role::Stranger) => {
                self.person(role).unwrap_or(&self.guest).phone().await.id
            }
            _ => self.guest_phone.id.clone(),
        };
        let session = match operation {
            "DELETE /v1/me/sessions/{session_id}" => {
                let whose = match role {
                    Role::Anonymous | Role::Stranger => &self.guest,
                    _ => self.person(role).unwrap_or(&self.guest),
                };
                let other = Person::sign_in(&self.http, &whose.name, &whose.email).await;
                other.list("/v1/me/sessions").await[0]["id"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            }
            _ => String::new(),
        };
        let passkey = match operation.contains("{passkey_id}") {
            true => {
                let whose = match role {
                    Role::Anonymous | Role::Stranger => &self.guest,
                    _ => self.person(role).unwrap_or(&self.guest),
                };
                Authenticator::of(whose).await.1
            }
            false => String::new(),
        };
        let lockout = match operation {
            "POST /v1/lockouts/{lockout_id}/approve"
            | "POST /v1/lockouts/{lockout_id}/deny"
            | "POST /v1/lockouts/{lockout_id}/cancel" => self.somebodys_lockout().await,
            "POST /v1/lockouts/{lockout_id}/call" => self.outsiders_ask().await,
            _ => self.lockout.clone(),
        };
        let line = match operation {
            "POST /v1/ledger/{line_id}/waive" => self.ledger_line().await,
            _ => String::new(),
        };
        let proposal = match operation {
            "POST /v1/proposals/{proposal_id}/confirm" | "POST /v1/proposals/{proposal_id}/refuse" => {
                let rules = format!("/v1/organizations/{}/rules", self.owner.organization);
                let set = |lockdown: bool| self.owner.request("PUT", &rules).json(rules_with(lockdown));
                set(true).await.expect(200);
                set(false).await.text_of("proposal_id")
            }
            _ => String::new(),
        };
        let invitation = match operation.contains("{invitation_id}") {
            true => {
                let email = format!("{}@people.example", self.unused_name());
                self.owner
                    .invite(&email, json!({ "role": "guest" }))
                    .await
                    .text_of("id")
            }
            false => String::new(),
        };
        let webhook = match operation.contains("{webhook_id}") {
            true => self.webhook().await,
            false => String::new(),
        };
        let visit = match operation {
            operation if operation.contains("{visit_id}") => self.visit().await,
            _ => String::new(),
        };
        let query = match operation {
            "GET /v1/ledger/export" => format!("?format=csv&organization_id={}", self.owner.organization),
            "GET /v1/access-log" | "GET /v1/events" => format!("?organization_id={}", self.owner.organization),
            "GET /v1/access-log/checkpoint" | "GET /v1/access-log/{seq}/proof" => {
                format!("?organization_id={}", self.owner.organization)
            }
            "GET /v1/access-log/consistency" => format!("?from=1&to=1&organization_id={}", self.owner.organization),
            "GET /v1/access-log/export" => format!("?format=csv&organization_id={}", self.owner.organization),
            _ => String::new(),
        };
        let lockdown = match path.contains("{lockdown_id}") {
            true => {
                let lockdown = format!("/v1/properties/{}/lockdown", self.house.id);
                self.owner.delete(&lockdown).await.expect(200);
                let order = json!({ "until": "2026-03-02T12:00:00Z", "reason": "Drill" });
                self.owner.post(&lockdown).json(order).await.text_of("id")
            }
            false => String::new(),
        };
        path.replace("{lock_id}", &lock)
            .replace("{seq}", "1")
            .replace("{lockdown_id}", &lockdown)
            .replace("{list_name}", "emergency-services")
            .replace("{property_id}", &property)
            .replace("{organization_id}", &self.owner.organization)
            .replace("{person_id}", &person)
            .replace("{grant_id}", &self.grant)
            .replace("{tenancy_id}", &self.tenancy)
            .replace("{attempt_id}", &self.attempt)
            .replace("{phone_id}", &phone)
            .replace("{session_id}", &session)
            .replace("{passkey_id}", &passkey)
            .replace("{notice_id}", &self.guest_notice)
            .replace("{lockout_id}", &lockout)
            .replace("{line_id}", &line)
            .replace("{key_id}", &self.key)
            .replace("{proposal_id}", &proposal)
            .replace("{visit_id}", &visit)
            .replace("{webhook_id}", &webhook)
            .replace("{invitation_id}", &invitation)
            + &query
    }

    /// A webhook: the one that there is, or the first.
    async fn webhook(&self) -> String {
        let known = self.owner.get("/v1/webhooks").await.expect(200);
        match known["data"][0]["id"].as_str() {
            Some(id) => id.to_owned(),
            None => {
                let webhook = json!({ "organization_id": self.owner.organization, "url": "https://hooks.example/" });
                self.owner.post("/v1/webhooks").json(webhook).await.text_of("id")
            }
        }
    }

    /// A lock-out that nobody has decided, of a tenant who is none of the roles.
    async fn somebodys_lockout(&self) -> String {
        let tenant = self.owner.tenant(&self.unused_name(), &self.unit).await;
        lockout_of(&tenant, &self.door).await
    }

    /// An ask of a tenant who has not shown who they are.
    async fn outsiders_ask(&self) -> String {
        let tenant = self.owner.tenant(&self.unused_name(), &self.unit).await;
        let ask = json!({ "email": tenant.email });
        let id = self.http.post("/v1/lockouts/ask").json(ask).await.text_of("id");
        let path = format!("/v1/lockouts/{id}/call");
        until("the ask to be looked up", async || {
            self.owner.post(&path).await.status == 200
        })
        .await;
        id
    }

    /// A line that is not waived.
    async fn ledger_line(&self) -> String {
        let lockout = self.somebodys_lockout().await;
        let key = json!({ "replacement_key": true });
        let path = format!("/v1/lockouts/{lockout}/approve");
        self.owner.post(&path).json(key).await.expect(200);
        let lines = self.owner.list("/v1/ledger").await;
        let of_it = lines.iter().find(|line| line["lockout_id"] == lockout);
        of_it.unwrap()["id"].as_str().unwrap().to_owned()
    }

    fn visit_order(&self) -> Value {
        json!({
            "lock_ids": [self.door.id], "purpose": "The sink leaks",
            "vendor": { "name": "Paul", "company": "Pipes & Sons", "phone": "+43 1 234 5678" },
            "starts_at": "2026-03-02T08:00:00Z", "ends_at": "2026-03-02T16:00:00Z",
        })
    }

    async fn visit(&self) -> String {
        self.owner
            .post("/v1/visits")
            .json(self.visit_order())
            .await
            .text_of("id")
    }

    fn unused_name(&self) -> String {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        format!("guest{}", COUNT.fetch_add(1, Ordering::Relaxed))
    }

    async fn body(&self, operation: &str, role: Role) -> Value {
        let person = self.person(role).unwrap_or(&self.guest);
        match operation {
            "POST /v1/auth/sign-in" => json!({ "email": person.email, "password": PASSWORD }),
            "POST /v1/auth/refresh" => {
                let session = Person::sign_in(&self.http, &person.name, &person.email).await;
                json!({ "refresh_token": session.refresh_token() })
            }
            "POST /v1/guest/redeem" => {
                let grant = self.owner.grant_guest(&self.unused_name(), &self.door, json!({})).await;
                let link = self.owner.link(&grant, json!({})).await;
                link.redemption(&Phone::new_key())
            }
            "POST /v1/me/second-factor/confirm" => json!({ "code": "00000-00000" }),
            "POST /v1/auth/passkey" | "POST /v1/auth/prove/passkey" => {
                let asked = json!({ "public_key": { "challenge": "A".repeat(43) } });
                json!({ "credential": Authenticator::new().sign(&asked) })
            }
            "POST /v1/me/passkeys" => {
                let asked = json!({ "public_key": { "challenge": "A".repeat(43) } });
                json!({ "name": "Phone", "credential": Authenticator::new().make(&asked) })
            }
            "PATCH /v1/me/passkeys/{passkey_id}" => json!({ "name": "Old phone" }),
            "POST /v1/auth/prove" => json!({ "password": PASSWORD }),
            "POST /v1/auth/password" => json!({ "current_password": PASSWORD, "new_password": PASSWORD }),
            "PUT /v1/me/notice-settings" => json!({ "no_letter_for": ["access-given"] }),
            "POST /v1/invitations" => json!({
                "organization_id": self.owner.organization, "email": "new@people.example", "role": "guest",
            }),
            "POST /v1/invitations/accept" => {
                let email = format!("{}@people.example", self.unused_name());
                let invited = self.owner.invite(&email, json!({ "role": "guest" })).await;
                let link = invited.text_of("secret_link");
                json!({ "secret": link.split_once('#').unwrap().1, "name": person.name, "password": PASSWORD })
            }
            "PUT /v1/properties/{property_id}/lockout-policy" => crate::api::lockouts::policy(json!({})),
            "POST /v1/lockouts" => {
                let door = self.owner.add_lock_of(&self.unit, "Side door").await;
                json!({ "lock_id": door.id, "identity": { "kind": "session" } })
            }
            "POST /v1/webhooks" => {
                json!({ "organization_id": self.owner.organization, "url": "https://hooks.example/" })
            }
            "PATCH /v1/webhooks/{webhook_id}" => json!({ "events": ["alarm"] }),
            "POST /v1/webhooks/{webhook_id}/replay" => json!({ "from": 1 }),
            "POST /v1/lockouts/ask" => json!({ "email": format!("{}@people.example", self.unused_name()) }),
            "POST /v1/lockouts/{lockout_id}/identify" => json!({ "code": "00000-00000" }),
            "POST /v1/lockouts/{lockout_id}/deny" => json!({ "reason": "not them" }),
            "POST /v1/ledger/{line_id}/waive" => json!({ "reason": "the lock was at fault" }),
            "POST /v1/properties" => json!({
                "organization_id": self.owner.organization, "name": "Annex", "address": "Next door",
                "time_zone": "Europe/Vienna",
            }),
            "PATCH /v1/properties/{property_id}" => json!({ "address": "Linden Street 4a" }),
            "PUT /v1/properties/{property_id}/privacy" => json!({ "own_doors": "private", "retention_days": 60 }),
            "POST /v1/me/erase" => json!({ "password": PASSWORD }),
            "POST /v1/looks" => json!({
                "unit_id": self.unit.id, "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z",
                "reason": "Somebody asked", "minutes": 5,
            }),
            "POST /v1/properties/{property_id}/units" => json!({ "name": self.unused_name() }),
            "POST /v1/organizations/{organization_id}/import" => json!({
                "properties": format!("name,address,time_zone\n{},Oak Lane 1,Europe/Vienna\n", self.unused_name()),
            }),
            "POST /v1/locks" => json!({
                "property_id": self.house.id, "unit_id": self.unit.id, "name": "Balcony", "kind": "controller",
            }),
            "POST /v1/locks/{lock_id}/transfer" => json!({ "property_id": self.house.id, "unit_id": self.unit.id }),
            "PATCH /v1/locks/{lock_id}" => json!({ "name": "Flat one" }),
            "PATCH /v1/locks/{lock_id}/pins" => json!({ "slots": 100 }),
            "POST /v1/tenancies" => json!({
                "unit_id": self.unit.id, "email": "moving-in@people.example", "starts_at": "2027-01-01T00:00:00Z",
            }),
            "PUT /v1/tenancies/{tenancy_id}" => json!({ "starts_at": "2027-02-01T00:00:00Z" }),
            "POST /v1/visits" => self.visit_order(),
            "POST /v1/visits/{visit_id}/emergency" => json!({ "reason": "Water comes through the ceiling" }),
            "POST /v1/visits/{visit_id}/verify" => json!({ "code": "123456" }),
            "POST /v1/grants" => json!({
                "lock_ids": [self.door.id], "to": { "person_id": self.guest.id },
                "starts_at": "2027-01-01T00:00:00Z",
            }),
            "PUT /v1/grants/{grant_id}" => json!({ "lock_ids": [self.door.id], "starts_at": "2027-01-01T00:00:00Z" }),
            "POST /v1/grants/{grant_id}/ask" => json!({ "reason": "The dog is alone" }),
            "PUT /v1/organizations/{organization_id}/members/{person_id}/role" => json!({ "role": "vendor" }),
            "PUT /v1/organizations/{organization_id}/rules" => rules_with(true),
            "POST /v1/organizations/{organization_id}/service-accounts" => json!({ "name": "Cash register" }),
            "POST /v1/service-accounts/{person_id}/keys" => json!({
                "name": "Spare", "scopes": ["unlock"], "expires_at": self.owner.in_days(30),
            }),
            "PUT /v1/properties/{property_id}/lockdown-lists/{list_name}" => json!({ "grant_ids": [self.grant] }),
            "POST /v1/properties/{property_id}/lockdown" => {
                json!({ "until": "2026-03-02T12:00:00Z", "reason": "Drill", "part": "shared" })
            }
            "PUT /v1/lockdowns/{lockdown_id}" => json!({ "until": "2026-03-02T13:00:00Z", "reason": "Drill" }),
            "POST /v1/me/phones" => {
                json!({ "public_key": Phone::public_key(&Phone::new_key()), "name": "Phone" })
            }
            "POST /v1/passes" => {
                json!({ "lock_ids": [self.door.id], "phone_id": person.phone().await.id })
            }
            "POST /v1/locks/{lock_id}/messages" => json!({ "messages": ["nothing that the lock said"] }),
            "POST /v1/enrolments" => {
                let key = doorward::agent::enrolment::new_key(&doorward::crypto::random::OsRandom);
                crate::api::enrolments::ask(&key, &key, "00000-00000-00000-00000-000000")
            }
            _ => Value::Null,
        }
    }
}
