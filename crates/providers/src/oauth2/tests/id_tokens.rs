//! ID tokens that are lies, and keys that change.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::{ISSUER, RSA_CERTIFICATE, Says, Scene, Signer, document, why};

#[tokio::test]
async fn o3_claims_must_be_true_for_us_and_now() {
    let scene = Scene::new("");
    let signer = Signer::rsa("rsa-1");
    let now = scene.idp.now();
    let lies: [(&str, Value, &str); 23] = [
        ("iss", "https://idp.example/".into(), "issuer"),
        ("iss", "https://evil.example".into(), "issuer"),
        ("iss", Value::Null, "issuer"),
        ("aud", "client-2".into(), "audience"),
        ("aud", json!([]), "audience"),
        ("aud", json!(["client-2", "client-3"]), "audience"),
        ("aud", Value::Null, "audience"),
        ("exp", (now - 60).into(), "expired"),
        ("exp", (now - 86400).into(), "expired"),
        ("exp", Value::Null, "a time that is none"),
        ("exp", "4102444800".into(), "a time that is none"),
        ("iat", (now + 61).into(), "issued in the future"),
        ("iat", Value::Null, "a time that is none"),
        ("nbf", (now + 61).into(), "not valid yet"),
        ("nbf", "now".into(), "a time that is none"),
        ("nonce", "another".into(), "nonce"),
        ("nonce", Value::Null, "nonce"),
        ("nonce", "".into(), "nonce"),
        ("sub", "".into(), "no subject"),
        ("sub", Value::Null, "no subject"),
        ("sub", 1.5.into(), "no subject"),
        ("at_hash", "AAAAAAAAAAAAAAAAAAAAAA".into(), "it belongs to another access token"),
        ("at_hash", 1.into(), "it belongs to another access token"),
    ];
    for (name, lie, flaw) in lies {
        let refused = scene.login(&signer, |claims| claims[name] = lie.clone()).await;
        assert_eq!(why(refused), format!("id_token: {flaw}"), "{name}: {lie}");
    }
    for name in ["iss", "aud", "exp", "iat", "sub", "nonce"] {
        let without = |claims: &mut Value| drop(claims.as_object_mut().unwrap().remove(name));
        why(scene.login(&signer, without).await);
    }
    let truths: [(&str, Value); 9] = [
        ("aud", json!(["client-1"])),
        ("aud", json!(["client-2", "client-1"])),
        ("exp", (now - 59).into()),
        ("exp", json!(now as f64 + 0.5)),
        ("iat", (now + 60).into()),
        ("nbf", (now + 60).into()),
        // The left half of the SHA-256 of `at-1`.
        ("at_hash", "R8PYaIQdcYEdkSc9TeGyiQ".into()),
        ("azp", "somebody".into()),
        ("sub", "u1".into()),
    ];
    for (name, truth) in truths {
        let arrival = scene.login(&signer, |claims| claims[name] = truth.clone()).await;
        assert_eq!(arrival.unwrap().identity.uid, "u1", "{name}: {truth}");
    }
    let for_several = scene.login(&signer, |claims| {
        claims["aud"] = json!(["client-2", "client-1"]);
        claims["azp"] = "client-1".into();
    });
    assert_eq!(for_several.await.unwrap().identity.uid, "u1");
    let for_others = scene.login(&signer, |claims| {
        claims["aud"] = json!(["client-2", "client-1"]);
        claims["azp"] = "client-2".into();
    });
    assert_eq!(why(for_others.await), "id_token: authorized party");
}

