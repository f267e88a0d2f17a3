//! Hooks and extra fields: what could not be asked, trusted, or told apart.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use url::Url;

use super::super::{Config, ExtraField, ExtraFieldKind, SignupField};
use super::{Report, is_local};

/// Members of the user object and of the signup that are there already.
const TAKEN: [&str; 7] =
    ["id", "display", "email", "username", "has_usable_password", "password", "provider"];
const FIELDS: &str = "account.extra_signup_fields";

pub(super) fn check(config: &Config, report: &mut Report) {
    hooks(config, report);
    fields(config, report);
}

fn hooks(config: &Config, report: &mut Report) {
    let hooks = &config.hooks;
    if !(1..=10).contains(&hooks.timeout) {
        report.error("hooks.timeout", "write 1 to 10 seconds: people wait for the answer");
    }
    for secret in &hooks.secrets {
        if !is_key(secret.expose_secret()) {
            report.error(
                "hooks.secrets",
                "write whsec_ and 24 to 64 random bytes in base64; make a key with: echo whsec_$(openssl rand -base64 32)",
            );
        }
    }
    let Some(url) = &hooks.url else {
        if !hooks.calls.is_empty() {
            report.error("hooks.calls", "there is nobody to ask: set hooks.url");
        }
        return;
    };
    match Url::parse(url) {
        Ok(url) if url.scheme() == "https" => {}
        Ok(url) if url.scheme() == "http" => {
            if !is_local(&url) {
                report.warn("hooks.url", "without https, what is asked and answered travels readable");
            }
        }
        _ => report.error("hooks.url", "write a whole URL, such as \"https://app.example.org/hooks\""),
    }
    if hooks.secrets.is_empty() {
        report.error(
            "hooks.secrets",
            "your service could not tell who asks; make a key with: echo whsec_$(openssl rand -base64 32)",
        );
    }
    if hooks.calls.is_empty() {
        report.warn("hooks.url", "nothing is asked there: list in hooks.calls what is to be");
    }
}

/// Whether a text is a key of the Standard Webhooks scheme.
fn is_key(text: &str) -> bool {
    let bytes = text.strip_prefix("whsec_").and_then(|encoded| STANDARD.decode(encoded).ok());
    bytes.is_some_and(|bytes| (24..=64).contains(&bytes.len()))
}

fn fields(config: &Config, report: &mut Report) {
    let account = &config.account;
    let fields = &account.extra_signup_fields;
    for (at, field) in fields.iter().enumerate() {
        let name = &field.name;
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(word) || name.len() > 64 {
            report.error(FIELDS, format!("{name:?}: write a name of the letters a-z, digits and _"));
        }
        let trap = account.signup_form_honeypot_field.as_deref() == Some(name);
        let taken = TAKEN.contains(&name.as_str())
            || SignupField::ALL.into_iter().any(|known| known.name() == name)
            || fields.iter().take(at).any(|other| other.name == *name);
        if trap || taken {
            report.error(FIELDS, format!("{name:?} is there already; give it another name"));
        }
        for wrong in contradictions(field) {
            report.error(FIELDS, format!("{name:?}: {wrong}"));
        }
    }
}

fn contradictions(field: &ExtraField) -> Vec<&'static str> {
    let choice = field.kind == ExtraFieldKind::Choice;
    let lengths = field.min_length.is_some() || field.max_length.is_some();
    let bounds = field.min.is_some() || field.max.is_some();
    let empty = |min: Option<f64>, max: Option<f64>| min.zip(max).is_some_and(|(min, max)| min > max);
    [
        (choice && field.choices.is_empty(), "list its choices"),
        (!choice && !field.choices.is_empty(), "choices are for type = \"choice\""),
        (field.choices.iter().any(|choice| choice.trim().is_empty()), "a choice must not be empty"),
        (lengths && !field.is_text(), "min_length and max_length are for texts"),
        (bounds && !field.is_number(), "min and max are for numbers"),
        (field.longest() > 4096, "max_length can be 4096"),
        (
            field.is_text() && field.min_length.unwrap_or(0) > field.longest(),
            "min_length is above max_length",
        ),
        (empty(field.min, field.max), "min is above max"),
    ]
    .into_iter()
    .filter_map(|(wrong, what)| wrong.then_some(what))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{expect, found};

    const HOOKS: &str = "hooks.url = \"https://app.example.org/hooks\"\nhooks.calls = [\"before_login\"]\n\
        hooks.secrets = [\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]\n";

    #[test]
    fn hooks_are_checked() {
        assert!(!found(HOOKS).iter().any(|found| found.starts_with("hooks")));
        expect("hooks.calls = [\"user\"]", "hooks.calls!");
        expect("hooks.timeout = 11", "hooks.timeout!");
        expect("hooks.timeout = 0", "hooks.timeout!");
        expect("hooks.secrets = [\"whsec_short\"]", "hooks.secrets!");
        expect("hooks.url = \"ftp://example.org\"", "hooks.url!");
        expect("hooks.url = \"http://example.org\"", "hooks.url");
        expect("hooks.url = \"https://example.org\"", "hooks.secrets!");
    }

    #[test]
    fn extra_fields_are_checked() {
        let field = |rest: &str| format!("account.extra_signup_fields = [{{ {rest} }}]");
        let fine = field("name = 'age', type = 'integer', min = 18, label = 'Age'");
        assert!(!found(&fine).iter().any(|found| found.starts_with("account.extra")));
        for wrong in [
            "name = 'email', type = 'text'",
            "name = 'id', type = 'text'",
            "name = 'Given name', type = 'text'",
            "name = 'a', type = 'choice'",
            "name = 'a', type = 'text', choices = ['x']",
            "name = 'a', type = 'text', min = 1",
            "name = 'a', type = 'integer', max_length = 1",
            "name = 'a', type = 'integer', min = 2, max = 1",
            "name = 'a', type = 'text', min_length = 300",
            "name = 'a', type = 'text' }, { name = 'a', type = 'text'",
        ] {
            expect(&field(wrong), "account.extra_signup_fields!");
        }
    }
}
