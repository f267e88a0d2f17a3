use serde_json::Value;

use super::super::{Challenge, Owner, PublicKey, UserEntity};
use super::*;

#[test]
fn creation_options_are_those_that_browsers_parse() {
    let ceremony = Ceremony::begin(UserVerification::Preferred).unwrap();
    let user =
        UserEntity { id: b"7".to_vec(), name: "a@example.org".to_owned(), display_name: "Alice".to_owned() };
    let options = rp().creation_options(&ceremony, user.clone(), false, &[id(&[0xfb, 0xff])]);
    let expected = json!({ "publicKey": {
        "rp": { "id": "example.org", "name": "Example" },
        "user": { "id": "Nw", "name": "a@example.org", "displayName": "Alice" },
        "challenge": ceremony.challenge,
        "pubKeyCredParams": [
            { "type": "public-key", "alg": -7 },
            { "type": "public-key", "alg": -8 },
            { "type": "public-key", "alg": -257 },
        ],
        "excludeCredentials": [{ "type": "public-key", "id": "-_8" }],
        "authenticatorSelection": {
            "residentKey": "discouraged", "requireResidentKey": false, "userVerification": "preferred",
        },
        "attestation": "none",
        "extensions": { "credProps": true },
    }});
    assert_eq!(serde_json::to_value(&options).unwrap(), expected);

    let ceremony = Ceremony::begin(UserVerification::Required).unwrap();
    let options = serde_json::to_value(rp().creation_options(&ceremony, user, true, &[])).unwrap();
    assert_eq!(
        options["publicKey"]["authenticatorSelection"],
        json!({ "residentKey": "required", "requireResidentKey": true, "userVerification": "required" })
    );
}

#[test]
fn request_options_are_those_that_browsers_parse() {
    let ceremony = Ceremony::begin(UserVerification::Discouraged).unwrap();
    let options = rp().request_options(&ceremony, &[id(b"key")]);
    let expected = json!({ "publicKey": {
        "challenge": ceremony.challenge,
        "rpId": "example.org",
        "allowCredentials": [{ "type": "public-key", "id": "a2V5" }],
        "userVerification": "discouraged",
    }});
    assert_eq!(serde_json::to_value(&options).unwrap(), expected);
}

#[test]
fn m4_every_challenge_is_new() {
    let challenges: Vec<Challenge> =
        (0..8).map(|_| Ceremony::begin(UserVerification::Required).unwrap().challenge).collect();
    for (at, challenge) in challenges.iter().enumerate() {
        assert!(!challenges[at + 1..].contains(challenge));
    }
}

#[test]
fn what_is_kept_comes_back_from_json_as_it_was() {
    let ceremony = Ceremony::begin(UserVerification::Required).unwrap();
    let kept = serde_json::to_string(&ceremony).unwrap();
    assert_eq!(serde_json::from_str::<Ceremony>(&kept).unwrap(), ceremony);

    let credential = case("packed-rs256").registration.judge(UserVerification::Preferred).unwrap();
    let kept = serde_json::to_string(&credential).unwrap();
    assert_eq!(serde_json::from_str::<Credential>(&kept).unwrap(), credential);
}

/// A registration as a browser's `toJSON` gives it, with everything that no check needs.
fn sent() -> Value {
    let case = &case("none-es256").registration;
    json!({
        "id": encode(&case.credential_id.0), "rawId": encode(&case.credential_id.0), "type": "public-key",
        "authenticatorAttachment": "platform", "future": { "member": [1] },
        "clientExtensionResults": { "credProps": { "rk": true, "other": 1 }, "largeBlob": { "supported": false } },
        "response": {
            "clientDataJSON": encode(&case.client_data.0), "attestationObject": encode(&case.attestation_object.0),
            "authenticatorData": "AA", "publicKey": "AA", "publicKeyAlgorithm": -7,
            "transports": ["internal", "future"],
        },
    })
}

fn judge_sent(sent: Value) -> Option<Result<Credential, CeremonyError>> {
    let case = &case("none-es256").registration;
    let response = serde_json::from_value(sent).ok()?;
    Some(rp().register(&ceremony(&case.challenge, UserVerification::Preferred), &response))
}

