//! What is visible from outside: addresses, origins, the front end's pages, mail and messages.

use std::net::SocketAddr;
use url::{Host, Url};

use super::super::{ClientKind, Config, EmailVerification, LoginMethod, SameSite, SignupField, SmtpTls};
use super::Report;

pub(super) fn check(config: &Config, report: &mut Report) {
    addresses(config, report);
    origins(config, report);
    frontend_urls(config, report);
    mail(config, report);
    messages(config, report);
}

/// Whether `url` names this machine, for which browsers make exceptions.
pub(in crate::config) fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn addresses(config: &Config, report: &mut Report) {
    let server = &config.server;
    if server.listen.parse::<SocketAddr>().is_err() {
        report.error("server.listen", "write address and port, such as \"127.0.0.1:8000\" or \"[::]:8000\"");
    }
    if let Some(listen) = &server.metrics_listen {
        if listen.parse::<SocketAddr>().is_err() {
            report.error("server.metrics_listen", "write address and port, such as \"127.0.0.1:9000\"");
        } else if *listen == server.listen {
            report.error("server.metrics_listen", "metrics need an address apart from server.listen");
        }
    }
    if !(1..=128).contains(&server.rate_limit_ipv6_prefix) {
        report.error("server.rate_limit_ipv6_prefix", "write a number of bits from 1 to 128, such as 64");
    }
    let not_a_host =
        |host: &&String| host.contains('*') || Host::parse(host.trim_start_matches('.')).is_err();
    if let Some(host) = server.allowed_hosts.iter().find(not_a_host) {
        report.error(
            "server.allowed_hosts",
            format!("{host:?} is no host; write names without scheme and port"),
        );
    }
    if server.body_limit == 0 || server.hash_workers == Some(0) {
        report.error("server.body_limit", "with body_limit or hash_workers at 0 nothing could be answered");
    }
    match Url::parse(&server.public_url) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") || !url.has_host() => {
            report.error(
                "server.public_url",
                "write a URL with http or https, such as \"https://auth.example.org\"",
            );
        }
        Ok(url) if url.path() != "/" || url.query().is_some() || !url.username().is_empty() => {
            report.error(
                "server.public_url",
                "write scheme, host and port only; headless.path_prefix sets the path",
            );
        }
        Ok(url) if url.scheme() == "http" && !is_local(&url) => {
            report.warn("server.public_url", "without https, passwords and sessions travel readable");
        }
        Ok(_) => {}
        Err(_) => {
            report.error("server.public_url", "write a whole URL, such as \"https://auth.example.org\"")
        }
    }
    let prefix = &config.headless.path_prefix;
    if !prefix.starts_with('/') || prefix.ends_with('/') || prefix.contains("//") {
        report.error(
            "headless.path_prefix",
            "begin it with a slash and end it without one, as in \"/_allauth\"",
        );
    }
    if config.headless.clients.is_empty() {
        report.error(
            "headless.clients",
            "without any client the API cannot be used; list \"app\", \"browser\" or both",
        );
    }
}

fn origins(config: &Config, report: &mut Report) {
    let here = Url::parse(&config.server.public_url).ok();
    let browser = config.headless.clients.contains(&ClientKind::Browser);
    let lax = config.session.cookie_samesite != SameSite::None;
    for origin in &config.csrf.trusted_origins {
        let plain = origin.replacen("://*.", "://", 1);
        match parse_origin(&plain) {
            None => {
                report.error("csrf.trusted_origins", not_an_origin(origin, ", or \"https://*.example.org\""))
            }
            Some(url) if browser && lax && here.as_ref().is_some_and(|here| !same_site(here, &url)) => {
                report.warn("csrf.trusted_origins", foreign(origin));
            }
            Some(_) => {}
        }
    }
    for origin in &config.server.cors_allowed_origins {
        let Some(url) = parse_origin(origin) else {
            report.error("server.cors_allowed_origins", not_an_origin(origin, "; \"*\" is not taken"));
            continue;
        };
        if browser && lax && here.as_ref().is_some_and(|here| !same_site(here, &url)) {
            report.warn("server.cors_allowed_origins", foreign(origin));
        } else if browser && !is_trusted(&config.csrf.trusted_origins, &url) {
            report.warn(
                "server.cors_allowed_origins",
                format!(
                    "browsers at {origin} may read but change nothing: list it in csrf.trusted_origins too"
                ),
            );
        }
    }
}

fn not_an_origin(origin: &str, more: &str) -> String {
    format!("{origin:?} is no origin; write scheme and host, such as \"https://app.example.org\"{more}")
}

