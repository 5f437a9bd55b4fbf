//! What the documents say against what the sources say.

use std::collections::BTreeSet;

use crate::fixtures::sources::{below, read, root};

/// What comes before the word of a problem, up to the quotation mark: a refusal of the use cases, and answers of the edge.
const BEFORE_WORDS: [&str; 3] = ["word:", "unavailable(", "StatusCode::"];

/// Adds a landlord on the command line, and never over HTTP.
const OFF_LINE: &str = "src/app/bootstrap.rs";

/// The words of problems that a source makes.
fn words(source: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for marker in BEFORE_WORDS {
        for after in source.split(marker).skip(1) {
            let after = match marker {
                "StatusCode::" => {
                    let status = |c: char| c.is_ascii_uppercase() || c == '_';
                    let Some(after) = after.trim_start_matches(status).strip_prefix(',') else {
                        continue;
                    };
                    after
                }
                _ => after,
            };
            let Some((word, _)) = after
                .trim_start()
                .strip_prefix('"')
                .and_then(|text| text.split_once('"'))
            else {
                continue;
            };
            words.insert(word.to_owned());
        }
    }
    words
}

/// What stands between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// The second column of the table of errors.
fn listed(document: &str) -> BTreeSet<String> {
    let (_, errors) = document.split_once("\n## Errors\n").unwrap();
    let (errors, _) = errors.split_once("\n## ").unwrap();
    let rows = errors.lines().filter(|line| line.starts_with("| "));
    rows.filter_map(|row| row.split('|').nth(2)).flat_map(quoted).collect()
}

#[test]
fn every_word_of_a_problem_is_documented_and_no_other() {
    let document = read(&root().join("docs/API.md"));
    let mut known = BTreeSet::new();
    for floor in ["src/app", "src/http"] {
        for path in below(&root().join(floor)) {
            if path != root().join(OFF_LINE) {
                known.extend(words(&read(&path)));
            }
        }
    }
    assert!(known.len() > 90, "{}", known.len());
    let is_said = |word: &&String| document.contains(&format!("`{word}`"));
    let unsaid: Vec<_> = known.iter().filter(|word| !is_said(word)).collect();
    assert!(unsaid.is_empty(), "docs/API.md does not have {unsaid:?}");
    let listed = listed(&document);
    let made_up: Vec<_> = listed.difference(&known).collect();
    assert!(made_up.is_empty(), "nothing answers {made_up:?}");
}

#[test]
fn words_are_found_however_they_stand() {
    for (source, found) in [
        (
            r#"Error::Conflict { word: "name-taken", why: "there is one" }"#,
            "name-taken",
        ),
        (
            "Self::new(\n    StatusCode::NOT_FOUND,\n    \"no-such-route\",",
            "no-such-route",
        ),
        (
            r#"Problem::new(StatusCode::IM_A_TEAPOT, "short-and-stout", "#,
            "short-and-stout",
        ),
        ("Self::unavailable(\n    \"busy\",", "busy"),
    ] {
        assert_eq!(words(source), BTreeSet::from([found.to_owned()]), "{source}");
    }
    for nothing in [
        "self.status() == StatusCode::OK",
        "word: &'static str,",
        "let word = \"name-taken\";",
    ] {
        assert_eq!(words(nothing), BTreeSet::new(), "{nothing}");
    }
    assert_eq!(
        listed(
            "\n## Errors\n| status | word | more members |\n|---|---|---|\n| 409 | PINs: `a`, `b` | `c` |\n\n## Next\n| 1 | `d` |"
        ),
        BTreeSet::from(["a".to_owned(), "b".to_owned()])
    );
}