#[test]
fn members_that_no_check_needs_are_ignored_and_padding_is_taken() {
    let credential = judge_sent(sent()).unwrap().unwrap();
    assert_eq!(credential.discoverable, Some(true));

    let mut padded = sent();
    for at in ["/id", "/rawId", "/response/clientDataJSON", "/response/attestationObject"] {
        let text = padded.pointer_mut(at).unwrap();
        let bare = text.as_str().unwrap().to_owned();
        *text = json!(format!("{bare}{}", "=".repeat(bare.len().wrapping_neg() % 4)));
    }
    assert_ne!(padded, sent());
    assert_eq!(judge_sent(padded).unwrap().unwrap(), credential);

    let mut bare = sent();
    bare.as_object_mut().unwrap().remove("clientExtensionResults");
    assert_eq!(judge_sent(bare).unwrap().unwrap().discoverable, None);
}

#[test]
fn what_is_no_credential_does_not_parse() {
    for (at, wrong) in [
        ("/type", json!("password")),
        ("/id", json!("")),
        ("/id", json!(encode(&[0; 1024]))),
        ("/rawId", json!("+/+/")),
        ("/rawId", json!(null)),
        ("/response/clientDataJSON", json!("not base64url")),
        ("/response/attestationObject", json!(7)),
        ("/response", json!([])),
    ] {
        let mut sent = sent();
        *sent.pointer_mut(at).unwrap() = wrong.clone();
        assert!(judge_sent(sent).is_none(), "{at} {wrong}");
    }
    for wrong in [json!({}), json!(null), json!([]), json!("x"), json!({ "id": "x" })] {
        assert!(serde_json::from_value::<AuthenticationResponse>(wrong.clone()).is_err(), "{wrong}");
        assert!(judge_sent(wrong).is_none());
    }
}

#[test]
fn ids_that_differ_are_refused() {
    let mut other = sent();
    other["id"] = json!("AAAA");
    assert_eq!(judge_sent(other).unwrap(), Err(CeremonyError::CredentialId));
    // Both of them, but not the one that the authenticator made.
    let mut other = sent();
    (other["id"], other["rawId"]) = (json!("AAAA"), json!("AAAA"));
    assert_eq!(judge_sent(other).unwrap(), Err(CeremonyError::CredentialId));
}

#[test]
fn m4_the_user_handle_is_the_owners() {
    let Case { registration, authentication: case, .. } = case("none-es256");
    let credential = registration.judge(UserVerification::Preferred).unwrap();
    let judge = |handle: Option<&str>, owner| {
        let id = encode(&registration.credential_id.0);
        let response = serde_json::from_value(json!({
            "id": id, "rawId": id, "type": "public-key",
            "response": {
                "clientDataJSON": encode(&case.client_data.0),
                "authenticatorData": encode(&case.authenticator_data.0),
                "signature": encode(&case.signature.0),
                "userHandle": handle,
            },
        }));
        let ceremony = ceremony(&case.challenge, UserVerification::Preferred);
        rp().authenticate(&ceremony, &response.unwrap(), &credential, owner).err()
    };
    // "Nw" is "7".
    assert_eq!(judge(None, Owner::Known(b"7")), None);
    assert_eq!(judge(Some("Nw"), Owner::Known(b"7")), None);
    assert_eq!(judge(Some("Nw"), Owner::Found(b"7")), None);
    assert_eq!(judge(None, Owner::Found(b"7")), Some(CeremonyError::UserHandle));
    assert_eq!(judge(Some("Nw"), Owner::Found(b"8")), Some(CeremonyError::UserHandle));
    assert_eq!(judge(Some("Nw"), Owner::Known(b"8")), Some(CeremonyError::UserHandle));
    assert_eq!(judge(Some(""), Owner::Found(b"8")), Some(CeremonyError::UserHandle));
}

#[test]
fn m4_a_credential_vouches_for_no_other_and_for_no_other_ceremony() {
    let Case { registration, authentication: case, .. } = case("none-es256");
    let other = super::case("packed-self-es256").registration.judge(UserVerification::Preferred).unwrap();
    let response = authentication(
        &registration.credential_id.0,
        &case.client_data.0,
        &case.authenticator_data.0,
        &case.signature.0,
    );
    let judge = |challenge: &Hex, credential: &Credential| {
        let ceremony = ceremony(challenge, UserVerification::Preferred);
        rp().authenticate(&ceremony, &response, credential, Owner::Known(b"7")).err()
    };
    assert_eq!(judge(&case.challenge, &other), Some(CeremonyError::CredentialId));
    let own = registration.judge(UserVerification::Preferred).unwrap();
    assert_eq!(judge(&registration.challenge, &own), Some(CeremonyError::Challenge));
    // Two names at once.
    let id = encode(&registration.credential_id.0);
    let two_names: AuthenticationResponse = serde_json::from_value(json!({
        "id": encode(other.id.as_bytes()), "rawId": id, "type": "public-key",
        "response": {
            "clientDataJSON": encode(&case.client_data.0),
            "authenticatorData": encode(&case.authenticator_data.0),
            "signature": encode(&case.signature.0),
        },
    }))
    .unwrap();
    let asked = ceremony(&case.challenge, UserVerification::Preferred);
    let judged = rp().authenticate(&asked, &two_names, &own, Owner::Known(b"7"));
    assert_eq!(judged, Err(CeremonyError::CredentialId));
    // The name of one credential with the key of another.
    let mixed = Credential { public_key: other.public_key, ..own };
    assert_eq!(judge(&case.challenge, &mixed), Some(CeremonyError::Signature));
}

