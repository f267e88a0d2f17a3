//! `introspect`: tells a backend that proves who it is whom a token stands for (RFC 7662). It only looks: asking neither
//! prolongs a session nor counts as its holder's activity.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::routing::post;
use base64::Engine;
use secrecy::ExposeSecret;
use serde::Serialize;
use sha2::{Digest, Sha256};
use vestibule_base::config::{ClientKind, Config};
use vestibule_base::security::clock::SECOND;
use vestibule_base::security::{Token, same};
use vestibule_core::token::{self, Claims};
use vestibule_core::visit::Current;
use vestibule_core::{Ctx, Outcome, Visit, session};

use super::answer;
use super::envelope::{bare, json};
use super::request::{self, PATIENCE};
use super::threshold::Threshold;

/// More than any token of ours needs, with a client's name and secret beside it.
const LONGEST_BODY: usize = 65_536;

/// Adds the route, which sees to the threshold itself.
pub(super) fn route(router: Router, ctx: &Arc<Ctx>, threshold: &Arc<Threshold>) -> Router {
    let desk = Arc::new(Desk {
        ctx: Arc::clone(ctx),
        threshold: Arc::clone(threshold),
        clients: Clients::new(&ctx.config),
    });
    let other = Arc::clone(&desk);
    let path = format!("{}/introspect", ctx.config.headless.path_prefix.trim_end_matches('/'));
    router.route(
        &path,
        post(move |request| async move {
            desk.threshold.serve(request, |request, address| desk.answer(request, address)).await
        })
        .fallback(move |request| async move {
            let refuse = |_, _| std::future::ready(bare(StatusCode::METHOD_NOT_ALLOWED));
            other.threshold.serve(request, refuse).await
        }),
    )
}

struct Desk {
    ctx: Arc<Ctx>,
    threshold: Arc<Threshold>,
    clients: Clients,
}

impl Desk {
    async fn answer(&self, request: Request, address: IpAddr) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let headers = parts.headers;
        let Some(body) = request::body(body, LONGEST_BODY).await else {
            let mut response = invalid_request();
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            return response;
        };
        let Some(form) = Form::read(&headers, &body) else { return invalid_request() };
        let Some(credentials) = form.credentials(&headers) else { return invalid_request() };
        if !self.clients.know(&credentials) {
            tracing::info!(target: "vestibule::audit", event = "introspection_refused", ip = %address);
            return invalid_client();
        }
        let Some(token) = form.token.as_deref() else { return invalid_request() };
        let visit = request::visit(&self.ctx, &self.threshold, ClientKind::App, &headers, address);
        match tokio::time::timeout(PATIENCE, self.inspect(&visit, token)).await {
            Ok(Ok(body)) => json(StatusCode::OK, body),
            Ok(Err(refusal)) => answer::refuse(&self.ctx, &visit, refusal).await,
            Err(_) => answer::overdue(),
        }
    }

    async fn inspect(&self, visit: &Visit, presented: &str) -> Outcome<Vec<u8>> {
        let ctx = &self.ctx;
        if !ctx.config.headless.clients.contains(&ClientKind::App) {
            return Ok(serde_json::to_vec(&INACTIVE)?);
        }
        // The two kinds look different: only one has dots.
        Ok(match Token::parse(presented) {
            Some(session_token) => {
                let current = session::inspect(ctx, visit, &session_token).await?;
                serde_json::to_vec(&current.as_deref().map_or(INACTIVE, |it| Told::of_session(ctx, it)))?
            }
            None => {
                let found = token::inspect(ctx, visit, presented).await?;
                serde_json::to_vec(
                    &found.as_ref().map_or(INACTIVE, |(claims, it)| Told::of_access(ctx, claims, it)),
                )?
            }
        })
    }
}

/// What a backend is told (RFC 7662, section 2.2). Of a token that is not good, that and nothing more.
#[derive(Serialize)]
struct Told<'a> {
    active: bool,
    #[serde(flatten)]
    token: Option<About<'a>>,
}

/// A token that is good.
#[derive(Serialize)]
struct About<'a> {
    sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
    token_type: &'static str,
    iat: i64,
    exp: i64,
    iss: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'a str>,
}

const INACTIVE: Told<'static> = Told { active: false, token: None };

impl<'a> Told<'a> {
    fn of_session(ctx: &'a Ctx, current: &'a Current) -> Self {
        let config = &ctx.config;
        let email = current.email.as_deref();
        let token = About {
            sub: current.user.id.to_string(),
            username: current.user.username.as_deref(),
            email,
            email_verified: email.map(|_| current.email_verified),
            token_type: "session",
            iat: current.since.div_euclid(SECOND),
            exp: current.expires_at.div_euclid(SECOND),
            iss: config.headless.jwt_issuer.as_deref().unwrap_or(&config.server.public_url),
            aud: None,
            jti: None,
            sid: None,
        };
        Self { active: true, token: Some(token) }
    }

    fn of_access(ctx: &'a Ctx, claims: &'a Claims, current: &'a Current) -> Self {
        let token = Self::of_session(ctx, current).token.map(|token| About {
            token_type: "Bearer",
            iat: claims.iat,
            exp: claims.exp,
            iss: &claims.iss,
            aud: Some(&claims.aud),
            jti: Some(&claims.jti),
            sid: Some(&claims.sid),
            ..token
        });
        Self { active: true, token }
    }
}

