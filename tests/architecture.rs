//! The rooms and their doors: every `crate::` path in `src/` is held against the table that `src/lib.rs` prints.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder`, with its path relative to the package.
fn files(folder: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("a folder can be read").path();
            if path.is_dir() { walk(&path, into) } else { into.push(path) }
        }
    }
    let mut paths = Vec::new();
    walk(&root().join(folder), &mut paths);
    paths.sort();
    let name = |p: &Path| p.strip_prefix(root()).expect("it is below").to_string_lossy().into_owned();
    paths.iter().map(|p| (name(p), String::from_utf8_lossy(&std::fs::read(p).expect("a file can be read")).into_owned())).collect()
}

/// What runs: every source file but those that are compiled for tests only, up to its own tests.
fn sources() -> Vec<(String, String)> {
    let all: Vec<_> = files("src").into_iter().filter(|(path, _)| path.ends_with(".rs")).collect();
    let for_tests = |path: &str| {
        all.iter().any(|(parent, text)| {
            let folder = parent.strip_suffix("mod.rs").map_or_else(|| parent.replace(".rs", "/"), str::to_string);
            let below = path.strip_prefix(&folder).and_then(|rest| rest.split(['/', '.']).next());
            below.is_some_and(|name| test_modules(text).any(|(_, line)| line.ends_with(&format!("mod {name};"))))
        })
    };
    let running = all.iter().filter(|(path, _)| !for_tests(path));
    running.map(|(path, text)| (path.clone(), before_tests(text).to_string())).collect()
}

/// A file up to its tests, which may reach for another room's values; what runs may not.
fn before_tests(text: &str) -> &str {
    test_modules(text).find(|(_, line)| line.ends_with('{')).map_or(text, |(at, _)| &text[..at])
}

/// Where modules for tests are declared, and the line that does it.
fn test_modules(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let marked = text.match_indices("#[cfg(test)]\n");
    marked
        .filter_map(|(at, _)| text[at..].lines().nth(1).map(|line| (at, line)))
        .filter(|(_, line)| line.split(' ').any(|word| word == "mod"))
}

/// The room of a file: the first folder or file below `src`.
fn room(path: &str) -> &str {
    let rest = path.strip_prefix("src/").unwrap_or(path);
    rest.split('/').next().unwrap_or(rest).trim_end_matches(".rs")
}

/// The import table of `src/lib.rs`: which room may import which.
fn table() -> BTreeMap<String, BTreeSet<String>> {
    let lib = std::fs::read_to_string(root().join("src/lib.rs")).expect("lib.rs is there");
    let lines = lib.lines().filter_map(|line| line.strip_prefix("//! ")?.split_once('→'));
    lines
        .filter(|(room, _)| !room.trim().contains(' ') && !room.trim().is_empty())
        .map(|(room, may)| (room.trim().to_string(), may.split_whitespace().map(str::to_string).collect()))
        .collect()
}

/// The code of a file without comments and string literals, so that what is only spoken of does not count.
fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '/' if rest.peek() == Some(&'/') => {
                while rest.peek().is_some_and(|&c| c != '\n') {
                    rest.next();
                }
            }
            '"' => {
                out.push('"');
                while let Some(c) = rest.next() {
                    match c {
                        '\\' => drop(rest.next()),
                        '"' => break,
                        _ => {}
                    }
                }
                out.push('"');
            }
            '\'' => {
                // A character literal may hold a quote; a lifetime has no end.
                let mut ahead = rest.clone();
                match (ahead.next(), ahead.next()) {
                    (Some('\\'), Some(_)) => {
                        rest.by_ref().take_while(|&c| c != '\'').for_each(drop);
                    }
                    (Some(_), Some('\'')) => {
                        rest.next();
                        rest.next();
                    }
                    _ => out.push('\''),
                }
            }
            _ => out.push(c),
        }
    }
    out
}

/// The rooms that a file names: `crate::room`, and those of a group, `crate::{a::B, c}`.
fn named(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let identifier = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        if let Some(group) = rest.strip_prefix('{') {
            let (mut depth, mut start) = (0, true);
            for (i, c) in group.char_indices() {
                match c {
                    '}' if depth == 0 => break,
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 0 => start = true,
                    c if start && !c.is_whitespace() => {
                        found.insert(identifier(&group[i..]));
                        start = false;
                    }
                    _ => {}
                }
            }
        } else {
            found.insert(identifier(rest));
        }
    }
    found
}

