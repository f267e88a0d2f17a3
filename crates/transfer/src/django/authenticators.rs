//! Second factors as django-allauth keeps them: a JSON object a row.
//!
//! Its adapter may encrypt secrets, in a way that only the project knows. What is no secret of the expected form is such
//! a one, and is told.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use sha1::Sha1;
use vestibule_base::security::webauthn::RegistrationResponse;

use super::DjangoOptions;
use super::account::{Key, moment};
use super::database::Row;
use crate::account::{Account, Passkey, RecoveryCode, RecoveryCodes, Totp};

/// Columns of `mfa_authenticator`.
pub(super) const COLUMNS: &[&str] = &["type", "data", "created_at", "last_used_at"];

/// Reads a row into `account`; says why it cannot be taken.
pub(super) fn read(
    account: &mut Account,
    row: Row,
    options: &DjangoOptions,
    key: &Key,
) -> Result<(), String> {
    let [_, Some(kind), Some(data), created_at, last_used_at] =
        <[Option<String>; 5]>::try_from(row).map_err(|_| "an authenticator is not whole".to_owned())?
    else {
        return Err("an authenticator is not whole".to_owned());
    };
    let times = (created_at.and_then(|at| moment(&at)), last_used_at.and_then(|at| moment(&at)));
    let data: Value = serde_json::from_str(&data).map_err(|_| format!("{kind}: its data is no JSON"))?;
    match kind.as_str() {
        "totp" => {
            let secret = data["secret"].as_str().ok_or("totp: it has no secret")?;
            let (created_at, last_used_at) = times;
            let secret = SecretString::from(secret);
            account.totp = Some(Totp { secret, last_step: 0, created_at, last_used_at });
        }
        "recovery_codes" => {
            let codes = recovery_codes(&data, options)?;
            let seen = !data["viewed_at"].is_null();
            let (created_at, last_used_at) = times;
            account.recovery_codes = Some(RecoveryCodes { codes, seen, created_at, last_used_at });
        }
        "webauthn" => {
            let mut passkey = passkey(&data).map_err(|reason| format!("webauthn: {reason}"))?;
            passkey.user_handle = Some(key.handle());
            (passkey.created_at, passkey.last_used_at) = times;
            account.passkeys.push(passkey);
        }
        other => return Err(format!("authenticator {other:?}: there is no such kind here")),
    }
    Ok(())
}

/// Codes that came from another package, or those that follow from a seed.
fn recovery_codes(data: &Value, options: &DjangoOptions) -> Result<Vec<RecoveryCode>, String> {
    #[derive(Deserialize)]
    struct Data {
        migrated_codes: Option<Vec<String>>,
        seed: Option<String>,
        #[serde(default)]
        used_mask: u64,
    }
    const ENCRYPTED: &str =
        "recovery codes: the project's own adapter has encrypted them (`encrypt` of MFA_ADAPTER)";

    let data = Data::deserialize(data).map_err(|_| "recovery codes: they are in no known form".to_owned())?;
    let line = |(code, used): (String, bool)| RecoveryCode { code: code.into(), used };
    if let Some(codes) = data.migrated_codes {
        if codes.iter().any(|code| code.len() > LONGEST_CODE) {
            return Err(ENCRYPTED.to_owned());
        }
        return Ok(codes.into_iter().map(|code| line((code, false))).collect());
    }
    let seed = data.seed.ok_or_else(|| "recovery codes: they have no seed".to_owned())?;
    if seed.len() != SEED_LENGTH || !seed.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(ENCRYPTED.to_owned());
    }
    let used = |at: usize| {
        let shifted = u32::try_from(at).ok().and_then(|at| data.used_mask.checked_shr(at));
        shifted.unwrap_or_default() & 1 == 1
    };
    let codes = codes_of(&seed, options.recovery_code_count, options.recovery_code_digits);
    Ok(codes.enumerate().map(|(at, code)| line((code, used(at)))).collect())
}

/// Longer than any code that somebody wrote down, shorter than any that was encrypted.
const LONGEST_CODE: usize = 40;
/// 40 random bytes in hexadecimal digits.
const SEED_LENGTH: usize = 80;

