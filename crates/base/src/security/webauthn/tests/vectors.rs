use super::super::{Assertion, KeyError, Owner, PublicKey};
use super::*;

const ANY: UserVerification = UserVerification::Preferred;
const REQUIRED: UserVerification = UserVerification::Required;
const OWNER: Owner<'_> = Owner::Known(b"1");

/// Why a case of `webauthn_l3.json` is refused, if it is.
fn refusal(case: &str) -> Option<CeremonyError> {
    match case {
        "none-es256-crossOrigin" | "none-es256-topOrigin" => Some(CeremonyError::CrossOrigin),
        "packed-es384" | "packed-ed448" => Some(CeremonyError::Key(KeyError::Algorithm)),
        _ => None,
    }
}

#[test]
fn m4_the_registrations_of_level_3() {
    let mut registered = 0;
    for Case { id: name, registration: case, .. } in CASES.iter() {
        // Its challenge is longer than ours ever are.
        if name == "packed-es512" {
            assert_eq!(PublicKey::from_cose(&case.key.0).err(), Some(KeyError::Algorithm));
            continue;
        }
        let judged = case.judge(ANY);
        if let Some(refusal) = refusal(name) {
            assert_eq!(judged, Err(refusal), "{name}");
            continue;
        }
        let credential = judged.expect(name);
        registered += 1;
        assert_eq!(credential.id.as_bytes(), case.credential_id.0, "{name}");
        assert_eq!(credential.public_key.as_cose(), case.key.0, "{name}");
        assert_eq!(credential.sign_count, case.sign_count, "{name}");
        assert_eq!(
            (credential.user_verified, credential.backup_eligible, credential.backed_up),
            (case.flags.uv, case.flags.be, case.flags.bs),
            "{name}"
        );
        assert_eq!(case.judge(REQUIRED).is_ok(), case.flags.uv, "{name}");
    }
    assert_eq!(registered, 10);
}

#[test]
fn m4_the_authentications_of_level_3() {
    let mut authenticated = 0;
    for Case { id: name, registration, authentication: case } in CASES.iter() {
        if name == "packed-es512" {
            continue;
        }
        let Ok(credential) = registration.judge(ANY) else { continue };
        let response = authentication(
            &registration.credential_id.0,
            &case.client_data.0,
            &case.authenticator_data.0,
            &case.signature.0,
        );
        let judge = |verification| {
            rp().authenticate(&ceremony(&case.challenge, verification), &response, &credential, OWNER)
        };
        let said =
            Assertion { sign_count: case.sign_count, backed_up: case.flags.bs, user_verified: case.flags.uv };
        assert_eq!(judge(ANY), Ok(said), "{name}");
        let strict = if case.flags.uv { Ok(said) } else { Err(CeremonyError::UserNotVerified) };
        assert_eq!(judge(REQUIRED), strict, "{name}");
        authenticated += 1;
    }
    assert_eq!(authenticated, 10);
}

#[test]
fn m4_an_assertion_with_one_step_broken_is_refused_for_that_step() {
    #[derive(Deserialize)]
    struct File {
        challenge: Hex,
        credential_id: Hex,
        credential_public_key_cose: Hex,
        cases: Vec<Broken>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Broken {
        id: String,
        valid: bool,
        #[serde(rename = "require_user_verification")]
        verified: bool,
        stored: Stored,
        authenticator_data: Hex,
        #[serde(rename = "clientDataJSON")]
        client_data: Hex,
        signature: Hex,
    }
    #[derive(Deserialize)]
    struct Stored {
        sign_count: u32,
        backup_eligible: bool,
    }

    let file: File =
        serde_json::from_str(include_str!("../../../../tests/vectors/webauthn_assertion_cases.json"))
            .unwrap();
    assert_eq!(file.cases.len(), 35);
    for case in file.cases {
        let credential = Credential {
            id: id(&file.credential_id.0),
            public_key: PublicKey::from_cose(&file.credential_public_key_cose.0).unwrap(),
            sign_count: case.stored.sign_count,
            backup_eligible: case.stored.backup_eligible,
            backed_up: false,
            user_verified: true,
            discoverable: None,
            user_handle: None,
        };
        let response = authentication(
            &file.credential_id.0,
            &case.client_data.0,
            &case.authenticator_data.0,
            &case.signature.0,
        );
        let verification = if case.verified { REQUIRED } else { ANY };
        let judged =
            rp().authenticate(&ceremony(&file.challenge, verification), &response, &credential, OWNER);
        assert_eq!(judged.err(), broken_step(&case.id), "{}", case.id);
        assert_eq!(judged.is_ok(), case.valid, "{}", case.id);
    }
}

fn broken_step(case: &str) -> Option<CeremonyError> {
    Some(match case {
        "control" | "control-uv" | "control-extra-member" | "no-uv-optional" | "count-zero-zero" => {
            return None;
        }
        "cross-origin" => CeremonyError::CrossOrigin,
        "rp-id-hash" => CeremonyError::RpId,
        "no-up" => CeremonyError::UserNotPresent,
        "no-uv-required" => CeremonyError::UserNotVerified,
        "bs-without-be" | "be-changed" => CeremonyError::Backup,
        "count-equal" => CeremonyError::SignCount { stored: 7, given: 7 },
        "count-back" => CeremonyError::SignCount { stored: 7, given: 3 },
        "clientdata-changed" | "authdata-changed" => CeremonyError::Signature,
        other => match other.split_once('-') {
            Some(("type", _)) => CeremonyError::Type,
            Some(("challenge", _)) => CeremonyError::Challenge,
            Some(("origin", _)) => CeremonyError::Origin,
            Some(("sig", _)) => CeremonyError::Signature,
            Some(("authdata", _)) => CeremonyError::Malformed("authenticatorData"),
            Some(("clientdata", _)) => CeremonyError::Malformed("clientDataJSON"),
            _ => panic!("unknown case {other}"),
        },
    })
}
