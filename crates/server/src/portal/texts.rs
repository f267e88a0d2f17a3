//! The portal's texts, held against the pages that use them and against each other.

use std::collections::{BTreeMap, BTreeSet};

use vestibule_base::language::Language;

use super::files::EMBEDDED;

type Texts = BTreeMap<String, String>;

fn texts(language: &str) -> Texts {
    let name = format!("locales/{language}.json");
    let (_, bytes) = EMBEDDED.iter().find(|(path, _)| *path == name).unwrap();
    serde_json::from_slice(bytes).unwrap()
}

/// The `{places}` of a text.
fn places(text: &str) -> BTreeSet<&str> {
    text.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()).collect()
}

#[test]
fn every_language_has_every_text() {
    let english = texts("en");
    let files = EMBEDDED.iter().filter(|(path, _)| path.starts_with("locales/")).count();
    assert_eq!(files, Language::ALL.len());
    for language in Language::ALL.iter().map(|language| language.code()) {
        let texts = texts(language);
        let keys = |texts: &Texts| texts.keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&texts), keys(&english), "{language}");
        for (key, text) in &texts {
            assert_eq!(places(text), places(&english[key]), "{language}: {key}");
            assert!(!text.trim().is_empty() && text.trim() == text, "{language}: {key}");
        }
    }
}

#[test]
fn every_text_that_a_page_names_is_there() {
    let english = texts("en");
    for (path, bytes) in EMBEDDED.iter().filter(|(path, _)| path.starts_with("js/")) {
        let source = std::str::from_utf8(bytes).unwrap();
        let named = ["t(\"", "rich(\"", "title = \""].iter().flat_map(|call| {
            source.match_indices(call).filter_map(|(at, _)| {
                // `get("…")` is no call of `t`.
                let before = source[..at].chars().last();
                let whole = before.is_none_or(|before| !before.is_alphanumeric() && before != '.');
                whole.then(|| source[at + call.len()..].split('"').next().unwrap())
            })
        });
        for key in named {
            let there = english.contains_key(key) || english.contains_key(&format!("{key}.other"));
            assert!(there, "{path}: {key}");
        }
    }
}

#[test]
fn pages_are_made_without_markup() {
    for (path, bytes) in EMBEDDED.iter().filter(|(path, _)| path.starts_with("js/")) {
        let source = std::str::from_utf8(bytes).unwrap();
        for forbidden in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"]
        {
            assert!(!source.contains(forbidden), "{path}: {forbidden}");
        }
        assert!(
            *path == "js/api.js"
                || path.contains("vendor/")
                || source.matches("fetch(").count()
                    <= usize::from(["js/main.js", "js/i18n.js"].contains(path)),
            "{path} fetches"
        );
    }
}