fn foreign(origin: &str) -> String {
    format!(
        "{origin} is another site than server.public_url, so browsers will not send it the session cookie; serve both \
         under one domain, or set session.cookie_samesite and csrf.cookie_samesite to \"None\" (with https)"
    )
}

/// An origin and nothing more: scheme, host and perhaps a port.
fn parse_origin(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text).then_some(url)
}

fn is_trusted(trusted: &[String], origin: &Url) -> bool {
    let host = origin.host_str().unwrap_or_default();
    trusted.iter().any(|pattern| match pattern.split_once("://*") {
        Some((scheme, suffix)) => origin.scheme() == scheme && host.ends_with(suffix),
        None => Url::parse(pattern).is_ok_and(|url| url.origin() == origin.origin()),
    })
}

/// What browsers call a site: scheme and registrable domain.
fn same_site(a: &Url, b: &Url) -> bool {
    let site = |url: &Url| match url.host() {
        Some(Host::Domain(name)) => psl::domain_str(name).unwrap_or(name).to_owned(),
        host => host.map(|host| host.to_string()).unwrap_or_default(),
    };
    a.scheme() == b.scheme() && site(a) == site(b)
}

fn frontend_urls(config: &Config, report: &mut Report) {
    let (account, urls) = (&config.account, &config.headless.frontend_urls);
    for url in [
        &urls.account_confirm_email,
        &urls.account_reset_password,
        &urls.account_reset_password_from_key,
        &urls.account_signup,
        &urls.socialaccount_login_error,
    ] {
        let Some(text) = url else { continue };
        match Url::parse(text) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") => {
                report
                    .warn("headless.frontend_urls", format!("{text:?} opens only where its scheme is known"));
            }
            Ok(_) => {}
            Err(_) => report.error(
                "headless.frontend_urls",
                format!("{text:?} is no whole URL; mails need scheme and host"),
            ),
        }
    }
    // The portal has all of them.
    if config.has_portal() {
        return;
    }
    let (mut needed, mut useful) = (Vec::new(), Vec::new());
    if urls.account_confirm_email.is_none() && !account.email_verification_by_code_enabled {
        let always = account.email_verification != EmailVerification::None;
        if always { &mut needed } else { &mut useful }.push("account_confirm_email");
    }
    if !config.socialaccount.only {
        if urls.account_reset_password_from_key.is_none() && !account.password_reset_by_code_enabled {
            needed.push("account_reset_password_from_key");
        }
        if urls.account_signup.is_none() && account.email_unknown_accounts {
            useful.push("account_signup");
        }
        if urls.account_reset_password.is_none() {
            useful.push("account_reset_password");
        }
    }
    let setting = "headless.frontend_urls";
    if config.email.is_development() {
        needed.append(&mut useful);
        if !needed.is_empty() {
            let missing = needed.join(", ");
            report.warn(
                setting,
                format!("{missing} not set: mails lead to server.public_url, as they are not really sent"),
            );
        }
        return;
    }
    if !needed.is_empty() {
        let missing = needed.join(", ");
        report.error(
            setting,
            format!(
                "set {missing}: mails would lead nowhere; or switch to codes (account.*_by_code_enabled)"
            ),
        );
    }
    if !useful.is_empty() {
        report.warn(setting, format!("{} not set: some mails will have no link to it", useful.join(", ")));
    }
}

fn mail(config: &Config, report: &mut Report) {
    let email = &config.email;
    if email.is_development() {
        let url = Url::parse(&config.server.public_url).ok();
        let open =
            config.server.listen.parse::<SocketAddr>().is_ok_and(|address| !address.ip().is_loopback());
        let published = url.is_some_and(|url| !is_local(&url));
        let what = "not set, so mails are shown to everybody who reaches this server (development mailbox)";
        if published && config.is_https() {
            report.error("email.host", format!("{what}; set an SMTP server"));
        } else if published || open {
            report.warn("email.host", format!("{what}; set an SMTP server before others can reach it"));
        }
        return;
    }
    if email.from_email.ends_with("@localhost") || email.from_email.ends_with("@localhost>") {
        report.warn(
            "email.from_email",
            "mail servers refuse senders at localhost; set an address of your domain",
        );
    }
    if email.username.is_some() != email.password.is_some() {
        report.error(
            "email.username",
            "logging in to the mail server needs both email.username and email.password",
        );
    }
    let remote = email.host.as_deref().is_some_and(|host| !matches!(host, "localhost" | "127.0.0.1" | "::1"));
    if remote && email.tls() == SmtpTls::None {
        report.warn("email.tls", "mails with codes and links travel readable; use \"starttls\" or \"tls\"");
    }
}

