//! Checks at the start: settings that contradict each other, cannot work, or leave a door open. Each finding names the
//! mistake and what to do about it.

mod account;
mod admin;
mod behind;
mod cookies;
mod edge;
mod events;
mod hooks;
mod keys;
mod portal;
mod providers;
mod telemetry;
mod webauthn;

use super::Config;
pub(super) use edge::is_local;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It cannot work, or is unsafe beyond doubt: do not start.
    Error,
    /// It may be meant: say so and start.
    Warning,
}

/// Something wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The setting to look at first: `"account.login_methods"`. [`Source::place`](super::Source::place) finds it.
    pub setting: &'static str,
    /// What is wrong and what to do, in one line that names the setting. Holds no secret.
    pub message: String,
}

/// Everything that is wrong with `config`, errors first.
#[must_use]
pub fn check(config: &Config) -> Vec<Finding> {
    let mut report = Report(Vec::new());
    edge::check(config, &mut report);
    cookies::check(config, &mut report);
    account::check(config, &mut report);
    keys::check(config, &mut report);
    behind::check(config, &mut report);
    webauthn::check(config, &mut report);
    providers::check(config, &mut report);
    portal::check(config, &mut report);
    admin::check(config, &mut report);
    events::check(config, &mut report);
    hooks::check(config, &mut report);
    telemetry::check(config, &mut report);
    report.0.sort_by_key(|finding| finding.severity == Severity::Warning);
    report.0
}

struct Report(Vec<Finding>);

impl Report {
    fn error(&mut self, setting: &'static str, what: impl AsRef<str>) {
        self.add(Severity::Error, setting, what.as_ref());
    }

    fn warn(&mut self, setting: &'static str, what: impl AsRef<str>) {
        self.add(Severity::Warning, setting, what.as_ref());
    }

