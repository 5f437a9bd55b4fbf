//! The floors of `docs/ARCHITECTURE.md`: reads the sources and fails on an import that runs upward or beside, and on a
//! crate outside its floor.

use std::collections::BTreeSet;
use std::path::Path;

use crate::fixtures::sources::{below, read, root};

/// Every floor's parts, and the parts that each may import from; itself always.
const FLOORS: [(&str, &[&str]); 18] = [
    ("domain", &[]),
    ("config", &[]),
    ("crypto", &["domain"]),
    ("store", &["domain", "crypto"]),
    ("mqtt", &["domain", "crypto"]),
    ("mail", &["domain"]),
    ("hooks", &["domain"]),
    ("app", &["domain", "crypto", "store"]),
    ("client", &["domain", "crypto", "mqtt"]),
    ("agent", &["domain", "crypto", "mqtt", "client"]),
    ("phone", &["domain", "crypto", "client"]),
    ("http", &["domain", "crypto", "app"]),
    ("bridge", &["domain", "crypto", "mqtt", "app"]),
    ("jobs", &["domain", "app"]),
    ("inbox", &["domain", "app"]),
    (
        "server",
        &[
            "domain", "config", "crypto", "store", "mail", "hooks", "mqtt", "app", "agent", "http", "bridge", "jobs",
            "inbox",
        ],
    ),
    (
        "command",
        &[
            "domain", "config", "crypto", "store", "mqtt", "client", "app", "agent", "phone", "http", "server",
        ],
    ),
    ("main", &["command"]),
];

/// Crates that stay behind a fence, and where that is.
const FENCES: &[(&str, &[&str])] = &[
    ("diesel", &["store"]),
    ("diesel_migrations", &["store"]),
    ("libsqlite3_sys", &["store"]),
    ("pq_sys", &["store"]),
    ("actix_web", &["http", "server"]),
    ("utoipa", &["http"]),
    ("utoipa_actix_web", &["http"]),
    ("utoipa_swagger_ui", &["http"]),
    ("governor", &["http"]),
    ("ics", &["http"]),
    ("qrcode", &["http"]),
    ("lettre", &["mail"]),
    ("reqwest", &["hooks"]),
    ("rumqttc", &["mqtt"]),
    ("mqtt5", &["mqtt"]),
    ("jsonwebtoken", &["crypto"]),
    ("argon2", &["crypto"]),
    ("rcgen", &["crypto"]),
    ("aws_lc_rs", &["crypto", "agent"]),
    ("prometheus_client", &["app"]),
    ("clap", &["command", "main", "agent"]),
    ("tracing_subscriber", &["server"]),
];

/// What pure rules are made of: no clock, no randomness, no I/O.
const DOMAIN_CRATES: [&str; 9] = [
    "async_trait",
    "email_address",
    "iso_currency",
    "jiff",
    "serde",
    "serde_json",
    "thiserror",
    "url",
    "zeroize",
];

/// What is wrong with one file, of the part `part`, which is `depth` modules below the crate's root.
fn complaints(part: &str, depth: usize, source: &str, crates: &BTreeSet<String>) -> Vec<String> {
    let words = words(source);
    let allowed = FLOORS.iter().find(|(floor, _)| *floor == part).map(|(_, below)| *below);
    let Some(allowed) = allowed else {
        return vec![format!("{part} is on no floor")];
    };
    let mut wrong = Vec::new();
    for used in floors_used(&words, depth) {
        if used != part && !allowed.contains(&used.as_str()) {
            wrong.push(format!("{part} imports from {used}"));
        }
    }
    for used in crates_used(&words, crates) {
        let fence = FENCES.iter().find(|(fenced, _)| *fenced == used);
        if fence.is_some_and(|(_, inside)| !inside.contains(&part)) {
            wrong.push(format!("{part} uses {used}"));
        }
        if part == "domain" && !DOMAIN_CRATES.contains(&used.as_str()) {
            wrong.push(format!("domain uses {used}"));
        }
    }
    wrong
}

