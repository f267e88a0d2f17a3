//! The rooms of the house, held by reading the sources: none uses one above it, and no file outgrows its reader.

#![expect(clippy::expect_used, reason = "a panic is how a test says that it failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of a floor from the ground up, and those that each may use.
type Rooms = &'static [(&'static str, &'static [&'static str])];

const BASE: Rooms = &[
    ("language", &[]),
    ("trace", &[]),
    ("config", &["language"]),
    ("security", &["language", "trace", "config"]),
    ("storage", &["trace", "config", "security"]),
    ("outbound", &["trace", "config", "security", "storage"]),
    ("ratelimit", &["config", "security", "storage"]),
    ("delivery", &["language", "config", "security", "storage", "outbound"]),
    ("webhooks", &["config", "security", "storage", "outbound"]),
];

const CORE: Rooms = &[
    ("refusal", &[]),
    ("hooks", &["refusal"]),
    ("visit", &["refusal"]),
    ("event", &["refusal", "visit"]),
    ("context", &["refusal", "hooks", "visit", "event"]),
    ("consult", &["refusal", "hooks", "visit", "context"]),
    ("session", &["refusal", "visit", "event", "context"]),
    ("token", &["refusal", "visit", "event", "context", "consult", "session"]),
    ("account", &["refusal", "visit", "event", "context", "session", "token"]),
    ("mfa", &["refusal", "visit", "event", "context", "session", "account"]),
    ("social", &["refusal", "visit", "event", "context", "session", "account", "mfa"]),
    (
        "login",
        &[
            "refusal", "hooks", "visit", "event", "context", "consult", "session", "token", "account", "mfa",
            "social",
        ],
    ),
    ("dossier", &["refusal", "visit", "event", "context", "session", "account"]),
    (
        "admin",
        &["refusal", "visit", "event", "context", "session", "token", "account", "mfa", "social", "dossier"],
    ),
];

const TRANSFER: Rooms = &[
    ("wire", &[]),
    ("base32", &[]),
    ("account", &["wire"]),
    ("source", &["account"]),
    ("flat", &["account"]),
    ("jsonl", &["source", "flat"]),
    ("json", &["source", "flat"]),
    ("csv", &["source", "flat"]),
    ("import", &["account", "source", "base32"]),
    ("export", &["account", "base32", "wire", "jsonl"]),
    ("django", &["account", "source", "base32"]),
    ("django_settings", &[]),
];

/// What the groups of the API share. Groups may use these, and not each other.
const SHARED_BY_GROUPS: &[&str] =
    &["address", "answer", "caller", "door", "envelope", "input", "json", "request", "threshold", "view"];
/// What takes part in every request; uses no group.
const AROUND_GROUPS: &[&str] = &[
    "address",
    "answer",
    "caller",
    "cookies",
    "cors",
    "csrf",
    "door",
    "envelope",
    "input",
    "json",
    "request",
    "threshold",
    "view",
];

const LONGEST_FILE: usize = 600;
/// Files that may be longer, with the reason.
const LONGER: &[(&str, &str)] = &[];

#[test]
fn no_room_of_base_uses_one_above_it() {
    hold("base", BASE);
}

#[test]
fn no_room_of_core_uses_one_above_it() {
    hold("core", CORE);
}

#[test]
fn no_room_of_transfer_uses_one_above_it() {
    hold("transfer", TRANSFER);
}

#[test]
fn groups_of_the_api_do_not_use_each_other() {
    let folder = crates().join("vestibule/src/http");
    let files = sources(&folder);
    let names: BTreeSet<String> = files.iter().map(|file| room_of(&folder, file)).collect();
    for file in &files {
        let own = room_of(&folder, file);
        if own == "mod" {
            continue;
        }
        for used in modules_used(&code_of(file), "super::") {
            let allowed =
                if AROUND_GROUPS.contains(&own.as_str()) { AROUND_GROUPS } else { SHARED_BY_GROUPS };
            let fine = used == own || !names.contains(&used) || allowed.contains(&used.as_str());
            assert!(fine, "http/{own}.rs uses {used}");
        }
    }
}

