//! `SOCIALACCOUNT_PROVIDERS`: registrations at third parties.

use toml::{Table, Value as Toml};

use super::Judge;
use super::draft::{App, Draft, Why, explained, toml_of};
use super::python::Value;

/// Members of a provider's settings that are no settings of an app.
const NOT_SETTINGS: &[&str] = &["APP", "APPS", "SERVERS"];

/// Translates all of them.
pub(super) fn translate(value: &Value, at: &str, judge: Judge<'_>, draft: &mut Draft) {
    let Value::Dict(providers) = value else {
        return match toml_of(value) {
            Err(why) => draft.note("[[socialaccount.apps]]", &explained(&why, "socialaccount", "apps", at)),
            Ok(_) => draft.note(at, "it is no dictionary"),
        };
    };
    for (name, settings) in providers {
        let Some(name) = name.text() else {
            draft.note(at, "a provider whose name is not known here");
            continue;
        };
        let apps = apps_of(settings);
        if apps.is_empty() {
            draft.note(
                &format!("{name} of {at}"),
                "its client_id and secret are not in this file: perhaps in the table socialaccount_socialapp. Write them as [[socialaccount.apps]]",
            );
        }
        for app in apps {
            let app = one(name, &app, settings, draft.apps(), judge);
            draft.app(app);
        }
    }
}

/// The registrations of a provider, in whichever of the three ways they are written.
fn apps_of(settings: &Value) -> Vec<Value> {
    let mut apps: Vec<Value> = settings.get("APP").into_iter().cloned().collect();
    apps.extend(settings.get("APPS").map(Value::list).unwrap_or_default().iter().cloned());
    for server in settings.get("SERVERS").map(Value::list).unwrap_or_default() {
        let mut app: Vec<(Value, Value)> = match server.get("APP") {
            Some(Value::Dict(entries)) => entries.clone(),
            _ => Vec::new(),
        };
        let text = |text: &str| Value::Text(text.to_owned());
        app.extend(server.get("id").map(|id| (text("provider_id"), id.clone())));
        app.extend(server.get("name").map(|name| (text("name"), name.clone())));
        let own = ["server_url", "token_auth_method"].into_iter();
        let own = own.filter_map(|key| Some((text(key), server.get(key)?.clone()))).collect();
        app.push((text("settings"), Value::Dict(own)));
        apps.push(Value::Dict(app));
    }
    apps.retain(|app| matches!(app, Value::Dict(_)));
    apps
}

fn one(provider: &str, app: &Value, shared: &Value, number: usize, judge: Judge<'_>) -> App {
    let mut result = App::default();
    result.table.insert("provider".to_owned(), Toml::from(provider));
    for key in ["provider_id", "name", "client_id", "secret", "key"] {
        match app.get(key).map(toml_of) {
            Some(Ok(Toml::String(text))) if text.is_empty() => {}
            Some(Ok(Toml::String(text))) => drop(result.table.insert(key.to_owned(), Toml::String(text))),
            Some(Ok(_)) => result.comments.push(format!("{key}: it is no text")),
            Some(Err(Why::Nothing)) | None => {}
            Some(Err(why)) => {
                let variable = format!("apps__{number}__{key}");
                result.comments.push(explained(&why, "socialaccount", &variable, key));
            }
        }
    }
    if !result.table.contains_key("client_id") {
        result.table.insert("client_id".to_owned(), Toml::from("TO-BE-SET"));
    }
    let mut settings = Table::new();
    let shared = match shared {
        Value::Dict(entries) => entries.as_slice(),
        _ => &[],
    };
    let own = match app.get("settings") {
        Some(Value::Dict(entries)) => entries.as_slice(),
        _ => &[],
    };
    for (key, value) in shared.iter().chain(own) {
        let Some(name) = key.text().filter(|name| !NOT_SETTINGS.contains(name)) else { continue };
        let lower = name.to_ascii_lowercase();
        match toml_of(value) {
            Ok(value) => drop(settings.insert(lower, value)),
            Err(Why::Nothing) => {}
            Err(why) => {
                let variable = format!("apps__{number}__settings__{lower}");
                result.comments.push(explained(
                    &why,
                    "socialaccount",
                    &variable,
                    &format!("settings.{lower}"),
                ));
            }
        }
    }
    if app.get("hidden") == Some(&Value::Bool(true)) {
        settings.insert("hidden".to_owned(), Toml::Boolean(true));
    }
    result.table.insert("settings".to_owned(), Toml::Table(settings));
    leave_out_unknown(&mut result, judge);
    result
}

/// Takes out what this provider does not know; an app that is no good without it is only spoken of.
fn leave_out_unknown(app: &mut App, judge: Judge<'_>) {
    let mut complaints = judge(&app.table);
    let Some(Toml::Table(settings)) = app.table.get_mut("settings") else { return };
    let (comments, before) = (&mut app.comments, settings.len());
    settings.retain(|name, _| {
        let about = |line: &&String| {
            line.contains(&format!("settings.{name} is not known"))
                || line.contains(&format!("settings.{name} must be"))
        };
        let complaint = complaints.iter().find(about);
        comments.extend(complaint.map(|line| format!("left out: {line}")));
        complaint.is_none()
    });
    if settings.len() < before {
        complaints = judge(&app.table);
    }
    app.is_spoken_of = !complaints.is_empty();
    app.comments.extend(complaints);
}