/// The source as words and signs, without comments and texts.
fn words(source: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = length_of_text(rest) {
            length
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            words.push(rest[..end].to_owned());
            end
        } else if rest.starts_with("::") {
            words.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                words.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    words
}

/// How long the text or character is that `source` begins with, if it begins with one.
fn length_of_text(source: &str) -> Option<usize> {
    let raw = source.strip_prefix("br").or_else(|| source.strip_prefix('r'));
    if let Some(raw) = raw {
        let hashes = raw.bytes().take_while(|byte| *byte == b'#').count();
        if raw[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let begin = source.len() - raw.len() + hashes + 1;
            return Some(
                source[begin..]
                    .find(&end)
                    .map_or(source.len(), |at| begin + at + end.len()),
            );
        }
    }
    let quote = match source.as_bytes() {
        [b'"', ..] => b'"',
        // A lifetime has no second quotation mark right after it.
        [b'\'', b'\\', ..] | [b'\'', _, b'\'', ..] => b'\'',
        _ => return None,
    };
    let mut escaped = false;
    let inside = source.bytes().skip(1).position(|byte| {
        let ends = byte == quote && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    Some(inside.map_or(source.len(), |at| at + 2))
}

/// The parts of this crate that paths lead to: by `crate::`, `doorward::` (from the command line) and `super::`.
fn floors_used(words: &[String], depth: usize) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let is_floor = |word: &str| FLOORS.iter().any(|(floor, _)| *floor == word);
    for (at, word) in words.iter().enumerate() {
        let is_first = at < 1 || words[at - 1] != "::";
        let begin = match word.as_str() {
            "crate" | "doorward" if is_first => at + 1,
            "super" if is_first => {
                let supers = words[at..]
                    .chunks(2)
                    .take_while(|pair| *pair == ["super", "::"])
                    .count();
                if supers < depth {
                    continue;
                }
                at + 2 * supers - 1
            }
            _ => continue,
        };
        if words.get(begin).map(String::as_str) != Some("::") {
            continue;
        }
        used.extend(heads(&words[begin + 1..]).into_iter().filter(|head| is_floor(head)));
    }
    used
}

/// The first names of what follows `::`: one, or those of a group in braces.
fn heads(words: &[String]) -> Vec<String> {
    match words {
        [brace, group @ ..] if brace == "{" => {
            let (mut heads, mut depth, mut is_head) = (Vec::new(), 1, true);
            for word in group {
                match word.as_str() {
                    "{" => depth += 1,
                    "}" => depth -= 1,
                    "," if depth == 1 => is_head = true,
                    name if is_head => {
                        heads.push(name.to_owned());
                        is_head = false;
                    }
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
            heads
        }
        [name, ..] => vec![name.clone()],
        [] => Vec::new(),
    }
}

/// The crates at the beginning of paths.
fn crates_used(words: &[String], crates: &BTreeSet<String>) -> BTreeSet<String> {
    let word = |at: Option<usize>| at.and_then(|at| words.get(at)).map(String::as_str);
    let begins_path = |at: usize| {
        let (before, twice_before) = (word(at.checked_sub(1)), word(at.checked_sub(2)));
        // `::diesel` begins at the root of all crates; `store::diesel` does not.
        let is_first = match before {
            Some("::") => twice_before.is_none_or(|name| !name.starts_with(|c: char| c.is_alphanumeric() || c == '>')),
            Some(".") => false,
            _ => true,
        };
        let leads_on = match word(Some(at + 1)) {
            Some("::") => true,
            Some(";" | "as") => before == Some("use"),
            _ => false,
        };
        is_first && leads_on
    };
    let used = words
        .iter()
        .enumerate()
        .filter(|(at, word)| crates.contains(*word) && begins_path(*at));
    used.map(|(_, word)| word.clone()).collect()
}

/// The crates that `Cargo.toml` names, as they are called in sources.
fn dependencies() -> BTreeSet<String> {
    let manifest: toml::Table = toml::from_str(&read(&root().join("Cargo.toml"))).unwrap();
    let names = manifest["dependencies"].as_table().unwrap().keys();
    names.map(|name| name.replace('-', "_")).collect()
}

/// The modules from the crate's root to the file.
fn modules(path: &Path) -> Vec<String> {
    let mut modules: Vec<String> = path
        .with_extension("")
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    if modules.last().is_some_and(|last| last == "mod") {
        modules.pop();
    }
    modules
}

#[test]
fn nothing_is_imported_from_above() {
    let (src, crates) = (root().join("src"), dependencies());
    let found = below(&src);
    assert!(found.len() > 100, "{}", found.len());
    let mut wrong = Vec::new();
    for path in found {
        let relative = path.strip_prefix(&src).unwrap();
        let modules = modules(relative);
        if modules == ["lib"] {
            continue;
        }
        for complaint in complaints(&modules[0], modules.len(), &read(&path), &crates) {
            wrong.push(format!("src/{}: {complaint}", relative.display()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_fence_is_around_a_dependency() {
    let crates = dependencies();
    for (fenced, _) in FENCES {
        assert!(crates.contains(*fenced), "{fenced}");
    }
}

#[test]
fn what_breaks_the_floors_is_noticed() {
    let crates = dependencies();
    for (part, depth, source, complaint) in [
        ("store", 2, "use crate::domain::ids::LockId;", None),
        ("store", 2, "use crate::app::App;", Some("store imports from app")),
        (
            "store",
            2,
            "use crate::{domain::ids, mqtt::link};",
            Some("store imports from mqtt"),
        ),
        ("store", 2, "use crate::{domain::{ids, app}, crypto};", None),
        (
            "http",
            2,
            "fn f() { crate::store::open(); }",
            Some("http imports from store"),
        ),
        ("app", 1, "use super::mqtt::link;", Some("app imports from mqtt")),
        ("app", 2, "use super::store;", None),
        ("app", 2, "use super::super::mqtt;", Some("app imports from mqtt")),
        ("agent", 2, "use doorward::app;", Some("agent imports from app")),
        ("command", 2, "use doorward::agent::bolt;", None),
        ("helpers", 1, "", Some("helpers is on no floor")),
        ("app", 2, "use diesel::prelude::*;", Some("app uses diesel")),
        ("app", 2, "let x: ::diesel::Insert;", Some("app uses diesel")),
        (
            "app",
            2,
            "// use diesel::prelude::*;\n/* crate::mqtt::x */ let x = \"diesel::x \\\" crate::mqtt::y\";",
            None,
        ),
        (
            "app",
            2,
            "let x = r#\"\"crate::mqtt::y\"#; let c = '\"'; let d = '\\''; fn f<'a>() {}",
            None,
        ),
        (
            "app",
            2,
            "let c = '\"'; use crate::mqtt;",
            Some("app imports from mqtt"),
        ),
        ("app", 2, "use prometheus_client::registry::Registry;", None),
        ("mqtt", 3, "use mqtt5::broker;", None),
        ("server", 2, "use mqtt5 as broker;", Some("server uses mqtt5")),
        ("domain", 2, "use tokio::time::sleep;", Some("domain uses tokio")),
        ("domain", 2, "self.config::<u8>(); jiff::civil::date(1, 2, 3);", None),
    ] {
        let wrong = complaints(part, depth, source, &crates);
        assert_eq!(wrong.first().map(String::as_str), complaint, "{part}: {source}");
        assert!(wrong.len() <= 1, "{wrong:?}");
    }
}
