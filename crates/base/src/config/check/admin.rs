//! The API for operators.

use std::net::SocketAddr;

use secrecy::ExposeSecret;

use super::super::Config;
use super::Report;
use super::keys::weakness;

pub(super) fn check(config: &Config, report: &mut Report) {
    let (admin, server) = (&config.admin, &config.server);
    for token in &admin.tokens {
        if let Some(weakness) = weakness(token.expose_secret()) {
            report.error(
                "admin.tokens",
                format!("{weakness}; write 32 random characters or more each (openssl rand -hex 32)"),
            );
        } else if !token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
            report.error("admin.tokens", "write letters, digits and signs only: a header has to carry it");
        }
    }
    let Some(listen) = &admin.listen else {
        if !admin.tokens.is_empty() {
            report.warn("admin.tokens", "not used: without admin.listen there is no API for operators");
        }
        return;
    };
    if admin.tokens.is_empty() {
        report.error("admin.listen", "set admin.tokens, or nobody could use it");
    }
    match listen.parse::<SocketAddr>() {
        Err(_) => {
            report.error("admin.listen", "write address and port, such as \"127.0.0.1:8001\"");
        }
        Ok(_) if *listen == server.listen || server.metrics_listen.as_ref() == Some(listen) => {
            report.error("admin.listen", "write an address apart from server.listen and server.metrics_listen");
        }
        Ok(address) if !address.ip().is_loopback() => report.warn(
            "admin.listen",
            "others than this machine can reach it, and it speaks http: put TLS in front, or tokens travel readable",
        ),
        Ok(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{expect, found};

    const TOKEN: &str = "Zk3vQ9xT7mB2nL5pR8sW4yC6hJ1gF0dA";

    fn settings(listen: &str, tokens: &[&str]) -> String {
        format!("admin.listen = {listen:?}\nadmin.tokens = {tokens:?}\n")
    }

    #[test]
    fn the_api_for_operators_is_checked() {
        let fine = settings("127.0.0.1:8001", &[TOKEN]);
        assert!(!found(&fine).iter().any(|setting| setting.starts_with("admin.")));
        expect("admin.listen = '127.0.0.1:8001'", "admin.listen!");
        expect(&settings("8001", &[TOKEN]), "admin.listen!");
        expect(&settings("127.0.0.1:8000", &[TOKEN]), "admin.listen!");
        expect(&settings("0.0.0.0:8001", &[TOKEN]), "admin.listen");
        for wrong in ["short", "", &"ab".repeat(20), "Zk3vQ9xT7mB2nL5pR8sW4yC6 hJ1gF0dA"] {
            expect(&settings("127.0.0.1:8001", &[TOKEN, wrong]), "admin.tokens!");
        }
        expect(&format!("admin.tokens = [{TOKEN:?}]"), "admin.tokens");
    }

    #[test]
    fn x3_no_token_is_shown() {
        let config = crate::config::Config::from_toml(&settings("127.0.0.1:8001", &[TOKEN])).unwrap();
        assert!(!format!("{config:?}").contains(TOKEN));
        let wrong = crate::config::Config::from_toml("admin.tokens = [123456789]").unwrap_err();
        assert!(!wrong.to_string().contains("123456789"));
    }
}
