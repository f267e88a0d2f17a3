//! Signing up and logging in: settings that contradict each other, and times that are too long.

use super::super::{
    AuthenticatorType, CodeFormat, Config, EmailVerification, LoginMethod, Presence, SignupField,
};
use super::Report;

pub(super) fn check(config: &Config, report: &mut Report) {
    login(config, report);
    emails(config, report);
    codes(config, report);
    factors(config, report);
}

fn login(config: &Config, report: &mut Report) {
    let account = &config.account;
    let fields = &account.signup_fields;
    if config.socialaccount.only {
        if account.login_by_code_enabled {
            report.error(
                "account.login_by_code_enabled",
                "with socialaccount.only nobody logs in here; turn one off",
            );
        }
        if config.mfa.passkey_login_enabled {
            report.error(
                "mfa.passkey_login_enabled",
                "with socialaccount.only nobody logs in here; turn one off",
            );
        }
        if account.email_verification != EmailVerification::None {
            report.error("account.email_verification", "with socialaccount.only, set it to \"none\"");
        }
        return;
    }
    if account.login_methods.is_empty() {
        report.error("account.login_methods", "list at least one of \"email\", \"username\", \"phone\"");
    }
    if account.is_open_for_signup && !account.login_methods.is_empty() {
        let unasked = |method: &&LoginMethod| fields.get(field_of(**method)).is_none();
        let missing: Vec<_> =
            account.login_methods.iter().filter(unasked).map(|m| field_of(*m).name()).collect();
        if missing.len() == account.login_methods.len() {
            report.error(
                "account.login_methods",
                format!(
                    "nobody who signs up could log in: add {} to account.signup_fields",
                    missing.join(" or ")
                ),
            );
        } else if !missing.is_empty() {
            report.warn(
                "account.login_methods",
                format!("nobody can sign up with {}: add it to account.signup_fields", missing.join(", ")),
            );
        }
        let required = |method: &LoginMethod| fields.get(field_of(*method)) == Some(Presence::Required);
        if missing.is_empty() && !account.login_methods.iter().any(required) {
            report.warn(
                "account.signup_fields",
                "who leaves the optional ones out cannot log in: mark one with *",
            );
        }
        let other_way = account.login_by_code_enabled
            || config.mfa.passkey_login_enabled
            || !config.socialaccount.apps.is_empty();
        if fields.get(SignupField::Password1).is_none() && !other_way {
            report.error(
                "account.signup_fields",
                "without \"password1\" nobody could log in again; add it, or turn on account.login_by_code_enabled",
            );
        }
    }
    for (again, first) in
        [(SignupField::Email2, SignupField::Email), (SignupField::Password2, SignupField::Password1)]
    {
        if fields.get(again).is_some() && fields.get(first).is_none() {
            report.error("account.signup_fields", format!("{} needs {} too", again.name(), first.name()));
        }
    }
    if account.login_timeout <= 0 {
        report.error("account.login_timeout", "write a number of seconds above 0, such as 900");
    }
}

fn field_of(method: LoginMethod) -> SignupField {
    match method {
        LoginMethod::Username => SignupField::Username,
        LoginMethod::Email => SignupField::Email,
        LoginMethod::Phone => SignupField::Phone,
    }
}

fn emails(config: &Config, report: &mut Report) {
    let account = &config.account;
    let email = account.signup_fields.get(SignupField::Email);
    if account.login_methods.contains(&LoginMethod::Email) && !account.unique_email {
        report.error(
            "account.unique_email",
            "logging in by email needs it to be true: whose account is meant otherwise?",
        );
    }
    if account.email_verification == EmailVerification::Mandatory && email != Some(Presence::Required) {
        report.error(
            "account.email_verification",
            "\"mandatory\" needs \"email*\" in account.signup_fields: without an address nothing can be verified",
        );
    }
    if account.email_verification == EmailVerification::None && account.email_verification_by_code_enabled {
        report.warn(
            "account.email_verification_by_code_enabled",
            "account.email_verification is \"none\", so no code is sent at signup",
        );
    }
    match account.max_email_addresses {
        Some(0) => {
            report.error("account.max_email_addresses", "write 1 or more, or leave it out for no bound")
        }
        Some(n) if account.change_email && n != 2 => report.error(
            "account.max_email_addresses",
            "with account.change_email there are two at most, the old and the new: write 2 or leave it out",
        ),
        _ => {}
    }
}

