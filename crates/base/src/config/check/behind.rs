//! What applications behind Vestibule ask of it: who is calling, and whom a token stands for.

use secrecy::ExposeSecret;
use url::Url;

use super::super::Config;
use super::Report;
use super::edge::is_local;
use super::keys::weakness;

pub(super) fn check(config: &Config, report: &mut Report) {
    login_url(config, report);
    clients(config, report);
}

fn login_url(config: &Config, report: &mut Report) {
    let setting = "headless.forward_auth_login_url";
    let Some(text) = &config.headless.forward_auth_login_url else { return };
    match Url::parse(text) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            report.error(setting, "write it without a name or password before the host");
        }
        Ok(url) if url.scheme() == "https" => {}
        Ok(url) if url.scheme() == "http" => {
            if !is_local(&url) {
                report.warn(setting, "without https, passwords travel readable");
            }
        }
        _ => report.error(setting, "write a whole URL, such as \"https://www.example.org/login\""),
    }
}

fn clients(config: &Config, report: &mut Report) {
    let setting = "headless.introspection_clients";
    let clients = &config.headless.introspection_clients;
    for (i, client) in clients.iter().enumerate() {
        let id = &client.client_id;
        // A colon would end the name in HTTP Basic.
        if id.is_empty() || id.contains(|c: char| c == ':' || c.is_control()) {
            report.error(setting, format!("{id:?} cannot be a client_id; write a name without a colon"));
        }
        if clients.iter().take(i).any(|other| other.client_id == *id) {
            report.error(setting, format!("two are called {id:?}; give each its own client_id"));
        }
        if let Some(weakness) = weakness(client.client_secret.expose_secret()) {
            report.error(
                setting,
                format!("client_secret of {id:?}: {weakness}; write 32 random characters or more (openssl rand -hex 32)"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{expect, found};

    const SECRET: &str = "Zk3vQ9xT7mB2nL5pR8sW4yC6hJ1gF0dA";

    fn client(id: &str, secret: &str) -> String {
        format!("[[headless.introspection_clients]]\nclient_id = {id:?}\nclient_secret = {secret:?}\n")
    }

    #[test]
    fn login_pages_are_checked() {
        let setting = |url: &str| format!("headless.forward_auth_login_url = {url:?}");
        for wrong in ["/login", "javascript:alert(1)", "https://me@example.org/", "www.example.org/login"] {
            expect(&setting(wrong), "headless.forward_auth_login_url!");
        }
        expect(&setting("http://www.example.org/login"), "headless.forward_auth_login_url");
        for fine in ["https://www.example.org/login?from=proxy", "http://localhost:3000/login"] {
            assert!(!found(&setting(fine)).iter().any(|f| f.starts_with("headless.forward_auth")), "{fine}");
        }
    }

    #[test]
    fn clients_are_checked() {
        assert!(!found(&client("shop", SECRET)).iter().any(|f| f.starts_with("headless.introspection")));
        for wrong in [
            client("shop", "short"),
            client("shop", ""),
            client("a:b", SECRET),
            client("", SECRET),
            client("shop", SECRET) + &client("shop", SECRET),
        ] {
            expect(&wrong, "headless.introspection_clients!");
        }
    }

    #[test]
    fn a_client_without_a_secret_is_refused_and_none_is_shown() {
        let config = |text: &str| crate::config::Config::from_toml(text);
        let missing = "[[headless.introspection_clients]]\nclient_id = 'shop'";
        assert!(config(missing).unwrap_err().to_string().contains("client_secret"));
        let number = format!("{missing}\nclient_secret = 12345678");
        assert!(!config(&number).unwrap_err().to_string().contains("12345678"));
        assert!(!format!("{:?}", config(&client("shop", SECRET)).unwrap()).contains(SECRET));
    }
}
