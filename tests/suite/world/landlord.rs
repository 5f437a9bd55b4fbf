//! Landlords and managers: who runs houses, doors and people.

use std::ops::Deref;

use serde_json::{Value, json};

use super::{Door, HandClock, Person, Request};
use doorward::domain::time::Clock as _;

/// Somebody who manages an organization.
pub struct Landlord {
    person: Person,
    /// Their organization.
    pub organization: String,
    pub clock: HandClock,
}

impl Deref for Landlord {
    type Target = Person;

    fn deref(&self) -> &Person {
        &self.person
    }
}

/// A property.
pub struct Property {
    /// Which.
    pub id: String,
}

/// A unit of a property.
pub struct Unit {
    /// Which.
    pub id: String,
    /// In which property.
    pub property: String,
}

impl Landlord {
    /// The person as a manager of the organization, by this clock.
    pub fn new(person: Person, organization: String, clock: HandClock) -> Self {
        Self {
            person,
            organization,
            clock,
        }
    }

    /// Adds a property in this time zone.
    pub async fn add_property(&self, zone: &str) -> Property {
        let property = json!({
            "organization_id": self.organization,
            "name": "Linden Street 4",
            "address": "Linden Street 4, Vienna",
            "time_zone": zone,
        });
        let answer = self.post("/v1/properties").json(property).await;
        let id = answer.text_of("id");
        answer.expect(201);
        Property { id }
    }

    /// Adds a unit.
    pub async fn add_unit(&self, property: &Property, name: &str) -> Unit {
        let path = format!("/v1/properties/{}/units", property.id);
        let id = self.post(&path).json(json!({ "name": name })).await.text_of("id");
        Unit {
            id,
            property: property.id.clone(),
        }
    }

    /// Adds the lock of a shared door.
    pub async fn add_lock(&self, property: &Property, name: &str) -> Door {
        self.add_door(json!({ "property_id": property.id, "name": name, "kind": "controller" }))
            .await
    }

    /// Adds the lock of a unit's own door.
    pub async fn add_lock_of(&self, unit: &Unit, name: &str) -> Door {
        let lock = json!({ "property_id": unit.property, "unit_id": unit.id, "name": name, "kind": "controller" });
        self.add_door(lock).await
    }

    async fn add_door(&self, lock: Value) -> Door {
        let added = self.post("/v1/locks").json(lock).await.expect(201);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Door::new(
            text(&added["id"]),
            text(&added["claim"]["code"]),
            self.http.clone(),
            self.clock.clone(),
        )
    }

    /// Invites somebody: `{role: …}` or `{tenancy: {…}}`. The answer holds the link.
    pub fn invite(&self, email: &str, mut offer: Value) -> Request {
        offer["organization_id"] = self.organization.clone().into();
        offer["email"] = email.into();
        self.post("/v1/invitations").json(offer)
    }

    /// Brings somebody in who accepts at once.
    async fn bring_in(&self, name: &str, offer: Value) -> Person {
        let email = format!("{name}@people.example");
        // Whoever accepts at once waits for no letter.
        let mut offer = offer;
        offer["letter"] = false.into();
        let link = self.invite(&email, offer).await.text_of("secret_link");
        Person::accept(&self.http, name, &email, &link).await
    }

    /// A tenant who lives in the unit from now on.
    pub async fn tenant(&self, name: &str, unit: &Unit) -> Person {
        let tenancy = json!({ "unit_id": unit.id, "starts_at": self.clock.now().to_string() });
        self.bring_in(name, json!({ "tenancy": tenancy })).await
    }

    /// A guest, who may open nothing yet.
    pub async fn guest(&self, name: &str) -> Person {
        self.bring_in(name, json!({ "role": "guest" })).await
    }

    /// Somebody who works for the organization in this role: `desk` or `viewer`.
    pub async fn staff(&self, name: &str, role: &str) -> Person {
        self.bring_in(name, json!({ "role": role })).await
    }

    /// A manager of the same organization.
    pub async fn manager(&self, name: &str) -> Landlord {
        let person = self.bring_in(name, json!({ "role": "manager" })).await;
        Self::new(person, self.organization.clone(), self.clock.clone())
    }

    /// The instant this many days ahead.
    pub fn in_days(&self, days: u64) -> String {
        (self.clock.now() + std::time::Duration::from_secs(days * 24 * 3600)).to_string()
    }

    /// Opens an account for a program: its id.
    pub async fn program(&self, name: &str) -> String {
        let path = format!("/v1/organizations/{}/service-accounts", self.organization);
        let opened = self.post(&path).json(json!({ "name": name })).await.expect(201);
        opened["id"].as_str().unwrap().to_owned()
    }

    /// Makes a key of a program, good for 30 days: the answer holds its text.
    pub async fn key(&self, program: &str, scopes: &[&str]) -> Value {
        let key = json!({ "name": "Test", "scopes": scopes, "expires_at": self.in_days(30) });
        let path = format!("/v1/service-accounts/{program}/keys");
        self.post(&path).json(key).await.expect(201)
    }

    /// Gives a member another role.
    pub fn change_role(&self, of: &Person, role: &str) -> Request {
        let path = format!("/v1/organizations/{}/members/{}/role", self.organization, of.id);
        self.request("PUT", &path).json(json!({ "role": role }))
    }

    /// Gives somebody access to a door from now on, by these further terms; the answer is the grant.
    pub async fn grant(&self, to: &Person, door: &Door, terms: Value) -> Value {
        self.give(&[door], json!({ "person_id": to.id }), terms)
            .await
            .expect(201)
    }

    /// Asks for a grant from now on; `terms` go over that.
    pub fn give(&self, doors: &[&Door], to: Value, terms: Value) -> Request {
        let doors: Vec<&str> = doors.iter().map(|door| door.id.as_str()).collect();
        let mut grant = json!({ "lock_ids": doors, "to": to, "starts_at": self.clock.now().to_string() });
        for (name, value) in terms.as_object().unwrap() {
            grant[name] = value.clone();
        }
        self.post("/v1/grants").json(grant)
    }

    /// Takes a grant back; the answer says by when.
    pub async fn revoke(&self, grant: &Value) -> Value {
        let id = grant["id"].as_str().unwrap();
        self.post(&format!("/v1/grants/{id}/revoke")).await.expect(200)
    }

    /// Asks for a lockdown of the property for so many minutes; `terms` go over that.
    pub fn lock_down(&self, property: &Property, minutes: u64, terms: Value) -> Request {
        let until = self.clock.after(std::time::Duration::from_secs(minutes * 60));
        let mut order = json!({ "until": until, "reason": "Gas leak" });
        for (name, value) in terms.as_object().unwrap() {
            order[name] = value.clone();
        }
        self.post(&format!("/v1/properties/{}/lockdown", property.id))
            .json(order)
    }

    /// The access log, the newest entries first.
    pub async fn log(&self) -> Vec<Value> {
        self.list("/v1/access-log?limit=200").await
    }
}
