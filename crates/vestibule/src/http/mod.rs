//! HTTP: reads a request, calls one operation, wraps the answer. Every route is on this page.

mod account;
mod address;
mod answer;
mod authenticators;
mod caller;
mod code;
mod config;
mod cookies;
mod cors;
mod csrf;
mod dev_mail;
mod door;
mod emails;
mod envelope;
mod forward_auth;
mod health;
mod input;
mod introspection;
mod json;
mod jwks;
mod login;
mod mfa;
mod password;
mod phones;
mod provider;
mod providers;
mod request;
mod session;
mod sessions;
mod signup;
mod spec;
mod threshold;
mod tokens;
mod verify;
mod view;
mod webauthn;
mod well_known;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::routing::MethodRouter;
use vestibule_base::config::{AuthenticatorType, ClientKind};
use vestibule_core::Ctx;

pub(crate) use caller::Callers;
use door::{Door, Handler, Manner, Proof};
use threshold::Threshold;

/// Everything that is served to the public.
pub(crate) fn router(callers: &Arc<Callers>) -> Router {
    let (ctx, threshold) = (Arc::clone(&callers.ctx), Arc::clone(&callers.threshold));
    let mut others = Router::new().merge(health::routes(Arc::clone(&ctx)));
    if ctx.config.headless.serve_specification {
        others = others.merge(spec::routes(&ctx.config.headless.path_prefix));
    }
    if let Some(keys) = &ctx.signing {
        others = others.merge(jwks::routes(keys));
    }
    if ctx.config.has_webauthn() {
        others = others.merge(well_known::routes(&ctx.config));
    }
    if ctx.config.email.is_development() {
        others = others.merge(dev_mail::routes(&ctx));
    }
    let pass = axum::middleware::from_fn_with_state(Arc::clone(&threshold), threshold::pass);
    let mut router = others
        .fallback(envelope::not_found)
        .method_not_allowed_fallback(envelope::method_not_allowed)
        .layer(pass);
    // These and the doors of the API see to the threshold themselves: one layer less for what is asked most.
    router = forward_auth::route(router, callers);
    if !ctx.config.headless.introspection_clients.is_empty() {
        router = introspection::route(router, &ctx, &threshold);
    }
    for client in &ctx.config.headless.clients {
        router = api(router, &ctx, &threshold, *client);
    }
    router
}

