//! The account portal: what would not show, or lead nowhere.

use std::path::Path;

use url::Url;

use super::super::{ClientKind, Config};
use super::Report;

/// Kinds of pictures that browsers show and we name to them.
const PICTURES: [&str; 5] = ["svg", "png", "webp", "jpg", "jpeg"];

pub(super) fn check(config: &Config, report: &mut Report) {
    let portal = &config.portal;
    if portal.enabled && !config.headless.only && !config.headless.clients.contains(&ClientKind::Browser) {
        report.warn(
            "portal.enabled",
            "the portal is off, as it needs \"browser\" in headless.clients; set it to false if that is meant",
        );
    }
    if !config.has_portal() {
        return;
    }
    if portal.name.trim().is_empty() || portal.name.chars().any(char::is_control) {
        report.error("portal.name", "write a name that people can read, on one line");
    }
    let path = config.csrf.cookie_path.trim_end_matches('/');
    if !path.is_empty() && path != "/account" {
        report.warn(
            "csrf.cookie_path",
            "the portal's pages cannot read this cookie below /account, so that nothing can be changed on them; write \"/\"",
        );
    }
    if let Some(logo) = &portal.logo {
        check_logo(logo, report);
    }
    for link in &portal.links {
        if link.label.trim().is_empty() {
            report.error("portal.links", format!("the link to {:?} has no label", link.url));
        }
        if !is_link(&link.url) {
            report.error(
                "portal.links",
                format!(
                    "{:?} is no link; begin it with https://, http://, mailto: or the slash of a path",
                    link.url
                ),
            );
        }
    }
    if let Some(home) = &portal.home_url
        && !is_home(config, home)
    {
        report.error(
            "portal.home_url",
            format!(
                "{home:?} is no place to go to; write a path that begins with one slash, or a URL of server.public_url, \
                 csrf.trusted_origins or server.cors_allowed_origins"
            ),
        );
    }
    if let Some(folder) = &portal.directory
        && !folder.is_dir()
    {
        report.error("portal.directory", format!("{} is no folder", folder.display()));
    }
}

fn check_logo(logo: &str, report: &mut Report) {
    if logo.contains("://") {
        if Url::parse(logo).map_or(true, |url| url.scheme() != "https" || !url.has_host()) {
            report.error("portal.logo", format!("{logo:?} is no URL with https; browsers would not show it"));
        }
        return;
    }
    let path = Path::new(logo);
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if !PICTURES.contains(&extension.to_ascii_lowercase().as_str()) {
        report.error(
            "portal.logo",
            format!("{logo:?} is no picture by its name; take .svg, .png, .webp or .jpg"),
        );
    } else if !path.is_file() {
        report.error("portal.logo", format!("there is no file {logo:?}"));
    }
}

fn is_link(text: &str) -> bool {
    is_path(text)
        || Url::parse(text).is_ok_and(|url| match url.scheme() {
            "http" | "https" => url.has_host(),
            "mailto" => true,
            _ => false,
        })
}

fn is_home(config: &Config, text: &str) -> bool {
    is_path(text)
        || Url::parse(text)
            .is_ok_and(|url| config.return_origins().contains(&url.origin().ascii_serialization()))
}

/// A path of this server, which no browser could take for another host.
fn is_path(text: &str) -> bool {
    text.starts_with('/')
        && !text.starts_with("//")
        && !text.chars().any(|c| c == '\\' || c.is_control() || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{expect, found};

    #[test]
    fn what_people_would_see_is_checked() {
        expect("portal.name = ' '", "portal.name!");
        expect("portal.logo = 'http://example.org/logo.svg'", "portal.logo!");
        expect("portal.logo = 'logo.exe'", "portal.logo!");
        expect("portal.logo = '/nowhere/logo.svg'", "portal.logo!");
        expect("portal.directory = '/nowhere'", "portal.directory!");
        expect("headless.clients = ['app']", "portal.enabled");
        expect("csrf.cookie_path = '/_allauth'", "csrf.cookie_path");
        for url in ["javascript:alert(1)", "//example.org", "/\\\\example.org", "example.org", "https://"] {
            expect(&format!("portal.links = [{{ label = 'x', url = '{url}' }}]"), "portal.links!");
        }
        expect("portal.links = [{ label = '', url = '/terms' }]", "portal.links!");
        for url in ["https://evil.example", "//evil.example", "javascript:1", "app"] {
            expect(&format!("portal.home_url = '{url}'"), "portal.home_url!");
        }
    }

    #[test]
    fn a_sensible_portal_has_no_finding() {
        let text = "
            portal.name = 'Example'
            portal.logo = 'https://cdn.example.org/logo.svg'
            portal.accent_color = '#0a7'
            portal.links = [{ label = 'Terms', url = '/terms' }, { label = 'Mail', url = 'mailto:help@example.org' }]
            portal.home_url = 'http://localhost:8000/app'
            portal.directory = '.'
        ";
        assert!(!found(text).iter().any(|setting| setting.starts_with("portal")), "{:?}", found(text));
        let off = "portal = { enabled = false, logo = 'x' }";
        assert!(!found(off).iter().any(|setting| setting.starts_with("portal")));
    }
}
