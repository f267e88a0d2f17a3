//! `forward-auth`: tells a proxy who is calling, in headers, for the application behind it. A copy of the request's head
//! comes in; nothing is changed, and no cookie is set.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use axum::routing::get;
use url::Url;
use vestibule_base::config::{ClientKind, Config};
use vestibule_core::account::phones;
use vestibule_core::visit::Current;
use vestibule_core::{Outcome, Visit};

use super::answer::{self, Answer, Handed};
use super::caller::Callers;
use super::envelope::bare;
use super::request::{self, PATIENCE};

const USER_ID: HeaderName = HeaderName::from_static("x-user-id");
const USER_EMAIL: HeaderName = HeaderName::from_static("x-user-email");
const USER_EMAIL_VERIFIED: HeaderName = HeaderName::from_static("x-user-email-verified");
const USER_USERNAME: HeaderName = HeaderName::from_static("x-user-username");
const USER_PHONE: HeaderName = HeaderName::from_static("x-user-phone");
const AUTH_METHODS: HeaderName = HeaderName::from_static("x-auth-methods");

/// What a page's address may be long, to come back to it.
const LONGEST_NEXT: usize = 2048;

/// Adds the route, which sees to the threshold itself.
pub(super) fn route(router: Router, callers: &Arc<Callers>) -> Router {
    let config = &callers.ctx.config;
    let gate = Arc::new(Gate { callers: Arc::clone(callers), login: Login::new(config) });
    let other = Arc::clone(&gate);
    let path = format!("{}/forward-auth", config.headless.path_prefix.trim_end_matches('/'));
    router.route(
        &path,
        get(move |request| async move {
            gate.callers.threshold.serve(request, |request, address| gate.answer(request, address)).await
        })
        .fallback(move |request| async move {
            let refuse = |_, _| std::future::ready(bare(StatusCode::METHOD_NOT_ALLOWED));
            other.callers.threshold.serve(request, refuse).await
        }),
    )
}

struct Gate {
    callers: Arc<Callers>,
    login: Option<Login>,
}

impl Gate {
    async fn answer(&self, request: Request, address: IpAddr) -> Response<Body> {
        let (parts, _) = request.into_parts();
        let Callers { ctx, threshold, .. } = &*self.callers;
        let mut visit = request::visit(ctx, threshold, ClientKind::App, &parts.headers, address);
        let (caller, phone) =
            match tokio::time::timeout(PATIENCE, self.look(&mut visit, &parts.headers)).await {
                Ok(Ok(found)) => found,
                Ok(Err(refusal)) => return answer::refuse(ctx, &visit, refusal).await,
                Err(_) => return answer::overdue(),
            };
        match (caller, &self.login) {
            (Some(caller), _) => admitted(&caller, phone.as_deref()),
            (None, Some(login)) if asks_for_login(parts.uri.query()) => login.redirect(&parts.headers),
            (None, _) => match Answer::authentication(ctx, &visit).await {
                Ok(answer) => answer.into_response(Handed::default()),
                Err(refusal) => answer::refuse(ctx, &visit, refusal).await,
            },
        }
    }

    /// Who is calling, and the number that they have proved.
    async fn look(
        &self,
        visit: &mut Visit,
        headers: &HeaderMap,
    ) -> Outcome<(Option<Box<Current>>, Option<String>)> {
        let caller = self.callers.find(visit, headers).await?;
        let phone = match &caller {
            Some(caller) => phones::proved(&self.callers.ctx, caller.user.id).await?,
            None => None,
        };
        Ok((caller, phone))
    }
}

fn admitted(caller: &Current, phone: Option<&str>) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(USER_ID, HeaderValue::from(caller.user.id));
    if let Some(email) = caller.email.as_deref().and_then(value) {
        headers.insert(USER_EMAIL, email);
        let verified = if caller.email_verified { "true" } else { "false" };
        headers.insert(USER_EMAIL_VERIFIED, HeaderValue::from_static(verified));
    }
    if let Some(username) = caller.user.username.as_deref().and_then(value) {
        headers.insert(USER_USERNAME, username);
    }
    if let Some(phone) = phone.and_then(value) {
        headers.insert(USER_PHONE, phone);
    }
    let mut methods: Vec<&str> = Vec::new();
    for record in &caller.records {
        if !methods.contains(&record.method.name()) {
            methods.push(record.method.name());
        }
    }
    if !methods.is_empty()
        && let Some(methods) = value(&methods.join(","))
    {
        headers.insert(AUTH_METHODS, methods);
    }
    response
}

/// A text as the value of a header, in UTF-8; `None` if it cannot be one (E6).
fn value(text: &str) -> Option<HeaderValue> {
    if text.chars().any(char::is_control) {
        return None;
    }
    HeaderValue::from_str(text).ok()
}

/// Nothing else of the query means anything: above all, it names no target.
fn asks_for_login(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|pair| pair == "redirect=login"))
}

/// The page where people log in, and where they may be sent back to from there.
struct Login {
    page: Url,
    /// Origins, compared exactly; those with a wildcard are none to be sent to (E4).
    origins: Vec<String>,
}

impl Login {
    fn new(config: &Config) -> Option<Self> {
        let page = Url::parse(config.headless.forward_auth_login_url.as_deref()?)
            .inspect_err(|error| tracing::error!(%error, "headless.forward_auth_login_url"))
            .ok()?;
        Some(Self { page, origins: config.return_origins() })
    }