fn messages(config: &Config, report: &mut Report) {
    let account = &config.account;
    let proves =
        account.phone_verification_enabled && account.signup_fields.get(SignupField::Phone).is_some();
    if (proves || account.login_methods.contains(&LoginMethod::Phone)) && !config.can_send_sms() {
        report.error(
            "sms.webhook_url",
            "phone numbers need it, to be sent codes; or take \"phone\" off account.login_methods and account.signup_fields",
        );
    }
    if let Some(text) = &config.sms.webhook_url {
        match Url::parse(text) {
            Ok(url) if url.scheme() == "https" => {}
            Ok(url) if url.scheme() == "http" => {
                if !is_local(&url) {
                    report.warn("sms.webhook_url", "without https, codes and numbers travel readable");
                }
            }
            _ => {
                report.error("sms.webhook_url", "write a whole URL, such as \"https://sms.example.org/send\"")
            }
        }
    }
    if !(1..=300).contains(&config.sms.timeout) {
        report.error("sms.timeout", "write a number of seconds from 1 to 300");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{expect, found};

    #[test]
    fn addresses_are_checked() {
        expect("server.listen = \"8000\"", "server.listen!");
        expect("server.metrics_listen = \"127.0.0.1:8000\"", "server.metrics_listen!");
        expect("server.allowed_hosts = [\"*\"]", "server.allowed_hosts!");
        expect("server.allowed_hosts = [\"example.org:80\"]", "server.allowed_hosts!");
        expect("server.public_url = \"auth.example.org\"", "server.public_url!");
        expect("server.public_url = \"https://example.org/auth\"", "server.public_url!");
        expect("server.public_url = \"http://auth.example.org\"", "server.public_url");
        expect("headless.path_prefix = \"_allauth/\"", "headless.path_prefix!");
        expect("headless.clients = []", "headless.clients!");
    }

    #[test]
    fn origins_are_checked() {
        let https = "server.public_url = \"https://auth.example.org\"\n";
        expect("csrf.trusted_origins = [\"app.example.org\"]", "csrf.trusted_origins!");
        expect("csrf.trusted_origins = [\"https://app.example.org/\"]", "csrf.trusted_origins!");
        expect("server.cors_allowed_origins = [\"*\"]", "server.cors_allowed_origins!");
        expect(
            &format!("{https}server.cors_allowed_origins = [\"https://app.example.com\"]"),
            "server.cors_allowed_origins",
        );
        expect(
            &format!("{https}server.cors_allowed_origins = [\"https://app.example.org\"]"),
            "server.cors_allowed_origins",
        );
        let none =
            "session.cookie_samesite = \"None\"\ncsrf.trusted_origins = [\"https://app.example.com\"]\n";
        assert!(!found(&format!("{https}{none}")).iter().any(|f| f.starts_with("csrf.trusted_origins")));
    }

    #[test]
    fn mails_need_somewhere_to_lead() {
        let real = "email.host = \"mail.example.org\"\n";
        assert!(!found(real).iter().any(|setting| setting.starts_with("headless.frontend_urls")));
        let without = "portal.enabled = false\n";
        let real = &format!("{real}{without}");
        expect(without, "headless.frontend_urls");
        expect(real, "headless.frontend_urls!");
        expect("headless.frontend_urls.account_signup = \"/join\"", "headless.frontend_urls!");
        let codes = "account.email_verification_by_code_enabled = true\naccount.password_reset_by_code_enabled = true";
        assert!(!found(&format!("{real}{codes}")).contains(&"headless.frontend_urls!".to_owned()));
    }

    #[test]
    fn mail_and_messages_are_checked() {
        expect("server.public_url = \"https://auth.example.org\"", "email.host!");
        expect("server.listen = \"0.0.0.0:8000\"", "email.host");
        expect("email = { host = \"mx\", username = \"u\" }", "email.username!");
        expect("email = { host = \"mx\" }", "email.from_email");
        expect("email = { host = \"mx\", tls = \"none\" }", "email.tls");
        let phone = "account.login_methods = [\"phone\"]\naccount.signup_fields = [\"phone*\", \"password1*\"]\naccount.email_verification = \"none\"\n";
        expect(&format!("{phone}email.host = \"mx\""), "sms.webhook_url!");
        assert!(!found(phone).contains(&"sms.webhook_url!".to_owned()));
        let asked = "account.signup_fields = [\"email*\", \"phone\", \"password1*\"]\nemail.host = \"mx\"\n";
        expect(asked, "sms.webhook_url!");
        let unproved = format!("{asked}account.phone_verification_enabled = false");
        assert!(!found(&unproved).contains(&"sms.webhook_url!".to_owned()));
        expect("sms.timeout = 0", "sms.timeout!");
    }
}
