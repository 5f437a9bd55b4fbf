//! What Home Assistant's broker keeps of us: what should stand there, what does, and the difference that is sent. So only
//! what has changed is said, and what was missed is made good by the next comparison.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use futures_util::StreamExt as _;

use super::discovery::{self, config, event, has, states};
use super::topics::{Part, Topics};
use crate::app::shown::{Alarm, ShownLock};
use crate::domain::ids::LockId;
use crate::domain::time::Timestamp;
use crate::mqtt::foreign_link::{ForeignLink, Note};

/// How long a message may take to the broker.
const WITHIN: Duration = Duration::from_secs(5);
/// How many are on their way at once.
const SIDE_BY_SIDE: usize = 32;

/// What should stand and what stands, by topic.
pub(super) struct Board {
    topics: Topics,
    /// What should stand of each lock that is shown: its configurations, then its states.
    wanted: BTreeMap<LockId, Wanted>,
    /// What the broker has taken on this connection.
    standing: HashMap<String, String>,
    /// Topics whose kept message is to go.
    unwanted: BTreeSet<String>,
    /// Locks of which the broker kept configurations when this connection began, by topic.
    found: BTreeMap<String, Option<LockId>>,
    /// Whether all that is shown was read on this connection: until then nobody knows what is not.
    is_whole: bool,
}

#[derive(Default)]
struct Wanted {
    configs: Vec<(String, String)>,
    states: Vec<(String, String)>,
}

impl Board {
    pub(super) fn new(topics: Topics) -> Self {
        Self {
            topics,
            wanted: BTreeMap::new(),
            standing: HashMap::new(),
            unwanted: BTreeSet::new(),
            found: BTreeMap::new(),
            is_whole: false,
        }
    }

    /// Nothing is known of what stands: the connection is another one.
    pub(super) fn forget(&mut self) {
        self.say_again();
        self.found.clear();
        self.is_whole = false;
    }

    /// Everything is to be said again.
    pub(super) fn say_again(&mut self) {
        self.standing.clear();
    }

    /// The broker keeps a configuration of ours from before this connection.
    pub(super) fn found(&mut self, topic: &str, lock: Option<LockId>) {
        self.found.insert(topic.to_owned(), lock);
    }

    /// Whether the lock is shown.
    pub(super) fn shows(&self, lock: &LockId) -> bool {
        self.wanted.contains_key(lock)
    }

    /// Puts these locks up as they are at `now`. Of those that `among` names the others are taken down; where it names
    /// none, all others are.
    pub(super) fn put(&mut self, found: &[ShownLock], among: Option<&[LockId]>, now: Timestamp) {
        let there: BTreeSet<&LockId> = found.iter().map(|shown| &shown.lock.id).collect();
        let gone: Vec<LockId> = match among {
            Some(among) => among.iter().filter(|lock| !there.contains(lock)).cloned().collect(),
            None => self
                .wanted
                .keys()
                .filter(|lock| !there.contains(lock))
                .cloned()
                .collect(),
        };
        for lock in gone {
            self.take_down(&lock);
        }
        for shown in found {
            let (lock, topics) = (&shown.lock, &self.topics);
            let before = self.wanted.get(&lock.id);
            let mut configs = Vec::new();
            for part in Part::ALL {
                let topic = topics.config(&lock.id, part);
                // A sensor that has fallen silent is not taken away: its owner may have given it a name there.
                let was = before.is_some_and(|before| before.configs.iter().any(|(known, _)| *known == topic));
                if was || has(lock, part) || self.found.contains_key(&topic) {
                    configs.push((topic, config(topics, lock, part).to_string()));
                }
            }
            let states = states(topics, shown, now);
            for (topic, _) in configs.iter().chain(&states) {
                self.unwanted.remove(topic);
            }
            self.wanted.insert(lock.id.clone(), Wanted { configs, states });
        }
        if among.is_none() {
            self.is_whole = true;
            self.find_unwanted();
        }
    }

    fn take_down(&mut self, lock: &LockId) {
        if self.wanted.remove(lock).is_none() {
            return;
        }
        let configs = Part::ALL.map(|part| self.topics.config(lock, part));
        let standing = configs.into_iter().chain(self.topics.kept_states(lock));
        self.unwanted.extend(standing);
    }

    /// Looks through what the broker kept from before for what should not stand any more.
    fn find_unwanted(&mut self) {
        if !self.is_whole {
            return;
        }
        for (topic, lock) in std::mem::take(&mut self.found) {
            let wanted = lock.as_ref().and_then(|lock| self.wanted.get(lock));
            let is_ours = Part::ALL.iter().any(|part| {
                lock.as_ref()
                    .is_some_and(|lock| self.topics.config(lock, *part) == topic)
            });
            match (&lock, wanted) {
                (Some(_), Some(_)) if is_ours => _ = self.found.insert(topic, lock),
                (Some(lock), None) => {
                    self.unwanted.extend(self.topics.kept_states(lock));
                    self.unwanted.insert(topic);
                }
                _ => _ = self.unwanted.insert(topic),
            }
        }
    }

    /// Says what has changed of these locks, or of all; whether all of it was said.
    pub(super) async fn publish(&mut self, link: &ForeignLink, among: Option<&[LockId]>) -> bool {
        let wanted: Vec<&Wanted> = match among {
            Some(among) => among.iter().filter_map(|lock| self.wanted.get(lock)).collect(),
            None => self.wanted.values().collect(),
        };
        let new = |all: fn(&Wanted) -> &Vec<(String, String)>| {
            let all = wanted.iter().copied().flat_map(all);
            let new = all.filter(|(topic, text)| self.standing.get(topic) != Some(text));
            new.cloned().collect::<Vec<_>>()
        };
        let gone = self.unwanted.iter().map(|topic| (topic.clone(), String::new()));
        // What there is before how it is: Home Assistant then knows where to put it.
        let batches = [
            gone.collect(),
            new(|wanted| &wanted.configs),
            new(|wanted| &wanted.states),
        ];
        for batch in batches {
            if !self.say(link, batch).await {
                return false;
            }
        }
        true
    }

    /// Says that what stands is as it is now.
    pub(super) async fn say_online(&mut self, link: &ForeignLink) -> bool {
        let status = (self.topics.status(), discovery::ONLINE.to_owned());
        if self.standing.get(&status.0) == Some(&status.1) {
            return true;
        }
        self.say(link, vec![status]).await
    }

    /// Tells an alarm, to who listens now; whether the broker has it.
    pub(super) async fn tell(&self, link: &ForeignLink, alarm: &Alarm) -> bool {
        let topic = self.topics.state(&alarm.lock, Part::Alarm);
        let note = Note::passing(topic, event(alarm).to_string());
        link.publish(note, WITHIN).await.is_ok()
    }

    async fn say(&mut self, link: &ForeignLink, batch: Vec<(String, String)>) -> bool {
        let said = futures_util::stream::iter(batch).map(|(topic, text)| async move {
            let note = Note::kept(topic.clone(), text.clone());
            let taken = link.publish(note, WITHIN).await.is_ok();
            (topic, text, taken)
        });
        let mut said = said.buffer_unordered(SIDE_BY_SIDE);
        let mut all = true;
        while let Some((topic, text, taken)) = said.next().await {
            all &= taken;
            if taken && text.is_empty() {
                self.unwanted.remove(&topic);
                self.standing.remove(&topic);
            } else if taken {
                self.standing.insert(topic, text);
            }
        }
        all
    }
}