/// The codes that django-allauth makes of a seed: each is the head of an HMAC over the counters so far.
fn codes_of(seed: &str, count: u32, digits: u32) -> impl Iterator<Item = String> {
    // A key of any length is a key.
    let mut mac = Hmac::<Sha1>::new_from_slice(seed.as_bytes()).ok();
    (0..count).map_while(move |number| {
        let mac = mac.as_mut()?;
        mac.update(format!("{number:3},").as_bytes());
        let digest = mac.clone().finalize().into_bytes();
        let head = digest.iter().take((digits / 2) as usize);
        // The remainder by 10^digits, digit by digit: twenty bytes are more than any integer type holds.
        let mut decimal = vec![0_u8; digits as usize];
        for byte in head {
            let mut carry = u32::from(*byte);
            for place in decimal.iter_mut().rev() {
                let value = u32::from(*place) * 256 + carry;
                *place = u8::try_from(value % 10).unwrap_or_default();
                carry = value / 10;
            }
        }
        Some(decimal.iter().map(|digit| char::from(b'0' + digit)).collect())
    })
}

/// A key: the answer to its registration, as the browser gave it.
fn passkey(data: &Value) -> Result<Passkey, String> {
    let mut answer = data["credential"].clone();
    // Clients that are no browsers have left out what says nothing new.
    if let Value::Object(members) = &mut answer {
        let id = members.get("id").cloned().unwrap_or_default();
        members.entry("rawId").or_insert(id);
        members.entry("type").or_insert_with(|| "public-key".into());
    }
    let answer: RegistrationResponse =
        serde_json::from_value(answer).map_err(|_| "its registration is in no known form".to_owned())?;
    let credential = answer.credential().map_err(|error| error.to_string())?;
    Ok(Passkey {
        name: data["name"].as_str().unwrap_or_default().to_owned(),
        credential_id: credential.id.as_bytes().to_vec(),
        public_key: credential.public_key.as_cose().to_vec(),
        sign_count: credential.sign_count,
        user_handle: None,
        backup_eligible: credential.backup_eligible,
        backed_up: credential.backed_up,
        user_verified: credential.user_verified,
        discoverable: credential.discoverable,
        created_at: None,
        last_used_at: None,
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::json;

    use super::*;

    fn shown(codes: &[RecoveryCode]) -> Vec<(&str, bool)> {
        codes.iter().map(|line| (line.code.expose_secret(), line.used)).collect()
    }

    /// Made by django-allauth 65.21.1, as is what `tests/django/fill.py` writes down.
    #[test]
    fn codes_follow_from_the_seed() {
        let seed = "02feb830235591c45bafb16e170e693e263b0c4dabff1e437923ee9eff9759eaca3c7400a87e8e97";
        let data = json!({ "seed": seed, "used_mask": 2, "viewed_at": 1_795_573_861.8 });
        let codes = recovery_codes(&data, &DjangoOptions::default()).unwrap();
        let expected = [
            ("77801177", false),
            ("86809762", true),
            ("74898494", false),
            ("58289603", false),
            ("62874503", false),
            ("88714466", false),
            ("32636301", false),
            ("26253401", false),
            ("46447312", false),
            ("20166274", false),
        ];
        assert_eq!(shown(&codes), expected);
    }

    #[test]
    fn long_codes_are_heads_of_the_digest_too() {
        let options =
            DjangoOptions { recovery_code_count: 2, recovery_code_digits: 44, ..Default::default() };
        let data = json!({ "seed": "ab".repeat(40), "used_mask": 0 });
        let codes = recovery_codes(&data, &options).unwrap();
        assert_eq!(codes.len(), 2);
        assert!(codes.iter().all(|line| line.code.expose_secret().len() == 44));
    }

    #[test]
    fn codes_of_another_package_and_codes_that_are_encrypted() {
        let options = DjangoOptions::default();
        let codes = recovery_codes(&json!({ "migrated_codes": ["abcd-efgh", "x"] }), &options).unwrap();
        assert_eq!(shown(&codes), [("abcd-efgh", false), ("x", false)]);
        for data in [
            json!({ "seed": "gAAAAABn" }),
            json!({ "migrated_codes": ["gAAAAABnY2lwaGVydGV4dCBvZiBhIHNlY3JldA==x"] }),
        ] {
            assert!(recovery_codes(&data, &options).unwrap_err().contains("MFA_ADAPTER"), "{data}");
        }
        assert!(recovery_codes(&json!({}), &options).is_err());
        assert!(recovery_codes(&json!([]), &options).is_err());
    }
}
