//! What is read for the file, part by part. Every part is asked for as its owner would ask for it, so that the file has what
//! they may see when it is read, and nothing else.

use std::collections::VecDeque;
use std::fmt::Display;
use std::future::Future;
use std::str::FromStr;

use actix_web::web::{Bytes, Data};

use super::line::{FORM, KeyOfProgram, Line, OfProperty};
use crate::app::access_log::Filter;
use crate::app::books::Begun;
use crate::app::grants::Which;
use crate::app::invitations::Invitation;
use crate::app::tenancies::Filter as TenancyFilter;
use crate::app::{Actor, Error};
use crate::domain::ids::{OrganizationId, PersonId, PropertyId};
use crate::domain::page::{Page, PageRequest};
use crate::http::access_log::export::Reader as LogReader;
use crate::http::lockouts::Lockout;
use crate::http::locks::Lock;
use crate::http::rules::Rules;
use crate::http::tenancies::Tenancy;
use crate::http::{Service, export};

/// What the file has, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Head,
    Properties,
    Units,
    Locks,
    Members,
    Invitations,
    Programs,
    Keys,
    Tenancies,
    Grants,
    Visits,
    Lockouts,
    Ledger,
    Webhooks,
    Looks,
    Log,
    End,
}

impl Section {
    const ALL: [Self; 17] = [
        Self::Head,
        Self::Properties,
        Self::Units,
        Self::Locks,
        Self::Members,
        Self::Invitations,
        Self::Programs,
        Self::Keys,
        Self::Tenancies,
        Self::Grants,
        Self::Visits,
        Self::Lockouts,
        Self::Ledger,
        Self::Webhooks,
        Self::Looks,
        Self::Log,
        Self::End,
    ];
}

/// A file on its way.
pub(super) struct Reader {
    service: Data<Service>,
    who: Actor,
    organization: OrganizationId,
    begun: Begun,
    sections: VecDeque<Section>,
    /// How far the present section is read.
    after: Option<String>,
    /// Whose units are still to be read, and whose keys.
    properties: VecDeque<PropertyId>,
    programs: VecDeque<PersonId>,
    log: Option<LogReader>,
    lines: u64,
}

/// Lines, and where the section goes on; nowhere at its end.
type Part = (Vec<Line>, Option<String>);

impl Reader {
    pub(super) fn new(service: Data<Service>, who: Actor, organization: OrganizationId, begun: Begun) -> Self {
        Self {
            service,
            who,
            organization,
            begun,
            sections: Section::ALL.into(),
            after: None,
            properties: VecDeque::new(),
            programs: VecDeque::new(),
            log: None,
            lines: 0,
        }
    }

    /// The next part; `None` at the end.
    pub(super) async fn next(mut self) -> Result<Option<(Bytes, Self)>, Error> {
        while let Some(section) = self.sections.front().copied() {
            if section == Section::Log {
                match self.log_part().await? {
                    Some(part) => return Ok(Some((part, self))),
                    None => {
                        self.sections.pop_front();
                        continue;
                    }
                }
            }
            let (lines, after) = self.part(section).await?;
            self.after = after;
            if self.after.is_none() && !self.has_more(section) {
                self.sections.pop_front();
            }
            if !lines.is_empty() {
                self.lines += lines.len() as u64;
                return Ok(Some((export::lines(lines)?.into(), self)));
            }
        }
        Ok(None)
    }

    /// Whether something else is to be read in the section.
    fn has_more(&self, section: Section) -> bool {
        match section {
            Section::Units => !self.properties.is_empty(),
            Section::Keys => !self.programs.is_empty(),
            _ => false,
        }
    }

