//! A letter as it leaves: subject, text and HTML.

use minijinja::Environment;
use minijinja::value::Serde;
use serde::Serialize;

use super::words::{Words, words_of};
use crate::domain::letter::Letter;

/// A template does not fit its words: a mistake in this program.
#[derive(Debug, thiserror::Error)]
#[error("a letter's template does not fit")]
pub struct BadTemplate(#[from] minijinja::Error);

/// A letter as it leaves.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) subject: &'static str,
    pub(super) text: String,
    pub(super) html: String,
}

/// The templates, read once.
pub(super) struct Templates {
    environment: Environment<'static>,
    /// Where the house is: in every letter, so that people can tell it from another one's.
    public_url: String,
}

#[derive(Serialize)]
struct Places<'a> {
    #[serde(flatten)]
    words: &'a Words,
    public_url: &'a str,
}

impl Templates {
    pub(super) fn new(public_url: String) -> Result<Self, BadTemplate> {
        let mut environment = Environment::new();
        environment.add_template("letter.txt", include_str!("letter.txt"))?;
        // What stands in a template whose name ends so is escaped by itself.
        environment.add_template("letter.html", include_str!("letter.html"))?;
        Ok(Self {
            environment,
            public_url,
        })
    }

    pub(super) fn draft(&self, letter: &Letter) -> Result<Draft, BadTemplate> {
        let words = words_of(letter);
        let places = Places {
            words: &words,
            public_url: &self.public_url,
        };
        let written = |name: &str| self.environment.get_template(name)?.render(Serde(&places));
        Ok(Draft {
            subject: words.subject,
            text: written("letter.txt")?,
            html: written("letter.html")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::letter::Item;
    use crate::domain::notice::Kind;
    use crate::domain::time::Timestamp;
    use crate::mail::words::{SOMETHING, sentence};

    fn draft(letter: &Letter) -> Draft {
        let templates = Templates::new("https://door.example".to_owned()).unwrap();
        templates.draft(letter).unwrap()
    }

    fn item(kind: Kind, lock: &str) -> Item {
        Item {
            kind,
            organization: "Lindenhof".to_owned().try_into().unwrap(),
            lock: Some(lock.to_owned().try_into().unwrap()),
            unit: None,
            at: "2026-03-29T01:30:00Z".parse().unwrap(),
            zone: Some("Europe/Vienna".parse().unwrap()),
        }
    }

    #[test]
    fn news_say_what_where_and_when_by_the_clock_of_the_house() {
        let news = Letter::News {
            items: vec![item(Kind::AccessGiven, "Front door")],
            more: 2,
        };
        let Draft { subject, text, html } = draft(&news);
        for part in [
            "Access was given to you",
            "“Front door”, “Lindenhof”",
            // The clock went forward at two that night.
            "Sunday 29 March 2026, 03:30 CEST",
            "And 2 more",
            "https://door.example",
        ] {
            assert!(text.contains(part), "{part} in {text}");
            // Of the escaped signs it is the only one here.
            assert!(html.replace("&#x2f;", "/").contains(part), "{part} in {html}");
        }
        assert!(!subject.contains("Front") && !subject.contains("Lindenhof"));
    }

    #[test]
    fn a_code_stands_alone_on_its_line_and_not_in_the_subject() {
        let letter = Letter::IdentityCode {
            organization: "Lindenhof".to_owned().try_into().unwrap(),
            code: "482913".to_owned(),
            minutes: 10,
        };
        let Draft { subject, text, html } = draft(&letter);
        assert!(text.lines().any(|line| line.trim() == "482913"), "{text}");
        assert!(html.contains(">482913<"), "{html}");
        assert!(!subject.contains("482913"));
        assert!(text.contains("10 minutes"));
    }

    #[test]
    fn hostile_names_stay_names() {
        for name in [
            "<script>alert(1)</script>",
            "</p><a href=https://evil.example>Sign in",
            "{{ public_url }}{% raw %}",
            "\"'&<>`",
        ] {
            let news = Letter::News {
                items: vec![item(Kind::AccessGiven, name)],
                more: 0,
            };
            let Draft { text, html, .. } = draft(&news);
            assert!(text.contains(&format!("“{name}”")), "{text}");
            assert!(
                !html.contains("<script") && !html.contains("<a href=https://evil"),
                "{html}"
            );
            assert!(!html.contains("door.example”"), "{html}");
        }
    }

    #[test]
    fn every_kind_of_notice_has_its_sentence() {
        let sentences: std::collections::BTreeSet<&str> = Kind::ALL.iter().map(|kind| sentence(*kind)).collect();
        assert_eq!(sentences.len(), Kind::ALL.len());
        assert!(!sentences.contains(SOMETHING), "write one in `src/mail/words.rs`");
    }

    #[test]
    fn without_a_place_the_time_is_universal() {
        let news = Letter::News {
            items: vec![Item {
                at: Timestamp::MIN,
                zone: None,
                ..item(Kind::AccessGiven, "Front door")
            }],
            more: 0,
        };
        assert!(draft(&news).text.contains("Thursday 1 January 1970, 00:00 UTC"));
    }
}
