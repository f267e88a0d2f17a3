//! Keys, hashes, the database, and registrations at providers.

use secrecy::{ExposeSecret, SecretString};

use super::super::{Config, TokenStrategy};
use super::Report;

const LEAST_BYTES: usize = 32;
/// Seconds. An honest retry comes sooner.
const LONGEST_GRACE: i64 = 300;

pub(super) fn check(config: &Config, report: &mut Report) {
    secret_key(config, report);
    tokens(config, report);
    database(config, report);
    passwords(config, report);
}

fn secret_key(config: &Config, report: &mut Report) {
    let setting = "server.secret_key";
    match config.server.secret_key.as_ref().map(|key| weakness(key.expose_secret())) {
        Some(Some(weakness)) => report.error(
            setting,
            format!("{weakness}; write {LEAST_BYTES} random characters or more (openssl rand -base64 48), or leave it out"),
        ),
        None if config.database.url.as_ref().is_some_and(is_postgres) => report.warn(
            setting,
            "not set: one is kept in server.data_dir, which instances that share a database do not share",
        ),
        _ => {}
    }
    if config.server.secret_key_fallbacks.iter().any(|key| key.expose_secret().trim().is_empty()) {
        report.error("server.secret_key_fallbacks", "an empty key protects nothing; take it off the list");
    }
}

/// Why a key could be guessed.
pub(super) fn weakness(key: &str) -> Option<&'static str> {
    const EXAMPLES: [&str; 8] = [
        "changeme",
        "change-me",
        "change_me",
        "example",
        "insecure",
        "replace",
        "your-secret",
        "your_secret",
    ];
    let lower = key.to_lowercase();
    let mut distinct: Vec<char> = key.chars().collect();
    distinct.sort_unstable();
    distinct.dedup();
    if key.trim().is_empty() {
        Some("it is empty")
    } else if key.len() < LEAST_BYTES {
        Some("it is too short")
    } else if EXAMPLES.iter().any(|example| lower.contains(example)) {
        Some("it looks copied from an example")
    } else if distinct.len() < 8 {
        Some("it repeats a few characters")
    } else {
        None
    }
}

fn tokens(config: &Config, report: &mut Report) {
    let headless = &config.headless;
    if headless.token_strategy != TokenStrategy::Jwt {
        return;
    }
    let setting = "headless.jwt_private_key";
    let pem = |key: &SecretString| key.expose_secret().trim_start().starts_with("-----BEGIN");
    match (&headless.jwt_private_key, headless.jwt_algorithm.is_symmetric()) {
        (None, false) => {
            report.error(setting, "signing with this headless.jwt_algorithm needs a private key in PEM")
        }
        (Some(key), false) if !pem(key) => {
            report.error(
                setting,
                "this headless.jwt_algorithm needs a private key in PEM (-----BEGIN PRIVATE KEY-----)",
            );
        }
        (Some(key), true) if pem(key) => {
            report.error(
                setting,
                "HS algorithms take a secret text, not a key in PEM; choose RS256 or ES256 for that",
            );
        }
        (Some(key), true) if key.expose_secret().len() < LEAST_BYTES => {
            report.error(setting, format!("it is too short; write {LEAST_BYTES} random characters or more"));
        }
        _ => {}
    }
    for (setting, seconds) in [
        ("headless.jwt_access_token_expires_in", headless.jwt_access_token_expires_in),
        ("headless.jwt_refresh_token_expires_in", headless.jwt_refresh_token_expires_in),
    ] {
        if seconds <= 0 {
            report.error(setting, "write a number of seconds above 0");
        }
    }
    if !(0..=LONGEST_GRACE).contains(&headless.jwt_refresh_token_grace) {
        let reason = format!("write a number of seconds from 0 to {LONGEST_GRACE}");
        report.error("headless.jwt_refresh_token_grace", reason);
    }
    if headless.jwt_access_token_expires_in > 3600 && !headless.jwt_stateful_validation_enabled {
        report.warn(
            "headless.jwt_access_token_expires_in",
            "a stolen token stays good for that long, logout or not; 300 is safer, or turn on stateful validation",
        );
    }
}

fn is_postgres(url: &SecretString) -> bool {
    let url = url.expose_secret();
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

fn database(config: &Config, report: &mut Report) {
    if config
        .database
        .url
        .as_ref()
        .is_some_and(|url| !is_postgres(url) && !url.expose_secret().starts_with("sqlite:"))
    {
        report.error("database.url", "write \"sqlite://PATH\" or \"postgres://USER:PASSWORD@HOST/NAME\"");
    }
    if config.database.max_connections == 0 {
        report
            .error("database.max_connections", "without connections nothing can be stored; write 1 or more");
    }
}

fn passwords(config: &Config, report: &mut Report) {
    let argon2 = &config.passwords.argon2;
    let setting = "passwords.argon2";
    if argon2.iterations == 0 || argon2.parallelism == 0 || argon2.memory_kib / 8 < argon2.parallelism {
        report
            .error(setting, "iterations and parallelism are at least 1, and each lane needs 8 KiB of memory");
    } else if u64::from(argon2.memory_kib) * u64::from(argon2.iterations) < 19_456 * 2 {
        report.warn(
            setting,
            "such cheap hashes are soon guessed once stolen; memory_kib = 19456, iterations = 2 is the least",
        );
    }
    if config.passwords.pwned_range_url.as_ref().is_some_and(|url| !url.starts_with("https://")) {
        report.warn("passwords.pwned_range_url", "without https, others can see what is asked");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::expect;

    /// X2: a short, empty or example key stops the start.
    #[test]
    fn keys_must_not_be_guessed() {
        for weak in
            ["", "short", "change-me-change-me-change-me-change-me", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]
        {
            expect(&format!("server.secret_key = \"{weak}\""), "server.secret_key!");
        }
        expect("database.url = \"postgres://h/d\"", "server.secret_key");
        expect("server.secret_key_fallbacks = [\"\"]", "server.secret_key_fallbacks!");
    }

    #[test]
    fn tokens_need_a_key_of_their_kind() {
        let jwt = "headless.token_strategy = \"jwt\"\n";
        expect(jwt, "headless.jwt_private_key!");
        expect(&format!("{jwt}headless.jwt_private_key = \"text\""), "headless.jwt_private_key!");
        expect(
            &format!("{jwt}headless.jwt_algorithm = \"HS256\"\nheadless.jwt_private_key = \"text\""),
            "headless.jwt_private_key!",
        );
        expect(
            &format!("{jwt}headless.jwt_access_token_expires_in = 86400"),
            "headless.jwt_access_token_expires_in",
        );
    }

    #[test]
    fn the_rest() {
        expect("database.url = \"mysql://h/d\"", "database.url!");
        expect("passwords.argon2 = { memory_kib = 1 }", "passwords.argon2!");
        expect("passwords.argon2 = { iterations = 1 }", "passwords.argon2");
    }
}
