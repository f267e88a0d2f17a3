//! The signature of RFC 5849: HMAC-SHA1 over the method, the URL and all parameters, carried by the `Authorization` header.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use url::Url;

use crate::template::encode;

/// Who signs. What is given of the token is what the provider gave of it: nothing before the first answer.
pub(super) struct Signer<'a> {
    pub(super) consumer_key: &'a str,
    pub(super) consumer_secret: &'a str,
    pub(super) token: Option<&'a Token>,
}

/// A token with its secret: of the request first, of access later.
pub(super) struct Token {
    pub(super) token: String,
    /// Empty where the provider gives none (Evernote).
    pub(super) secret: SecretString,
}

impl Signer<'_> {
    /// The `Authorization` header of a request. `nonce` has to be unique at this moment, `timestamp` is in seconds since
    /// 1970.
    pub(super) fn authorization(
        &self,
        method: &str,
        url: &Url,
        form: &[(String, String)],
        nonce: &str,
        timestamp: i64,
    ) -> String {
        let timestamp = timestamp.to_string();
        let mut oauth = vec![
            ("oauth_consumer_key", self.consumer_key),
            ("oauth_nonce", nonce),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", &timestamp),
            ("oauth_version", "1.0"),
        ];
        oauth.extend(self.token.map(|token| ("oauth_token", token.token.as_str())));
        let form = form.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let further: Vec<_> = oauth.iter().copied().chain(form).collect();
        let signature = self.signature(&base_string(method, url, &further));
        oauth.push(("oauth_signature", &signature));
        let fields = oauth.iter().map(|(name, value)| format!("{name}=\"{}\"", encode(value)));
        format!("OAuth {}", fields.collect::<Vec<_>>().join(", "))
    }

    fn signature(&self, base_string: &str) -> String {
        let token_secret = self.token.map_or("", |token| token.secret.expose_secret());
        let key = format!("{}&{}", encode(self.consumer_secret), encode(token_secret));
        // HMAC takes keys of any length.
        Hmac::<Sha1>::new_from_slice(key.as_bytes())
            .map(|mac| STANDARD.encode(mac.chain_update(base_string).finalize().into_bytes()))
            .unwrap_or_default()
    }
}

/// Section 3.4.1. `further` are the parameters that are not in the URL.
fn base_string(method: &str, url: &Url, further: &[(&str, &str)]) -> String {
    let further = further.iter().map(|(name, value)| (encode(name), encode(value)));
    let query = url.query_pairs().map(|(name, value)| (encode(&name), encode(&value)));
    let mut parameters: Vec<_> = query.chain(further).collect();
    parameters.sort_unstable();
    let parameters: Vec<_> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    // As `Url` has it: scheme and host in lower case, no port where it is the scheme's own.
    let mut place = url.clone();
    place.set_query(None);
    place.set_fragment(None);
    format!("{method}&{}&{}", encode(place.as_str()), encode(&parameters.join("&")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(token: &str, secret: &str) -> Token {
        Token { token: token.to_owned(), secret: secret.into() }
    }

    /// Section 3.4.1.1 of RFC 5849, whose request has parameters of the same name, empty ones, and signs of every kind.
    #[test]
    fn the_base_string_of_the_rfc() {
        let url = Url::parse("http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b").unwrap();
        let further = [
            ("oauth_consumer_key", "9djdj82h48djs9d2"),
            ("oauth_token", "kkk9d7dh3k39sjv7"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131201"),
            ("oauth_nonce", "7d8f3e4a"),
            ("c2", ""),
            ("a3", "2 q"),
        ];
        assert_eq!(
            base_string("POST", &url, &further),
            "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D\
             %26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1\
             %26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
        );
    }

    /// Section 1.2 of RFC 5849: the photo that is fetched with the access token.
    #[test]
    fn the_signed_request_of_the_rfc() {
        let token = token("nnch734d00sl2jdk", "pfkkdhi9sl3r4s00");
        let secret = "kd94hf93k423kf44";
        let signer =
            Signer { consumer_key: "dpf43f3p2l4k3l03", consumer_secret: secret, token: Some(&token) };
        let url = Url::parse("http://photos.example.net/photos?file=vacation.jpg&size=original").unwrap();
        let oauth = [
            ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
            ("oauth_token", "nnch734d00sl2jdk"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131202"),
            ("oauth_nonce", "chapoH"),
        ];
        assert_eq!(signer.signature(&base_string("GET", &url, &oauth)), "MdpQcU8iPSUjWoN/UDMsK2sui9I=");
    }

    /// The example of X's documentation ("Creating a signature").
    #[test]
    fn the_signature_of_xs_documentation() {
        let token = token(
            "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb",
            "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE",
        );
        let secret = "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw";
        let signer =
            Signer { consumer_key: "xvz1evFS4wEEPTGEFPHBog", consumer_secret: secret, token: Some(&token) };
        let url =
            Url::parse("https://api.twitter.com/1.1/statuses/update.json?include_entities=true").unwrap();
        let status = "Hello Ladies + Gentlemen, a signed OAuth request!";
        let form = [("status".to_owned(), status.to_owned())];
        let nonce = "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg";
        let header = signer.authorization("POST", &url, &form, nonce, 1_318_622_958);
        assert!(header.ends_with("oauth_signature=\"hCtSmYh%2BiHYCEqBWrE7C7hYmtUk%3D\""), "{header}");
        assert!(!header.contains("status"));
    }

    #[test]
    fn the_header_names_everything_that_was_signed_but_the_query() {
        let secret = "dummy";
        let signer = Signer { consumer_key: "app key", consumer_secret: secret, token: None };
        let url =
            Url::parse("https://op.example/token?oauth_callback=https%3A%2F%2Fsite.example%2F").unwrap();
        let header = signer.authorization("POST", &url, &[], "n0nce", 1_700_000_000);
        let signature = header.split_once("oauth_signature=\"").unwrap().1.trim_end_matches('"');
        assert_eq!(
            header,
            format!(
                "OAuth oauth_consumer_key=\"app%20key\", oauth_nonce=\"n0nce\", oauth_signature_method=\"HMAC-SHA1\", \
                 oauth_timestamp=\"1700000000\", oauth_version=\"1.0\", oauth_signature=\"{signature}\""
            )
        );
    }
}
