//! A door's contact and a battery that have topics of their own, beside a lock that does not speak of them: ESPHome's
//! `…/binary_sensor/…/state` and `…/sensor/…/state`, or any other plain word and number.

use doorward_lock::wire::Action;

use super::dialect::{self, Dialect, Proof, Report, Word};

/// A lock with such sensors beside it.
pub(super) struct WithSensors {
    pub(super) lock: Box<dyn Dialect>,
    pub(super) door: Option<String>,
    pub(super) battery: Option<String>,
}

impl Dialect for WithSensors {
    fn filters(&self) -> Vec<String> {
        let own = [&self.door, &self.battery].into_iter().flatten().cloned();
        self.lock.filters().into_iter().chain(own).collect()
    }

    fn read(&mut self, topic: &str, payload: &str) -> Vec<Report> {
        let mut reports = self.lock.read(topic, payload);
        if self.door.as_deref() == Some(topic) {
            reports.extend(dialect::door(payload).map(Report::Door));
        }
        if self.battery.as_deref() == Some(topic) {
            reports.extend(dialect::percent(payload).map(Report::Battery));
        }
        reports
    }

    fn command(&self, action: Action) -> Option<Word> {
        self.lock.command(action)
    }

    fn proof(&self) -> Proof {
        self.lock.proof()
    }

    fn names_causes(&self) -> bool {
        self.lock.names_causes()
    }

    fn is_there_unasked(&self) -> bool {
        self.lock.is_there_unasked()
    }

    fn forget(&mut self) {
        self.lock.forget();
    }

    fn questions(&self) -> Vec<Word> {
        self.lock.questions()
    }

    fn keep_pin(&self, slot: u16, digits: Option<&str>) -> Vec<Word> {
        self.lock.keep_pin(slot, digits)
    }
}

#[cfg(test)]
mod tests {
    use doorward_lock::wire::Door;

    use super::*;
    use crate::agent::adapter::esphome::EspHome;

    #[test]
    fn sensors_beside_a_lock_are_read_in_plain_words() {
        let mut lock = WithSensors {
            lock: Box::new(EspHome::new("hall/lock/front", false).unwrap()),
            door: Some("hall/binary_sensor/contact/state".into()),
            battery: Some("hall/sensor/battery/state".into()),
        };
        assert_eq!(lock.filters().len(), 4);
        for (topic, payload, expected) in [
            ("hall/binary_sensor/contact/state", "ON", Some(Report::Door(Door::Open))),
            (
                "hall/binary_sensor/contact/state",
                "OFF",
                Some(Report::Door(Door::Closed)),
            ),
            ("hall/binary_sensor/contact/state", "banana", None),
            ("hall/sensor/battery/state", "64.5", Some(Report::Battery(65))),
            ("hall/sensor/battery/state", "nan", None),
            ("hall/status", "online", Some(Report::There(true))),
            ("hall/sensor/other/state", "64", None),
        ] {
            assert_eq!(
                lock.read(topic, payload).first().copied(),
                expected,
                "{topic} {payload}"
            );
        }
    }
}