    fn redirect(&self, headers: &HeaderMap) -> Response<Body> {
        let mut page = self.page.clone();
        if let Some(wanted) = wanted(headers)
            && self.origins.contains(&wanted.origin().ascii_serialization())
        {
            page.query_pairs_mut().append_pair("next", wanted.as_str());
        }
        let Ok(location) = HeaderValue::from_str(page.as_str()) else {
            return bare(StatusCode::UNAUTHORIZED);
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::FOUND;
        response.headers_mut().insert(header::LOCATION, location);
        response
    }
}

/// The page that somebody wanted to see, as the proxy tells; `None` if it is not one to come back to, or is written so
/// that two readers might understand two things (E4).
fn wanted(headers: &HeaderMap) -> Option<Url> {
    let told = |name: &str| {
        let mut values = headers.get_all(name).iter();
        let only = values.next().filter(|_| values.next().is_none())?;
        // Visible ASCII alone: no control characters, no blanks.
        only.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'))
    };
    let method = headers.get("x-forwarded-method");
    if method.is_some_and(|method| method != Method::GET.as_str() && method != Method::HEAD.as_str()) {
        return None;
    }
    let (scheme, host) = (told("x-forwarded-proto")?, told("x-forwarded-host")?);
    let uri = told("x-forwarded-uri")?;
    let plain =
        matches!(scheme, "http" | "https") && !host.is_empty() && !host.contains(['/', '?', '#', '@', ',']);
    if !plain || !uri.starts_with('/') || uri.starts_with("//") || uri.len() > LONGEST_NEXT {
        return None;
    }
    Url::parse(&format!("{scheme}://{host}{uri}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn next(proto: &str, host: &str, uri: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("x-forwarded-proto", proto), ("x-forwarded-host", host), ("x-forwarded-uri", uri)]
        {
            headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
        }
        let config = Config::from_toml(
            "server.public_url = 'https://auth.example.org'
             server.cors_allowed_origins = ['https://app.example.org:8443']
             csrf.trusted_origins = ['https://www.example.org', 'https://*.example.org']
             headless.forward_auth_login_url = 'https://www.example.org/login?from=gate'",
        );
        let login = Login::new(&config.unwrap()).unwrap();
        let response = login.redirect(&headers);
        let location = response.headers()[header::LOCATION].to_str().unwrap();
        let location = Url::parse(location).unwrap();
        assert!(location.as_str().starts_with("https://www.example.org/login?from=gate"));
        location.query_pairs().find(|(name, _)| name == "next").map(|(_, value)| value.into_owned())
    }

    #[test]
    fn e4_people_come_back_to_listed_origins_only() {
        for (host, uri, back) in [
            ("auth.example.org", "/", "https://auth.example.org/"),
            ("www.example.org", "/a?b=c&d=%2F#e", "https://www.example.org/a?b=c&d=%2F#e"),
            ("WWW.example.org:443", "/a", "https://www.example.org/a"),
            ("app.example.org:8443", "/?u=http://x", "https://app.example.org:8443/?u=http://x"),
        ] {
            assert_eq!(next("https", host, uri).as_deref(), Some(back));
        }
        for (proto, host, uri) in [
            ("http", "www.example.org", "/"),
            ("https", "evil.example", "/"),
            ("https", "sub.example.org", "/"),
            ("https", "www.example.org.evil.example", "/"),
            ("https", "www.example.org@evil.example", "/"),
            ("https", "evil.example/www.example.org", "/"),
            ("https", "www.example.org, evil.example", "/"),
            ("https", "www.example.org", "//evil.example"),
            ("https", "www.example.org", "/\\evil.example"),
            ("https", "www.example.org\\@evil.example", "/"),
            ("https", "www.example.org", "@evil.example/"),
            ("https", "www.example.org", ".evil.example/"),
            ("https", "www.example.org", ""),
            ("https", "www.example.org", "/a b"),
            ("https", "www.example.org", "/\tb"),
            ("https", "www.example.org", "/\u{fc}"),
            ("https", "www.example.org:8443", "/"),
            ("https", "", "/"),
            ("javascript", "www.example.org", "/"),
            ("https,http", "www.example.org", "/"),
        ] {
            assert_eq!(next(proto, host, uri), None, "{proto} {host} {uri}");
        }
        assert_eq!(next("https", "www.example.org", &format!("/{}", "a".repeat(3000))), None);
    }

    #[test]
    fn e6_what_is_no_header_value_is_left_out() {
        for text in ["a\r\nX-User-Id: 1", "a\nb", "a\0b", "a\u{85}b", "a\u{7f}", "tab\tbed"] {
            assert_eq!(value(text), None, "{text:?}");
        }
        assert_eq!(value("Zoë").unwrap().as_bytes(), "Zoë".as_bytes());
    }

    #[test]
    fn only_the_one_word_asks_for_the_login_page() {
        for (query, asks) in [
            (None, false),
            (Some(""), false),
            (Some("redirect=https://evil.example"), false),
            (Some("redirect=loginx"), false),
            (Some("x=1&redirect=login"), true),
        ] {
            assert_eq!(asks_for_login(query), asks, "{query:?}");
        }
    }

    proptest! {
        #[test]
        fn e4_no_page_elsewhere_comes_out(host in "[ -~]{0,30}", uri in "[ -~]{0,30}") {
            if let Some(back) = next("https", &host, &uri) {
                prop_assert!(["https://auth.example.org/", "https://www.example.org/", "https://app.example.org:8443/"]
                    .iter()
                    .any(|origin| back.starts_with(origin)));
            }
        }
    }
}
