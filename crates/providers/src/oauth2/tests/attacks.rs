//! Callbacks that come from elsewhere, providers that say what is not theirs to say, and endpoints where none should be.

use serde_json::{Value, json};
use vestibule_base::outbound::OutboundError;

use super::{APP, ISSUER, Says, Scene, Signer, document, param, token_answer, why};
use crate::error::ProviderError;
use crate::login::Memory;

const DISCOVERY: &str = "/.well-known/openid-configuration";

fn without(name: &str) -> Value {
    let mut says = document();
    says.as_object_mut().unwrap().remove(name);
    says
}

fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut says = document();
    says[name] = value.into();
    says
}

#[tokio::test]
async fn o2_the_document_must_name_the_issuer_that_was_asked() {
    let lies = ["https://evil.example", "https://idp.example.evil.example", "http://idp.example", ""];
    for says in lies.map(|issuer| with("issuer", issuer)).into_iter().chain([without("issuer")]) {
        let scene = Scene::new("");
        scene.idp.at(DISCOVERY, Says::Json(says.clone()));
        assert!(matches!(scene.begin().await, Err(ProviderError::Answer(_))), "{says}");
    }
    // Two spellings have their document at the same place.
    let scene = Scene::new("");
    scene.idp.at(DISCOVERY, Says::Json(with("issuer", "https://idp.example/")));
    scene.login(&Signer::rsa("rsa-1"), |claims| claims["iss"] = "https://idp.example/".into()).await.unwrap();
    why(scene.login(&Signer::rsa("rsa-1"), |_| {}).await);

    // The operator may know better.
    for settings in [
        r#"settings.issuer = "https://issuer.example""#,
        r#"settings.openid_configuration_overrides = { issuer = "https://issuer.example" }"#,
    ] {
        let scene = Scene::new(settings);
        scene.idp.at(DISCOVERY, Says::Json(with("issuer", "https://issuer.example")));
        scene
            .login(&Signer::rsa("rsa-1"), |claims| claims["iss"] = "https://issuer.example".into())
            .await
            .unwrap();
    }
    let scene = Scene::new(r#"settings.issuer = "https://issuer.example""#);
    assert!(matches!(scene.begin().await, Err(ProviderError::Answer(_))));
}

#[tokio::test]
async fn o2_a_callback_of_another_provider_is_refused() {
    let scene = Scene::new("");
    let departure = scene.begin().await.unwrap();
    let calls = |scene: &Scene| scene.idp.calls("/token");
    for sender in ["https://evil.example", "", "https://idp.example/"] {
        let mixed_up = scene.complete(&departure.memory, &[("code", "c1"), ("iss", sender)]).await;
        assert!(matches!(mixed_up, Err(ProviderError::Brought(_))), "{sender}");
    }
    // Its errors are not this provider's either.
    let denied = [("error", "access_denied"), ("iss", "https://evil.example")];
    assert!(matches!(scene.complete(&departure.memory, &denied).await, Err(ProviderError::Brought(_))));
    assert_eq!(calls(&scene), 0);

    let scene = Scene::new("");
    let announced = with("authorization_response_iss_parameter_supported", true);
    scene.idp.at(DISCOVERY, Says::Json(announced));
    let silent = scene.login(&Signer::rsa("rsa-1"), |_| {}).await;
    assert_eq!(why(silent), "the callback does not say whose it is");
    assert_eq!(calls(&scene), 0);

    let departure = scene.begin().await.unwrap();
    let mut claims = scene.idp.claims();
    claims["nonce"] = param(&departure.url, "nonce").unwrap().into();
    scene.idp.at("/token", Says::Json(token_answer(&Signer::rsa("rsa-1").sign(&claims))));
    scene.complete(&departure.memory, &[("code", "c1"), ("iss", ISSUER)]).await.unwrap();
}

#[tokio::test]
async fn o2_an_id_token_of_another_login_is_refused() {
    let scene = Scene::new("");
    let other = scene.begin().await.unwrap();
    let stolen = param(&other.url, "nonce").unwrap();
    let injected = scene.login(&Signer::rsa("rsa-1"), |claims| claims["nonce"] = stolen.into()).await;
    assert_eq!(why(injected), "id_token: nonce");
    scene.idp.at("/token", Says::Json(token_answer(&Signer::rsa("rsa-1").sign(&scene.idp.claims()))));
    let unasked = scene.complete(&Memory::default(), &[("code", "c1")]).await;
    assert!(matches!(unasked, Err(ProviderError::Brought(_))));
}

#[tokio::test]
async fn o3_userinfo_is_about_the_person_of_the_id_token() {
    for lie in [json!({ "sub": "victim" }), json!({ "email": "victim@mail.example" }), json!({ "sub": 1 })] {
        let scene = Scene::new("");
        scene.idp.at("/userinfo", Says::Json(lie));
        let swapped = scene.login(&Signer::rsa("rsa-1"), |_| {}).await;
        assert_eq!(why(swapped), "userinfo is about another person");
    }
    let scene = Scene::new("");
    scene.idp.at("/userinfo", Says::Json(json!({ "sub": "2187", "name": "Kim" })));
    let arrival = scene.login(&Signer::rsa("rsa-1"), |claims| claims["sub"] = 2187.into()).await;
    assert_eq!(arrival.unwrap().identity.uid, "2187");
}

#[tokio::test]
async fn o3_an_access_token_alone_proves_nothing() {
    let scene = Scene::new("");
    let presented = crate::login::Presented { id_token: None, access_token: Some("at-1".into()) };
    let refused = scene.providers.verify_token(&scene.providers.all()[0], &presented).await;
    assert!(matches!(refused, Err(ProviderError::Brought(_))));
    let scene = Scene::of("provider = \"github\"\nclient_id = \"c\"\nsecret = \"s\"", None);
    let refused = scene.providers.verify_token(&scene.providers.all()[0], &presented).await;
    assert!(matches!(refused, Err(ProviderError::Brought(_))));
}

#[tokio::test]
async fn o6_redirects_and_errors_of_the_provider_are_errors() {
    let elsewhere = |status| Says::Status(status, json!({ "sub": "u1", "access_token": "at", "keys": [] }));
    for path in [DISCOVERY, "/keys", "/userinfo"] {
        for status in [301, 302, 307, 400, 401, 404, 500, 503] {
            let scene = Scene::new("");
            scene.idp.at(path, elsewhere(status));
            assert!(scene.login(&Signer::rsa("rsa-1"), |_| {}).await.is_err(), "{path} {status}");
            assert_eq!(scene.idp.calls(path), 1, "{path} {status}");
        }
    }
    for status in [302, 307, 400, 500] {
        let scene = Scene::new("");
        let departure = scene.begin().await.unwrap();
        scene.idp.at("/token", elsewhere(status));
        let refused = scene.complete(&departure.memory, &[("code", "c1")]).await;
        assert_eq!(why(refused), format!("token request: status {status}"));
    }
}

#[tokio::test]
async fn o6_providers_that_are_slow_or_talk_too_much_are_errors() {
    for path in [DISCOVERY, "/keys", "/userinfo"] {
        let scene = Scene::new("");
        scene.idp.at(path, Says::Down);
        let down = scene.login(&Signer::rsa("rsa-1"), |_| {}).await;
        assert!(matches!(down, Err(ProviderError::Outbound(OutboundError::Timeout))), "{path}");
        let scene = Scene::new("");
        scene.idp.at(path, Says::Huge);
        let huge = scene.login(&Signer::rsa("rsa-1"), |_| {}).await;
        assert!(matches!(huge, Err(ProviderError::Outbound(OutboundError::TooLarge))), "{path}");
    }
}

#[tokio::test]
async fn o6_what_a_document_names_must_be_https_and_public() {
    for name in ["token_endpoint", "userinfo_endpoint", "jwks_uri"] {
        for url in [
            "http://idp.example/x",
            "https://127.0.0.1/x",
            "https://169.254.169.254/latest",
            "https://[::1]/x",
            "https://user:pass@other.example/x",
            "file:///etc/passwd",
            "/keys",
        ] {
            let scene = Scene::new("");
            scene.idp.at(DISCOVERY, Says::Json(with(name, url)));
            assert!(scene.login(&Signer::rsa("rsa-1"), |_| {}).await.is_err(), "{name} {url}");
            assert_eq!(scene.idp.calls("/x") + scene.idp.calls("/latest"), 0, "{name} {url}");
        }
    }
    for page in ["http://idp.example/authorize", "javascript:alert(1)//", "data:text/html,x", ""] {
        let scene = Scene::new("");
        scene.idp.at(DISCOVERY, Says::Json(with("authorization_endpoint", page)));
        assert!(scene.begin().await.is_err(), "{page}");
    }
}

#[tokio::test]
async fn o6_plain_http_is_for_this_machine_or_where_it_is_allowed() {
    let at = |server: &str, more: &str| {
        let app = APP.replace(ISSUER, server) + more;
        let scene = Scene::of(&app, None);
        scene.idp.at(
            &format!("{server}{DISCOVERY}"),
            Says::Json(serde_json::from_str(&document().to_string().replace(ISSUER, server)).unwrap()),
        );
        scene
    };
    at("http://localhost:9000", "").begin().await.unwrap();
    at("http://127.0.0.1:9000", "").begin().await.unwrap();
    at("http://idp.internal", "settings.allow_http = true").begin().await.unwrap();
    at("https://10.0.0.7", "").begin().await.unwrap();
    let refused = std::panic::catch_unwind(|| at("http://idp.internal", ""));
    assert!(refused.is_err(), "an app with plain http was taken");
}

#[tokio::test]
async fn o6_documents_are_asked_for_once_by_all_and_kept_while_the_provider_is_down() {
    let scene = Scene::new("");
    let all = tokio::join!(scene.begin(), scene.begin(), scene.begin());
    assert!(all.0.is_ok() && all.1.is_ok() && all.2.is_ok());
    assert_eq!(scene.idp.calls(DISCOVERY), 1);
    scene.clock.advance(599_000);
    scene.begin().await.unwrap();
    assert_eq!(scene.idp.calls(DISCOVERY), 1);
    scene.clock.advance(1_000);
    scene.begin().await.unwrap();
    assert_eq!(scene.idp.calls(DISCOVERY), 2);

    scene.idp.at(DISCOVERY, Says::Down);
    scene.clock.advance(600_000);
    scene.begin().await.unwrap();
    // It is left alone for a moment.
    scene.begin().await.unwrap();
    assert_eq!(scene.idp.calls(DISCOVERY), 3);
    scene.clock.advance(30_000);
    scene.begin().await.unwrap();
    assert_eq!(scene.idp.calls(DISCOVERY), 4);
    scene.clock.advance(3_600_000);
    scene.begin().await.unwrap_err();
    // With nothing to serve, one call is made for all who wait.
    let all = tokio::join!(scene.begin(), scene.begin(), scene.begin());
    assert!(all.0.is_err() && all.1.is_err() && all.2.is_err());
    assert_eq!(scene.idp.calls(DISCOVERY), 6);
    scene.idp.at(DISCOVERY, Says::Json(document()));
    scene.begin().await.unwrap();
}

#[tokio::test]
async fn o6_nothing_secret_is_printed() {
    let scene = Scene::new("");
    scene.idp.at("/token", Says::Status(400, json!({ "error": "s3cret code-7 <x>" })));
    let departure = scene.begin().await.unwrap();
    let error = scene.complete(&departure.memory, &[("code", "code-7")]).await.unwrap_err();
    let printed = format!("{error} {error:?} {:?} {:?}", departure.memory, scene.providers.all());
    for secret in ["s3cret", "code-7", departure.memory.0["code_verifier"].as_str()] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
