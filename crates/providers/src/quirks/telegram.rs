//! Telegram: no OAuth. The person comes back with what Telegram says of them in the URL's fragment, signed with the secret
//! of the bot; the callback page posts it to us as `tgAuthResult`.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sha2::{Digest, Sha256};
use vestibule_base::security::Millis;
use vestibule_base::security::clock::SECOND;

use crate::departure;
use crate::error::ProviderError;
use crate::login::{Arrival, Callback, Departure, Memory, Replay, Start};
use crate::provider::Provider;
use crate::world::World;

/// How far Telegram's clock may be ahead of ours, in seconds.
const LEEWAY: i64 = 10;
/// Longest result that is looked at: a name, a picture's URL, a few numbers.
const MAX_RESULT: usize = 8192;

/// How old a result may be, in seconds, where the app's `auth_date_validity` says nothing else.
const VALIDITY: i64 = 30;

/// Sends the person to Telegram, who ask them for the site's own bot.
///
/// # Errors
/// [`ProviderError::Settings`] if the catalogue does not say where.
pub(crate) async fn begin(
    world: &World,
    provider: &Provider,
    start: Start<'_>,
) -> Result<Departure, ProviderError> {
    let origin = format!("{}/", world.site.as_str().trim_end_matches('/'));
    let params = [
        ("origin", origin.as_str()),
        ("bot_id", provider.client_id()),
        ("request_access", "write"),
        ("embed", "0"),
        ("return_to", &start.return_to(&provider.redirect_uri(world))),
    ];
    let url = departure::url(provider, &provider.values(world), &params)?;
    Ok(Departure { url, memory: Memory::default(), known_by: None })
}

/// Who it is, by the signed result.
///
/// # Errors
/// [`ProviderError::Brought`] if it proves nothing; [`ProviderError::Settings`] without the bot's secret: anybody could
/// have signed.
pub(crate) async fn complete(
    world: &World,
    provider: &Provider,
    _memory: &Memory,
    callback: &Callback,
) -> Result<Arrival, ProviderError> {
    let secret = provider.app().secret.as_ref().filter(|secret| !secret.expose_secret().is_empty());
    let secret = secret.ok_or(ProviderError::settings("the secret, which is the bot's token, is missing"))?;
    let result = callback.get("tgAuthResult").unwrap_or_default();
    // Telegram says so when the person declines.
    if result == "false" {
        return Err(ProviderError::Cancelled);
    }
    let validity = provider.setting("auth_date_validity").and_then(whole_number).unwrap_or(VALIDITY);
    let proven = verify(result, secret, validity, world.clock.now())?;
    let identity = provider.identity(&Value::Object(proven.data))?;
    Ok(Arrival { identity, tokens: None, replay: Some(proven.replay) })
}

/// What Telegram says of a person, and what makes it good once.
struct Proven {
    data: serde_json::Map<String, Value>,
    replay: Replay,
}

/// Checks what Telegram says it signed, as its documentation of the login widget has it. `validity` is in seconds.
fn verify(
    result: &str,
    bot_token: &SecretString,
    validity: i64,
    now: Millis,
) -> Result<Proven, ProviderError> {
    let malformed = || ProviderError::brought("tgAuthResult is malformed");
    if result.len() > MAX_RESULT {
        return Err(malformed());
    }
    let decoded = tolerant().decode(result.replace('+', "-").replace('/', "_")).map_err(|_| malformed())?;
    let mut data: serde_json::Map<String, Value> =
        serde_json::from_slice(&decoded).map_err(|_| malformed())?;
    let hash = data.remove("hash").ok_or_else(malformed)?;
    let hash = hash.as_str().and_then(|hash| hex::decode(hash).ok()).ok_or_else(malformed)?;

    let key = Sha256::digest(bot_token.expose_secret());
    let signature = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| malformed())?;
    let lines = lines(&data).ok_or_else(malformed)?;
    // In constant time.
    if signature.chain_update(lines).verify_slice(&hash).is_err() {
        return Err(ProviderError::brought("tgAuthResult is not signed by this bot"));
    }

    let signed_at = data.remove("auth_date").as_ref().and_then(whole_number).ok_or_else(malformed)?;
    let age = (now / SECOND).saturating_sub(signed_at);
    if !(-LEEWAY..=validity).contains(&age) {
        return Err(ProviderError::brought("tgAuthResult is not of this moment"));
    }
    let expires_at = signed_at.saturating_add(validity).saturating_add(1).saturating_mul(SECOND);
    Ok(Proven {
        data,
        replay: Replay { key: format!("telegram {}", hex::encode(hash)), expires_at, again_within: 0 },
    })
}