fn codes(config: &Config, report: &mut Report) {
    let account = &config.account;
    for (setting, seconds, most) in [
        ("account.email_verification_by_code_timeout", account.email_verification_by_code_timeout, 600),
        ("account.phone_verification_timeout", account.phone_verification_timeout, 600),
        ("account.login_by_code_timeout", account.login_by_code_timeout, 600),
        ("account.password_reset_by_code_timeout", account.password_reset_by_code_timeout, 600),
        ("account.password_reset_timeout", account.password_reset_timeout, 3600),
    ] {
        if seconds <= 0 {
            report.error(setting, "write a number of seconds above 0");
        } else if seconds > most {
            report.warn(
                setting,
                format!("the longer it lasts, the likelier it is stolen or guessed; {most} or less is safer"),
            );
        }
    }
    for (setting, format) in [
        ("account.email_verification_by_code_format", account.email_verification_by_code_format),
        ("account.login_by_code_format", account.login_by_code_format),
        ("account.password_reset_by_code_format", account.password_reset_by_code_format),
        ("account.phone_verification_code_format", account.phone_verification_code_format),
    ] {
        match format {
            CodeFormat { length: 0 | 33.., .. } => report.error(setting, "write a length from 4 to 32"),
            CodeFormat { length: 1..=3, .. } => {
                report.error(setting, "so short a code is soon guessed; write a length of at least 4")
            }
            CodeFormat { length: 4..=5, .. } => report
                .warn(setting, "so short a code is soon guessed; 6 digits are the least, 8 letters better"),
            CodeFormat { .. } => {}
        }
    }
    for (setting, attempts) in [
        ("account.email_verification_by_code_max_attempts", account.email_verification_by_code_max_attempts),
        ("account.phone_verification_max_attempts", account.phone_verification_max_attempts),
        ("account.login_by_code_max_attempts", account.login_by_code_max_attempts),
        ("account.password_reset_by_code_max_attempts", account.password_reset_by_code_max_attempts),
    ] {
        match attempts {
            0 => report.error(setting, "with no attempt no code could ever be right; write 1 or more"),
            1..=10 => {}
            _ => report.warn(setting, "so many attempts make guessing easier; 3 are enough"),
        }
    }
}