#[test]
fn keys_that_do_not_fit_their_algorithm_are_refused() {
    use super::super::KeyError;
    use coset::cbor::{Value, cbor, ser::into_writer};

    let key = |value: Result<Value, _>| {
        let mut cose = Vec::new();
        into_writer(&value.unwrap(), &mut cose).unwrap();
        PublicKey::from_cose(&cose).err()
    };
    let bytes = |length: usize, first: u8| {
        let mut bytes = vec![1; length];
        bytes[0] = first;
        Value::Bytes(bytes)
    };
    let exponent = || Value::Bytes(vec![1, 0, 1]);
    // Off the curve; on another curve; compressed; too short; of another type; without a type; without a coordinate.
    let unfit = Some(KeyError::Unfit);
    assert_eq!(key(cbor!({ 1 => 2, 3 => -7, -1 => 1, -2 => bytes(32, 1), -3 => bytes(32, 1) })), unfit);
    assert_eq!(key(cbor!({ 1 => 2, 3 => -7, -1 => 2, -2 => bytes(32, 1), -3 => bytes(32, 1) })), unfit);
    assert_eq!(key(cbor!({ 1 => 2, 3 => -7, -1 => 1, -2 => bytes(31, 1), -3 => bytes(32, 1) })), unfit);
    assert_eq!(key(cbor!({ 1 => 3, 3 => -7, -1 => bytes(256, 128), -2 => exponent() })), unfit);
    let malformed = Some(KeyError::Malformed);
    assert_eq!(key(cbor!({ 1 => 2, 3 => -7, -1 => 1, -2 => bytes(32, 1), -3 => true })), malformed);
    assert_eq!(key(cbor!({ 1 => 2, 3 => -7, -1 => 1, -2 => bytes(32, 1) })), malformed);
    assert_eq!(key(cbor!({ 3 => -7, -1 => 1, -2 => bytes(32, 1), -3 => bytes(32, 1) })), malformed);
    // Ed25519: another length; another curve.
    assert_eq!(key(cbor!({ 1 => 1, 3 => -8, -1 => 6, -2 => bytes(33, 1) })), unfit);
    assert_eq!(key(cbor!({ 1 => 1, 3 => -8, -1 => 4, -2 => bytes(32, 1) })), unfit);
    // RSA: 2048 and 8192 bits are the ends; leading zeros are none.
    assert_eq!(key(cbor!({ 1 => 3, 3 => -257, -1 => bytes(256, 128), -2 => exponent() })), None);
    assert_eq!(key(cbor!({ 1 => 3, 3 => -257, -1 => bytes(256, 127), -2 => exponent() })), unfit);
    assert_eq!(key(cbor!({ 1 => 3, 3 => -257, -1 => bytes(1024, 255), -2 => exponent() })), None);
    assert_eq!(key(cbor!({ 1 => 3, 3 => -257, -1 => bytes(1025, 1), -2 => exponent() })), unfit);
    assert_eq!(key(cbor!({ 1 => 3, 3 => -257, -1 => bytes(257, 0), -2 => exponent() })), unfit);
    // Algorithms that are not offered, and none at all.
    let algorithm = Some(KeyError::Algorithm);
    assert_eq!(key(cbor!({ 1 => 3, 3 => -37, -1 => bytes(256, 128), -2 => exponent() })), algorithm);
    assert_eq!(key(cbor!({ 1 => 3, -1 => bytes(256, 128), -2 => exponent() })), algorithm);
    assert_eq!(key(cbor!({ 1 => 2, 3 => -65000, -1 => 1 })), malformed);
}
