//! `/.well-known/…`: what systems and browsers ask for before apps and other domains may use the site's keys. Whoever sets
//! `mfa.webauthn_rp_id` to a domain above ours has its server pass these paths on.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::routing::get;
use serde_json::{Value, json};
use vestibule_base::config::{AndroidApp, Config};

use super::envelope;

/// Systems ask seldom, and keep what they got for themselves anyway.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=3600");

/// Those that the settings have something for.
pub(super) fn routes(config: &Config) -> Router {
    let (android, apple) = (&config.mfa.webauthn_android_apps, &config.mfa.webauthn_apple_apps);
    let related = config.webauthn_related_origins();
    let mut router = Router::new();
    if !android.is_empty() {
        let apps: Vec<Value> = android.iter().map(asset_link).collect();
        router = serve(router, "/.well-known/assetlinks.json", &json!(apps));
    }
    if !apple.is_empty() {
        let association = json!({ "webcredentials": { "apps": apple } });
        router = serve(router, "/.well-known/apple-app-site-association", &association);
    }
    if !related.is_empty() {
        router = serve(router, "/.well-known/webauthn", &json!({ "origins": related }));
    }
    router
}

/// A statement of Digital Asset Links: the app shares the site's credentials.
fn asset_link(app: &AndroidApp) -> Value {
    json!({
        "relation": ["delegate_permission/common.handle_all_urls", "delegate_permission/common.get_login_creds"],
        "target": {
            "namespace": "android_app",
            "package_name": app.package_name,
            "sha256_cert_fingerprints": app.sha256_cert_fingerprints,
        },
    })
}

fn serve(router: Router, path: &str, document: &Value) -> Router {
    let body = Bytes::from(document.to_string());
    router.route(path, get(move || async move { answer(body) }))
}

fn answer(body: Bytes) -> Response<Body> {
    let mut response = envelope::json(StatusCode::OK, body);
    response.headers_mut().insert(header::CACHE_CONTROL, CACHE);
    response
}
