//! The tables of translations against the sources: every English text in use is in every table, and nothing else is.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use vestibule_base::language::Language;

/// In Rust sources, texts follow these; in templates, `t(`; of problems, each has its line in `refusal.rs`.
const MARKS: [&str; 2] = ["Text::new(", "Text::counted("];

#[test]
fn every_text_is_translated_into_every_language_and_no_translation_is_left_over() {
    let used = texts();
    assert!(used.len() > 120, "{} texts found", used.len());
    for text in
        ["This field is required.", "Hello,", "an iPhone", "Choose a password of at least one character."]
    {
        assert!(used.contains(text), "{text}");
    }
    for (code, table) in tables() {
        let known: BTreeSet<_> = table.keys().cloned().collect();
        let lacking: Vec<_> = used.difference(&known).collect();
        assert!(lacking.is_empty(), "{code}.json lacks {lacking:#?}");
        let left_over: Vec<_> = known.difference(&used).collect();
        assert!(left_over.is_empty(), "{code}.json has texts that are nowhere in use: {left_over:#?}");
    }
}

#[test]
fn translations_have_the_placeholders_of_their_texts_and_the_same_ends() {
    let end = |text: &str| text.chars().next_back().filter(char::is_ascii_punctuation);
    for (code, table) in tables() {
        for (text, translation) in table {
            assert_eq!(placeholders(&text), placeholders(&translation), "{code}: {text}");
            assert_eq!(translation.trim(), translation, "{code}: {text}");
            // What ends in a sentence stays one; a greeting has the mark of its language.
            assert!(end(&text) == end(&translation) || text == "Hello,", "{code}: {text}");
            assert!(!translation.contains(['<', '>']), "{code}: texts are no HTML: {text}");
        }
    }
}

/// Every text in the sources and templates.
fn texts() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in files(&crates().join("base/src")).into_iter().chain(files(&crates().join("core/src"))) {
        let source = fs::read_to_string(&file).unwrap();
        if file.extension().is_some_and(|extension| extension == "rs") {
            if file.components().any(|part| part.as_os_str() == "language") {
                continue;
            }
            let code = source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            for mark in MARKS {
                for (at, _) in
                    code.match_indices(mark).filter(|(at, _)| !code[*at..].starts_with("Text::new($"))
                {
                    let literals = literals(&code[at + mark.len()..]);
                    assert!(!literals.is_empty(), "{}: a text that is no literal", file.display());
                    found.extend(literals);
                }
            }
        } else {
            for (at, _) in source.match_indices("{{ t(") {
                let literals = literals(&source[at + "{{ t(".len()..]);
                assert_eq!(literals.len(), 1, "{}", file.display());
                found.extend(literals);
            }
        }
    }
    let refusals = fs::read_to_string(crates().join("core/src/refusal.rs")).unwrap();
    let rows = refusals.split("\nproblems! {").nth(1).unwrap().split("\n}").next().unwrap();
    for row in rows.lines().filter(|line| !line.trim_start().starts_with("///") && line.contains(" = \"")) {
        let (_, message) = row.split_once("\", ").unwrap();
        found.extend(literals(&format!("{message})")));
    }
    found
}

/// The string literals of a call whose opening parenthesis is gone. Texts hold no escapes.
fn literals(call: &str) -> Vec<String> {
    let (mut found, mut depth, mut rest) = (Vec::new(), 1, call);
    while let Some(at) = rest.find(['"', '\'', '(', ')']) {
        let sign = &rest[at..=at];
        rest = &rest[at + 1..];
        match sign {
            "(" => depth += 1,
            ")" => depth -= 1,
            quote => {
                let (text, beyond) = rest.split_once(quote).unwrap();
                assert!(!text.contains('\\'), "{text}");
                found.push(text.to_owned());
                rest = beyond;
            }
        }
        if depth == 0 {
            break;
        }
    }
    found
}

/// The names in braces.
fn placeholders(text: &str) -> BTreeSet<&str> {
    text.split('{').skip(1).filter_map(|part| part.split_once('}')).map(|(name, _)| name).collect()
}

/// All tables as they are written, by the tag of their language.
fn tables() -> BTreeMap<&'static str, BTreeMap<String, String>> {
    let translated = Language::ALL.iter().filter(|language| **language != Language::En);
    let tables: BTreeMap<_, _> =
        translated.map(|language| (language.code(), table(language.code()))).collect();
    let written = files(&crates().join("base/locales"));
    let written = written.iter().filter(|file| file.extension().is_some_and(|extension| extension == "json"));
    assert_eq!(written.count(), tables.len(), "each table has its line in the list of languages");
    tables
}

fn table(code: &str) -> BTreeMap<String, String> {
    let text = fs::read_to_string(crates().join(format!("base/locales/{code}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
