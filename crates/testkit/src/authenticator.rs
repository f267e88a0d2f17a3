//! A software WebAuthn authenticator together with the browser that drives it: takes the options of a ceremony as JSON
//! and gives the credential as JSON, right or with a [`Lie`] in it.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL;
use coset::cbor::{Value as Cbor, cbor, ser::into_writer};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use vestibule_base::security::random;
use vestibule_base::security::webauthn::Algorithm;

/// Flag of authenticator data: somebody touched it.
pub const USER_PRESENT: u8 = 1;
/// Flag of authenticator data: the person was verified.
pub const USER_VERIFIED: u8 = 1 << 2;
/// Flag of authenticator data: the credential may be copied.
pub const BACKUP_ELIGIBLE: u8 = 1 << 3;
/// Flag of authenticator data: the credential was copied.
pub const BACKED_UP: u8 = 1 << 4;
const NEW_CREDENTIAL: u8 = 1 << 6;

/// What a response claims against the truth. It is signed all the same. The default claims nothing.
#[derive(Debug, Default)]
pub struct Lie {
    /// Members of the client data in place of the true ones, or beside them.
    pub client_data: Map<String, Value>,
    /// Another relying party.
    pub rp_id: Option<&'static str>,
    /// Flags that are set.
    pub set: u8,
    /// Flags that are cleared.
    pub clear: u8,
    /// Another value of the counter.
    pub sign_count: Option<u32>,
}

/// A security key: holds any number of credentials, all of one algorithm; verifies the person and counts.
#[derive(Debug)]
pub struct Authenticator {
    algorithm: Algorithm,
    credentials: Vec<Held>,
}

#[derive(Debug)]
struct Held {
    id: Vec<u8>,
    rp_id: String,
    user_handle: String,
    discoverable: bool,
    sign_count: u32,
    key: Key,
}

#[derive(Debug)]
enum Key {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(RsaKeyPair),
}

impl Authenticator {
    /// One without credentials.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, credentials: Vec::new() }
    }

    /// Holds a credential (ES256) that was made elsewhere: `id` and `user_handle` as they are in JSON, the key as PKCS #8,
    /// and what its counter last said.
    ///
    /// # Panics
    /// If the id or the key is none.
    pub fn hold(
        &mut self,
        rp_id: &str,
        (id, user_handle, discoverable): (&str, &str, bool),
        private_key: &[u8],
        sign_count: u32,
    ) {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, private_key).expect("a key");
        self.credentials.push(Held {
            id: BASE64URL.decode(id).expect("base64url"),
            rp_id: rp_id.to_owned(),
            user_handle: user_handle.to_owned(),
            discoverable,
            sign_count,
            key: Key::Es256(key),
        });
    }

    /// Answers creation options (with `publicKey` around them, or without) on a page of `origin`:
    /// `RegistrationResponseJSON`.
    ///
    /// # Panics
    /// If the options lack a member, do not offer the algorithm, or exclude a credential that is held.
    pub fn create(&mut self, options: &Value, origin: &str, lie: &Lie) -> Value {
        let options = options.get("publicKey").unwrap_or(options);
        let number = self.algorithm.number();
        let mut offered = options["pubKeyCredParams"].as_array().expect("algorithms").iter();
        assert!(offered.any(|offer| offer["alg"] == number), "{number} is not offered");
        for excluded in options["excludeCredentials"].as_array().into_iter().flatten() {
            assert!(
                self.credentials.iter().all(|held| excluded["id"] != text(&held.id)),
                "registered already"
            );
        }
        let selection = &options["authenticatorSelection"];
        let held = Held {
            id: random::bytes::<32>().expect("random bytes").to_vec(),
            rp_id: options["rp"]["id"].as_str().expect("a relying party").to_owned(),
            user_handle: options["user"]["id"].as_str().expect("a user handle").to_owned(),
            discoverable: selection["residentKey"] == "required",
            sign_count: 0,
            key: Key::generate(self.algorithm),
        };
        let client_data = client_data("webauthn.create", options, origin, lie);
        let mut data = held.data(lie, NEW_CREDENTIAL);
        data.extend([0; 16]);
        data.extend([0, 32]);
        data.extend(&held.id);
        data.extend(held.key.cose());
        let object = cbor!({ "fmt" => "none", "attStmt" => {}, "authData" => Cbor::Bytes(data) });
        let response = json!({
            "clientDataJSON": text(&client_data),
            "attestationObject": text(&encoded(&object.expect("CBOR"))),
            "transports": ["usb"],
        });
        let extensions = json!({ "credProps": { "rk": held.discoverable } });
        let credential = credential(&held.id, &response, &extensions);
        self.credentials.push(held);
        credential
    }

    /// Answers request options (with `publicKey` around them, or without) on a page of `origin`, with the youngest
    /// credential that fits: `AuthenticationResponseJSON`.
    ///
    /// # Panics
    /// If the options lack a member, or none of the credentials fits.
    pub fn get(&mut self, options: &Value, origin: &str, lie: &Lie) -> Value {
        let options = options.get("publicKey").unwrap_or(options);
        let allowed: Vec<&Value> = options["allowCredentials"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|allowed| &allowed["id"])
            .collect();
        let fits = |held: &&mut Held| {
            let wanted = allowed.iter().any(|id| **id == text(&held.id));
            options["rpId"] == held.rp_id && (wanted || allowed.is_empty() && held.discoverable)
        };
        let held = self.credentials.iter_mut().rev().find(fits).expect("a credential that fits");
        held.sign_count += 1;
        let client_data = client_data("webauthn.get", options, origin, lie);
        let data = held.data(lie, 0);
        let signature = held.key.sign(&[data.as_slice(), &Sha256::digest(&client_data)].concat());
        let response = json!({
            "clientDataJSON": text(&client_data),
            "authenticatorData": text(&data),
            "signature": text(&signature),
            "userHandle": held.user_handle,
        });
        credential(&held.id, &response, &json!({}))
    }
}

