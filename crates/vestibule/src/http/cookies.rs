//! Cookies: reading them, and how ours are written (RFC 6265).

use axum::http::{HeaderMap, header};
use vestibule_base::config::{Config, SameSite};
use vestibule_base::security::Token;

/// The value of a cookie. Of several with the same name the last counts, as in Django.
pub(super) fn find(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        // By bytes: a cookie of another application that is not ASCII must not hide ours.
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .filter_map(|pair| std::str::from_utf8(pair).ok()?.trim().split_once('='))
        .filter(|(found, _)| *found == name)
        .map(|(_, value)| value.trim_matches('"').to_owned())
        .next_back()
}

/// How our cookies are written.
#[derive(Debug)]
pub(super) struct Cookies {
    session: Form,
    csrf: Form,
    trust: Form,
}

#[derive(Debug)]
struct Form {
    name: String,
    /// Everything behind the value.
    attributes: String,
    max_age: i64,
}

impl Cookies {
    pub(super) fn new(config: &Config) -> Self {
        let (session, csrf, mfa) = (&config.session, &config.csrf, &config.mfa);
        Self {
            session: Form {
                name: session.cookie_name.clone(),
                attributes: attributes(
                    &session.cookie_path,
                    session.cookie_domain.as_deref(),
                    session.cookie_samesite,
                    config.session_cookie_secure(),
                    session.cookie_httponly,
                ),
                max_age: session.cookie_age,
            },
            csrf: Form {
                name: csrf.cookie_name.clone(),
                attributes: attributes(
                    &csrf.cookie_path,
                    csrf.cookie_domain.as_deref(),
                    csrf.cookie_samesite,
                    config.csrf_cookie_secure(),
                    false,
                ),
                max_age: csrf.cookie_age,
            },
            trust: Form {
                name: mfa.trust_cookie_name.clone(),
                attributes: attributes(
                    mfa.trust_cookie_path.as_deref().unwrap_or(&session.cookie_path),
                    mfa.trust_cookie_domain.as_deref().or(session.cookie_domain.as_deref()),
                    mfa.trust_cookie_samesite.unwrap_or(session.cookie_samesite),
                    mfa.trust_cookie_secure.unwrap_or(config.session_cookie_secure()),
                    mfa.trust_cookie_httponly.unwrap_or(session.cookie_httponly),
                ),
                max_age: mfa.trust_cookie_age,
            },
        }
    }

    pub(super) fn session(&self, token: &Token) -> String {
        self.session.write(token.expose(), self.session.max_age)
    }

    pub(super) fn no_session(&self) -> String {
        self.session.write("", 0)
    }

    pub(super) fn trust(&self, token: &Token) -> String {
        self.trust.write(token.expose(), self.trust.max_age)
    }

    pub(super) fn csrf(&self, secret: &str) -> String {
        self.csrf.write(secret, self.csrf.max_age)
    }
}

impl Form {
    fn write(&self, value: &str, max_age: i64) -> String {
        // Old browsers know only the date.
        let past = if max_age == 0 { "; Expires=Thu, 01 Jan 1970 00:00:00 GMT" } else { "" };
        format!("{}={value}; Max-Age={max_age}{past}{}", self.name, self.attributes)
    }
}

fn attributes(path: &str, domain: Option<&str>, samesite: SameSite, secure: bool, http_only: bool) -> String {
    let mut out = format!("; Path={path}; SameSite={}", samesite.name());
    if let Some(domain) = domain {
        out.push_str("; Domain=");
        out.push_str(domain);
    }
    if secure {
        out.push_str("; Secure");
    }
    if http_only {
        out.push_str("; HttpOnly");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn s3_session_cookies_are_kept_from_scripts_and_plain_http() {
        let config =
            Config::from_toml("server.public_url = 'https://auth.example.org'\nemail.host = 'localhost'")
                .unwrap();
        let cookies = Cookies::new(&config);
        let session = cookies.session(&Token::generate().unwrap());
        assert!(session.ends_with("; Max-Age=1209600; Path=/; SameSite=Lax; Secure; HttpOnly"), "{session}");
        let csrf = cookies.csrf("secret");
        assert_eq!(csrf, "csrftoken=secret; Max-Age=31449600; Path=/; SameSite=Lax; Secure");
        assert!(cookies.no_session().starts_with("sessionid=; Max-Age=0; Expires="));
    }

    #[test]
    fn m5_the_cookie_of_a_trusted_browser_is_guarded_as_the_session_s_is() {
        let https = "server.public_url = 'https://auth.example.org'\nemail.host = 'localhost'\n";
        let trust = |settings: &str| {
            let config = Config::from_toml(&format!("{https}{settings}")).unwrap();
            let token = Token::generate().unwrap();
            Cookies::new(&config).trust(&token).replace(token.expose(), "T")
        };
        assert_eq!(trust(""), "mfa_trusted=T; Max-Age=1209600; Path=/; SameSite=Lax; Secure; HttpOnly");
        assert_eq!(
            trust(
                "session = { cookie_path = '/a', cookie_samesite = 'Strict', cookie_domain = 'example.org' }"
            ),
            "mfa_trusted=T; Max-Age=1209600; Path=/a; SameSite=Strict; Domain=example.org; Secure; HttpOnly"
        );
    }

    #[test]
    fn the_last_of_several_counts() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=1; sessionid=first; b=2".parse().unwrap());
        let foreign =
            axum::http::HeaderValue::from_bytes(b"x=\xff; sessionid=\"last\"; sessionidx=3").unwrap();
        headers.append(header::COOKIE, foreign);
        assert_eq!(find(&headers, "sessionid").as_deref(), Some("last"));
        assert_eq!(find(&headers, "nothing"), None);
    }

    proptest! {
        #[test]
        fn reading_never_panics(line in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(value) = axum::http::HeaderValue::from_bytes(&line) {
                let headers = HeaderMap::from_iter([(header::COOKIE, value)]);
                let _ = find(&headers, "sessionid");
            }
        }
    }
}