#[test]
fn rooms_import_as_the_table_says() {
    let table = table();
    assert!(table.len() >= 10, "the import table in src/lib.rs was not found: {table:?}");
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let from = room(&path);
        if matches!(from, "lib" | "main") {
            continue;
        }
        let Some(may) = table.get(from) else {
            faults.push(format!("{path}: the room {from} is not in the table of src/lib.rs"));
            continue;
        };
        for to in named(&code(&text)) {
            if to != from && table.contains_key(&to) && !may.contains(&to) {
                faults.push(format!("{path}: {from} may not import {to}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_table_goes_one_way() {
    let table = table();
    for (room, may) in &table {
        for other in may {
            assert!(table.contains_key(other), "{room} may import {other}, which is no room");
            assert!(!table[other].contains(room), "{room} and {other} may import each other");
        }
    }
}

#[test]
fn every_room_is_in_the_table() {
    let table = table();
    let rooms: BTreeSet<_> =
        sources().iter().map(|(path, _)| room(path).to_string()).filter(|r| !matches!(r.as_str(), "lib" | "main")).collect();
    assert_eq!(rooms, table.into_keys().collect(), "src/ and the table of src/lib.rs");
}

#[test]
fn only_the_view_shows_messages_to_mail_parser() {
    for (path, text) in sources() {
        let allowed = path == "src/message/view.rs" || path.starts_with("src/message/view/");
        assert!(allowed || !code(&text).contains("mail_parser"), "{path} names mail_parser: only src/message/view.rs may");
    }
}

#[test]
fn the_core_reaches_for_nothing_outside() {
    for (path, text) in sources().into_iter().filter(|(path, _)| matches!(room(path), "smtp" | "message" | "policy")) {
        let code = code(&text);
        for outside in [
            "tokio",
            "std::net::Tcp",
            "std::fs",
            "std::thread",
            "std::env",
            "Instant::now",
            "SystemTime::now",
            "tracing::",
            "rusqlite",
            "axum",
        ] {
            assert!(!code.contains(outside), "{path}: the core has no business with {outside}");
        }
    }
}

/// Whoever implements `Durable` can make a 250 out of nothing: only what the outbox hands out when a message is on the
/// disk may, and its one field is private to that room.
#[test]
fn only_custody_vouches_for_what_is_kept() {
    let found: Vec<_> = sources().into_iter().filter(|(_, text)| code(text).contains("impl Durable for")).map(|(path, _)| path).collect();
    assert_eq!(found, ["src/outbox/mod.rs"]);
}

/// A reply of the gateway's own is made in `smtp/` (its wording) or by a rule; elsewhere a literal would escape the one list. The
/// demo's mailbox and the bench's sink play another server.
#[test]
fn replies_are_worded_in_one_place() {
    for (path, text) in sources() {
        let elsewhere = ["src/smtp/", "src/demo/", "src/cli/bench"].iter().any(|other| path.starts_with(other));
        if elsewhere || path == "src/policy/reply.rs" {
            continue;
        }
        for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")) {
            for (at, _) in line.match_indices('"') {
                let rest = &line.as_bytes()[at + 1..];
                let literal = rest.len() > 4
                    && matches!(rest[0], b'4' | b'5')
                    && rest[1].is_ascii_digit()
                    && rest[2].is_ascii_digit()
                    && matches!(rest[3], b' ' | b'-');
                assert!(!literal, "{path}:{}: a reply literal: {}", i + 1, line.trim());
            }
        }
    }
}

#[test]
fn no_private_key_is_kept_here() {
    for folder in ["certs", "deploy", "tests", "src", "rules", "benches"] {
        for (path, text) in files(folder) {
            // The label alone may be spoken of; a key has its base64 below it.
            for (at, label) in text.match_indices("PRIVATE KEY-----") {
                let body = text[at + label.len()..].trim_start_matches(['\n', '\r', '\\', 'n', ' ']);
                let octets = body.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/')).count();
                assert!(octets < 40, "{path} holds a private key");
            }
        }
    }
}

#[test]
fn the_top_level_is_what_the_design_says() {
    let known = [
        "Cargo.toml",
        "Cargo.lock",
        "src",
        "rules",
        "certs",
        "tests",
        "benches",
        "deploy",
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
        "Makefile",
        "target",
        "data",
        "proptest-regressions",
    ];
    for entry in std::fs::read_dir(root()).expect("the package is there") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        assert!(
            name.starts_with('.') || known.contains(&name.as_str()),
            "{name} stands at the top level, where DESIGN knows nothing of it"
        );
    }
}

mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_found_and_what_is_only_spoken_of_is_not() {
        let text = "// crate::cli\nuse crate::smtp::{Reply, data};\nuse crate::{config::Settings, policy::{Mode, Role}};\nlet s = \"crate::demo\"; let c = '\"'; fn f<'a>() { crate::records::open('\\'') } ";
        assert_eq!(named(&code(text)).into_iter().collect::<Vec<_>>(), ["config", "policy", "records", "smtp"]);
        assert_eq!((room("src/smtp/data.rs"), room("src/app.rs")), ("smtp", "app"));
    }
}
