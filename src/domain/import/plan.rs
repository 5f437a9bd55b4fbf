//! What of the tables is new, what stands already, and what stands against it.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::moment::{Edge, moment};
use super::reading::{LockRow, PropertyRow, TenancyRow, UnitRow};
use super::{Fault, MOST_WRITTEN_DOWN, Rows, Sheet};
use crate::domain::account::{Email, Role};
use crate::domain::ids::{LockId, OrganizationId, PersonId, PropertyId, UnitId};
use crate::domain::lock::{Lock, LockKind, LockState};
use crate::domain::place::{PlaceName, Property, Unit};
use crate::domain::tenancy::{BadTerm, Tenancy, Term};
use crate::domain::time::Timestamp;

/// Somebody with an account, as the organization knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resident {
    /// Who.
    pub person: PersonId,
    /// As what they belong to it; `None` where they do not, and are invited like a stranger.
    pub role: Option<Role>,
}

/// A stay that somebody was invited to and can still accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invited {
    /// Who.
    pub email: Email,
    /// Where.
    pub unit: UnitId,
    /// From when to when.
    pub term: Term,
}

/// What stands in the books of an organization.
#[derive(Debug, Clone)]
pub struct Known {
    /// Which.
    pub organization: OrganizationId,
    /// All its properties.
    pub properties: Vec<Property>,
    /// All its units.
    pub units: Vec<Unit>,
    /// All its locks.
    pub locks: Vec<Lock>,
    /// Who of the tables' addresses has an account.
    pub residents: HashMap<Email, Resident>,
    /// The tenancies that these persons ever had in the organization.
    pub tenancies: Vec<Tenancy>,
    /// The stays that can still be accepted.
    pub invited: Vec<Invited>,
}

/// How many rows of each table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Of properties.
    pub properties: usize,
    /// Of units.
    pub units: usize,
    /// Of locks.
    pub locks: usize,
    /// Of tenancies.
    pub tenancies: usize,
}

/// A tenancy to give: to a member, or to whoever is invited with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stay {
    /// The line of its table.
    pub line: u64,
    /// Where.
    pub unit: Unit,
    /// Whose address.
    pub email: Email,
    /// The member who has it; `None` where they are to be invited.
    pub member: Option<PersonId>,
    /// From when to when.
    pub term: Term,
}

/// What comes in, each part resting on those before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// New properties.
    pub properties: Vec<Property>,
    /// New units.
    pub units: Vec<Unit>,
    /// New locks, which no controller has claimed.
    pub locks: Vec<Lock>,
    /// New stays.
    pub stays: Vec<Stay>,
    /// How many rows say what stands already.
    pub unchanged: Counts,
}

impl Plan {
    /// How many rows come in.
    #[must_use]
    pub fn added(&self) -> Counts {
        Counts {
            properties: self.properties.len(),
            units: self.units.len(),
            locks: self.locks.len(),
            tenancies: self.stays.len(),
        }
    }
}

/// Decides what of `rows` comes in at `now`, with identifiers out of `fresh`. A property is known by its name in the
/// organization, a unit by its name in the property, a lock by its name at its unit or among the shared doors (retired ones
/// do not count), a stay by unit, address and beginning. Nothing that stands is changed.
///
/// # Errors
/// Every row that stands against what is known, or against another row.
pub fn plan(rows: &Rows, known: Known, now: Timestamp, fresh: &mut dyn FnMut() -> u128) -> Result<Plan, Vec<Fault>> {
    let mut planner = Planner::new(known, &rows.broken, now, fresh);
    rows.properties.iter().for_each(|row| planner.property(row));
    rows.units.iter().for_each(|row| planner.unit(row));
    rows.locks.iter().for_each(|row| planner.lock(row));
    rows.tenancies.iter().for_each(|row| planner.tenancy(row));
    planner.check_size();
    match planner.faults.is_empty() {
        true => Ok(planner.plan),
        false => Err(planner.faults),
    }
}

/// The properties of one name.
enum Named {
    One(Property),
    /// Nobody can tell which is meant.
    Many,
}

