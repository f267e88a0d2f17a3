//! Words: templates that are built in, and that an operator can replace, file by file, for all languages or for one. All
//! are rendered once at the start, with every kind of message, so that a broken one stops the start and not a mail.
//!
//! One template serves all languages: in it, `t("Hello {name}")` is the text in the language of the message, with the
//! template's `name`, or what follows as `name=...`, in its place. In HTML the whole is escaped like any other value.

use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, State, Template, UndefinedBehavior, Value, context};

use super::mail::{Mail, MailKind, Notice};
use super::sms::{Sms, SmsKind};
use super::{DeliveryError, Settings, whence};
use crate::language::{self, Language};

/// A mail in words.
#[derive(Clone)]
pub(super) struct Rendered {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
}

/// The templates, parsed.
#[derive(Debug)]
pub(super) struct Templates {
    environment: Environment<'static>,
    site_name: String,
    subject_prefix: String,
}

macro_rules! built_in {
    ($($kind:literal),*) => {
        &[
            ("base.txt", include_str!("templates/base.txt")),
            ("base.html", include_str!("templates/base.html")),
            ("notice.txt", include_str!("templates/notice.txt")),
            ("notice.html", include_str!("templates/notice.html")),
            ("sms_verification_code.txt", include_str!("templates/sms_verification_code.txt")),
            ("sms_login_code.txt", include_str!("templates/sms_login_code.txt")),
            ("sms_unknown_account.txt", include_str!("templates/sms_unknown_account.txt")),
            ("sms_account_already_exists.txt", include_str!("templates/sms_account_already_exists.txt")),
            $(
                (concat!($kind, ".subject.txt"), include_str!(concat!("templates/", $kind, ".subject.txt"))),
                (concat!($kind, ".txt"), include_str!(concat!("templates/", $kind, ".txt"))),
                (concat!($kind, ".html"), include_str!(concat!("templates/", $kind, ".html"))),
            )*
        ]
    };
}

const BUILT_IN: &[(&str, &str)] = built_in!(
    "verify_email_link",
    "verify_email_code",
    "login_code",
    "password_reset_link",
    "password_reset_code",
    "unknown_account",
    "account_already_exists",
    "email_changed",
    "email_deleted",
    "password_changed",
    "password_set",
    "password_reset",
    "totp_activated",
    "totp_deactivated",
    "webauthn_added",
    "webauthn_removed",
    "recovery_codes_generated",
    "recovery_code_used",
    "provider_connected",
    "provider_disconnected",
    "account_deleted"
);