/// The parameters that mean something here.
#[derive(Default)]
struct Form<'a> {
    token: Option<Cow<'a, str>>,
    client_id: Option<Cow<'a, str>>,
    client_secret: Option<Cow<'a, str>>,
}

impl<'a> Form<'a> {
    /// `None` if it is no form, or a parameter comes twice (RFC 6749, section 3.2).
    fn read(headers: &HeaderMap, body: &'a [u8]) -> Option<Self> {
        let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return None;
        }
        let mut form = Self::default();
        for (name, value) in url::form_urlencoded::parse(body) {
            let place = match name.as_ref() {
                "token" => &mut form.token,
                "client_id" => &mut form.client_id,
                "client_secret" => &mut form.client_secret,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return None;
            }
        }
        form.token = form.token.filter(|token| !token.is_empty());
        Some(form)
    }

    /// The name and the secret that came with the request, in each way in which they may be meant; empty if there are
    /// none. `None` if they came in two ways at once (RFC 6749, section 2.3).
    fn credentials(&self, headers: &HeaderMap) -> Option<Vec<(String, String)>> {
        match (headers.get(header::AUTHORIZATION), &self.client_secret) {
            (Some(_), Some(_)) => None,
            (Some(value), None) => Some(value.to_str().ok().and_then(basic).unwrap_or_default()),
            (None, Some(secret)) => {
                let id = self.client_id.as_deref().unwrap_or_default();
                Some(vec![(id.to_owned(), secret.clone().into_owned())])
            }
            (None, None) => Some(Vec::new()),
        }
    }
}

/// Reads HTTP Basic. Both parts should be form-encoded (RFC 6749, section 2.3.1), and many clients do not do it: they are
/// taken either way.
fn basic(value: &str) -> Option<Vec<(String, String)>> {
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = base64::prelude::BASE64_STANDARD.decode(encoded.trim()).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    let (id, secret) = pair.split_once(':')?;
    let decoded = |part: &str| {
        let pair = format!("={part}");
        url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned())
    };
    let plain = (id.to_owned(), secret.to_owned());
    Some(std::iter::once(plain).chain(decoded(id).zip(decoded(secret))).collect())
}

/// Who may ask. Of names and secrets only hashes are compared, which are all of one length.
struct Clients(Vec<([u8; 32], [u8; 32])>);

impl Clients {
    fn new(config: &Config) -> Self {
        let clients = config.headless.introspection_clients.iter();
        Self(clients.map(|one| (hash(&one.client_id), hash(one.client_secret.expose_secret()))).collect())
    }

    /// Whether one of the pairs is that of a client. Takes as long for a wrong name as for a wrong secret.
    fn know(&self, credentials: &[(String, String)]) -> bool {
        let mut known = false;
        for (id, secret) in credentials {
            let (id, secret) = (hash(id), hash(secret));
            for (known_id, known_secret) in &self.0 {
                known |= same(known_id, &id) & same(known_secret, &secret);
            }
        }
        known
    }
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

fn invalid_request() -> Response<Body> {
    json(StatusCode::BAD_REQUEST, r#"{"error":"invalid_request"}"#)
}

fn invalid_client() -> Response<Body> {
    let mut response = json(StatusCode::UNAUTHORIZED, r#"{"error":"invalid_client"}"#);
    let challenge = HeaderValue::from_static("Basic realm=\"introspection\", charset=\"UTF-8\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(pair: &str) -> String {
        format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(pair))
    }

    #[test]
    fn basic_is_taken_encoded_and_plain() {
        let secret = "a+b/c==&d%e";
        for pair in [format!("shop:{secret}"), "shop:a%2Bb%2Fc%3D%3D%26d%25e".to_owned()] {
            let found = basic(&encode(&pair)).unwrap();
            assert!(found.contains(&("shop".to_owned(), secret.to_owned())), "{pair}: {found:?}");
        }
        assert!(basic("basic c2hvcDpz").is_some());
        for wrong in ["", "Basic", "Bearer c2hvcDpz", "Basic ???", "Basic c2hvcA==", "Basic /w=="] {
            assert!(basic(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_name_goes_with_its_own_secret() {
        let config = Config::from_toml(
            "headless.introspection_clients = [{ client_id = 'a', client_secret = 's' }, { client_id = 'b', client_secret = 't' }]",
        );
        let clients = Clients::new(&config.unwrap());
        let know = |id: &str, secret: &str| clients.know(&[(id.to_owned(), secret.to_owned())]);
        assert!(know("a", "s") && know("b", "t"));
        assert!(!know("a", "t") && !know("c", "s") && !know("", "") && !clients.know(&[]));
    }

    proptest! {
        #[test]
        fn reading_never_panics(body in prop::collection::vec(any::<u8>(), 0..80), line in "\\PC{0,60}") {
            let form = "application/x-www-form-urlencoded".parse().unwrap();
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, form)]);
            let _ = Form::read(&headers, &body);
            let _ = (basic(&line), basic(&encode(&line)));
        }
    }
}
