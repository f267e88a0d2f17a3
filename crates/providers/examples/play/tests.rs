//! The cases of this repository pass, and the player can fail: whatever a case expects is changed, one value at a time,
//! and each change has to be noticed.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use vestibule_base::outbound::Outbound;

use crate::keys::Keys;
use crate::play::{Verdict, play};
use crate::{Arguments, mend};

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/cases");

#[tokio::test]
async fn the_cases_of_this_repository_pass() {
    let arguments = Arguments { folder: CASES.into(), only: None, verbose: true };
    assert!(crate::run(&arguments).await.unwrap());
}

#[tokio::test]
async fn whatever_is_not_as_expected_is_noticed() {
    let keys = Arc::new(Keys::read(Path::new(CASES)).unwrap());
    let outbound = Outbound::new().unwrap();
    let mut unnoticed = Vec::new();
    let mut played = 0;
    for path in crate::files(Path::new(CASES)).unwrap() {
        let recorded = mend::read(&path).unwrap();
        let file: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for case in file["cases"].as_array().unwrap() {
            for (change, changed) in changes(case) {
                let Ok(changed) = mend::mended(&recorded.provider, changed) else { continue };
                let (verdict, _) =
                    play(&recorded.provider, &changed, &recorded.cases, &keys, &outbound).await;
                played += 1;
                if !matches!(verdict, Verdict::Failed(_)) {
                    unnoticed.push(format!("{}/{}{change}", recorded.provider, case["case"]));
                }
            }
        }
    }
    assert!(played > 500, "{played}");
    assert!(unnoticed.is_empty(), "{} of {played}:\n{}", unnoticed.len(), unnoticed.join("\n"));
}

/// The case with one change each, and where that is.
fn changes(case: &Value) -> Vec<(String, Value)> {
    let mut places = Vec::new();
    for part in ["/authorize/url", "/authorize/scope", "/authorize/params", "/callback/path", "/requests"] {
        collect(part, case.pointer(part), &mut places);
    }
    for part in ["/account", "/user", "/email_addresses", "/token"] {
        collect(&format!("/expect{part}"), case.pointer(&format!("/expect{part}")), &mut places);
    }
    let mut changes: Vec<_> = places
        .into_iter()
        // What is answered is no expectation.
        .filter(|place| !place.contains("/response/"))
        // Where nobody is sent, only that is expected.
        .filter(|_| case["authorize"]["status"] != 400)
        .map(|place| {
            let mut changed = case.clone();
            let value = changed.pointer_mut(&place).unwrap();
            *value = other(value);
            (place, changed)
        })
        .collect();
    let requests = case["requests"].as_array().map_or(0, Vec::len);
    for at in 0..requests {
        // Keys and descriptions may be fetched at any time, or be known.
        let url = case["requests"][at]["url"].as_str().unwrap();
        if url.ends_with("/certs") || url.ends_with("/openid-configuration") {
            continue;
        }
        let mut without = case.clone();
        without["requests"].as_array_mut().unwrap().remove(at);
        changes.push((format!("/requests/{at} removed"), without));
        if case["requests"][at]["response"]["status"] != 200 {
            // After an error nothing more needs to be asked.
            continue;
        }
        let mut twice = case.clone();
        let again = twice["requests"][at].clone();
        twice["requests"].as_array_mut().unwrap().insert(at, again);
        changes.push((format!("/requests/{at} twice"), twice));
    }
    changes
}

fn collect(place: &str, value: Option<&Value>, places: &mut Vec<String>) {
    match value {
        None => {}
        Some(Value::Object(object)) => {
            for (name, value) in object {
                let name = name.replace('~', "~0").replace('/', "~1");
                collect(&format!("{place}/{name}"), Some(value), places);
            }
        }
        Some(Value::Array(values)) => {
            for (at, value) in values.iter().enumerate() {
                collect(&format!("{place}/{at}"), Some(value), places);
            }
        }
        Some(_) => places.push(place.to_owned()),
    }
}

/// Another value of the same type; the same placeholder stands for nothing any more.
fn other(value: &Value) -> Value {
    match value {
        Value::Bool(flag) => (!flag).into(),
        Value::Number(number) => (number.as_i64().unwrap_or_default() + 1).into(),
        Value::String(text) => format!("{text}x").into(),
        _ => "https://x.example/".into(),
    }
}
