//! What follows from the settings for keys and passkeys: the relying party, and from where it may be spoken for.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{AuthenticatorType, Config};

/// An Android app that shares keys with the site.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AndroidApp {
    /// Its name, as `org.example.app`.
    pub package_name: String,
    /// SHA-256 of the certificates that sign it, as `AB:CD:…`.
    pub sha256_cert_fingerprints: Vec<String>,
}

impl AndroidApp {
    /// What it names as its origin: one for each certificate. Fingerprints that are none are left out.
    pub fn origins(&self) -> impl Iterator<Item = String> {
        let hashes = self.sha256_cert_fingerprints.iter().filter_map(|text| fingerprint(text));
        hashes.map(|hash| format!("android:apk-key-hash:{}", BASE64URL.encode(hash)))
    }
}

/// The bytes of a fingerprint: 32, in hexadecimal with colons between them.
pub(super) fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let bytes: Option<Vec<u8>> = text
        .split(':')
        .map(|byte| if byte.len() == 2 { u8::from_str_radix(byte, 16).ok() } else { None })
        .collect();
    bytes?.try_into().ok()
}

impl Config {
    /// Whether people can set up keys.
    #[must_use]
    pub fn has_webauthn(&self) -> bool {
        self.mfa.supported_types.contains(&AuthenticatorType::Webauthn)
    }

    /// The domain that keys belong to.
    #[must_use]
    pub fn webauthn_rp_id(&self) -> String {
        self.mfa.webauthn_rp_id.clone().or_else(|| self.host()).unwrap_or_default()
    }

    /// What people are shown as the name of the site.
    #[must_use]
    pub fn webauthn_rp_name(&self) -> String {
        let name = self.mfa.webauthn_rp_name.trim();
        if name.is_empty() { self.host().unwrap_or_default() } else { name.to_owned() }
    }

    /// All origins that keys may be used from, each as it will be named.
    #[must_use]
    pub fn webauthn_origins(&self) -> Vec<String> {
        let mfa = &self.mfa;
        let own = Url::parse(&self.server.public_url).map(|url| url.origin().ascii_serialization());
        let listed = own.into_iter().chain(mfa.webauthn_origins.iter().cloned());
        let mut origins: Vec<String> =
            listed.filter(|origin| mfa.webauthn_allow_insecure_origin || is_secure(origin)).collect();
        origins.extend(mfa.webauthn_android_apps.iter().flat_map(AndroidApp::origins));
        if !mfa.webauthn_apple_apps.is_empty() {
            origins.push(format!("https://{}", self.webauthn_rp_id()));
        }
        origins
    }

    /// The pages among these that are outside of the relying party's domain: browsers let them use its keys where
    /// `/.well-known/webauthn` lists them (Level 3, 5.11).
    #[must_use]
    pub fn webauthn_related_origins(&self) -> Vec<String> {
        let id = self.webauthn_rp_id();
        let outside = |origin: &String| {
            let url = Url::parse(origin).ok();
            url.filter(Url::has_host).is_some_and(|url| !is_within(&url, &id))
        };
        self.webauthn_origins().into_iter().filter(outside).collect()
    }
}

/// Whether the host of a page is a domain or below it.
pub(super) fn is_within(url: &Url, domain: &str) -> bool {
    let host = url.host_str().unwrap_or_default();
    host == domain || host.strip_suffix(domain).is_some_and(|above| above.ends_with('.'))
}

/// Whether browsers have keys on pages of this origin: those with https, and those of this machine. Apps are secured by
/// their system.
pub(super) fn is_secure(origin: &str) -> bool {
    Url::parse(origin)
        .is_ok_and(|url| url.scheme() != "http" || super::check::is_local(&url) && url.domain().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINT: &str =
        "A4:D8:8F:E6:22:B2:43:C2:70:80:63:9A:28:0D:73:18:F5:0F:24:84:BE:D0:7D:71:28:27:1F:20:82:06:2D:C9";

    fn config(text: &str) -> Config {
        Config::from_toml(&format!("server.public_url = \"https://auth.example.org\"\n[mfa]\n{text}"))
            .unwrap()
    }

    #[test]
    fn m4_origins_are_those_that_are_listed_and_no_others() {
        let plain = config("");
        assert_eq!(
            (plain.webauthn_rp_id(), plain.webauthn_rp_name()),
            ("auth.example.org".into(), "auth.example.org".into())
        );
        assert_eq!(plain.webauthn_origins(), ["https://auth.example.org"]);

        let text = format!(
            "webauthn_rp_id = \"example.org\"\nwebauthn_rp_name = \"Example\"\n\
             webauthn_origins = [\"https://app.example.org:8443\", \"https://example.com\", \"http://example.org\", \"https://badexample.org\"]\n\
             webauthn_apple_apps = [\"TEAM.org.example.app\"]\n\
             webauthn_android_apps = [{{ package_name = \"org.example.app\", sha256_cert_fingerprints = [\"{PRINT}\", \"AB\"] }}]"
        );
        let many = config(&text);
        assert_eq!(
            (many.webauthn_rp_id(), many.webauthn_rp_name()),
            ("example.org".into(), "Example".into())
        );
        assert_eq!(
            many.webauthn_origins(),
            [
                "https://auth.example.org",
                "https://app.example.org:8443",
                "https://example.com",
                "https://badexample.org",
                "android:apk-key-hash:pNiP5iKyQ8JwgGOaKA1zGPUPJIS-0H1xKCcfIIIGLck",
                "https://example.org"
            ]
        );
        assert_eq!(many.webauthn_related_origins(), ["https://example.com", "https://badexample.org"]);
    }

    #[test]
    fn m4_pages_without_https_are_taken_on_this_machine_or_by_setting_only() {
        let at = |url: &str, insecure: bool| {
            let text =
                format!("server.public_url = \"{url}\"\nmfa.webauthn_allow_insecure_origin = {insecure}");
            Config::from_toml(&text).unwrap().webauthn_origins()
        };
        assert_eq!(at("http://localhost:8000", false), ["http://localhost:8000"]);
        assert_eq!(at("http://auth.example.org", false), [""; 0]);
        assert_eq!(at("http://auth.example.org", true), ["http://auth.example.org"]);
    }
}