impl Held {
    fn data(&self, lie: &Lie, more: u8) -> Vec<u8> {
        let flags = (USER_PRESENT | USER_VERIFIED | more | lie.set) & !lie.clear;
        let mut data = Sha256::digest(lie.rp_id.unwrap_or(&self.rp_id)).to_vec();
        data.push(flags);
        data.extend(lie.sign_count.unwrap_or(self.sign_count).to_be_bytes());
        data
    }
}

impl Key {
    fn generate(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Es256 => {
                Self::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key"))
            }
            Algorithm::EdDsa => Self::EdDsa(Ed25519KeyPair::generate().expect("a key")),
            Algorithm::Rs256 => Self::Rs256(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key")),
        }
    }

    fn cose(&self) -> Vec<u8> {
        let bytes = |part: &[u8]| Cbor::Bytes(part.to_vec());
        let key = match self {
            // 0x04, then both coordinates.
            Self::Es256(pair) => {
                let (head, y) = pair.public_key().as_ref().split_at(33);
                cbor!({ 1 => 2, 3 => -7, -1 => 1, -2 => bytes(&head[1..]), -3 => bytes(y) })
            }
            Self::EdDsa(pair) => cbor!({ 1 => 1, 3 => -8, -1 => 6, -2 => bytes(pair.public_key().as_ref()) }),
            // DER: a sequence of the modulus, 257 bytes with a leading zero, and of the exponent, 3 bytes.
            Self::Rs256(pair) => {
                let der = pair.public_key().as_ref();
                assert_eq!(der.len(), 270);
                cbor!({ 1 => 3, 3 => -257, -1 => bytes(&der[9..265]), -2 => bytes(&der[267..]) })
            }
        };
        encoded(&key.expect("CBOR"))
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Es256(pair) => pair.sign(&random, message).expect("a signature").as_ref().to_vec(),
            Self::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("a signature");
                signature
            }
        }
    }
}

fn client_data(kind: &str, options: &Value, origin: &str, lie: &Lie) -> Vec<u8> {
    let mut data = Map::new();
    data.insert("type".to_owned(), json!(kind));
    data.insert("challenge".to_owned(), options["challenge"].clone());
    data.insert("origin".to_owned(), json!(origin));
    data.insert("crossOrigin".to_owned(), json!(false));
    data.extend(lie.client_data.clone());
    Value::Object(data).to_string().into_bytes()
}

fn credential(id: &[u8], response: &Value, extensions: &Value) -> Value {
    json!({
        "id": text(id), "rawId": text(id), "type": "public-key", "authenticatorAttachment": "cross-platform",
        "clientExtensionResults": extensions, "response": response,
    })
}

fn encoded(value: &Cbor) -> Vec<u8> {
    let mut bytes = Vec::new();
    into_writer(value, &mut bytes).expect("CBOR");
    bytes
}

fn text(bytes: &[u8]) -> String {
    BASE64URL.encode(bytes)
}

#[cfg(test)]
mod tests {
    use vestibule_base::config::UserVerification;
    use vestibule_base::security::webauthn::{
        Assertion, Ceremony, CeremonyError, Credential, Owner, RelyingParty, UserEntity,
    };

    use super::*;

    const ORIGIN: &str = "http://localhost:8000";
    const APP: &str = "android:apk-key-hash:pNiP5iKyQ8JwgGOaKA1zGPUPJIS-0H1xKCQcfIoGLck";

    fn rp() -> RelyingParty {
        RelyingParty::new("localhost", "Vestibule", vec![ORIGIN.to_owned(), APP.to_owned()])
    }