#[tokio::test]
async fn o3_unsigned_tokens_and_shared_secrets_prove_nothing() {
    let scene = Scene::new("");
    let claims = scene.idp.claims();
    let payload = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
    for alg in ["none", "None", "NONE", ""] {
        let header = BASE64_URL_SAFE_NO_PAD.encode(json!({ "alg": alg, "kid": "rsa-1" }).to_string());
        for signature in ["", "AAAA"] {
            let token = format!("{header}.{payload}.{signature}");
            assert_eq!(why(scene.bring(&token).await), "id_token: malformed", "{alg}");
        }
    }

    // Whoever verifies by the header alone takes the public key for the secret.
    let jwk = Signer::rsa("rsa-1").jwk(json!({}));
    let modulus = jwk["n"].as_str().unwrap();
    let secrets = [RSA_CERTIFICATE.as_bytes(), modulus.as_bytes(), jwk.to_string().as_bytes(), b"s3cret"]
        .map(<[u8]>::to_vec);
    for secret in &secrets {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let header = Header { kid: Some("rsa-1".to_owned()), ..Header::new(algorithm) };
            let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(secret)).unwrap();
            assert_eq!(why(scene.bring(&token).await), "id_token: symmetric algorithm");
        }
    }
    // Not even where the provider publishes a secret.
    let secret = json!({ "kty": "oct", "k": BASE64_URL_SAFE_NO_PAD.encode("known"), "kid": "rsa-1" });
    scene.idp.at("/keys", Says::Json(json!({ "keys": [secret] })));
    let header = Header { kid: Some("rsa-1".to_owned()), ..Header::new(Algorithm::HS256) };
    let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(b"known")).unwrap();
    assert_eq!(why(scene.bring(&token).await), "id_token: symmetric algorithm");
}

#[tokio::test]
async fn o3_what_was_signed_and_what_is_read_are_the_same() {
    let scene = Scene::new("");
    let token = Signer::rsa("rsa-1").sign(&scene.idp.claims());
    assert_eq!(scene.bring(&token).await.unwrap().identity.uid, "u1");

    let parts: Vec<_> = token.split('.').collect();
    let mut claims = scene.idp.claims();
    claims["sub"] = "victim".into();
    let other = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
    let forged = format!("{}.{other}.{}", parts[0], parts[2]);
    assert_eq!(why(scene.bring(&forged).await), "id_token: signature");
    for broken in
        ["", ".", "..", "a.b.c", parts[1], &format!("{}.{}", parts[0], parts[1]), &"a".repeat(70_000)]
    {
        why(scene.bring(broken).await);
    }
    assert_eq!(why(scene.bring(&format!("{token}.{}", parts[2])).await), "id_token: malformed");
}

#[tokio::test]
async fn o3_algorithms_fit_the_key_and_what_the_provider_says() {
    for (signer, more) in [
        (Signer::rsa("k"), json!({})),
        (Signer::rsa("k").with(Algorithm::RS512), json!({ "alg": "RS512", "key_ops": ["verify"] })),
        (Signer::rsa("k").with(Algorithm::PS256), json!({ "use": "sig" })),
        (Signer::ec("k"), json!({ "alg": "ES256" })),
        (Signer::ed("k"), json!({})),
    ] {
        let scene = Scene::new("");
        scene.idp.at("/keys", Says::Json(json!({ "keys": [signer.jwk(more)] })));
        let arrival = scene.bring(&signer.sign(&scene.idp.claims())).await;
        assert_eq!(arrival.unwrap().identity.uid, "u1", "{:?}", signer.algorithm);
    }
    for (signer, more) in [
        (Signer::rsa("k"), json!({ "alg": "RS384" })),
        (Signer::rsa("k").with(Algorithm::PS256), json!({ "alg": "RS256" })),
        (Signer::rsa("k"), json!({ "alg": "RSA-OAEP" })),
        (Signer::rsa("k"), json!({ "use": "enc" })),
        (Signer::rsa("k"), json!({ "key_ops": ["encrypt"] })),
        (Signer::ec("k"), json!({ "crv": "P-384" })),
    ] {
        let scene = Scene::new("");
        scene.idp.at("/keys", Says::Json(json!({ "keys": [signer.jwk(more.clone())] })));
        let refused = scene.bring(&signer.sign(&scene.idp.claims())).await;
        assert_eq!(why(refused), "id_token: no key of the provider has signed it", "{more}");
    }
    let scene = Scene::new("");
    let mut says = document();
    says["id_token_signing_alg_values_supported"] = json!(["ES256"]);
    scene.idp.at("/.well-known/openid-configuration", Says::Json(says));
    let refused = scene.bring(&Signer::rsa("rsa-1").sign(&scene.idp.claims())).await;
    assert_eq!(why(refused), "id_token: the provider does not sign by this algorithm");
}