impl Templates {
    /// Reads the operator's templates over the built-in ones, and tries them all.
    pub(super) fn new(settings: &Settings) -> Result<Self, DeliveryError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        // A line with nothing but a tag on it leaves no empty line.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| broken(None, &error))?);
        environment.add_function("t", translate);
        let dir = settings.template_dir.as_deref();
        for (name, source) in BUILT_IN {
            environment.add_template(name, source).map_err(|error| broken(None, &error))?;
        }
        if let Some(dir) = dir {
            load(&mut environment, dir)?;
        }
        let templates = Self {
            environment,
            site_name: clean(&settings.site_name),
            subject_prefix: settings.subject_prefix.clone(),
        };
        // Tests have tried our own in every language.
        let languages = if dir.is_some() { Language::ALL } else { &[Language::En] };
        for language in languages {
            templates.try_all(*language).map_err(|error| broken(dir, &error))?;
        }
        Ok(templates)
    }

    fn try_all(&self, language: Language) -> Result<(), Error> {
        for kind in samples() {
            self.render_mail(&Mail { to: "somebody@example.com".into(), language, kind })?;
        }
        for (kind, code) in SMS_SAMPLES {
            let code = code.map(str::to_owned);
            self.render_sms(&Sms { phone: "+15550100".into(), language, kind: *kind, code })?;
        }
        Ok(())
    }

    /// The mail in words. The error is one line without the mail's values.
    pub(super) fn mail(&self, mail: &Mail) -> Result<Rendered, String> {
        self.render_mail(mail).map_err(|error| broken(None, &error).to_string())
    }

    /// The text message in words. The error is one line without the message's values.
    pub(super) fn sms(&self, sms: &Sms) -> Result<String, String> {
        self.render_sms(sms).map_err(|error| broken(None, &error).to_string())
    }

    fn render_mail(&self, mail: &Mail) -> Result<Rendered, Error> {
        let name = mail.kind.name();
        let values = context! {
            language => mail.language.code(),
            site_name => &self.site_name,
            email => clean(&mail.to),
            ..values(&mail.kind, mail.language)
        };
        let render = |stem: &str, ending| self.template(stem, mail.language, ending)?.render(&values);
        let subject = render(&format!("{name}.subject"), "txt")?;
        Ok(Rendered {
            subject: clean(format!("{}{}", self.subject_prefix, subject.trim()).trim()),
            text: format!("{}\n", render(name, "txt")?.trim()),
            html: render(name, "html")?,
        })
    }

    fn render_sms(&self, sms: &Sms) -> Result<String, Error> {
        let values = context! {
            language => sms.language.code(),
            site_name => &self.site_name,
            code => sms.code.as_deref().map(clean),
        };
        let template = self.template(&format!("sms_{}", sms.kind.name()), sms.language, "txt")?;
        Ok(template.render(&values)?.trim().to_owned())
    }

    /// The template for this language alone, or else the one for all.
    fn template(&self, stem: &str, language: Language, ending: &str) -> Result<Template<'_, '_>, Error> {
        match self.environment.get_template(&format!("{stem}.{}.{ending}", language.code())) {
            Err(error) if error.kind() == ErrorKind::TemplateNotFound => {
                self.environment.get_template(&format!("{stem}.{ending}"))
            }
            found => found,
        }
    }
}

/// The function `t` of templates.
fn translate(state: &State<'_, '_>, english: &str, named: Kwargs) -> Result<String, Error> {
    let code = state.lookup("language").map(|code| code.to_string()).unwrap_or_default();
    let text = language::fill(Language::named(&code).translate(english), |name| {
        let value = if named.has(name) { Some(named.get::<Value>(name)?) } else { state.lookup(name) };
        let value = value.filter(|value| !value.is_undefined() && !value.is_none());
        let missing =
            || Error::new(ErrorKind::UndefinedError, format!("nothing to put in the place of {{{name}}}"));
        value.map(|value| value.to_string()).ok_or_else(missing)
    })?;
    named.assert_all_used()?;
    Ok(text)
}

/// Text in which no character steers a terminal, a header or a log: controls become blanks.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c })
        .collect()
}

/// What the templates of a kind know, besides `site_name` and `email`.
fn values(kind: &MailKind, language: Language) -> Value {
    let whence = |notice: &Notice| whence::values(notice, language);
    let opt = |text: &Option<String>| text.as_deref().map(clean);
    match kind {
        MailKind::VerifyEmailLink { url, signup } => context! { url => clean(url), signup => signup },
        MailKind::VerifyEmailCode { code, signup } => context! { code => clean(code), signup => signup },
        MailKind::LoginCode { code } | MailKind::PasswordResetCode { code } => {
            context! { code => clean(code) }
        }
        MailKind::PasswordResetLink { url, username } => {
            context! { url => clean(url), username => opt(username) }
        }
        MailKind::UnknownAccount { signup_url } => context! { signup_url => opt(signup_url) },
        MailKind::AccountAlreadyExists { signup_url, password_reset_url } => {
            context! { signup_url => opt(signup_url), password_reset_url => opt(password_reset_url) }
        }
        MailKind::EmailChanged { from, to, notice } => {
            context! { old_email => clean(from), new_email => clean(to), ..whence(notice) }
        }
        MailKind::EmailDeleted { email, notice } => {
            context! { deleted_email => clean(email), ..whence(notice) }
        }
        MailKind::ProviderConnected { provider, notice }
        | MailKind::ProviderDisconnected { provider, notice } => {
            context! { provider => clean(provider), ..whence(notice) }
        }
        MailKind::PasswordChanged(notice)
        | MailKind::PasswordSet(notice)
        | MailKind::PasswordReset(notice)
        | MailKind::TotpActivated(notice)
        | MailKind::TotpDeactivated(notice)
        | MailKind::WebauthnAdded(notice)
        | MailKind::WebauthnRemoved(notice)
        | MailKind::RecoveryCodesGenerated(notice)
        | MailKind::RecoveryCodeUsed(notice)
        | MailKind::AccountDeleted(notice) => whence(notice),
    }
}

