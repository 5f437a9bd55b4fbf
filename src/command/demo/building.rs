//! Sets up the demo's building: a landlord, a property with two units, a tenant, a guest, and a lock on each unit's
//! door, claimed through the same enrolment as a bought one.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use doorward::agent::backend_address::Server as Backend;
use doorward::agent::enrolment::enrol;
use doorward::agent::state_folder::StateFolder;
use doorward::app::invitations::Offer;
use doorward::app::own_sessions::Arrival;
use doorward::app::{Actor, App};
use doorward::crypto::random::Random;
use doorward::crypto::secret::Secret;
use doorward::domain::account::{Email, OrganizationName, PersonName, Role};
use doorward::domain::ids::{OrganizationId, PropertyId};
use doorward::domain::lock::LockKind;
use doorward::domain::place::{Address, PlaceName};
use doorward::domain::session::DeviceName;

use super::doors;
use super::memory::{Door, Memory, SignIn};

const MODEL: &str = "doorward-demo";
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Whoever is brought in here comes from this machine.
fn here() -> Arrival {
    Arrival {
        address: HERE,
        device: DeviceName::unknown(),
        key: None,
    }
}

/// Sets everything up and says what there is.
pub async fn set_up(app: &App, base_url: &str, dir: &Path, random: &dyn Random) -> Result<Memory, Box<dyn Error>> {
    let landlord = new_sign_in("landlord", random);
    let name = |text: &str| PersonName::try_from(text.to_owned());
    let place = |text: &str| PlaceName::try_from(text.to_owned());
    let (organization, _) = app
        .add_landlord(
            OrganizationName::try_from("Linden House".to_owned())?,
            landlord.email.parse()?,
            name("Lena Landlord")?,
            landlord.password.parse()?,
        )
        .await?;
    let tokens = app
        .sign_in(landlord.email.parse()?, landlord.password.parse()?, None, here())
        .await?;
    let lena = app.authenticate(&tokens.access).await?;
    let address = Address::try_from("Lindengasse 1, 1070 Vienna".to_owned())?;
    let property = app
        .add_property(
            &lena,
            organization.clone(),
            place("Linden House")?,
            address,
            "Europe/Vienna".parse()?,
        )
        .await?;

    let mut locks = Vec::new();
    let mut units = Vec::new();
    for number in 1..=2 {
        let unit = app
            .add_unit(&lena, property.id.clone(), place(&format!("Flat {number}"))?)
            .await?;
        let door = format!("Flat {number} door");
        locks.push(install(app, &lena, &property.id, &unit.id, door, (base_url, dir), random).await?);
        units.push(unit.id);
    }
    let first = units.swap_remove(0);
    let stay = Offer::Tenancy {
        unit: first,
        starts_at: app.now(),
        ends_at: None,
    };
    let tenant = join(app, &lena, &organization, "tenant", name("Tom Tenant")?, stay, random).await?;
    let guest = join(
        app,
        &lena,
        &organization,
        "guest",
        name("Gus Guest")?,
        Offer::Role(Role::Guest),
        random,
    )
    .await?;
    app.sign_out(&lena).await?;
    Ok(Memory {
        landlord,
        tenant,
        guest,
        property_id: property.id,
        locks,
    })
}

/// Adds a lock to the unit and enrols a controller for it, as a fitter would.
async fn install(
    app: &App,
    who: &Actor,
    property: &PropertyId,
    unit: &doorward::domain::ids::UnitId,
    name: String,
    (base_url, dir): (&str, &Path),
    random: &dyn Random,
) -> Result<Door, Box<dyn Error>> {
    let door = PlaceName::try_from(name.clone())?;
    let (lock, claim) = app
        .add_lock(who, property.clone(), Some(unit.clone()), door, LockKind::Controller)
        .await?;
    let backend = Backend::new(base_url.parse()?, None)?;
    let enrolled = enrol(&backend, &claim.link.code.expose(), MODEL, random).await?;
    StateFolder::open(&doors::folder(dir, &lock.id))?.keep(&enrolled)?;
    Ok(Door {
        id: lock.id,
        name,
        unit_id: unit.clone(),
    })
}

/// Invites somebody and accepts for them.
async fn join(
    app: &App,
    who: &Actor,
    organization: &OrganizationId,
    role: &str,
    name: PersonName,
    offer: Offer,
    random: &dyn Random,
) -> Result<SignIn, Box<dyn Error>> {
    let sign_in = new_sign_in(role, random);
    let email: Email = sign_in.email.parse()?;
    let link = app.invite(who, organization.clone(), email, offer, false).await?;
    let secret: Secret = link.url.rsplit('#').next().unwrap_or_default().parse()?;
    app.accept_invitation(secret, name, sign_in.password.parse()?, None, here())
        .await?;
    Ok(sign_in)
}

/// An address that no mail reaches (RFC 2606) and a password of this installation's own.
fn new_sign_in(role: &str, random: &dyn Random) -> SignIn {
    let password = random
        .secret()
        .expose()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(16)
        .collect();
    SignIn {
        email: format!("{role}@demo.example"),
        password,
    }
}
