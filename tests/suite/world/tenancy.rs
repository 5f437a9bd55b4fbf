//! Tenancies: who lives where.

use serde_json::{Value, json};

use super::{Landlord, Person, Request, Unit};
use doorward::domain::time::Clock as _;

impl Landlord {
    /// Lets a member live in the unit from now on; `terms` go over that. The answer is the tenancy.
    pub async fn tenancy(&self, person: &Person, unit: &Unit, terms: Value) -> Value {
        let mut given = self
            .let_in(json!({ "person_id": person.id }), unit, terms)
            .await
            .expect(201);
        assert_eq!(given["invitation"], Value::Null, "{given}");
        given["tenancy"].take()
    }

    /// Asks for a tenancy from now on, to `{person_id: …}` or `{email: …}`; `terms` go over that.
    pub fn let_in(&self, to: Value, unit: &Unit, terms: Value) -> Request {
        let mut tenancy = json!({ "unit_id": unit.id, "starts_at": self.clock.now().to_string() });
        for members in [to, terms] {
            for (name, value) in members.as_object().unwrap() {
                tenancy[name] = value.clone();
            }
        }
        self.post("/v1/tenancies").json(tenancy)
    }

    /// Ends a tenancy now, or as `at` says: `{ends_at: …}`. The answer says by when.
    pub async fn end_tenancy(&self, tenancy: &Value, at: Value) -> Value {
        let id = tenancy["id"].as_str().unwrap();
        let path = format!("/v1/tenancies/{id}/end");
        self.post(&path).json(at).await.expect(200)
    }

    /// Asks for another term.
    pub fn change_tenancy(&self, tenancy: &Value, term: Value) -> Request {
        let id = tenancy["id"].as_str().unwrap();
        self.request("PUT", &format!("/v1/tenancies/{id}")).json(term)
    }

    /// The person's one tenancy in the unit.
    pub async fn tenancy_of(&self, person: &Person, unit: &Unit) -> Value {
        let path = format!("/v1/tenancies?person_id={}&unit_id={}", person.id, unit.id);
        let mut found = self.list(&path).await;
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }
}