/// Where a door is: the property, and its unit unless it is shared.
type Place = (PropertyId, Option<UnitId>);

struct Planner<'a> {
    organization: OrganizationId,
    properties: HashMap<String, Named>,
    units: HashMap<(PropertyId, String), Unit>,
    doors: HashSet<(Place, String)>,
    residents: HashMap<Email, Resident>,
    tenancies: HashMap<(UnitId, PersonId), Vec<Tenancy>>,
    invited: HashMap<(UnitId, Email), Vec<Term>>,
    /// On which line of its table a row stands first.
    lines: HashMap<(Sheet, String), u64>,
    stays: HashMap<(UnitId, Email), Vec<(u64, Term)>>,
    broken: &'a HashSet<(Sheet, String)>,
    now: Timestamp,
    fresh: &'a mut dyn FnMut() -> u128,
    plan: Plan,
    faults: Vec<Fault>,
}

impl<'a> Planner<'a> {
    fn new(
        known: Known,
        broken: &'a HashSet<(Sheet, String)>,
        now: Timestamp,
        fresh: &'a mut dyn FnMut() -> u128,
    ) -> Self {
        let mut properties = HashMap::new();
        for property in known.properties {
            match properties.entry(property.name.as_str().to_owned()) {
                Entry::Vacant(free) => {
                    free.insert(Named::One(property));
                }
                Entry::Occupied(mut taken) => {
                    taken.insert(Named::Many);
                }
            }
        }
        let unit_key = |unit: &Unit| (unit.property.clone(), unit.name.as_str().to_owned());
        let in_use = known.locks.into_iter().filter(|lock| lock.state != LockState::Retired);
        let mut tenancies: HashMap<_, Vec<Tenancy>> = HashMap::new();
        for tenancy in known.tenancies {
            let key = (tenancy.unit.clone(), tenancy.person.clone());
            tenancies.entry(key).or_default().push(tenancy);
        }
        let mut invited: HashMap<_, Vec<Term>> = HashMap::new();
        for Invited { email, unit, term } in known.invited {
            invited.entry((unit, email)).or_default().push(term);
        }
        Self {
            organization: known.organization,
            properties,
            units: known.units.into_iter().map(|unit| (unit_key(&unit), unit)).collect(),
            doors: in_use
                .map(|lock| ((lock.property, lock.unit), lock.name.into()))
                .collect(),
            residents: known.residents,
            tenancies,
            invited,
            lines: HashMap::new(),
            stays: HashMap::new(),
            broken,
            now,
            fresh,
            plan: Plan::default(),
            faults: Vec::new(),
        }
    }

    /// Refuses more than can be written down while others wait for their doors.
    fn check_size(&mut self) {
        let Plan { locks, stays, .. } = &self.plan;
        if locks.len() + stays.len() <= MOST_WRITTEN_DOWN {
            return;
        }
        let first = stays.get(MOST_WRITTEN_DOWN.saturating_sub(locks.len()));
        let (sheet, line) = first.map_or((Sheet::Locks, 1), |stay| (Sheet::Tenancies, stay.line));
        let why = format!(
            "at most {MOST_WRITTEN_DOWN} new locks and tenancies come in at once: bring the rest in with another"
        );
        self.faults.push(Fault::new(sheet, line, None, why));
    }

    fn complain(&mut self, sheet: Sheet, line: u64, column: &str, why: impl std::fmt::Display) {
        self.faults.push(Fault::new(sheet, line, Some(column), why));
    }

    /// Whether this row of the table is the first of its kind; complains where it is not.
    fn is_first(&mut self, sheet: Sheet, line: u64, key: String) -> bool {
        match self.lines.entry((sheet, key)) {
            Entry::Vacant(free) => {
                free.insert(line);
                true
            }
            Entry::Occupied(taken) => {
                let why = format!("line {} has it already", taken.get());
                self.complain(sheet, line, "name", why);
                false
            }
        }
    }

