//! The adapter's side of the talk with a device: one command at a time, believed only by what the device says of itself
//! while it is there, and given up in time. No clock and no network: times come in, deeds go out.

use std::time::Duration;

use doorward_lock::chain::Sensors;
use doorward_lock::controller::{Alarm, Hand, Input, Outcome};
use doorward_lock::wire::{Action, Bolt, Door};
use tokio::time::Instant;

use super::dialect::{Dialect, Held, Origin, Place, Proof, Report, Word};

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Until the device has taken a command; then it is given up.
    pub taken: Duration,
    /// Until the bolt is there; less than the lock's own limit.
    pub arrived: Duration,
    /// From the state of the bolt to the word on who moved it.
    pub cause: Duration,
    /// Until a device that was asked for what it already is counts as having agreed: many say nothing then.
    pub agreed: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            taken: Duration::from_secs(5),
            arrived: Duration::from_secs(25),
            cause: Duration::from_secs(2),
            agreed: Duration::from_secs(3),
        }
    }
}

/// How long a word on who moves the bolt belongs to the next movement, and a command that was given up to a late one.
const REMEMBERED: Duration = Duration::from_secs(30);

/// How many wrong codes within [`WRONG_WITHIN`] are an alarm.
const WRONG_CODES: usize = 5;

/// See [`WRONG_CODES`].
const WRONG_WITHIN: Duration = Duration::from_secs(5 * 60);

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deed {
    /// Publish this.
    Say(Word),
    /// The movement has ended.
    End(Outcome),
    /// Tell the lock.
    Tell(Input<'static>),
    /// The device holds this in the slot.
    Slot(u16, Held),
    /// Everything said before has become old: begin with new filters.
    ListenAnew,
}

/// The command that the device was asked to carry out.
#[derive(Debug, Clone, Copy)]
struct Asked {
    action: Action,
    at: Instant,
    /// Whether the bolt was there already.
    was_there: bool,
    /// Whether the device has begun.
    is_taken: bool,
    /// Whether the device has named the command as the cause.
    is_named: bool,
}

/// The talk with one device.
pub(super) struct Dialogue {
    dialect: Box<dyn Dialect>,
    patience: Patience,
    filters: Vec<String>,
    is_linked: bool,
    /// Whether the device says that it is there.
    is_there: bool,
    /// Where the bolt is, since the device came.
    place: Option<Place>,
    /// Its last end, by the device's own word since it came.
    last: Option<Place>,
    /// Whether `place` was said and not merely kept by the broker.
    is_said: bool,
    door: Door,
    battery: Option<u8>,
    asked: Option<Asked>,
    /// A command that was given up and may come about yet.
    given_up: Option<(Action, Instant)>,
    /// Who moves, or has just moved, the bolt.
    mover: Option<(Action, Origin, Instant)>,
    /// A movement of which nobody has said whose it is.
    unexplained: Option<(Action, Instant)>,
    wrong_codes: Vec<Instant>,
}

impl Dialogue {
    pub(super) fn new(dialect: Box<dyn Dialect>, patience: Patience) -> Self {
        Self {
            filters: dialect.filters(),
            dialect,
            patience,
            is_linked: false,
            is_there: false,
            place: None,
            last: None,
            is_said: false,
            door: Door::Unknown,
            battery: None,
            asked: None,
            given_up: None,
            mover: None,
            unexplained: None,
            wrong_codes: Vec::new(),
        }
    }

    pub(super) fn filters(&self) -> Vec<String> {
        self.filters.clone()
    }

    /// Whether the device can be asked now.
    pub(super) fn is_present(&self) -> bool {
        self.is_linked && self.is_there
    }

    /// Whether PINs can be put on the device now.
    pub(super) fn keeps_pins(&self) -> bool {
        self.is_present() && !self.dialect.keep_pin(1, None).is_empty()
    }

    /// The words that keep a PIN in a slot of the device; empty where that cannot be done now.
    pub(super) fn keep_pin(&self, slot: u16, digits: Option<&str>) -> Vec<Word> {
        if self.is_present() {
            self.dialect.keep_pin(slot, digits)
        } else {
            Vec::new()
        }
    }

    /// The link stands. What the broker keeps may have come before.
    pub(super) fn linked(&mut self) -> Vec<Deed> {
        self.is_linked = true;
        self.is_there |= self.dialect.is_there_unasked();
        self.came()
    }

    /// The link is gone, and with it everything that was known.
    pub(super) fn unlinked(&mut self) -> Vec<Deed> {
        self.is_linked = false;
        self.dialect.forget();
        self.gone()
    }

    /// A message came.
    pub(super) fn heard(&mut self, topic: &str, payload: &[u8], is_retained: bool, now: Instant) -> Vec<Deed> {
        let Ok(payload) = std::str::from_utf8(payload) else {
            return Vec::new();
        };
        let reports = self.dialect.read(topic, payload);
        let filters = self.dialect.filters();
        if filters != self.filters {
            self.filters = filters;
            let mut deeds = self.gone();
            deeds.push(Deed::ListenAnew);
            return deeds;
        }
        let mut deeds = Vec::new();
        for report in reports {
            deeds.extend(if is_retained {
                self.believe_kept(report)
            } else {
                self.believe(report, now)
            });
        }
        deeds
    }

    /// Asks the device, if it is there.
    pub(super) fn ask(&mut self, action: Action, now: Instant) -> Vec<Deed> {
        let word = self.dialect.command(action).filter(|_| self.is_present());
        let Some(word) = word else {
            return vec![Deed::End(Outcome::Away)];
        };
        let mut deeds = self.explain(Hand::Manual);
        self.given_up = None;
        self.mover = None;
        self.asked = Some(Asked {
            action,
            at: now,
            was_there: self.is_at(action),
            is_taken: false,
            is_named: false,
        });
        deeds.push(Deed::Say(word));
        deeds
    }

    /// The broker did not take the command; the device may have it all the same.
    pub(super) fn not_taken(&mut self, now: Instant) -> Vec<Deed> {
        self.give_up(now)
    }

    /// When [`Self::pass`] has something to do next.
    pub(super) fn due(&self) -> Option<Instant> {
        let asked = self.asked.map(|asked| self.limit(&asked));
        let unexplained = self.unexplained.map(|(_, since)| since + self.patience.cause);
        [asked, unexplained].into_iter().flatten().min()
    }

    /// Time has passed.
    pub(super) fn pass(&mut self, now: Instant) -> Vec<Deed> {
        let mut deeds = Vec::new();
        if self
            .unexplained
            .is_some_and(|(_, since)| since + self.patience.cause <= now)
        {
            deeds.extend(self.explain(Hand::Manual));
        }
        if let Some(asked) = self.asked.filter(|asked| self.limit(asked) <= now) {
            // It was there and is: the device has nothing to add.
            if asked.was_there && self.is_at(asked.action) && self.dialect.proof() == Proof::Place {
                deeds.extend(self.end(Outcome::Arrived));
            } else {
                deeds.extend(self.give_up(now));
            }
        }
        deeds
    }

    /// Whether the device has said, since it came, that the bolt is where `action` wants it.
    fn is_at(&self, action: Action) -> bool {
        self.is_said && self.place.is_some_and(|place| place.is_end_of(action))
    }

    /// How long the command may still go on as it is.
    fn limit(&self, asked: &Asked) -> Instant {
        let patience = if asked.is_taken {
            self.patience.arrived
        } else if asked.was_there && self.dialect.proof() == Proof::Place {
            self.patience.agreed
        } else {
            self.patience.taken
        };
        asked.at + patience
    }

    /// Takes in what the broker had kept, of whatever age: where things are, as long as the device is there to
    /// contradict. It tells of no movement, and confirms nothing.
    fn believe_kept(&mut self, report: Report) -> Vec<Deed> {
        match report {
            Report::There(is_there) => return self.there(is_there),
            Report::Bolt(place) if self.asked.is_none() => {
                self.place = Some(place);
                self.last = is_end(place).then_some(place);
                self.is_said = false;
            }
            Report::Door(door) => self.door = door,
            Report::Battery(percent) => self.battery = Some(percent),
            _ => return Vec::new(),
        }
        self.shown()
    }

    fn believe(&mut self, report: Report, now: Instant) -> Vec<Deed> {
        match report {
            Report::There(is_there) => self.there(is_there),
            Report::Bolt(place) => self.moved(place, now),
            Report::Operated(action, origin) => self.operated(action, origin, now),
            Report::Door(door) => {
                self.door = door;
                self.if_present(Input::Door(door))
            }
            Report::Battery(percent) => {
                self.battery = Some(percent);
                self.if_present(Input::Battery(percent))
            }
            Report::WrongCode => self.wrong_code(now),
            Report::Alarm(alarm) => vec![Deed::Tell(Input::Alarm(alarm))],
            Report::Slot(slot, held) => vec![Deed::Slot(slot, held)],
            Report::Refused => {
                tracing::info!("the device refused a command; nothing says whose");
                Vec::new()
            }
        }
    }

    fn if_present(&self, input: Input<'static>) -> Vec<Deed> {
        let is_present = self.is_present();
        is_present.then_some(Deed::Tell(input)).into_iter().collect()
    }

    fn there(&mut self, is_there: bool) -> Vec<Deed> {
        if self.is_there == is_there {
            return Vec::new();
        }
        if is_there {
            self.is_there = true;
            return self.came();
        }
        self.gone()
    }

    /// The device is there, if the link is: what can be seen by now, and questions about the rest.
    fn came(&self) -> Vec<Deed> {
        if !self.is_present() {
            return Vec::new();
        }
        let questions = self.dialect.questions();
        questions.into_iter().map(Deed::Say).chain(self.shown()).collect()
    }

    /// Nothing is known any more: what was seen may be otherwise now, and what was asked may have come about.
    fn gone(&mut self) -> Vec<Deed> {
        let mut deeds = self.explain(Hand::Manual);
        (self.is_there, self.is_said) = (false, false);
        (self.place, self.last, self.mover, self.given_up) = (None, None, None, None);
        (self.door, self.battery) = (Door::Unknown, None);
        if self.asked.take().is_some() {
            deeds.push(Deed::End(Outcome::NoAnswer));
        }
        deeds.push(Deed::Tell(Input::Seen(self.sensors())));
        deeds
    }

    fn moved(&mut self, place: Place, now: Instant) -> Vec<Deed> {
        let before = self.last;
        self.last = is_end(place).then_some(place).or(before);
        self.place = Some(place);
        self.is_said = true;
        let Some(action) = end_of(place) else {
            return self.between(place);
        };
        let is_new = before.is_some_and(|before| before != place);
        let mover = self.mover.take_if(|(moved, _, _)| *moved == action);
        let mover = mover
            .filter(|(_, _, at)| now < *at + REMEMBERED)
            .map(|(_, origin, _)| origin);
        if let Some(Origin::Hand(hand)) = mover {
            // Before the first word nothing is known to have changed, but somebody is said to have moved it.
            if is_new || before.is_none() {
                return self.at_hand(action, hand);
            }
        }
        if let Some(asked) = self.asked.filter(|asked| asked.action == action) {
            let is_proven = match self.dialect.proof() {
                Proof::CauseAndPlace => asked.is_named || mover == Some(Origin::Command),
                Proof::Place => is_new || !asked.was_there,
            };
            return if is_proven {
                self.end(Outcome::Arrived)
            } else {
                Vec::new()
            };
        }
        if self.asked.is_some() && !is_new {
            // The bridge repeats what it remembers.
            return Vec::new();
        }
        if before.is_none() {
            return self.shown();
        }
        if !is_new {
            return Vec::new();
        }
        let mut deeds = self.explain(Hand::Manual);
        deeds.extend(match mover {
            Some(_) => self.by_command(action, now),
            None if self.dialect.proof() == Proof::Place && self.is_late(action, now) => self.by_command(action, now),
            None if self.dialect.names_causes() => {
                self.unexplained = Some((action, now));
                Vec::new()
            }
            None => vec![Deed::Tell(Input::Bolt(bolt_of(action), Hand::Manual))],
        });
        deeds
    }

    /// The bolt is at neither end.
    fn between(&mut self, place: Place) -> Vec<Deed> {
        match (place, &mut self.asked) {
            (Place::Moving, Some(asked)) => {
                asked.is_taken = true;
                Vec::new()
            }
            (Place::Stuck, Some(_)) => self.end(Outcome::Jammed),
            (Place::Stuck, None) => {
                self.last = None;
                vec![Deed::Tell(Input::Bolt(Bolt::Unknown, Hand::Auto))]
            }
            (_, Some(_)) => Vec::new(),
            (_, None) => self.shown(),
        }
    }

    /// The device says who moves the bolt.
    fn operated(&mut self, action: Action, origin: Origin, now: Instant) -> Vec<Deed> {
        if self.unexplained.is_some_and(|(moved, _)| moved == action) {
            return match origin {
                Origin::Hand(hand) => self.explain(hand),
                Origin::Command => {
                    self.unexplained = None;
                    self.by_command(action, now)
                }
            };
        }
        if let (Origin::Command, Some(asked)) = (origin, &mut self.asked)
            && asked.action == action
        {
            (asked.is_named, asked.is_taken) = (true, true);
            let is_there = self.is_at(action);
            return if is_there {
                self.end(Outcome::Arrived)
            } else {
                Vec::new()
            };
        }
        // Where the bolt is there already, nothing will move: the word came twice, or after its movement.
        if !self.is_at(action) {
            self.mover = Some((action, origin, now));
        }
        Vec::new()
    }

    /// Somebody at the door has moved the bolt.
    fn at_hand(&mut self, action: Action, hand: Hand) -> Vec<Deed> {
        let mut deeds = self.explain(Hand::Manual);
        if let Some(asked) = &mut self.asked {
            // Somebody was faster: the device has nothing to do, and may not say so.
            asked.was_there = asked.action == action;
        }
        deeds.push(Deed::Tell(Input::Bolt(bolt_of(action), hand)));
        deeds
    }

    /// A command moved the bolt for which nobody waits any more: the last one, late, or one that nobody here gave.
    fn by_command(&mut self, action: Action, now: Instant) -> Vec<Deed> {
        let is_late = self.is_late(action, now);
        self.given_up = None;
        let input = if is_late {
            tracing::warn!("the device carried out a command that had been given up");
            Input::Late
        } else {
            tracing::warn!("the device carried out a command that did not come from this adapter");
            Input::Bolt(bolt_of(action), Hand::Auto)
        };
        vec![Deed::Tell(input)]
    }

    fn is_late(&self, action: Action, now: Instant) -> bool {
        self.given_up
            .is_some_and(|(given_up, at)| given_up == action && now < at + REMEMBERED)
    }

    /// Tells of the movement that nobody has claimed.
    fn explain(&mut self, hand: Hand) -> Vec<Deed> {
        let moved = self.unexplained.take();
        moved
            .map(|(action, _)| Deed::Tell(Input::Bolt(bolt_of(action), hand)))
            .into_iter()
            .collect()
    }

    fn give_up(&mut self, now: Instant) -> Vec<Deed> {
        let Some(asked) = self.asked.take() else {
            return Vec::new();
        };
        self.given_up = Some((asked.action, now));
        self.ended(Outcome::NoAnswer)
    }

    fn end(&mut self, outcome: Outcome) -> Vec<Deed> {
        self.asked = None;
        self.ended(outcome)
    }

    /// The end of a movement, and where the bolt is by the device's word, which the lock does not know after a jam.
    fn ended(&self, outcome: Outcome) -> Vec<Deed> {
        let mut deeds = vec![Deed::End(outcome)];
        if outcome != Outcome::Arrived {
            deeds.extend(self.shown());
        }
        deeds
    }

    fn wrong_code(&mut self, now: Instant) -> Vec<Deed> {
        self.wrong_codes.retain(|at| now < *at + WRONG_WITHIN);
        self.wrong_codes.push(now);
        if self.wrong_codes.len() < WRONG_CODES {
            return Vec::new();
        }
        self.wrong_codes.clear();
        vec![Deed::Tell(Input::Alarm(Alarm::WrongCodeLimit))]
    }

    /// What can be seen now, while the device is there to be seen.
    fn shown(&self) -> Vec<Deed> {
        let is_present = self.is_present();
        let seen = is_present.then(|| Deed::Tell(Input::Seen(self.sensors())));
        seen.into_iter().collect()
    }

    fn sensors(&self) -> Sensors {
        let bolt = self.place.and_then(end_of).map_or(Bolt::Unknown, bolt_of);
        Sensors {
            bolt,
            door: self.door,
            battery: self.battery,
        }
    }
}

/// The action that ends here; none for a place between the ends.
fn end_of(place: Place) -> Option<Action> {
    match place {
        Place::Locked => Some(Action::Lock),
        Place::Unlocked => Some(Action::Unlock),
        Place::Moving | Place::Stuck | Place::Unknown => None,
    }
}

fn is_end(place: Place) -> bool {
    end_of(place).is_some()
}

fn bolt_of(action: Action) -> Bolt {
    match action {
        Action::Lock => Bolt::Locked,
        Action::Unlock => Bolt::Unlocked,
    }
}
