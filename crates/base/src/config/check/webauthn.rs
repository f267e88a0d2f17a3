//! Keys and passkeys: whose they are, and from where they can be used.

use url::{Host, Url};

use super::super::Config;
use super::super::webauthn::{fingerprint, is_secure, is_within};
use super::Report;

/// Browsers read that many different domains in `/.well-known/webauthn` at least.
const RELATED_DOMAINS: usize = 5;

pub(super) fn check(config: &Config, report: &mut Report) {
    if !config.has_webauthn() {
        return;
    }
    relying_party(config, report);
    origins(config, report);
    apps(config, report);
}

fn relying_party(config: &Config, report: &mut Report) {
    let id = config.webauthn_rp_id();
    if !matches!(Host::parse(&id), Ok(Host::Domain(name)) if name == id) {
        if config.mfa.webauthn_rp_id.is_some() {
            report.error(
                "mfa.webauthn_rp_id",
                format!("keys belong to a domain in lower case, such as \"example.org\", and {id:?} is none"),
            );
        } else {
            report.warn(
                "server.public_url",
                "browsers have keys for names, such as localhost, and for no addresses",
            );
        }
        return;
    }
    let Ok(url) = Url::parse(&config.server.public_url) else { return };
    if !is_within(&url, &id) {
        report.warn(
            "mfa.webauthn_rp_id",
            format!(
                "server.public_url is not in {id}: browsers use keys only where https://{id}/.well-known/webauthn \
                 is what this server answers there"
            ),
        );
    }
    if !is_secure(&config.server.public_url) && !config.mfa.webauthn_allow_insecure_origin {
        report.warn("server.public_url", "browsers have no keys on pages without https, but for localhost");
    }
}

fn origins(config: &Config, report: &mut Report) {
    let setting = "mfa.webauthn_origins";
    for origin in &config.mfa.webauthn_origins {
        if origin.strip_prefix("android:apk-key-hash:").is_some_and(|hash| hash.len() == 43) {
            continue;
        }
        let page = Url::parse(origin).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        if page.is_none_or(|url| url.origin().ascii_serialization() != *origin) {
            report.error(
                setting,
                format!(
                    "{origin:?} is no origin; write scheme and host, such as \"https://app.example.org\", or \
                     \"android:apk-key-hash:\" and 43 characters"
                ),
            );
        } else if !is_secure(origin) && !config.mfa.webauthn_allow_insecure_origin {
            report.error(setting, format!("{origin:?} is without https, so browsers have no keys there"));
        }
    }
    if config.webauthn_related_origins().len() > RELATED_DOMAINS {
        report.warn(
            setting,
            format!(
                "browsers may read no more than {RELATED_DOMAINS} domains outside of {}",
                config.webauthn_rp_id()
            ),
        );
    }
}

fn apps(config: &Config, report: &mut Report) {
    for app in &config.mfa.webauthn_android_apps {
        let prints = &app.sha256_cert_fingerprints;
        if prints.is_empty() || prints.iter().any(|text| fingerprint(text).is_none()) {
            report.error(
                "mfa.webauthn_android_apps",
                format!(
                    "{}: write the SHA-256 of its certificate as 32 bytes in hexadecimal, \"AB:CD:...\"",
                    app.package_name
                ),
            );
        }
    }
    let is_app = |app: &String| {
        app.split_once('.').is_some_and(|(team, bundle)| !team.is_empty() && !bundle.is_empty())
    };
    if let Some(app) = config.mfa.webauthn_apple_apps.iter().find(|app| !is_app(app)) {
        report.error(
            "mfa.webauthn_apple_apps",
            format!("{app:?}: write team and bundle, \"TEAMID.com.example.app\""),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{expect, found};

    const KEYS: &str = "mfa.supported_types = [\"webauthn\"]\n";

    #[test]
    fn m4_what_no_browser_would_take_is_told_at_the_start() {
        let https = format!("{KEYS}server.public_url = \"https://auth.example.org\"\n");
        for (text, finding) in [
            (format!("{KEYS}server.public_url = \"https://127.0.0.1\""), "server.public_url"),
            (format!("{KEYS}server.public_url = \"http://auth.example.org\""), "server.public_url"),
            (format!("{https}mfa.webauthn_rp_id = \"https://example.org\""), "mfa.webauthn_rp_id!"),
            (format!("{https}mfa.webauthn_rp_id = \"Example.org\""), "mfa.webauthn_rp_id!"),
            (format!("{https}mfa.webauthn_rp_id = \"example.com\""), "mfa.webauthn_rp_id"),
            (format!("{https}mfa.webauthn_origins = [\"app.example.org\"]"), "mfa.webauthn_origins!"),
            (
                format!("{https}mfa.webauthn_origins = [\"https://app.example.org/\"]"),
                "mfa.webauthn_origins!",
            ),
            (format!("{https}mfa.webauthn_origins = [\"http://app.example.org\"]"), "mfa.webauthn_origins!"),
            (format!("{https}mfa.webauthn_origins = [\"android:apk-key-hash:x\"]"), "mfa.webauthn_origins!"),
            (format!("{https}mfa.webauthn_apple_apps = [\"app\"]"), "mfa.webauthn_apple_apps!"),
            (
                format!(
                    "{https}mfa.webauthn_android_apps = [{{ package_name = \"a.b\", sha256_cert_fingerprints = [\"AB:CD\"] }}]"
                ),
                "mfa.webauthn_android_apps!",
            ),
        ] {
            expect(&text, finding);
        }
        let related: Vec<_> = (0..6).map(|n| format!("\"https://example{n}.com\"")).collect();
        expect(&format!("{https}mfa.webauthn_origins = [{}]", related.join(", ")), "mfa.webauthn_origins");
        let fine = format!(
            "{https}server.secret_key = \"c0nformance-secret-key-0123456789abcdef0123456789abcdef\"\n\
             mfa.webauthn_rp_id = \"example.org\"\nmfa.webauthn_origins = [\"https://app.example.org\", \"https://example.com\"]"
        );
        assert!(found(&fine).iter().all(|finding| !finding.starts_with("mfa")), "{:?}", found(&fine));
    }
}