    fn add(&mut self, severity: Severity, setting: &'static str, what: &str) {
        self.0.push(Finding { severity, setting, message: format!("{setting}: {what}") });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The findings of `text`, as settings; errors with an exclamation mark.
    pub(super) fn found(text: &str) -> Vec<String> {
        let config = Config::from_toml(text).unwrap();
        let mark = |severity| if severity == Severity::Error { "!" } else { "" };
        check(&config)
            .iter()
            .map(|finding| format!("{}{}", finding.setting, mark(finding.severity)))
            .collect()
    }

    /// Panics unless `text` has the finding `expected`.
    pub(super) fn expect(text: &str, expected: &str) {
        let found = found(text);
        assert!(found.iter().any(|setting| setting == expected), "{expected} not in {found:?} of {text}");
    }

    #[test]
    fn the_defaults_start() {
        let errors: Vec<_> = found("").into_iter().filter(|setting| setting.ends_with('!')).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }

    #[test]
    fn a_complete_configuration_has_no_finding() {
        let text = r#"
            [server]
            public_url = "https://auth.example.org/"
            secret_key = "Zk3vQ9xT7mB2nL5pR8sW4yC6hJ1gF0dA"
            cors_allowed_origins = ["https://app.example.org"]
            allowed_hosts = ["auth.example.org", ".example.org", "[::1]", "127.0.0.1"]
            [csrf]
            trusted_origins = ["https://app.example.org", "https://*.example.org"]
            cookie_domain = "example.org"
            [session]
            cookie_name = "__Host-session"
            [email]
            host = "mail.example.org"
            from_email = "Example <noreply@example.org>"
            [headless.frontend_urls]
            account_confirm_email = "https://app.example.org/verify/{key}"
            account_reset_password = "https://app.example.org/forgot"
            account_reset_password_from_key = "https://app.example.org/reset/{key}"
            account_signup = "https://app.example.org/join"
        "#;
        assert_eq!(found(text), [""; 0]);
    }

    /// Settings of every kind that people run the reference with; none may be refused.
    #[test]
    fn sound_configurations_start() {
        let base = r#"
            server.public_url = "http://127.0.0.1:4711"
            server.secret_key = "c0nformance-secret-key-0123456789abcdef0123456789abcdef"
            email.host = "127.0.0.1"
            email.port = 4712
            email.from_email = "noreply@example.org"
            sms.webhook_url = "http://127.0.0.1:4713/"
            headless.only = true
            headless.frontend_urls = { account_confirm_email = "https://app.example.org/verify-email/{key}", account_reset_password = "https://app.example.org/forgot-password", account_reset_password_from_key = "https://app.example.org/reset-password/{key}", account_signup = "https://app.example.org/join", socialaccount_login_error = "https://app.example.org/provider-error" }
            passwords.argon2 = { memory_kib = 1024, iterations = 1, parallelism = 1 }
            account.rate_limits.signup = "100000/m/ip"
            account.rate_limits.login_failed = "100000/m/ip,5/5m/key"
        "#;
        let mfa = "account.email_verification_by_code_enabled = true\nmfa.supported_types = [\"totp\", \"recovery_codes\", \"webauthn\"]\nmfa.totp_tolerance = 6\n";
        let cases = [
            "".to_owned(),
            "headless.clients = [\"app\"]\naccount.email_verification = \"none\"".to_owned(),
            "headless.clients = [\"browser\"]".to_owned(),
            "account.change_email = true\naccount.max_email_addresses = 2\naccount.email_verification_by_code_enabled = true".to_owned(),
            "account.change_email = true\naccount.email_notifications = true".to_owned(),
            "account.max_email_addresses = 2".to_owned(),
            "account.signup_fields = [\"email*\"]\naccount.email_verification_by_code_enabled = true\naccount.login_by_code_enabled = true".to_owned(),
            "account.signup_fields = [\"email*\", \"email2*\", \"password1*\", \"password2*\"]".to_owned(),
            "account.signup_fields = [\"email*\", \"password1\"]".to_owned(),
            "account.email_verification = \"optional\"\naccount.email_verification_by_code_enabled = true".to_owned(),
            "account.email_verification = \"none\"\naccount.email_verification_by_code_enabled = true\naccount.login_by_code_required = true".to_owned(),
            "account.email_verification = \"none\"\naccount.prevent_enumeration = \"strict\"".to_owned(),
            "account.email_verification_by_code_format = { numeric = true, dashed = false, length = 6 }".to_owned(),
            "account.email_confirmation_expire_days = 0\naccount.email_confirmation_hmac = false".to_owned(),
            "account.reauthentication_required = true\naccount.reauthentication_timeout = 0\naccount.login_by_code_timeout = 1".to_owned(),
            "account.is_open_for_signup = false\naccount.session_remember = false".to_owned(),
            "account.login_methods = [\"username\"]\naccount.signup_fields = [\"username*\", \"email\", \"password1*\"]\naccount.email_verification = \"optional\"".to_owned(),
            "account.login_methods = [\"username\", \"email\"]\naccount.signup_fields = [\"username*\", \"email*\", \"password1*\"]\naccount.email_verification = \"optional\"\naccount.preserve_username_casing = false".to_owned(),
            "account.login_methods = [\"phone\"]\naccount.signup_fields = [\"phone*\", \"password1*\"]\naccount.email_verification = \"none\"\naccount.login_by_code_enabled = true\naccount.phone_verification_supports_resend = true".to_owned(),
            "account.login_methods = [\"phone\", \"email\"]\naccount.signup_fields = [\"phone*\", \"email*\", \"password1*\"]\naccount.email_verification_by_code_enabled = true".to_owned(),
            "account.rate_limits.confirm_email = \"100/1s/key\"\nserver.trusted_proxy_count = 1".to_owned(),
            "csrf.trusted_origins = [\"https://app.example.org\", \"https://*.sub.example.org\"]".to_owned(),
            "csrf.header_name = \"HTTP_X_XSRF_TOKEN\"".to_owned(),
            "session = { cookie_name = \"sid\", cookie_path = \"/_allauth/\", cookie_samesite = \"Strict\", cookie_age = 600, cookie_secure = true }\ncsrf = { cookie_name = \"xsrf\", cookie_samesite = \"Strict\", cookie_secure = true }".to_owned(),
            "session.cookie_age = 1".to_owned(),
            "passwords.validators = []".to_owned(),
            "passwords.validators = [{ name = \"MinimumLengthValidator\", min_length = 14 }]".to_owned(),
            "headless.token_strategy = \"jwt\"\nheadless.jwt_algorithm = \"HS256\"".to_owned(),
            "headless.token_strategy = \"jwt\"\nheadless.jwt_private_key = \"\"\"\n-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n\"\"\"".to_owned(),
            "usersessions.track_activity = true\nheadless.serve_specification = true".to_owned(),
            format!("{mfa}mfa.passkey_login_enabled = true\nmfa.passkey_signup_enabled = true\nmfa.rate_limits = {{ webauthn_login = \"1000/m/ip\" }}"),
            format!("{mfa}mfa.trust_enabled = true\nmfa.trust_cookie_samesite = \"Strict\"\nmfa.trust_cookie_path = \"/_allauth/\""),
            "mfa.supported_types = []\nsocialaccount.only = true\naccount.email_verification = \"none\"\nsocialaccount.apps = [{ provider = \"openid_connect\", provider_id = \"main\", name = \"Main\", client_id = \"c\", secret = \"s\", settings = { server_url = \"http://127.0.0.1:1/main\" } }, { provider = \"github\", client_id = \"g\" }]".to_owned(),
        ];
        for case in cases {
            let errors: Vec<_> = found(&format!("{base}\n{case}"))
                .into_iter()
                .filter(|setting| setting.ends_with('!'))
                .collect();
            assert!(errors.is_empty(), "{errors:?} of {case}");
        }
    }

    #[test]
    fn findings_are_one_line_and_name_their_setting() {
        let text =
            "account.login_methods = []\nserver.public_url = \"ftp://x\"\nserver.secret_key = \"hush-hush\"";
        for finding in check(&Config::from_toml(text).unwrap()) {
            assert!(finding.message.starts_with(finding.setting), "{}", finding.message);
            assert!(
                !finding.message.contains('\n') && !finding.message.contains("hush"),
                "{}",
                finding.message
            );
        }
    }
}