    async fn log_part(&mut self) -> Result<Option<Bytes>, Error> {
        let reader = match self.log.take() {
            Some(reader) => reader,
            None => {
                let app = &self.service.app;
                let view = app.log_view(&self.who, Some(self.organization.clone())).await?;
                let checkpoint = app.checkpoint(&view).await?;
                LogReader::of_lines(self.service.clone(), view, Filter::default(), checkpoint)?
            }
        };
        let Some((part, reader)) = reader.next().await? else {
            return Ok(None);
        };
        self.lines += part.iter().filter(|sign| **sign == b'\n').count() as u64;
        self.log = Some(reader);
        Ok(Some(part))
    }

    /// The next lines of the section, and where it goes on. Lists go over all that the caller may see: what is another
    /// organization's is left out.
    async fn part(&mut self, section: Section) -> Result<Part, Error> {
        let (service, who, organization) = (self.service.clone(), self.who.clone(), self.organization.clone());
        let app = &service.app;
        let (now, after) = (app.now(), self.after.take());
        let is_own = |of: &OrganizationId| *of == organization;
        match section {
            Section::Head => Ok((self.head().await?, None)),
            Section::Properties => {
                let (found, next) = page(after, |page| app.properties(&who, page)).await?;
                let mut lines = Vec::new();
                for property in found.into_iter().filter(|property| is_own(&property.organization)) {
                    let id = property.id.clone();
                    lines.push(Line::Property(Box::new(property.into())));
                    let rule = app.privacy(&who, id.clone()).await?.into();
                    lines.push(Line::Privacy(of_property(&id, rule)));
                    let policy = app.lockout_policy(&who, id.clone()).await?.into();
                    lines.push(Line::LockoutPolicy(of_property(&id, policy)));
                    for list in app.lockdown_lists(&who, id.clone()).await? {
                        lines.push(Line::LockdownList(of_property(&id, list.into())));
                    }
                    self.properties.push_back(id);
                }
                Ok((lines, next))
            }
            Section::Units => {
                let Some(property) = self.properties.front().cloned() else {
                    return Ok((Vec::new(), None));
                };
                let (found, next) = page(after, |page| app.units(&who, property, page)).await?;
                if next.is_none() {
                    self.properties.pop_front();
                }
                Ok((lines(found, |unit| Line::Unit(Box::new(unit.into()))), next))
            }
            Section::Locks => {
                let (found, next) = page(after, |page| app.locks(&who, None, page)).await?;
                let own = found.into_iter().filter(|lock| is_own(&lock.organization));
                Ok((lines(own, |lock| Line::Lock(Box::new(Lock::of(lock, now)))), next))
            }
            Section::Members => {
                let of = organization.clone();
                let (found, next) = page(after, |page| app.members(&who, of, page)).await?;
                Ok((lines(found, |member| Line::Member(Box::new(member.into()))), next))
            }
            Section::Invitations => {
                let (found, next) = page(after, |page| app.invitations(&who, page)).await?;
                let own = found.into_iter().filter(|invitation| is_own(&invitation.organization));
                let line = |invitation: Invitation| Line::Invitation(Box::new(invitation.into()));
                Ok((lines(own, line), next))
            }
            Section::Programs => {
                let of = organization.clone();
                let (found, next) = page(after, |page| app.service_accounts(&who, of, page)).await?;
                self.programs.extend(found.iter().map(|account| account.id.clone()));
                Ok((
                    lines(found, |account| Line::ServiceAccount(Box::new(account.into()))),
                    next,
                ))
            }
            Section::Keys => {
                let Some(program) = self.programs.front().cloned() else {
                    return Ok((Vec::new(), None));
                };
                let of = program.clone();
                let (found, next) = page(after, |page| app.keys_of(&who, of, page)).await?;
                if next.is_none() {
                    self.programs.pop_front();
                }
                let own = found.into_iter().filter(|key| is_own(&key.organization));
                let line = |key: crate::domain::api_key::ApiKey| {
                    let (person_id, key) = (program.clone(), Box::new(key.into()));
                    Line::ApiKey(KeyOfProgram { person_id, key })
                };
                Ok((lines(own, line), next))
            }
            Section::Tenancies => {
                let filter = TenancyFilter::default();
                let (found, next) = page(after, |page| app.tenancies(&who, filter, page)).await?;
                let own = found.into_iter().filter(|named| is_own(&named.tenancy.organization));
                let line = |named| Line::Tenancy(Box::new(Tenancy::of(named, now)));
                Ok((lines(own, line), next))
            }
            Section::Grants => {
                let (found, next) = page(after, |page| app.grants(&who, Which::default(), page)).await?;
                let own = found.into_iter().filter(|shown| is_own(&shown.grant.organization));
                Ok((lines(own, |shown| Line::Grant(Box::new(shown.into()))), next))
            }
            Section::Visits => {
                let (found, next) = page(after, |page| app.visits(&who, None, page)).await?;
                let own = found.into_iter().filter(|shown| is_own(&shown.visit.organization));
                Ok((lines(own, |shown| Line::Visit(Box::new(shown.into()))), next))
            }
            Section::Lockouts => {
                let (found, next) = page(after, |page| app.lockouts(&who, false, page)).await?;
                let own = found.into_iter().filter(|shown| is_own(&shown.lockout.organization));
                let line = |shown| Line::Lockout(Box::new(Lockout::of(shown, now)));
                Ok((lines(own, line), next))
            }
            Section::Ledger => {
                let (found, next) = page(after, |page| app.ledger(&who, page)).await?;
                let own = found.into_iter().filter(|line| is_own(&line.organization));
                Ok((lines(own, |line| Line::Ledger(Box::new(line.into()))), next))
            }
            Section::Webhooks => {
                let (found, next) = page(after, |page| app.webhooks(&who, page)).await?;
                let own = found.into_iter().filter(|shown| is_own(&shown.webhook.organization));
                Ok((lines(own, |shown| Line::Webhook(Box::new(shown.into()))), next))
            }
            Section::Looks => {
                let (found, next) = page(after, |page| app.looks(&who, page)).await?;
                let own = found.into_iter().filter(|named| is_own(&named.look.organization));
                Ok((lines(own, |named| Line::Look(Box::new(named.into()))), next))
            }
            Section::Log => Ok((Vec::new(), None)),
            Section::End => Ok((vec![Line::End { lines: self.lines }], None)),
        }
    }