    fn register(key: &mut Authenticator, origin: &str, lie: &Lie) -> Result<Credential, CeremonyError> {
        let ceremony = Ceremony::begin(UserVerification::Required).unwrap();
        let (name, display_name) = ("a@example.org".to_owned(), "Alice".to_owned());
        let user = UserEntity { id: b"7".to_vec(), name, display_name };
        let options = rp().creation_options(&ceremony, user, true, &[]);
        let sent = key.create(&serde_json::to_value(options).unwrap(), origin, lie);
        rp().register(&ceremony, &serde_json::from_value(sent).unwrap())
    }

    fn log_in(
        key: &mut Authenticator,
        credential: &Credential,
        origin: &str,
        lie: &Lie,
    ) -> Result<Assertion, CeremonyError> {
        let ceremony = Ceremony::begin(UserVerification::Required).unwrap();
        let options = rp().request_options(&ceremony, &[]);
        let sent = key.get(&serde_json::to_value(options).unwrap(), origin, lie);
        let response = serde_json::from_value(sent).unwrap();
        rp().authenticate(&ceremony, &response, credential, Owner::Found(b"7"))
    }

    #[test]
    fn m4_keys_of_each_algorithm_register_and_log_in_again_and_again() {
        for algorithm in Algorithm::OFFERED {
            let mut key = Authenticator::new(algorithm);
            let mut credential = register(&mut key, ORIGIN, &Lie::default()).unwrap();
            assert_eq!(credential.public_key.algorithm(), algorithm);
            assert_eq!((credential.user_verified, credential.discoverable), (true, Some(true)));
            for count in 1..4 {
                let said =
                    log_in(&mut key, &credential, if count == 2 { APP } else { ORIGIN }, &Lie::default())
                        .unwrap();
                assert_eq!(said, Assertion { sign_count: count, backed_up: false, user_verified: true });
                credential.sign_count = said.sign_count;
            }
            let other = register(&mut Authenticator::new(algorithm), ORIGIN, &Lie::default()).unwrap();
            let swapped = Credential { public_key: other.public_key, ..credential };
            assert_eq!(log_in(&mut key, &swapped, ORIGIN, &Lie::default()), Err(CeremonyError::Signature));
        }
    }

    #[test]
    fn m4_both_ceremonies_refuse_each_lie_though_it_is_signed() {
        let claim = |name: &str, value: Value| {
            let client_data = Map::from_iter([(name.to_owned(), value)]);
            Lie { client_data, ..Lie::default() }
        };
        let lies = [
            (claim("challenge", json!("AAAA")), CeremonyError::Challenge),
            (claim("type", json!("payment.get")), CeremonyError::Type),
            (claim("origin", json!("https://attacker.example")), CeremonyError::Origin),
            (claim("crossOrigin", json!(true)), CeremonyError::CrossOrigin),
            (claim("topOrigin", json!(ORIGIN)), CeremonyError::CrossOrigin),
            (claim("origin", json!(7)), CeremonyError::Malformed("clientDataJSON")),
            (Lie { rp_id: Some("attacker.example"), ..Lie::default() }, CeremonyError::RpId),
            (Lie { clear: USER_PRESENT, ..Lie::default() }, CeremonyError::UserNotPresent),
            (Lie { clear: USER_VERIFIED, ..Lie::default() }, CeremonyError::UserNotVerified),
            (Lie { set: BACKED_UP, ..Lie::default() }, CeremonyError::Backup),
        ];
        let mut key = Authenticator::new(Algorithm::EdDsa);
        let credential = register(&mut key, ORIGIN, &Lie::default()).unwrap();
        let mut forger = Authenticator::new(Algorithm::EdDsa);
        for (lie, refusal) in lies {
            assert_eq!(log_in(&mut key, &credential, ORIGIN, &lie), Err(refusal), "{lie:?}");
            assert_eq!(register(&mut forger, ORIGIN, &lie), Err(refusal), "{lie:?}");
        }
        // A response of the other ceremony; another device; a counter that stands still.
        let lie = claim("type", json!("webauthn.create"));
        assert_eq!(log_in(&mut key, &credential, ORIGIN, &lie), Err(CeremonyError::Type));
        let lie = Lie { set: BACKUP_ELIGIBLE, ..Lie::default() };
        assert_eq!(log_in(&mut key, &credential, ORIGIN, &lie), Err(CeremonyError::Backup));
        let lie = Lie { sign_count: Some(4), ..Lie::default() };
        let stored = Credential { sign_count: 4, ..credential };
        let refusal = CeremonyError::SignCount { stored: 4, given: 4 };
        assert_eq!(log_in(&mut key, &stored, ORIGIN, &lie), Err(refusal));
    }
}