#[tokio::test]
async fn o3_other_tokens_of_the_provider_are_no_id_tokens() {
    let scene = Scene::new("");
    let signer = Signer::rsa("rsa-1");
    let header = || Header { kid: Some("rsa-1".to_owned()), ..Header::new(Algorithm::RS256) };
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "logout+jwt"] {
        let token = signer.sign_with(Header { typ: Some(typ.to_owned()), ..header() }, &scene.idp.claims());
        assert_eq!(why(scene.bring(&token).await), "id_token: it is another kind of token");
    }
    let critical = Header { crit: Some(vec!["b64".to_owned()]), ..header() };
    let token = signer.sign_with(critical, &scene.idp.claims());
    assert_eq!(why(scene.bring(&token).await), "id_token: its header demands more than we know");
    // A key that the token brings along is not looked at.
    let own = Signer::ec("rsa-1");
    let jwk = serde_json::from_value(own.jwk(json!({}))).unwrap();
    let header = Header { jwk: Some(jwk), kid: Some("rsa-1".to_owned()), ..Header::new(Algorithm::ES256) };
    let token = own.sign_with(header, &scene.idp.claims());
    assert_eq!(why(scene.bring(&token).await), "id_token: no key of the provider has signed it");
}

#[tokio::test]
async fn o3_keys_change_in_the_middle_and_nobody_makes_us_ask_for_them_all_the_time() {
    let scene = Scene::new("");
    let (old, new, newest) = (Signer::rsa("rsa-1"), Signer::ec("ec-1"), Signer::ec("ec-2"));
    scene.login(&old, |_| {}).await.unwrap();
    scene.login(&old, |_| {}).await.unwrap();
    assert_eq!(scene.idp.calls("/keys"), 1);

    scene.idp.publish(&[&new, &old]);
    scene.login(&new, |_| {}).await.unwrap();
    scene.login(&old, |_| {}).await.unwrap();
    assert_eq!(scene.idp.calls("/keys"), 2);

    // Made-up names of keys.
    for name in ["a", "b", "c"] {
        let refused = scene.bring(&Signer::ec(name).sign(&scene.idp.claims())).await;
        assert_eq!(why(refused), "id_token: no key of the provider has signed it");
    }
    assert_eq!(scene.idp.calls("/keys"), 2);
    // A known name with another key behind it is a forgery.
    assert_eq!(why(scene.bring(&Signer::ec("ec-1").sign(&scene.idp.claims())).await), "id_token: signature");

    scene.idp.publish(&[&newest]);
    why(scene.login(&newest, |_| {}).await);
    scene.clock.advance(60_000);
    scene.login(&newest, |_| {}).await.unwrap();
    assert_eq!(scene.idp.calls("/keys"), 3);
    // The provider has withdrawn it.
    assert_eq!(why(scene.login(&old, |_| {}).await), "id_token: no key of the provider has signed it");
}

#[tokio::test]
async fn o3_keys_of_one_name_or_none_are_tried_in_turn() {
    let scene = Scene::new("");
    let (one, other) = (Signer::ec("k"), Signer::ec("k"));
    scene.idp.publish(&[&one, &other]);
    for signer in [&one, &other] {
        scene.login(signer, |_| {}).await.unwrap();
    }
    assert_eq!(why(scene.login(&Signer::ec("k"), |_| {}).await), "id_token: signature");
    // A token without a name, and keys with one.
    scene.login(&other.unnamed(), |_| {}).await.unwrap();
    assert_eq!(scene.idp.calls("/keys"), 1);
    // Keys without one, which change.
    let fresh = Signer::ec("k").unnamed();
    scene.idp.publish(&[&fresh]);
    scene.login(&fresh, |_| {}).await.unwrap();
    scene.login(&Signer { id: Some("new".to_owned()), ..fresh }, |_| {}).await.unwrap();
    assert_eq!(scene.idp.calls("/keys"), 2);
    let next = Signer::ec("next").unnamed();
    scene.idp.publish(&[&next]);
    scene.clock.advance(60_000);
    scene.login(&Signer { id: Some("next".to_owned()), ..next }, |_| {}).await.unwrap();
    assert_eq!(scene.idp.calls("/keys"), 3);
    // No more than a handful.
    let many: Vec<_> = (0..7).map(|_| Signer::ec("k")).collect();
    let scene = Scene::new("");
    scene.idp.publish(&many.iter().collect::<Vec<_>>());
    scene.login(&many[4], |_| {}).await.unwrap();
    assert_eq!(why(scene.login(&many[5], |_| {}).await), "id_token: signature");
}