fn load(environment: &mut Environment<'static>, dir: &Path) -> Result<(), DeliveryError> {
    let unreadable =
        |path: &Path, error: std::io::Error| DeliveryError::Template(format!("{}: {error}", path.display()));
    let entries = std::fs::read_dir(dir).map_err(|error| unreadable(dir, error))?;
    for entry in entries {
        let path = entry.map_err(|error| unreadable(dir, error))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if name.ends_with(".txt") || name.ends_with(".html") {
            let source = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
            environment
                .add_template_owned(name.to_owned(), source)
                .map_err(|error| broken(Some(dir), &error))?;
        }
    }
    Ok(())
}

/// One line with file and line.
fn broken(dir: Option<&Path>, error: &Error) -> DeliveryError {
    use std::error::Error as _;
    // An error inside a layout or an included file is the source of the one outside.
    let mut innermost = error;
    while let Some(inner) = innermost.source().and_then(|source| source.downcast_ref::<Error>()) {
        innermost = inner;
    }
    let name = innermost.name().unwrap_or("?");
    let file = match dir {
        Some(dir) if dir.join(name).exists() => dir.join(name).display().to_string(),
        _ => format!("built-in template {name}"),
    };
    let detail = innermost.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    let line = innermost.line().unwrap_or(0);
    DeliveryError::Template(clean(&format!("{file}:{line}: {}{detail}", innermost.kind())))
}

/// Each kind, with and without what may be missing.
fn samples() -> Vec<MailKind> {
    let some = || Some("https://example.com/x".to_owned());
    let (url, code) = ("https://example.com/x".to_owned(), "BCDF-GHJK".to_owned());
    let (from, to) = ("old@example.com".to_owned(), "new@example.com".to_owned());
    let notice = Notice { at: 0, ip: "192.0.2.1".into(), user_agent: "Firefox on Linux".into() };
    vec![
        MailKind::VerifyEmailLink { url: url.clone(), signup: true },
        MailKind::VerifyEmailLink { url: url.clone(), signup: false },
        MailKind::VerifyEmailCode { code: code.clone(), signup: true },
        MailKind::VerifyEmailCode { code: code.clone(), signup: false },
        MailKind::LoginCode { code: code.clone() },
        MailKind::PasswordResetLink { url: url.clone(), username: Some("somebody".into()) },
        MailKind::PasswordResetLink { url, username: None },
        MailKind::PasswordResetCode { code },
        MailKind::UnknownAccount { signup_url: some() },
        MailKind::UnknownAccount { signup_url: None },
        MailKind::AccountAlreadyExists { signup_url: some(), password_reset_url: some() },
        MailKind::AccountAlreadyExists { signup_url: None, password_reset_url: None },
        MailKind::EmailChanged { from: from.clone(), to, notice: notice.clone() },
        MailKind::EmailDeleted { email: from, notice: notice.clone() },
        MailKind::PasswordChanged(notice.clone()),
        MailKind::PasswordSet(notice.clone()),
        MailKind::PasswordReset(notice.clone()),
        MailKind::TotpActivated(notice.clone()),
        MailKind::TotpDeactivated(notice.clone()),
        MailKind::WebauthnAdded(notice.clone()),
        MailKind::WebauthnRemoved(notice.clone()),
        MailKind::RecoveryCodesGenerated(notice.clone()),
        MailKind::RecoveryCodeUsed(notice.clone()),
        MailKind::ProviderConnected { provider: "GitHub".into(), notice: notice.clone() },
        MailKind::ProviderDisconnected { provider: "GitHub".into(), notice: notice.clone() },
        MailKind::AccountDeleted(notice),
    ]
}