    /// The property of this name; complains where there is none, or several.
    fn find_property(&mut self, sheet: Sheet, line: u64, name: &PlaceName) -> Option<Property> {
        let why = match self.properties.get(name.as_str()) {
            Some(Named::One(property)) => return Some(property.clone()),
            Some(Named::Many) => "several properties have this name: give them others first",
            None if self.broken.contains(&(Sheet::Properties, name.as_str().to_owned())) => return None,
            None => "no property has this name, neither here nor in the table of properties",
        };
        self.complain(sheet, line, "property", why);
        None
    }

    /// The unit of this name; complains where the property has none.
    fn find_unit(&mut self, sheet: Sheet, line: u64, property: &Property, name: &PlaceName) -> Option<Unit> {
        let key = (property.id.clone(), name.as_str().to_owned());
        if let Some(unit) = self.units.get(&key) {
            return Some(unit.clone());
        }
        if !self.broken.contains(&(Sheet::Units, name.as_str().to_owned())) {
            let why = "the property has no unit of this name, neither here nor in the table of units";
            self.complain(sheet, line, "unit", why);
        }
        None
    }

    fn property(&mut self, row: &PropertyRow) {
        let sheet = Sheet::Properties;
        if !self.is_first(sheet, row.line, row.name.as_str().to_owned()) {
            return;
        }
        if self.properties.contains_key(row.name.as_str()) {
            let Some(property) = self.find_property(sheet, row.line, &row.name) else {
                return;
            };
            if property.address != row.address {
                let why = "the property stands here with another address: change it here or in the table";
                self.complain(sheet, row.line, "address", why);
            } else if property.time_zone.name() != row.time_zone.name() {
                let why = "the property stands here with another time zone: change it here or in the table";
                self.complain(sheet, row.line, "time_zone", why);
            } else {
                self.plan.unchanged.properties += 1;
            }
            return;
        }
        let property = Property {
            id: PropertyId::from_bits((self.fresh)()),
            organization: self.organization.clone(),
            name: row.name.clone(),
            address: row.address.clone(),
            time_zone: row.time_zone.clone(),
            created_at: self.now,
        };
        let name = row.name.as_str().to_owned();
        self.properties.insert(name, Named::One(property.clone()));
        self.plan.properties.push(property);
    }

    fn unit(&mut self, row: &UnitRow) {
        let Some(property) = self.find_property(Sheet::Units, row.line, &row.property) else {
            return;
        };
        let key = format!("{}\n{}", property.id, row.name.as_str());
        if !self.is_first(Sheet::Units, row.line, key) {
            return;
        }
        match self.units.entry((property.id, row.name.as_str().to_owned())) {
            Entry::Occupied(_) => self.plan.unchanged.units += 1,
            Entry::Vacant(free) => {
                let unit = Unit {
                    id: UnitId::from_bits((self.fresh)()),
                    organization: property.organization,
                    property: free.key().0.clone(),
                    name: row.name.clone(),
                    created_at: self.now,
                };
                free.insert(unit.clone());
                self.plan.units.push(unit);
            }
        }
    }

    fn lock(&mut self, row: &LockRow) {
        let Some(property) = self.find_property(Sheet::Locks, row.line, &row.property) else {
            return;
        };
        let unit = match &row.unit {
            None => None,
            Some(name) => match self.find_unit(Sheet::Locks, row.line, &property, name) {
                Some(unit) => Some(unit.id),
                None => return,
            },
        };
        let at = unit.as_ref().map_or("", |unit| unit.as_str());
        let key = format!("{}\n{at}\n{}", property.id, row.name.as_str());
        if !self.is_first(Sheet::Locks, row.line, key) {
            return;
        }
        let door = ((property.id.clone(), unit.clone()), row.name.as_str().to_owned());
        if self.doors.contains(&door) {
            self.plan.unchanged.locks += 1;
            return;
        }
        let id = LockId::from_bits((self.fresh)());
        let lock = Lock::unclaimed(id, &property, unit, row.name.clone(), LockKind::Controller, self.now);
        self.plan.locks.push(lock);
    }

