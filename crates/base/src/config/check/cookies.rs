//! Cookies that browsers would drop, not send, or send too far.

use url::Url;

use super::super::{Config, SameSite};
use super::Report;
use super::edge::is_local;

/// A cookie as configured, with the setting that each part comes from.
struct Cookie<'a> {
    name: (&'static str, &'a str),
    domain: (&'static str, Option<&'a str>),
    path: (&'static str, &'a str),
    same_site: (&'static str, SameSite),
    secure: (&'static str, bool),
}

pub(super) fn check(config: &Config, report: &mut Report) {
    let (session, csrf, mfa) = (&config.session, &config.csrf, &config.mfa);
    let cookies = [
        Cookie {
            name: ("session.cookie_name", &session.cookie_name),
            domain: ("session.cookie_domain", session.cookie_domain.as_deref()),
            path: ("session.cookie_path", &session.cookie_path),
            same_site: ("session.cookie_samesite", session.cookie_samesite),
            secure: ("session.cookie_secure", config.session_cookie_secure()),
        },
        Cookie {
            name: ("csrf.cookie_name", &csrf.cookie_name),
            domain: ("csrf.cookie_domain", csrf.cookie_domain.as_deref()),
            path: ("csrf.cookie_path", &csrf.cookie_path),
            same_site: ("csrf.cookie_samesite", csrf.cookie_samesite),
            secure: ("csrf.cookie_secure", config.csrf_cookie_secure()),
        },
        Cookie {
            name: ("mfa.trust_cookie_name", &mfa.trust_cookie_name),
            domain: (
                "mfa.trust_cookie_domain",
                mfa.trust_cookie_domain.as_deref().or(session.cookie_domain.as_deref()),
            ),
            path: ("mfa.trust_cookie_path", mfa.trust_cookie_path.as_deref().unwrap_or(&session.cookie_path)),
            same_site: (
                "mfa.trust_cookie_samesite",
                mfa.trust_cookie_samesite.unwrap_or(session.cookie_samesite),
            ),
            secure: (
                "mfa.trust_cookie_secure",
                mfa.trust_cookie_secure.unwrap_or(config.session_cookie_secure()),
            ),
        },
    ];
    let here = Url::parse(&config.server.public_url).ok();
    for (i, cookie) in cookies.iter().enumerate() {
        name(cookie, report);
        if let Some(here) = &here {
            domain(cookie, here, report);
            secure(cookie, here, report);
        }
        if cookies.iter().take(i).any(|other| other.name.1 == cookie.name.1) {
            report.error(cookie.name.0, "another cookie has this name already");
        }
    }
    for (setting, seconds) in
        [("session.cookie_age", session.cookie_age), ("csrf.cookie_age", csrf.cookie_age)]
    {
        if seconds <= 0 {
            report.error(setting, "a cookie needs a lifetime above 0 seconds");
        }
    }
    if session.idle_timeout.is_some_and(|seconds| seconds <= 0) {
        report.error("session.idle_timeout", "write a number of seconds above 0, or leave it out");
    }
    if !session.cookie_httponly {
        report.warn("session.cookie_httponly", "scripts can read the session; leave it at true");
    }
}

fn name(cookie: &Cookie<'_>, report: &mut Report) {
    let (setting, name) = cookie.name;
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(token) {
        report.error(setting, "a cookie's name is made of ASCII letters, digits, hyphens and underscores");
    }
    let (setting_path, path) = cookie.path;
    if !path.starts_with('/') || path.bytes().any(|b| b == b';' || !(b' '..=b'~').contains(&b)) {
        report.error(
            setting_path,
            "a cookie's path begins with a slash and has no semicolon or control character",
        );
    }
    if name.starts_with("__Host-") {
        if cookie.domain.1.is_some() {
            report
                .error(cookie.domain.0, format!("browsers drop {name} with a domain; leave the domain out"));
        }
        if path != "/" {
            report.error(setting_path, format!("browsers drop {name} with another path than \"/\""));
        }
    }
    if (name.starts_with("__Host-") || name.starts_with("__Secure-")) && !cookie.secure.1 {
        report.error(cookie.secure.0, format!("browsers drop {name} unless it is secure; it needs https"));
    }
}

fn domain(cookie: &Cookie<'_>, here: &Url, report: &mut Report) {
    let (setting, Some(written)) = cookie.domain else { return };
    let domain = written.trim_start_matches('.').to_ascii_lowercase();
    let host = here.host_str().unwrap_or_default();
    let suffix = psl::suffix(domain.as_bytes()).filter(|suffix| suffix.is_known());
    if suffix.is_some_and(|suffix| suffix.as_bytes() == domain.as_bytes()) {
        report.error(
            setting,
            format!("{domain} is a public suffix: browsers drop the cookie; add your own label"),
        );
    } else if host != domain && !host.ends_with(&format!(".{domain}")) {
        report.error(
            setting,
            format!("{domain} does not cover {host} of server.public_url: browsers drop the cookie"),
        );
    }
}

fn secure(cookie: &Cookie<'_>, here: &Url, report: &mut Report) {
    let https = here.scheme() == "https";
    let (setting, secure) = cookie.secure;
    if cookie.same_site.1 == SameSite::None && !secure {
        report.error(cookie.same_site.0, "browsers drop SameSite=None without https; use https or \"Lax\"");
    }
    if secure && !https && !is_local(here) {
        report.error(setting, "over http browsers neither keep nor send it; make server.public_url https");
    }
    if https && !secure {
        report.warn(
            setting,
            "the cookie also travels over http, readable; leave it out, as server.public_url is https",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{expect, found};

    const HTTPS: &str = "server.public_url = \"https://auth.example.co.uk\"\n";

    #[test]
    fn domains_must_cover_the_host_and_belong_to_one() {
        let with = |domain: &str| format!("{HTTPS}session.cookie_domain = \"{domain}\"");
        expect(&with("co.uk"), "session.cookie_domain!");
        expect(&with("example.org"), "session.cookie_domain!");
        expect(&with("ample.co.uk"), "session.cookie_domain!");
        for fine in ["example.co.uk", ".example.co.uk", "auth.example.co.uk"] {
            assert!(!found(&with(fine)).iter().any(|f| f.starts_with("session.cookie_domain")), "{fine}");
        }
        expect(&format!("{HTTPS}csrf.cookie_domain = \"uk\""), "csrf.cookie_domain!");
    }

    #[test]
    fn names_with_a_prefix_bind() {
        let host = "session.cookie_name = \"__Host-s\"\n";
        expect(host, "session.cookie_secure!");
        expect(&format!("{HTTPS}{host}session.cookie_domain = \"example.co.uk\""), "session.cookie_domain!");
        expect(&format!("{HTTPS}{host}session.cookie_path = \"/auth\""), "session.cookie_path!");
        expect("csrf.cookie_name = \"__Secure-c\"", "csrf.cookie_secure!");
        expect("csrf.cookie_name = \"sessionid\"", "csrf.cookie_name!");
        expect("session.cookie_name = \"a;b\"", "session.cookie_name!");
        expect("session.cookie_path = \"/\\n\"", "session.cookie_path!");
    }

    /// S3: cookies are for https alone whenever the public URL is https, and `__Host-` names are supported.
    #[test]
    fn secure_and_same_site_must_fit_the_scheme() {
        expect("session.cookie_samesite = \"None\"", "session.cookie_samesite!");
        expect(
            "server.public_url = \"http://auth.example.org\"\nsession.cookie_secure = true",
            "session.cookie_secure!",
        );
        expect(&format!("{HTTPS}csrf.cookie_secure = false"), "csrf.cookie_secure");
        expect("session.cookie_age = 0", "session.cookie_age!");
    }
}