#[test]
fn no_file_outgrows_its_reader() {
    let mut checked = 0;
    for file in sources(&crates()).into_iter().chain(sources(&crates().join("../xtask"))) {
        let name = file.strip_prefix(crates()).unwrap_or(&file).display().to_string();
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        let excused = LONGER.iter().any(|(longer, _)| *longer == name);
        assert!(lines <= LONGEST_FILE || excused, "{name} has {lines} lines");
        assert!(lines > LONGEST_FILE || !excused, "{name} needs no excuse any more");
        checked += 1;
    }
    assert!(checked > 100, "{checked} files");
}

/// Fails for each use that `rooms` does not allow, and for a room that is not among them.
fn hold(floor: &str, rooms: Rooms) {
    let folder = crates().join(floor).join("src");
    let mut used_at_all = 0;
    for file in sources(&folder) {
        let own = room_of(&folder, &file);
        if own == "lib" {
            continue;
        }
        let (_, allowed) = rooms.iter().find(|(room, _)| *room == own).expect("a room that is on the list");
        let depth = file.strip_prefix(&folder).unwrap_or(&file).components().count();
        let out = "super::".repeat(depth - usize::from(file.ends_with("mod.rs")));
        let code = code_of(&file);
        for used in modules_used(&code, "crate::").into_iter().chain(modules_used(&code, &out)) {
            let is_room = rooms.iter().any(|(room, _)| *room == used);
            used_at_all += usize::from(is_room);
            assert!(
                !is_room || used == own || allowed.contains(&used.as_str()),
                "{} uses {used}, which is above {own}",
                file.display()
            );
        }
    }
    assert!(used_at_all > 10, "{floor}: {used_at_all} uses found");
}

/// The names that follow `root` in `code`: `crate::a::b` gives `a`, `crate::{a::b, c}` gives `a` and `c`.
fn modules_used(code: &str, root: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices(root) {
        // `super::super::a` goes out further than `super::a`, and `my_crate::a` elsewhere.
        let before = code[..at].chars().next_back().unwrap_or(' ');
        if before == ':' || before.is_alphanumeric() || before == '_' {
            continue;
        }
        let rest = &code[at + root.len()..];
        match rest.strip_prefix('{') {
            None => found.extend(first_name(rest)),
            Some(group) => found.extend(members(group).into_iter().filter_map(first_name)),
        }
    }
    found
}

/// The members of a group in braces, whose opening one is gone.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut begin, mut found) = (0, 0, Vec::new());
    for (at, sign) in group.char_indices() {
        match sign {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                found.push(group[begin..at].trim());
                begin = at + 1;
                if sign == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    found
}

fn first_name(path: &str) -> Option<String> {
    let end = path.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(path.len());
    // A macro at the root is no module, nor is a type.
    let is_macro = path[end..].starts_with('!');
    let is_module =
        !is_macro && path.starts_with(|c: char| c.is_ascii_lowercase()) && &path[..end] != "super";
    is_module.then(|| path[..end].to_owned())
}

/// The text of a file without its comments.
fn code_of(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The first module below `folder` that a file belongs to.
fn room_of(folder: &Path, file: &Path) -> String {
    let path = file.strip_prefix(folder).unwrap_or(file);
    let first = path.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned());
    first.unwrap_or_default().trim_end_matches(".rs").to_owned()
}

/// All Rust files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn uses_are_found_in_every_form() {
    let found = |code: &str| modules_used(code, "crate::").into_iter().collect::<Vec<_>>();
    assert_eq!(found("use crate::a::{b, c};\nlet x = crate::d();"), ["a", "d"]);
    assert_eq!(found("use crate::{a::{b, c}, d, E};"), ["a", "d"]);
    assert_eq!(found("crate::vals![]; my_crate::a; crate::Ctx"), [""; 0]);
    assert_eq!(modules_used("super::super::a; super::b", "super::").into_iter().collect::<Vec<_>>(), ["b"]);
}