    fn tenancy(&mut self, row: &TenancyRow) {
        let sheet = Sheet::Tenancies;
        let Some(property) = self.find_property(sheet, row.line, &row.property) else {
            return;
        };
        let Some(unit) = self.find_unit(sheet, row.line, &property, &row.unit) else {
            return;
        };
        let Some(term) = self.term(row, &property) else { return };
        if !self.is_only_stay(row, &unit, term) {
            return;
        }
        let resident = self.residents.get(&row.email).cloned();
        let stands = self.standing(row, &unit, resident.as_ref(), term);
        match stands {
            Standing::Same => {
                self.plan.unchanged.tenancies += 1;
                return;
            }
            Standing::Other(column, why) => return self.complain(sheet, row.line, column, why),
            Standing::New => {}
        }
        if let Err(bad) = term.check(self.now) {
            let column = match bad {
                BadTerm::EndsBeforeStart | BadTerm::EndsInPast => "until",
            };
            return self.complain(sheet, row.line, column, bad);
        }
        let member = match resident {
            Some(Resident {
                role: Some(Role::Service),
                ..
            }) => return self.complain(sheet, row.line, "email", "a program lives nowhere"),
            Some(Resident { person, role: Some(_) }) => Some(person),
            _ => None,
        };
        self.plan.stays.push(Stay {
            line: row.line,
            unit,
            email: row.email.clone(),
            member,
            term,
        });
    }

    /// From when to when, by the clock of the property; complains of days that are none.
    fn term(&mut self, row: &TenancyRow, property: &Property) -> Option<Term> {
        let zone = &property.time_zone;
        let starts_at = moment(&row.from, zone, Edge::First);
        let ends_at = row
            .until
            .as_ref()
            .map(|until| moment(until, zone, Edge::Last))
            .transpose();
        let mut wrong = false;
        for (column, bad) in [("from", starts_at.err()), ("until", ends_at.err())] {
            if let Some(why) = bad {
                wrong = true;
                self.complain(Sheet::Tenancies, row.line, column, why);
            }
        }
        match (starts_at, ends_at) {
            (Ok(starts_at), Ok(ends_at)) if !wrong => Some(Term { starts_at, ends_at }),
            _ => None,
        }
    }

    /// Whether no row before has the same person there at that time; complains where one does.
    fn is_only_stay(&mut self, row: &TenancyRow, unit: &Unit, term: Term) -> bool {
        let stays = self.stays.entry((unit.id.clone(), row.email.clone())).or_default();
        let other = stays.iter().find(|(_, other)| *other == term || other.overlaps(term));
        let why = other.map(|(line, _)| format!("line {line} has the same person there at that time"));
        stays.push((row.line, term));
        match why {
            None => true,
            Some(why) => {
                self.complain(Sheet::Tenancies, row.line, "email", why);
                false
            }
        }
    }

    /// What stands of the stay.
    fn standing(&self, row: &TenancyRow, unit: &Unit, resident: Option<&Resident>, term: Term) -> Standing {
        let key = resident.map(|resident| (unit.id.clone(), resident.person.clone()));
        let of_person = key.and_then(|key| self.tenancies.get(&key));
        let given = of_person.into_iter().flatten().map(|tenancy| tenancy.term);
        let invited = self.invited.get(&(unit.id.clone(), row.email.clone()));
        let promised = invited.into_iter().flatten().copied();
        let mut stands = Standing::New;
        for other in given.chain(promised) {
            if other == term {
                return Standing::Same;
            }
            if other.starts_at == term.starts_at {
                let why = "the tenancy stands here with another end: change it here or in the table";
                stands = Standing::Other("until", why);
            } else if other.overlaps(term) {
                stands = Standing::Other("from", "the person lives in this unit at that time already");
            }
        }
        stands
    }
}

/// How a row of the table is related to what is known.
enum Standing {
    /// It is new.
    New,
    /// It stands as it is.
    Same,
    /// Another stands in its place: in which column that shows, and why.
    Other(&'static str, &'static str),
}
