//! The account portal: pages for people, on the API alone. Serves its files, and what they have to know of the settings.
//!
//! All pages are `index.html`; its scripts find out from the address which one to show, and call the API as any front
//! end does.

mod answer;
mod files;
mod settings;
#[cfg(test)]
mod texts;
mod theme;

use std::io;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path as InPath, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::routing::get;
use vestibule_base::config::Config;

use answer::{Policy, Served};
use files::Files;

/// Why the portal cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PortalError {
    #[error("portal.logo: {path} cannot be read: {error}")]
    Logo { path: String, error: io::Error },
}

/// The portal's pages and files, `None` if the settings have none.
///
/// # Errors
/// [`PortalError`] if a file that the settings name cannot be read.
pub(crate) fn router(config: &Config) -> Result<Option<Router>, PortalError> {
    if !config.has_portal() {
        return Ok(None);
    }
    let portal = Arc::new(Portal::new(config)?);
    let router = Router::new()
        .route("/", get(|| redirect("/account")))
        // What password managers open (W3C, A Well-Known URL for Changing Passwords).
        .route("/.well-known/change-password", get(|| redirect("/account/password")))
        .route("/account", get(page))
        .route("/account/", get(page))
        .route("/account/{*page}", get(page))
        .route("/_portal/{*file}", get(file))
        .with_state(portal);
    Ok(Some(router))
}

/// What is served, made at the start.
struct Portal {
    name: String,
    policy: Policy,
    files: Files,
    settings: Served,
    theme: Served,
    logo: Option<Served>,
}

impl Portal {
    fn new(config: &Config) -> Result<Self, PortalError> {
        let logo = match config.portal.logo.as_deref().filter(|logo| settings::is_file(logo)) {
            None => None,
            Some(path) => {
                let read = std::fs::read(path);
                let bytes = read.map_err(|error| PortalError::Logo { path: path.to_owned(), error })?;
                let kind = files::kind(Path::new(path)).unwrap_or("application/octet-stream");
                Some(Served::new(kind, bytes))
            }
        };
        Ok(Self {
            name: config.portal.name.clone(),
            policy: Policy::new(config),
            files: Files::new(config.portal.directory.clone()),
            settings: Served::new("application/json", settings::json(config).to_string().into_bytes()),
            theme: Served::new(
                "text/css; charset=utf-8",
                theme::css(config.portal.accent_color).into_bytes(),
            ),
            logo,
        })
    }

    /// The one page, which names the operator also where no script runs.
    async fn index(&self) -> Option<Served> {
        let index = self.files.find("index.html").await?;
        let text = String::from_utf8_lossy(&index.body).replace("%name%", &escape(&self.name));
        Some(Served::new("text/html; charset=utf-8", text.into_bytes()))
    }
}

async fn page(State(portal): State<Arc<Portal>>, headers: HeaderMap) -> Response<Body> {
    match portal.index().await {
        Some(index) => portal.policy.page(&index, &headers),
        None => bare(StatusCode::NOT_FOUND),
    }
}

async fn file(
    State(portal): State<Arc<Portal>>,
    InPath(path): InPath<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let found = match path.as_str() {
        "settings.json" => Some(portal.settings.clone()),
        "theme.css" => Some(portal.theme.clone()),
        "logo" => portal.logo.clone(),
        // Served as pages only: it wants its policy and its name.
        "index.html" => None,
        path => portal.files.find(path).await,
    };
    match found {
        Some(found) => portal.policy.file(&found, &headers),
        None => bare(StatusCode::NOT_FOUND),
    }
}

async fn redirect(to: &'static str) -> Response<Body> {
    let mut response = bare(StatusCode::FOUND);
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static(to));
    response
}

fn bare(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;
    use tower::ServiceExt;

    async fn get(settings: &str, path: &str, known: Option<&HeaderValue>) -> Response<Body> {
        let router = router(&Config::from_toml(settings).unwrap()).unwrap().unwrap();
        let mut request = Request::get(path);
        if let Some(known) = known {
            request = request.header(header::IF_NONE_MATCH, known);
        }
        router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    async fn text(response: Response<Body>) -> String {
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn every_page_is_the_index_under_a_strict_policy() {
        for path in ["/account", "/account/", "/account/login", "/account/password/reset/key/1-abc"] {
            let response = get("portal.name = 'A <b> & \"c\"'", path, None).await;
            assert_eq!(response.status(), 200, "{path}");
            let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(
                policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"),
                "{policy}"
            );
            assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"), "{policy}");
            assert_eq!(response.headers()[header::REFERRER_POLICY], "same-origin");
            assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
            let page = text(response).await;
            assert!(page.contains("A &lt;b&gt; &amp; &quot;c&quot;") && !page.contains("%name%"));
        }
    }

    #[tokio::test]
    async fn the_root_leads_to_the_account() {
        let response = get("", "/", None).await;
        assert_eq!(
            (response.status(), &response.headers()[header::LOCATION]),
            (StatusCode::FOUND, &HeaderValue::from_static("/account"))
        );
    }

    #[tokio::test]
    async fn files_are_fetched_once() {
        for path in
            ["/_portal/js/main.js", "/_portal/style.css", "/_portal/theme.css", "/_portal/settings.json"]
        {
            let response = get("", path, None).await;
            assert_eq!(response.status(), 200, "{path}");
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-cache");
            let tag = response.headers()[header::ETAG].clone();
            let again = get("", path, Some(&tag)).await;
            assert_eq!((again.status(), &again.headers()[header::ETAG]), (StatusCode::NOT_MODIFIED, &tag));
            assert_eq!(text(again).await, "");
            assert_eq!(get("", path, Some(&HeaderValue::from_static("\"other\""))).await.status(), 200);
        }
    }

    #[tokio::test]
    async fn nothing_else_is_served() {
        for path in [
            "/_portal/index.html",
            "/_portal/",
            "/_portal/logo",
            "/_portal/js/../style.css",
            "/_portal/Cargo.toml",
        ] {
            assert_eq!(get("", path, None).await.status(), 404, "{path}");
        }
    }

    #[tokio::test]
    async fn a_folder_goes_before_the_program() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("style.css"), "b{}").unwrap();
        std::fs::write(folder.path().join(".env"), "secret").unwrap();
        std::fs::write(folder.path().join("notes"), "secret").unwrap();
        let settings = format!("portal.directory = {:?}", folder.path());
        assert_eq!(text(get(&settings, "/_portal/style.css", None).await).await, "b{}");
        assert_eq!(get(&settings, "/_portal/js/main.js", None).await.status(), 200);
        for path in
            ["/_portal/.env", "/_portal/notes", "/_portal/%2e%2e/style.css", "/_portal/js/%2e%2e/style.css"]
        {
            assert_eq!(get(&settings, path, None).await.status(), 404, "{path}");
        }
    }

    #[test]
    fn it_can_be_switched_off() {
        for settings in ["portal.enabled = false", "headless.only = true", "headless.clients = ['app']"] {
            assert!(router(&Config::from_toml(settings).unwrap()).unwrap().is_none());
        }
    }
}
