use coset::cbor::Value;
use coset::cbor::ser::into_writer;
use proptest::prelude::*;

use super::super::{Owner, PublicKey};
use super::*;

const ANY: UserVerification = UserVerification::Preferred;

/// Some bytes, from which the property takes `at` and `with` for a change of one byte, or a cut.
fn changed(bytes: &[u8], at: usize, change: Change) -> Vec<u8> {
    let at = at % bytes.len();
    let mut out = bytes.to_vec();
    match change {
        Change::Byte(mask) => out[at] ^= mask,
        Change::Cut => out.truncate(at),
        Change::Insert(byte) => out.insert(at, byte),
        Change::Append(byte) => out.push(byte),
    }
    out
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Byte(u8),
    Cut,
    Insert(u8),
    Append(u8),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (1..=u8::MAX).prop_map(Change::Byte),
        Just(Change::Cut),
        any::<u8>().prop_map(Change::Insert),
        any::<u8>().prop_map(Change::Append),
    ]
}

fn cbor() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|number| Value::Integer(number.into())),
        (-260..8i64).prop_map(|number| Value::Integer(number.into())),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
        ".{0,8}".prop_map(Value::Text),
        Just(Value::Null),
        any::<f64>().prop_map(Value::Float),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::vec((inner.clone(), inner.clone()), 0..6).prop_map(Value::Map),
            (any::<u64>(), inner).prop_map(|(tag, value)| Value::Tag(tag, Box::new(value))),
        ]
    })
}

proptest! {
    /// Everything but the attestation statement is bound by a check, and a registration is not signed: what was changed
    /// may still register, but only as the credential that was named.
    #[test]
    fn a_changed_registration_never_panics(at in any::<usize>(), change in change(), object in any::<bool>()) {
        let case = &case("none-es256").registration;
        let (mut client_data, mut attestation) = (case.client_data.0.clone(), case.attestation_object.0.clone());
        let part = if object { &mut attestation } else { &mut client_data };
        *part = changed(part, at, change);
        let response = registration(&case.credential_id.0, &client_data, &attestation);
        if let Ok(credential) = rp().register(&ceremony(&case.challenge, ANY), &response) {
            prop_assert_eq!(credential.id.as_bytes(), case.credential_id.0.as_slice());
        }
    }

    #[test]
    fn m4_a_changed_assertion_is_refused(at in any::<usize>(), change in change(), part in 0..3usize) {
        for name in ["none-es256", "packed-eddsa", "packed-rs256"] {
            let Case { registration, authentication: case, .. } = case(name);
            let credential = registration.judge(ANY).unwrap();
            let mut parts = [case.client_data.0.clone(), case.authenticator_data.0.clone(), case.signature.0.clone()];
            parts[part] = changed(&parts[part], at, change);
            let response = authentication(&registration.credential_id.0, &parts[0], &parts[1], &parts[2]);
            let judged = rp().authenticate(&ceremony(&case.challenge, ANY), &response, &credential, Owner::Known(b"7"));
            prop_assert!(judged.is_err());
        }
    }

    #[test]
    fn bytes_of_any_kind_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let case = case("none-es256");
        let key = case.registration.judge(ANY).unwrap();
        let ceremony = ceremony(&case.registration.challenge, ANY);
        let client_data = &case.registration.client_data.0;
        let by = registration(&bytes_or_one(&bytes), client_data, &bytes);
        prop_assert!(rp().register(&ceremony, &by).is_err());
        let by = authentication(key.id.as_bytes(), &case.authentication.client_data.0, &bytes, &bytes);
        prop_assert!(rp().authenticate(&ceremony, &by, &key, Owner::Known(b"7")).is_err());
        prop_assert!(PublicKey::from_cose(&bytes).is_err());
    }

    #[test]
    fn cbor_of_any_shape_never_panics(value in cbor(), flags in any::<u8>()) {
        let mut item = Vec::new();
        into_writer(&value, &mut item).unwrap();
        let _ = PublicKey::from_cose(&item);
        let case = &case("none-es256").registration;
        let ceremony = ceremony(&case.challenge, ANY);
        let as_object = registration(&case.credential_id.0, &case.client_data.0, &item);
        prop_assert!(rp().register(&ceremony, &as_object).is_err());
        // As the key of a credential, and as the extensions after one.
        let head = &case.attestation_object.0[case.attestation_object.0.len() - 164..];
        for kept in [55 + 32, 164] {
            let mut data = [&head[..kept], &item].concat();
            data[32] = flags;
            let object = Value::Map(vec![
                (Value::Text("fmt".to_owned()), Value::Text("none".to_owned())),
                (Value::Text("attStmt".to_owned()), Value::Map(Vec::new())),
                (Value::Text("authData".to_owned()), Value::Bytes(data)),
            ]);
            let mut bytes = Vec::new();
            into_writer(&object, &mut bytes).unwrap();
            let by = registration(&case.credential_id.0, &case.client_data.0, &bytes);
            let judged = rp().register(&ceremony, &by);
            // Only a map after the key, announced by the flags, is read to the end.
            let extensions = kept == 164 && value.is_map() && flags & 0xc1 == 0xc1 && flags & 0x18 != 0x10;
            prop_assert_eq!(judged.is_ok(), extensions, "{:?}", judged);
        }
    }
}

/// Nested lists and lengths that promise more than there is: neither the stack nor the memory may follow them.
#[test]
fn cbor_bombs_are_refused() {
    let case = &case("none-es256").registration;
    let ceremony = ceremony(&case.challenge, ANY);
    for bomb in [
        vec![0x81; 45_000],
        vec![0xa1; 45_000],
        vec![0xc1; 45_000],
        vec![0x9f; 45_000],
        vec![0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        vec![0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        vec![0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        vec![0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ] {
        assert!(PublicKey::from_cose(&bomb).is_err());
        let by = registration(&case.credential_id.0, &case.client_data.0, &bomb);
        assert_eq!(rp().register(&ceremony, &by), Err(CeremonyError::Malformed("attestationObject")));
        // The same as the statement that nobody looks at.
        let object = [b"\xa3\x63fmt\x64none\x67attStmt".as_slice(), &bomb].concat();
        let by = registration(&case.credential_id.0, &case.client_data.0, &object);
        assert_eq!(rp().register(&ceremony, &by), Err(CeremonyError::Malformed("attestationObject")));
    }
}

fn bytes_or_one(bytes: &[u8]) -> Vec<u8> {
    if bytes.is_empty() { vec![1] } else { bytes.to_vec() }
}