/// What is signed: a line `name=value` for each field, sorted. Nothing in a field may be able to pass for another line,
/// or somebody could name themselves so that their own signature is good for another person.
fn lines(data: &serde_json::Map<String, Value>) -> Option<String> {
    let mut lines = Vec::with_capacity(data.len());
    for (name, value) in data {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let plain =
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !plain || value.contains('\n') {
            return None;
        }
        lines.push(format!("{name}={value}"));
    }
    lines.sort_unstable();
    Some(lines.join("\n"))
}

fn whole_number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// With padding or without.
fn tolerant() -> GeneralPurpose {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(&URL_SAFE, config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearsal::{provider, provider_of, world};
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

    /// 2026-01-02T03:04:05Z
    const NOW: Millis = 1_767_323_045_000;

    fn signed(bot_token: &str, lines: &str) -> String {
        let key = Sha256::digest(bot_token);
        let mac = Hmac::<Sha256>::new_from_slice(&key).unwrap().chain_update(lines);
        hex::encode(mac.finalize().into_bytes())
    }

    fn result(json: &str, hash: &str) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(json.replace("HASH", hash))
    }

    fn check(result: &str) -> Result<Proven, ProviderError> {
        verify(result, &"123:token".into(), 30, NOW)
    }

    fn back(bot_token: &str) -> Callback {
        let result = result(KIM, &signed(bot_token, KIMS_LINES));
        Callback { params: vec![("tgAuthResult".to_owned(), result)] }
    }

    const KIM: &str = r#"{"id":1001,"first_name":"Kïm>?","auth_date":1767323040,"hash":"HASH"}"#;
    const KIMS_LINES: &str = "auth_date=1767323040\nfirst_name=Kïm>?\nid=1001";

    #[test]
    fn o3_what_telegram_signed_is_believed_and_named() {
        let hash = signed("123:token", KIMS_LINES);
        let proven = check(&result(KIM, &hash)).unwrap();
        assert_eq!(Value::Object(proven.data), serde_json::json!({"id": 1001, "first_name": "Kïm>?"}));
        assert_eq!(proven.replay.key, format!("telegram {hash}"));
        assert_eq!(proven.replay.expires_at, 1_767_323_071_000);
        let standard = BASE64_STANDARD.encode(KIM.replace("HASH", &hash));
        assert!(check(&standard).is_ok(), "the other alphabet, padded");
    }

    #[tokio::test]
    async fn o3_a_bot_without_a_secret_logs_nobody_in() {
        let careless = "telegram = { name = 'Telegram', protocol = 'own', quirk = 'telegram', needs = [], map = { uid = '/id' } }";
        let (world, _) = world(&[]);
        for secret in ["", "secret = ''"] {
            let app = format!("provider = 'telegram'\nclient_id = '123'\n{secret}");
            let provider = provider_of(&world, &app, Some(careless));
            let refused = complete(&world, &provider, &Memory::default(), &back("")).await;
            assert!(matches!(refused, Err(ProviderError::Settings(_))), "{secret}");
        }
    }

    #[tokio::test]
    async fn a_login_from_beginning_to_end() {
        let (world, _) = world(&[]);
        let provider = provider(&world, "provider = 'telegram'\nclient_id = '123'\nsecret = '123:token'");
        let start = Start { state: "s1", query: &[] };
        let departure = begin(&world, &provider, start).await.unwrap();
        assert_eq!(
            departure.url,
            "https://oauth.telegram.org/auth?origin=https%3A%2F%2Fsite.example%2F&bot_id=123&request_access=write&embed=0\
             &return_to=https%3A%2F%2Fsite.example%2Faccounts%2Ftelegram%2Flogin%2Fcallback%2F%3Fstate%3Ds1"
        );
        let arrival = complete(&world, &provider, &departure.memory, &back("123:token")).await.unwrap();
        assert_eq!(arrival.identity.uid, "1001");
        let declined = Callback { params: vec![("tgAuthResult".to_owned(), "false".to_owned())] };
        let declined = complete(&world, &provider, &departure.memory, &declined).await;
        assert!(matches!(declined, Err(ProviderError::Cancelled)));
    }

    /// The case `signed` of the reference's fixtures.
    #[test]
    fn o3_a_result_of_the_fixtures() {
        let result = "eyJpZCI6IDEwMDEsICJmaXJzdF9uYW1lIjogIktpbSIsICJ1c2VybmFtZSI6ICJraW1faSIsICJhdXRoX2RhdGUiOiA0MTAyNDQ0ODAw\
                      LCAiaGFzaCI6ICI0MDU1MjEwZWJiODZmZjBlNGNkNzhiOGU3ZDdjOGFjNThlNmQ5Nzc5NDA2YTdhMDUyMjFjOGNhMTk2NDAwZTI0In0";
        let now = 4_102_444_800_000;
        let proven = verify(result, &"123:token".into(), 30, now).unwrap();
        assert_eq!(proven.data.get("username").unwrap(), "kim_i");
        assert!(verify(result, &"123:other".into(), 30, now).is_err());
    }

    #[test]
    fn o3_what_telegram_did_not_sign_for_this_bot_and_moment_is_refused() {
        let hash = signed("123:token", KIMS_LINES);
        for (json, hash) in [
            (KIM, signed("124:token", KIMS_LINES)),
            (KIM, signed("", KIMS_LINES)),
            (KIM, String::new()),
            (KIM, hash[..62].to_owned()),
            (KIM, "no digits".to_owned()),
            (&KIM.replace("1001", "1002"), hash.clone()),
            (&KIM.replace(r#""id":1001"#, r#""id":1001,"username":"kim""#), hash.clone()),
            (r#"{"id":1001,"first_name":"Kïm>?","auth_date":1767323040}"#, hash.clone()),
            (r#"{"id":1001,"first_name":"Kïm>?","auth_date":1767323040,"hash":null}"#, hash.clone()),
            (r#"["HASH"]"#, hash.clone()),
            ("", hash),
        ] {
            assert!(matches!(check(&result(json, &hash)), Err(ProviderError::Brought(_))), "{json}");
        }
        assert!(check("").is_err());
        assert!(check("%%%").is_err());
        assert!(check(&"A".repeat(MAX_RESULT + 1)).is_err());
    }

    #[test]
    fn o3_results_are_good_for_a_moment_and_never_ahead_of_it() {
        for (date, good) in [
            (1_767_323_015_i64, true),
            (1_767_323_014, false),
            (1_767_323_055, true),
            (1_767_323_056, false),
            (4_102_444_800, false),
            (i64::MIN, false),
            (i64::MAX, false),
        ] {
            let hash = signed("123:token", &format!("auth_date={date}\nid=7"));
            let json = format!(r#"{{"id":7,"auth_date":"{date}","hash":"HASH"}}"#);
            assert_eq!(check(&result(&json, &hash)).is_ok(), good, "{date}");
        }
    }

    /// With the signature of person 2000, whose first name is two lines, another text would name person 1000.
    #[test]
    fn o4_nobody_is_named_by_a_field_of_somebody_else() {
        let hash = signed("123:token", "auth_date=1767323040\nfirst_name=A\nid=1000\nid=2000");
        for json in [
            r#"{"auth_date":1767323040,"first_name":"A","id":"1000\nid=2000","hash":"HASH"}"#,
            r#"{"auth_date":1767323040,"first_name":"A\nid=1000","id":2000,"hash":"HASH"}"#,
            r#"{"auth_date":1767323040,"first_name":"A","id":1000,"id=2000":"","hash":"HASH"}"#,
        ] {
            assert!(matches!(check(&result(json, &hash)), Err(ProviderError::Brought(_))), "{json}");
        }
        let hash = signed("123:token", "auth_date=1767323040\nfirst_name=A\nid=1000\nid=2000=");
        let json = r#"{"auth_date":1767323040,"first_name":"A","id":1000,"id=2000":"","hash":"HASH"}"#;
        assert!(matches!(check(&result(json, &hash)), Err(ProviderError::Brought(_))));
    }
}
