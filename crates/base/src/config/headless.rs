//! `[headless]`: the API itself: its clients, its tokens, and the front end's pages that mails link to.

use secrecy::SecretString;
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};

use super::read;
use super::settings::settings;

settings! {
    /// The API: which clients it has, where the front end's pages are, what tokens it gives. Names are allauth's
    /// `HEADLESS_*`.
    pub struct Headless {
        /// Who may use the API: `"browser"` (cookies, CSRF) and `"app"` (session token in a header).
        ///
        /// allauth: `HEADLESS_CLIENTS`.
        #[serde(deserialize_with = "read::unique")]
        pub clients: Vec<ClientKind> = vec![ClientKind::App, ClientKind::Browser],

        /// Whether there is nothing but the API: Vestibule's own pages for people are off.
        ///
        /// allauth: `HEADLESS_ONLY`.
        pub only: bool = false,

        /// Pages of your front end that mails link to and providers return to: `account_confirm_email` and
        /// `account_reset_password_from_key` (both with `{key}` where the key goes), `account_reset_password`,
        /// `account_signup`, `socialaccount_login_error`. Left out: those of the portal, if it is served.
        ///
        /// allauth: `HEADLESS_FRONTEND_URLS`.
        pub frontend_urls: FrontendUrls = FrontendUrls::default(),

        /// The path under which the API is. Published clients have other ones built in. allauth: where the project
        /// includes `allauth.headless.urls`.
        pub path_prefix: String = "/_allauth".to_owned(),

        /// Whether the description of the API is served as `openapi.yaml`, `openapi.json` and `openapi.html`.
        ///
        /// allauth: `HEADLESS_SERVE_SPECIFICATION`.
        pub serve_specification: bool = false,

        /// What applications get once they are authenticated: `"session"` (the session token) or `"jwt"` (an access and a
        /// refresh token). allauth: `HEADLESS_TOKEN_STRATEGY`.
        pub token_strategy: TokenStrategy = TokenStrategy::Session,

        /// How JWTs are signed: `HS256`, `HS384`, `HS512`, `RS256`, `RS384`, `RS512`, `ES256`, `ES384` or `EdDSA`.
        ///
        /// allauth: `HEADLESS_JWT_ALGORITHM`.
        pub jwt_algorithm: JwtAlgorithm = JwtAlgorithm::RS256,

        /// The key that signs JWTs: PEM, or a secret text for `HS...`, for which `server.secret_key` is used if unset.
        ///
        /// Danger: whoever knows it can log in as anybody. allauth: `HEADLESS_JWT_PRIVATE_KEY`.
        #[serde(deserialize_with = "read::secret", skip_serializing)]
        pub jwt_private_key: Option<SecretString> = None,

        /// Former keys: tokens that they signed stay good until they expire.
        #[serde(deserialize_with = "read::secrets", skip_serializing)]
        pub jwt_private_key_fallbacks: Vec<SecretString> = Vec::new(),

        /// Seconds that an access token is good for. allauth: `HEADLESS_JWT_ACCESS_TOKEN_EXPIRES_IN`.
        pub jwt_access_token_expires_in: i64 = 300,

        /// Seconds that a refresh token is good for. allauth: `HEADLESS_JWT_REFRESH_TOKEN_EXPIRES_IN`.
        pub jwt_refresh_token_expires_in: i64 = 86_400,

        /// The word before an access token in the `Authorization` header.
        ///
        /// allauth: `HEADLESS_JWT_AUTHORIZATION_HEADER_SCHEME`.
        pub jwt_authorization_header_scheme: String = "Bearer".to_owned(),

        /// Whether an access token whose session has ended counts as no token at all (401). Without it the answer is 410, by
        /// which an app learns that its session is gone; nothing is let through either way. Backends that check tokens by
        /// themselves learn of neither: see `headless.introspection_clients`.
        ///
        /// allauth: `HEADLESS_JWT_STATEFUL_VALIDATION_ENABLED`.
        pub jwt_stateful_validation_enabled: bool = false,

        /// Whether a refresh gives a new refresh token and uses up the old one. A used one that comes again ends the
        /// session: either it or its successor is in the wrong hands.
        ///
        /// allauth: `HEADLESS_JWT_ROTATE_REFRESH_TOKEN`.
        pub jwt_rotate_refresh_token: bool = true,

        /// Seconds in which a used refresh token may come again and gets the same successor: for clients whose answer was
        /// lost on the way. With 0 it never may.
        ///
        /// Danger: for that long, a stolen token works as well as the honest one.
        pub jwt_refresh_token_grace: i64 = 0,

        /// Who issues the tokens (`iss`). Unset: `server.public_url`.
        pub jwt_issuer: Option<String> = None,

        /// For whom the tokens are (`aud`). Unset: `server.public_url`.
        pub jwt_audience: Option<String> = None,

        /// Your login page, for what stands behind a proxy that asks Vestibule who is calling: who is nobody and asks
        /// `forward-auth?redirect=login` is sent there, with the page that they wanted as `next` if it is of
        /// `server.public_url`, `csrf.trusted_origins` or `server.cors_allowed_origins`. Unset: they get 401.
        pub forward_auth_login_url: Option<String> = None,

        /// The backends that may ask at `introspect` whom a token stands for (RFC 7662), each a
        /// `[[headless.introspection_clients]]` with `client_id` and `client_secret` (at least 32 random characters).
        /// None: there is no `introspect`.
        pub introspection_clients: Vec<IntrospectionClient> = Vec::new(),
    }
}

settings! {
    /// Pages of the front end.
    pub struct FrontendUrls {
        /// Where a verification mail leads, with `{key}`.
        #[serde(deserialize_with = "with_key", skip_serializing_if = "Option::is_none")]
        pub account_confirm_email: Option<String> = None,

        /// Where people ask for a password reset.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub account_reset_password: Option<String> = None,

        /// Where a reset mail leads, with `{key}`.
        #[serde(deserialize_with = "with_key", skip_serializing_if = "Option::is_none")]
        pub account_reset_password_from_key: Option<String> = None,

        /// Where people sign up.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub account_signup: Option<String> = None,

        /// Where a provider's failure leads when what the front end asked for is lost.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub socialaccount_login_error: Option<String> = None,
    }
}

/// A backend that may ask whom a token stands for. Its secret does not print.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct IntrospectionClient {
    /// Its name.
    pub client_id: String,
    /// What it proves that with.
    #[serde(deserialize_with = "read::needed_secret", skip_serializing)]
    pub client_secret: SecretString,
}

/// How a client carries its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientKind {
    /// By cookie, protected against forged requests.
    Browser,
    /// By a token in a header.
    App,
}

/// What applications get once they are authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenStrategy {
    /// The session token.
    Session,
    /// An access and a refresh token.
    Jwt,
}

/// How JWTs are signed. Names are those of RFC 7518 and RFC 8037.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[expect(missing_docs, reason = "the names are the registered ones and say all there is")]
pub enum JwtAlgorithm {
    HS256,
    HS384,
    HS512,
    RS256,
    RS384,
    RS512,
    ES256,
    ES384,
    EdDSA,
}

impl JwtAlgorithm {
    /// Whether one secret both signs and verifies.
    #[must_use]
    pub fn is_symmetric(self) -> bool {
        matches!(self, Self::HS256 | Self::HS384 | Self::HS512)
    }
}

/// A URL into which a key goes.
fn with_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let url = Option::<String>::deserialize(deserializer)?;
    match url {
        Some(url) if !url.contains("{key}") => {
            Err(de::Error::custom(format_args!("{url:?} has no {{key}} where the key would go")))
        }
        url => Ok(url),
    }
}