    async fn head(&self) -> Result<Vec<Line>, Error> {
        let app = &self.service.app;
        let rules = app.rules(&self.who, self.organization.clone()).await?;
        Ok(vec![
            Line::Organization {
                form: FORM,
                id: self.organization.clone(),
                name: self.begun.name.clone(),
                exported_at: self.begun.at,
                exported_by: self.who.person.clone(),
            },
            Line::Rules(Box::new(Rules::of(&rules, app.now()))),
        ])
    }
}

fn of_property<T>(property: &PropertyId, rule: T) -> OfProperty<T> {
    OfProperty {
        property_id: property.clone(),
        rule: Box::new(rule),
    }
}

fn lines<T>(found: impl IntoIterator<Item = T>, line: impl Fn(T) -> Line) -> Vec<Line> {
    found.into_iter().map(line).collect()
}

/// The page that comes after `after`, and what to ask for next.
async fn page<T, K, F>(
    after: Option<String>,
    ask: impl FnOnce(PageRequest<K>) -> F,
) -> Result<(Vec<T>, Option<String>), Error>
where
    K: FromStr<Err: std::error::Error + Send + Sync + 'static> + Display,
    F: Future<Output = Result<Page<T, K>, Error>>,
{
    let after = after.map(|key| key.parse()).transpose();
    let after = after.map_err(|bad: K::Err| Error::Internal("reading on in an export", bad.into()))?;
    let limit = PageRequest::<K>::MOST;
    let Page { items, next } = ask(PageRequest { limit, after }).await?;
    Ok((items, next.map(|key| key.to_string())))
}