fn api(router: Router, ctx: &Arc<Ctx>, threshold: &Arc<Threshold>, client: ClientKind) -> Router {
    let config = config::written(ctx, client);
    let door = Arc::new(Door::new(Arc::clone(ctx), Arc::clone(threshold), client, config));
    let mut routes = Routes { router, door };
    routes.at("/config", &[("GET", config::get)]);
    routes.at("/auth/session", &[("GET", session::get), ("DELETE", session::delete)]);
    routes.at("/auth/sessions", &[("GET", sessions::get), ("DELETE", sessions::delete)]);
    routes.at("/auth/reauthenticate", &[("POST", login::reauthenticate)]);
    if !ctx.config.socialaccount.only {
        own_accounts(&mut routes);
    }
    routes.at("/auth/email/verify", &[("GET", verify::look), ("POST", verify::email)]);
    routes.at("/auth/email/verify/resend", &[("POST", verify::resend_email)]);
    routes.at("/auth/phone/verify", &[("POST", verify::phone)]);
    routes.at("/auth/phone/verify/resend", &[("POST", verify::resend_phone)]);
    routes.at("/auth/code/confirm", &[("POST", code::confirm)]);
    if ctx.config.account.login_by_code_enabled {
        routes.at("/auth/code/request", &[("POST", code::request)]);
        routes.at("/auth/code/resend", &[("POST", code::resend)]);
    }
    routes.at("/auth/2fa/authenticate", &[("POST", mfa::authenticate)]);
    routes.at("/auth/2fa/reauthenticate", &[("POST", mfa::reauthenticate)]);
    if client == ClientKind::Browser && ctx.config.trusts_browsers() {
        routes.at("/auth/2fa/trust", &[("POST", mfa::trust)]);
    }
    if ctx.config.account.deletion_enabled {
        routes.at("/account", &[("DELETE", account::delete)]);
    }
    if ctx.config.account.data_export_enabled {
        routes.at("/account/export", &[("GET", account::export)]);
    }
    routes.at("/account/authenticators", &[("GET", authenticators::get)]);
    let supported = &ctx.config.mfa.supported_types;
    if supported.contains(&AuthenticatorType::Totp) {
        routes.at(
            "/account/authenticators/totp",
            &[
                ("GET", authenticators::totp),
                ("POST", authenticators::activate_totp),
                ("DELETE", authenticators::deactivate_totp),
            ],
        );
    }
    if supported.contains(&AuthenticatorType::RecoveryCodes) {
        routes.at(
            "/account/authenticators/recovery-codes",
            &[("GET", authenticators::recovery_codes), ("POST", authenticators::generate_recovery_codes)],
        );
    }
    if ctx.config.has_webauthn() {
        routes.at(
            "/account/authenticators/webauthn",
            &[
                ("GET", authenticators::key_options),
                ("POST", authenticators::add_key),
                ("PUT", authenticators::rename_key),
                ("DELETE", authenticators::remove_keys),
            ],
        );
        routes.at(
            "/auth/webauthn/authenticate",
            &[("GET", webauthn::authenticate_options), ("POST", webauthn::authenticate)],
        );
        routes.at(
            "/auth/webauthn/reauthenticate",
            &[("GET", webauthn::reauthenticate_options), ("POST", webauthn::reauthenticate)],
        );
    }
    if ctx.config.mfa.passkey_login_enabled {
        routes.at("/auth/webauthn/login", &[("GET", webauthn::login_options), ("POST", webauthn::login)]);
    }
    if ctx.config.mfa.passkey_signup_enabled {
        routes.at(
            "/auth/webauthn/signup",
            &[
                ("GET", webauthn::signup_options),
                ("POST", signup::by_passkey),
                ("PUT", webauthn::finish_signup),
            ],
        );
    }
    routes.at("/account/providers", &[("GET", providers::get), ("DELETE", providers::delete)]);
    let asking = |proof| provider::manner(&ctx.config, proof);
    routes.with(asking(Proof::HeaderOrField), "/auth/provider/redirect", &[("POST", provider::redirect)]);
    routes.with(asking(Proof::Header), "/auth/provider/token", &[("POST", provider::token)]);
    routes.at("/auth/provider/signup", &[("GET", provider::waiting), ("POST", provider::sign_up)]);
    if client == ClientKind::Browser {
        let paths: BTreeSet<String> =
            ctx.providers.all().iter().map(|provider| ctx.providers.callback_path(provider)).collect();
        for path in paths {
            let both: &[(&str, Handler)] = &[("GET", provider::callback), ("POST", provider::callback)];
            routes.outside(asking(Proof::None), &path, both);
        }
    }
    if client == ClientKind::App {
        routes.at("/tokens/refresh", &[("POST", tokens::refresh)]);
    }
    routes.router
}

/// What there is where accounts are not of third parties alone.
fn own_accounts(routes: &mut Routes) {
    routes.at("/auth/login", &[("POST", login::post)]);
    routes.at("/auth/signup", &[("POST", signup::post)]);
    routes.at("/auth/password/request", &[("POST", password::request)]);
    routes.at("/auth/password/reset", &[("GET", password::look), ("POST", password::reset)]);
    routes.at("/account/password/change", &[("POST", password::change)]);
    routes.at(
        "/account/email",
        &[
            ("GET", emails::get),
            ("POST", emails::post),
            ("PUT", emails::put),
            ("PATCH", emails::patch),
            ("DELETE", emails::delete),
        ],
    );
    routes.at("/account/phone", &[("GET", phones::get), ("POST", phones::post)]);
}

/// The routes of one kind of client.
struct Routes {
    router: Router,
    door: Arc<Door>,
}

impl Routes {
    fn at(&mut self, path: &str, methods: &[(&str, Handler)]) {
        self.with(Manner::PLAIN, path, methods);
    }

    fn with(&mut self, manner: Manner, path: &str, methods: &[(&str, Handler)]) {
        let path = format!("{}{path}", self.door.base());
        self.outside(manner, &path, methods);
    }

    /// A route that is not below the API's own path.
    fn outside(&mut self, manner: Manner, path: &str, methods: &[(&str, Handler)]) {
        let door = Arc::clone(&self.door);
        let mut route =
            MethodRouter::new().fallback(move |request| Door::refuse_method(Arc::clone(&door), request));
        for &(method, handler) in methods {
            let door = Arc::clone(&self.door);
            let serve = move |request| Door::serve(Arc::clone(&door), handler, manner, request);
            route = match method {
                "GET" => route.get(serve),
                "POST" => route.post(serve),
                "PUT" => route.put(serve),
                "PATCH" => route.patch(serve),
                _ => route.delete(serve),
            };
        }
        self.router = std::mem::take(&mut self.router).route(path, route);
    }
}