#[tokio::test]
async fn keys_can_be_certificates_by_name() {
    let scene = Scene::new("");
    scene.idp.at("/keys", Says::Json(json!({ "g1": RSA_CERTIFICATE, "g2": "no certificate" })));
    scene.login(&Signer::rsa("g1"), |_| {}).await.unwrap();
    why(scene.login(&Signer::rsa("g2"), |_| {}).await);
}

#[tokio::test]
async fn o3_a_token_can_be_used_once_whether_it_has_a_name_or_not() {
    let scene = Scene::new("");
    let mut claims = scene.idp.claims();
    let signer = Signer::rsa("rsa-1");
    let nameless = scene.bring(&signer.sign(&claims)).await.unwrap().replay.unwrap();
    assert!(nameless.key.starts_with(ISSUER), "{nameless:?}");
    assert_eq!(scene.bring(&signer.sign(&claims)).await.unwrap().replay.unwrap().key, nameless.key);
    claims["iat"] = (scene.idp.now() - 1).into();
    assert_ne!(scene.bring(&signer.sign(&claims)).await.unwrap().replay.unwrap().key, nameless.key);
    claims["jti"] = "j1".into();
    let replay = scene.bring(&Signer::rsa("rsa-1").sign(&claims)).await.unwrap().replay.unwrap();
    assert_eq!(replay.key, format!("{ISSUER} j1"));
    assert_eq!(replay.expires_at, (scene.idp.now() + 360) * 1000);
}

#[tokio::test]
async fn o3_a_provider_may_change_the_algorithm_that_it_signs_by() {
    let scene = Scene::new("");
    scene.login(&Signer::rsa("rsa-1"), |_| {}).await.unwrap();
    let signer = Signer::ec("ec-1");
    scene.idp.publish(&[&signer]);
    let algorithms = |names: &[&str]| {
        let mut document = document();
        document["id_token_signing_alg_values_supported"] = json!(names);
        Says::Json(document)
    };
    // What it does not say it signs by is no good, whoever has signed it.
    scene.idp.at("/.well-known/openid-configuration", algorithms(&["RS256"]));
    scene.clock.advance(11 * 60_000);
    why(scene.login(&signer, |_| {}).await);
    scene.idp.at("/.well-known/openid-configuration", algorithms(&["ES256"]));
    scene.clock.advance(61_000);
    scene.login(&signer, |_| {}).await.unwrap();
}

#[tokio::test]
async fn an_app_may_have_several_clients_and_do_without_the_nonce() {
    let app = super::APP.replace("client-1", "client-1, client-ios");
    let scene = Scene::of(&app, None);
    let mut claims = scene.idp.claims();
    claims["aud"] = "client-ios".into();
    scene.bring(&Signer::rsa("rsa-1").sign(&claims)).await.unwrap();
    claims["aud"] = "client-1, client-ios".into();
    why(scene.bring(&Signer::rsa("rsa-1").sign(&claims)).await);
    let departure = scene.begin().await.unwrap();
    assert_eq!(super::param(&departure.url, "client_id").as_deref(), Some("client-1"));

    let scene = Scene::new("settings.oauth_nonce_enabled = false");
    let departure = scene.begin().await.unwrap();
    assert_eq!(super::param(&departure.url, "nonce"), None);
    scene.idp.at("/token", Says::Json(super::token_answer(&Signer::rsa("rsa-1").sign(&scene.idp.claims()))));
    scene.complete(&departure.memory, &[("code", "c1"), ("state", "state-1")]).await.unwrap();
}
