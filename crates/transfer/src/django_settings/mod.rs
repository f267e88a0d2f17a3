//! A Django project's settings as a `vestibule.toml`: what can be said here is set, and all else is told with its reason.
//!
//! The list of names is that of our own manual ([`django_names`]), so that a setting which says there what it is called in
//! Django is translated without a line here. What needs more than its value is in `rules`.

mod apps;
mod draft;
mod legacy;
mod python;
mod reasons;
mod rules;

use toml::Table;
use vestibule_base::config::django_names;

use draft::Draft;
use python::Module;
pub use python::SyntaxError;

/// Beginnings of names that bear on accounts: whoever sets one is told what became of it.
const OURS: &[&str] = &[
    "ACCOUNT_",
    "ALLAUTH_",
    "CORS_",
    "CSRF_",
    "EMAIL_",
    "HEADLESS_",
    "MFA_",
    "SESSION_",
    "SOCIALACCOUNT_",
    "USERSESSIONS_",
];

/// Says what is wrong with a `[[socialaccount.apps]]`, a line each: what providers take is not known on this floor.
pub type Judge<'a> = &'a dyn Fn(&Table) -> Vec<String>;

/// Translates the text of a `settings.py`. Runs nothing of it: what depends on anything but the text is told in comments.
///
/// # Errors
/// [`SyntaxError`] if it is no Python.
pub fn translate_settings(source: &str, judge: Judge<'_>) -> Result<String, SyntaxError> {
    let module = Module::read(source)?;
    let names = django_names();
    let mut draft = Draft::default();
    rules::public_url(&module, &mut draft);
    for setting in &module.settings {
        let (name, value) = (setting.name.as_str(), &setting.value);
        let at = format!("{name} (line {})", setting.line);
        if rules::special(&module, setting, &at, judge, &mut draft) {
            continue;
        }
        let mut known = names.iter().filter(|known| known.django == name).peekable();
        if let Some(reason) = reasons::of(name) {
            draft.note(&at, reason);
        } else if known.peek().is_none() && OURS.iter().any(|prefix| name.starts_with(prefix)) {
            draft.note(&at, "there is no such setting here");
        }
        for known in known {
            draft.take(known.section, known.key, value, &at);
        }
    }
    legacy::fill_in(&module, &mut draft);
    draft.pair("email", ["username", "password"]);
    for (name, line) in &module.conditional {
        let bears = names.iter().any(|known| known.django == name)
            || OURS.iter().any(|prefix| name.starts_with(prefix))
            || rules::is_special(name);
        if bears {
            draft.note(
                &format!("{name} (line {line})"),
                "it depends on something, or is changed in place: look after it yourself",
            );
        }
    }
    for (text, line) in &module.imports {
        draft.note(&format!("{text} (line {line})"), "it is not followed: translate that file, too");
    }
    Ok(draft.finish())
}

#[cfg(test)]
mod tests;
