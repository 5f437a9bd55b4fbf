//! The landlord and the building.

use std::net::SocketAddr;

use doorward::agent::backend_address::Server;
use doorward::agent::enrolment::{Enrolled, enrol};
use doorward::crypto::random::OsRandom;
use serde_json::json;

use super::rest::{Client, text};
use super::{EMAIL, Failure, PASSWORD};

/// A landlord who is signed in.
pub struct Landlord {
    client: Client,
    backend: Server,
    token: String,
}

/// A property of the landlord's.
pub struct Building {
    organization: String,
    property: String,
}

impl Landlord {
    /// Signs in at the backend that serves REST at `address`.
    ///
    /// # Errors
    /// Where it does not let the landlord in.
    pub async fn sign_in(address: SocketAddr) -> Result<Self, Failure> {
        let mut client = Client::connect(address).await?;
        let who = json!({ "email": EMAIL, "password": PASSWORD });
        let signed_in = client.post("/v1/auth/sign-in", "", &who).await?;
        Ok(Self {
            client,
            backend: Server::new(format!("http://{address}").parse()?, None)?,
            token: text(&signed_in, "access_token")?,
        })
    }

    /// The same landlord on another connection.
    ///
    /// # Errors
    /// Where nobody listens any more.
    pub async fn again(&self, address: SocketAddr) -> Result<Self, Failure> {
        Ok(Self {
            client: Client::connect(address).await?,
            backend: self.backend.clone(),
            token: self.token.clone(),
        })
    }

    /// Adds a building.
    ///
    /// # Errors
    /// What the backend says.
    pub async fn add_building(&mut self) -> Result<Building, Failure> {
        let me = self.client.get("/v1/me", &self.token).await?;
        let organization = text(&me["memberships"][0], "organization_id")?;
        let building = json!({
            "organization_id": organization,
            "name": "Bench House",
            "address": "1 Bench Street",
            "time_zone": "Europe/Vienna",
        });
        let added = self.client.post("/v1/properties", &self.token, &building).await?;
        Ok(Building {
            organization,
            property: text(&added, "id")?,
        })
    }

    /// Adds a door with its unit, in which somebody lives: the tenant's access token, and the door's lock.
    ///
    /// # Errors
    /// What the backend says.
    pub async fn add_home(&mut self, building: &Building, number: usize) -> Result<(String, Enrolled), Failure> {
        let units = format!("/v1/properties/{}/units", building.property);
        let unit = json!({ "name": format!("Unit {number}") });
        let unit = text(&self.client.post(&units, &self.token, &unit).await?, "id")?;
        let invitation = json!({
            "organization_id": building.organization,
            "email": format!("tenant-{number}@bench.example"),
            "tenancy": { "unit_id": unit, "starts_at": "2020-01-01T00:00:00Z" },
        });
        let invited = self.client.post("/v1/invitations", &self.token, &invitation).await?;
        let link = text(&invited, "secret_link")?;
        let secret = link.split_once('#').map_or("", |(_, secret)| secret);
        let acceptance = json!({ "secret": secret, "name": format!("Tenant {number}"), "password": PASSWORD });
        let tenant = self.client.post("/v1/invitations/accept", "", &acceptance).await?;
        let lock = self.add_lock(building, Some(&unit), number).await?;
        Ok((text(&tenant, "access_token")?, lock))
    }

    /// Adds a door, and enrols a lock for it.
    ///
    /// # Errors
    /// What the backend says.
    pub async fn add_lock(
        &mut self,
        building: &Building,
        unit: Option<&str>,
        number: usize,
    ) -> Result<Enrolled, Failure> {
        let mut door = json!({
            "property_id": building.property,
            "name": format!("Door {number}"),
            "kind": "controller",
        });
        if let Some(unit) = unit {
            door["unit_id"] = unit.into();
        }
        let added = self.client.post("/v1/locks", &self.token, &door).await?;
        let code = text(&added["claim"], "code")?;
        Ok(enrol(&self.backend, &code, "bench", &OsRandom).await?)
    }
}