fn factors(config: &Config, report: &mut Report) {
    let (account, mfa) = (&config.account, &config.mfa);
    let webauthn = mfa.supported_types.contains(&AuthenticatorType::Webauthn);
    if account.login_by_code_trust_enabled && mfa.supported_types.is_empty() {
        report.error(
            "account.login_by_code_trust_enabled",
            "trusting browsers needs second factors: set mfa.supported_types",
        );
    }
    if mfa.trust_enabled && mfa.supported_types.is_empty() {
        report.warn("mfa.trust_enabled", "there are no second factors that a trusted browser could skip");
    }
    if mfa.passkey_login_enabled && !webauthn {
        report.error("mfa.passkey_login_enabled", "add \"webauthn\" to mfa.supported_types");
    }
    if mfa.passkey_signup_enabled {
        if !webauthn {
            report.error("mfa.passkey_signup_enabled", "add \"webauthn\" to mfa.supported_types");
        }
        if !mfa.passkey_login_enabled && !account.login_by_code_enabled {
            let reason = "nobody could log in to such an account again: set mfa.passkey_login_enabled = true";
            report.error("mfa.passkey_signup_enabled", reason);
        }
        let mandatory = account.email_verification == EmailVerification::Mandatory;
        if !mandatory || !account.email_verification_by_code_enabled {
            report.error(
                "mfa.passkey_signup_enabled",
                "it needs account.email_verification = \"mandatory\" and account.email_verification_by_code_enabled = true",
            );
        }
    }
    if !(6..=8).contains(&mfa.totp_digits) {
        report.error("mfa.totp_digits", "authenticator apps know 6 to 8 digits");
    }
    if mfa.totp_period == 0 {
        report.error("mfa.totp_period", "write a number of seconds above 0, such as 30");
    }
    if mfa.totp_tolerance > 60 {
        report.error(
            "mfa.totp_tolerance",
            "so many codes are right at a time that one is soon guessed; 0 is best",
        );
    }
    if !(6..=18).contains(&mfa.recovery_code_digits) {
        report.error("mfa.recovery_code_digits", "recovery codes need 6 to 18 digits");
    }
    if !(1..=100).contains(&mfa.recovery_code_count) {
        report.error("mfa.recovery_code_count", "a set has 1 to 100 recovery codes");
    }
    if mfa.trust_cookie_age <= 0 {
        report.error("mfa.trust_cookie_age", "write a number of seconds above 0");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::expect;

    #[test]
    fn login_must_be_possible_after_signup() {
        expect("account.login_methods = [\"username\"]", "account.login_methods!");
        expect("account.login_methods = [\"email\", \"username\"]", "account.login_methods");
        expect("account.login_methods = []", "account.login_methods!");
        expect("account.signup_fields = [\"email*\"]", "account.signup_fields!");
        expect("account.signup_fields = [\"email*\", \"password2*\"]", "account.signup_fields!");
        let optional =
            "account.signup_fields = [\"email\", \"password1*\"]\naccount.email_verification = \"none\"";
        expect(optional, "account.signup_fields");
        expect("socialaccount.only = true", "account.email_verification!");
        let passkeys = "socialaccount.only = true\nmfa.supported_types = [\"webauthn\"]\nmfa.passkey_login_enabled = true";
        expect(passkeys, "mfa.passkey_login_enabled!");
    }

    #[test]
    fn addresses_must_be_there_and_unique() {
        expect("account.unique_email = false", "account.unique_email!");
        expect("account.signup_fields = [\"email\", \"password1*\"]", "account.email_verification!");
        expect("account.max_email_addresses = 0", "account.max_email_addresses!");
        expect(
            "account.change_email = true\naccount.max_email_addresses = 3",
            "account.max_email_addresses!",
        );
        let none = "account.email_verification = \"none\"\naccount.email_verification_by_code_enabled = true";
        expect(none, "account.email_verification_by_code_enabled");
    }

    #[test]
    fn codes_must_be_short_lived_and_long() {
        expect("account.login_by_code_timeout = 900", "account.login_by_code_timeout");
        expect("account.login_by_code_timeout = 0", "account.login_by_code_timeout!");
        expect("account.password_reset_timeout = 259200", "account.password_reset_timeout");
        expect("account.login_by_code_format = { length = 3 }", "account.login_by_code_format!");
        expect("account.user_code_format = { length = 5 }", "account.phone_verification_code_format");
        expect("account.login_by_code_max_attempts = 0", "account.login_by_code_max_attempts!");
    }

    #[test]
    fn factors_must_be_available() {
        expect("mfa.passkey_signup_enabled = true", "mfa.passkey_signup_enabled!");
        expect("mfa.passkey_login_enabled = true", "mfa.passkey_login_enabled!");
        let trust = "account.login_by_code_trust_enabled = true\nmfa.supported_types = []";
        expect(trust, "account.login_by_code_trust_enabled!");
        expect("mfa.totp_digits = 4", "mfa.totp_digits!");
        expect("mfa.totp_tolerance = 61", "mfa.totp_tolerance!");
        expect("mfa.recovery_code_digits = 5", "mfa.recovery_code_digits!");
        expect("mfa.recovery_code_count = 101", "mfa.recovery_code_count!");
    }
}