const SMS_SAMPLES: &[(SmsKind, Option<&str>)] = &[
    (SmsKind::VerificationCode, Some("BCDF-GHJK")),
    (SmsKind::LoginCode, Some("BCDF-GHJK")),
    (SmsKind::UnknownAccount, None),
    (SmsKind::AccountAlreadyExists, None),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Transport;

    fn settings(template_dir: Option<&Path>) -> Settings {
        Settings {
            transport: Transport::Mailbox,
            from_email: "noreply@example.com".into(),
            subject_prefix: "[Example] ".into(),
            template_dir: template_dir.map(Path::to_owned),
            sms: None,
            site_name: "Example".into(),
        }
    }

    fn render(templates: &Templates, kind: MailKind) -> Rendered {
        render_in(Language::En, templates, kind)
    }

    fn render_in(language: Language, templates: &Templates, kind: MailKind) -> Rendered {
        templates.mail(&Mail { to: "somebody@example.com".into(), language, kind }).unwrap()
    }

    /// What a reader would take for a code: capitals and digits standing alone.
    fn looks_like_code(text: &str) -> bool {
        text.split(|c: char| c.is_whitespace() || matches!(c, '>' | '<')).any(|word| {
            let word = word.rsplit(':').next().unwrap_or(word);
            let word = word.strip_suffix('.').unwrap_or(word);
            (4..=13).contains(&word.len())
                && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-')
        })
    }

    #[test]
    fn a_code_stands_alone_on_its_line_and_only_where_it_belongs() {
        let templates = Templates::new(&settings(None)).unwrap();
        let all =
            Language::ALL.iter().flat_map(|language| samples().into_iter().map(|kind| (*language, kind)));
        for (language, kind) in all {
            let (code, link) = (kind.code().map(str::to_owned), kind.link().map(str::to_owned));
            let name = format!("{} {}", language.code(), kind.name());
            let mail = render_in(language, &templates, kind);
            assert!(mail.html.contains(&format!("<html lang=\"{}\">", language.code())), "{name}");
            assert!(mail.subject.starts_with("[Example] "), "{name}: {}", mail.subject);
            assert_eq!(mail.text.lines().any(|line| Some(line) == code.as_deref()), code.is_some(), "{name}");
            assert_eq!(mail.text.lines().any(|line| Some(line) == link.as_deref()), link.is_some(), "{name}");
            assert_eq!(looks_like_code(&mail.text), code.is_some(), "{name}: {}", mail.text);
            assert_eq!(
                mail.text.matches("http").count(),
                usize::from(link.is_some()),
                "{name}: {}",
                mail.text
            );
            assert!(!mail.text.contains("\n\n\n") && mail.html.contains("</html>"), "{name}: {}", mail.text);
            assert!(!looks_like_code(&mail.subject), "{name}: a subject shows on locked screens");
        }
    }

    #[test]
    fn e6_values_are_text_in_html_and_hold_no_line_breaks() {
        let templates = Templates::new(&settings(None)).unwrap();
        let username = Some("<script>alert(1)</script>\"'&\r\nBcc: x\0".to_owned());
        let mail = render(
            &templates,
            MailKind::PasswordResetLink { url: "https://e.com/?a=1&b=2".into(), username },
        );
        assert!(!mail.html.contains("<script>") && mail.html.contains("&lt;script&gt;"), "{}", mail.html);
        assert!(mail.html.contains("a=1&amp;b=2"), "{}", mail.html);
        assert!(!mail.text.contains("\nBcc") && !mail.text.contains(['\r', '\0']), "{}", mail.text);
    }

    #[test]
    fn a_notice_says_whence_in_text_and_in_html() {
        let templates = Templates::new(&settings(None)).unwrap();
        let user_agent = "BCDF-GHJK https://evil.example/ \r\n<b>".to_owned();
        let notice = Notice { at: 1_700_000_000_000, ip: "2001:db8::1234".into(), user_agent };
        let mail = render(&templates, MailKind::PasswordChanged(notice));
        for part in ["14 November 2023, 22:13 UTC", "2001:db8::1234, with a program that we do not know"] {
            assert!(mail.text.contains(part) && mail.html.contains(part), "{part}: {}", mail.text);
        }
        assert!(!looks_like_code(&mail.text) && !mail.text.contains("http"), "{}", mail.text);
    }

    #[test]
    fn e6_what_is_put_into_a_text_is_escaped_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let html = "{{ t('<i>{code} & {more}</i>', more='{code}<b>') }} {{ t(code) }}";
        std::fs::write(dir.path().join("login_code.html"), html).unwrap();
        let templates = Templates::new(&settings(Some(dir.path()))).unwrap();
        let mail = render(&templates, MailKind::LoginCode { code: "<script>".into() });
        let expected = "&lt;i&gt;&lt;script&gt; &amp; {code}&lt;b&gt;&lt;&#x2f;i&gt; &lt;script&gt;";
        assert_eq!(mail.html, expected);
    }

    #[test]
    fn templates_of_one_language_win_in_that_language() {
        let dir = tempfile::tempdir().unwrap();
        for (name, source) in [
            ("login_code.subject.de.txt", "Ihr Code"),
            ("login_code.de.txt", "{{ t('Hello,') }} {{ code }} ({{ language }})"),
            ("login_code.txt", "{{ t('Hello,') }} {{ t('Code: {it}', it=code) }}"),
            ("sms_login_code.nl.txt", "{{ code }}!"),
        ] {
            std::fs::write(dir.path().join(name), source).unwrap();
        }
        let templates = Templates::new(&settings(Some(dir.path()))).unwrap();
        let mail =
            |language| render_in(language, &templates, MailKind::LoginCode { code: "BCDF-GHJK".into() });
        let german = mail(Language::De);
        assert_eq!(german.subject, "[Example] Ihr Code");
        assert_eq!(german.text, "Guten Tag! BCDF-GHJK (de)\n");
        assert_eq!(mail(Language::Fr).text, "Bonjour, Code: BCDF-GHJK\n");
        let sms = |language| {
            let (phone, code) = ("+15550100".to_owned(), Some("BCDF-GHJK".to_owned()));
            templates.sms(&Sms { phone, language, kind: SmsKind::LoginCode, code }).unwrap()
        };
        assert_eq!(sms(Language::Nl), "BCDF-GHJK!");
        assert!(sms(Language::De).starts_with("BCDF-GHJK ist "));
    }

    #[test]
    fn templates_of_the_operator_take_the_place_of_ours() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("login_code.txt"), "{% include 'greeting.txt' %} {{ code }}").unwrap();
        std::fs::write(dir.path().join("login_code.subject.txt"), "Hi\nBcc: {{ site_name }}\r\n").unwrap();
        std::fs::write(dir.path().join("greeting.txt"), "Ahoi").unwrap();
        std::fs::write(dir.path().join("notes.md"), "{{").unwrap();
        let templates = Templates::new(&settings(Some(dir.path()))).unwrap();
        let mail = render(&templates, MailKind::LoginCode { code: "BCDF-GHJK".into() });
        assert_eq!(
            (mail.text.as_str(), mail.subject.as_str()),
            ("Ahoi BCDF-GHJK\n", "[Example] Hi Bcc: Example")
        );
    }

    #[test]
    fn a_broken_template_stops_the_start_with_one_line_that_names_file_and_line() {
        for (source, line) in [
            ("a\n{% if %}", 2),
            ("a\nb\n{{ cdoe }}", 3),
            ("{% extends 'nothing.txt' %}", 1),
            ("\n{{ t('Code: {cdoe}') }}", 2),
            ("{{ t('Code', cdoe=code) }}", 1),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("login_code.txt");
            std::fs::write(&file, source).unwrap();
            let error = Templates::new(&settings(Some(dir.path()))).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{}:{line}: ", file.display())), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
        let missing = Templates::new(&settings(Some(Path::new("/nonexistent/templates"))));
        assert!(missing.unwrap_err().to_string().starts_with("/nonexistent/templates: "));
    }
}
