//! What an OpenID provider says through the browser: nothing of it is believed before the provider has confirmed it to us
//! directly, and then only what it says to have signed.

use std::collections::BTreeMap;

use vestibule_base::security::clock::SECOND;
use vestibule_base::security::{Millis, same};

use crate::error::ProviderError;
use crate::login::{Callback, Replay};

/// The namespace of OpenID 2.0.
pub(super) const NS: &str = "http://specs.openid.net/auth/2.0";
/// Simple registration 1.1.
pub(super) const SREG: &str = "http://openid.net/extensions/sreg/1.1";
/// Attribute exchange 1.0.
pub(super) const AX: &str = "http://openid.net/srv/ax/1.0";

/// How far an assertion's time may be from ours, into either direction.
const SKEW: Millis = 5 * 60 * SECOND;
/// What has to be among the signed fields (section 10.1 of the specification, and the identifiers, which it wants where
/// they are there at all).
const SIGNED: [&str; 6] =
    ["op_endpoint", "return_to", "response_nonce", "assoc_handle", "claimed_id", "identity"];

/// The parameters `openid.*` of a callback, without that prefix.
pub(super) struct Message(BTreeMap<String, String>);

impl Message {
    /// Reads a positive assertion.
    ///
    /// # Errors
    /// [`ProviderError::Cancelled`]; [`ProviderError::Brought`] if it is none, or says something twice.
    pub(super) fn read(callback: &Callback) -> Result<Self, ProviderError> {
        let mut fields = BTreeMap::new();
        for (name, value) in &callback.params {
            let Some(name) = name.strip_prefix("openid.") else { continue };
            if fields.insert(name.to_owned(), value.clone()).is_some() {
                return Err(ProviderError::brought("a parameter of OpenID comes twice"));
            }
        }
        let message = Self(fields);
        match message.get("mode") {
            Some("id_res") => {}
            Some("cancel") => return Err(ProviderError::Cancelled),
            _ => return Err(ProviderError::brought("no assertion of OpenID")),
        }
        match message.get("ns") {
            Some(NS) => Ok(message),
            _ => Err(ProviderError::brought("no assertion of OpenID 2.0")),
        }
    }

    /// Whether it is from this provider, for this login, of this moment, and says enough that is signed.
    ///
    /// # Errors
    /// [`ProviderError::Brought`], saying what is wrong.
    pub(super) fn check(
        &self,
        endpoint: &str,
        return_to: &str,
        now: Millis,
    ) -> Result<Replay, ProviderError> {
        if self.get("op_endpoint") != Some(endpoint) {
            return Err(ProviderError::brought("the assertion is of another provider"));
        }
        let theirs = self.get("return_to").unwrap_or_default();
        if !same(theirs.as_bytes(), return_to.as_bytes()) {
            return Err(ProviderError::brought("the assertion is for another login"));
        }
        if SIGNED.iter().any(|name| self.signed(name).is_none_or(str::is_empty)) {
            return Err(ProviderError::brought("the assertion leaves out, or unsigned, what it has to sign"));
        }
        let nonce = self.get("response_nonce").unwrap_or_default();
        let Some(time) = time_of(nonce).filter(|time| now.abs_diff(*time) <= SKEW.unsigned_abs()) else {
            return Err(ProviderError::brought("the assertion is not of this moment"));
        };
        Ok(Replay {
            key: format!("{endpoint} {nonce}"),
            expires_at: time.saturating_add(SKEW),
            again_within: 0,
        })
    }

    /// The same message, as the question to the provider whether it is its own (section 11.4.2.1).
    pub(super) fn question(&self) -> Vec<(String, String)> {
        let mode = |name: &str, value: &String| match name {
            "mode" => "check_authentication".to_owned(),
            _ => value.clone(),
        };
        self.0.iter().map(|(name, value)| (format!("openid.{name}"), mode(name, value))).collect()
    }

    /// A field that the provider signed.
    pub(super) fn signed(&self, name: &str) -> Option<&str> {
        let listed = self.get("signed").unwrap_or_default().split(',').any(|signed| signed == name);
        self.get(name).filter(|_| listed)
    }

    /// What the provider signed of simple registration: values by name.
    pub(super) fn sreg(&self) -> BTreeMap<String, String> {
        self.extension(SREG).collect()
    }

    /// What the provider signed of attribute exchange: the first value of each attribute, by the attribute's URI.
    pub(super) fn ax(&self) -> BTreeMap<String, String> {
        let fields: BTreeMap<_, _> = self.extension(AX).collect();
        let types = fields.iter().filter_map(|(name, uri)| Some((name.strip_prefix("type.")?, uri)));
        types
            .filter_map(|(alias, uri)| {
                let value = fields.get(&format!("value.{alias}"));
                let value = value.or_else(|| fields.get(&format!("value.{alias}.1")))?;
                Some((uri.clone(), value.clone()))
            })
            .collect()
    }

    /// The signed fields of an extension, whose alias the message chooses, and signs too.
    fn extension(&self, namespace: &str) -> impl Iterator<Item = (String, String)> {
        let alias = self.0.iter().find_map(|(name, value)| {
            let alias = name.strip_prefix("ns.").filter(|_| value == namespace)?;
            self.signed(name).map(|_| format!("{alias}."))
        });
        self.0.keys().filter_map(move |name| {
            let field = name.strip_prefix(alias.as_deref()?)?;
            Some((field.to_owned(), self.signed(name)?.to_owned()))
        })
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// Whether the provider's direct answer, in lines of `key:value`, says that the assertion is its own.
pub(super) fn confirms(answer: &str) -> bool {
    let valid: Vec<_> = answer.lines().filter_map(|line| line.strip_prefix("is_valid:")).collect();
    valid == ["true"]
}

/// The moment in which a nonce begins: `2005-05-15T17:11:51ZUNIQUE`.
fn time_of(nonce: &str) -> Option<Millis> {
    let time = nonce.get(..20).filter(|time| nonce.len() <= 255 && time.ends_with('Z'))?;
    time.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) const ENDPOINT: &str = "https://op.example/server";
    pub(in super::super) const RETURN_TO: &str = "https://site.example/accounts/openid/callback/?state=s1";
    /// 2026-01-02T03:04:05Z
    pub(in super::super) const NOW: Millis = 1_767_323_045_000;

    /// A whole assertion, of which a test changes what it wants.
    pub(in super::super) fn assertion() -> Vec<(String, String)> {
        let fields = [
            ("state", "s1"),
            ("openid.ns", NS),
            ("openid.mode", "id_res"),
            ("openid.op_endpoint", ENDPOINT),
            ("openid.claimed_id", "https://op.example/id/kim"),
            ("openid.identity", "https://op.example/id/kim"),
            ("openid.return_to", RETURN_TO),
            ("openid.response_nonce", "2026-01-02T03:04:05Zu1"),
            ("openid.assoc_handle", "h1"),
            ("openid.ns.sreg", SREG),
            ("openid.sreg.email", "kim@mail.example"),
            ("openid.sreg.fullname", "Kim Ito"),
            ("openid.ns.e1", AX),
            ("openid.e1.mode", "fetch_response"),
            ("openid.e1.type.first", "http://axschema.org/namePerson/first"),
            ("openid.e1.value.first", "Kim"),
            ("openid.e1.type.last", "http://axschema.org/namePerson/last"),
            ("openid.e1.count.last", "1"),
            ("openid.e1.value.last.1", "Ito"),
            (
                "openid.signed",
                "op_endpoint,claimed_id,identity,return_to,response_nonce,assoc_handle,ns.sreg,sreg.fullname,ns.e1,\
                 e1.mode,e1.type.first,e1.value.first,e1.type.last,e1.value.last.1",
            ),
            ("openid.sig", "c2ln"),
        ];
        fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    fn changed(name: &str, value: Option<&str>) -> Result<Replay, ProviderError> {
        let mut params = assertion();
        params.retain(|(key, _)| key != name);
        params.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        Message::read(&Callback { params })?.check(ENDPOINT, RETURN_TO, NOW)
    }

    #[test]
    fn o1_an_assertion_is_for_one_login_at_one_provider_at_one_moment() {
        assert_eq!(changed("x", None).unwrap().key, format!("{ENDPOINT} 2026-01-02T03:04:05Zu1"));
        for (name, value) in [
            ("openid.ns", "http://openid.net/signon/1.1"),
            ("openid.mode", "setup_needed"),
            ("openid.mode", "error"),
            ("openid.op_endpoint", "https://op.example/server/"),
            ("openid.op_endpoint", "https://evil.example/server"),
            ("openid.return_to", "https://site.example/accounts/openid/callback/?state=s2"),
            ("openid.return_to", "https://site.example/accounts/openid/callback/?state=s1&more=1"),
            ("openid.response_nonce", "2026-01-02T02:59:04Zu1"),
            ("openid.response_nonce", "2026-01-02T03:09:06Zu1"),
            ("openid.response_nonce", "2026-01-02T03:04:05+01:00"),
            ("openid.response_nonce", "ééééééééééééé"),
        ] {
            let refused = changed(name, Some(value));
            assert!(matches!(refused, Err(ProviderError::Brought(_))), "{name} {value} {refused:?}");
        }
        assert!(matches!(changed("openid.mode", Some("cancel")), Err(ProviderError::Cancelled)));
    }

    #[test]
    fn o3_what_an_assertion_does_not_sign_is_not_there() {
        for name in SIGNED {
            let refused = changed(&format!("openid.{name}"), None);
            assert!(matches!(refused, Err(ProviderError::Brought(_))), "{name}");
            let others: Vec<_> = SIGNED.into_iter().filter(|other| *other != name).collect();
            let refused = changed("openid.signed", Some(&others.join(",")));
            assert!(matches!(refused, Err(ProviderError::Brought(_))), "{name}");
        }
        let message = Message::read(&Callback { params: assertion() }).unwrap();
        let sreg: Vec<_> = message.sreg().into_iter().collect();
        assert_eq!(sreg, [("fullname".to_owned(), "Kim Ito".to_owned())], "the address is not signed");
        let ax = message.ax();
        assert_eq!(ax.get("http://axschema.org/namePerson/first").map(String::as_str), Some("Kim"));
        assert_eq!(ax.get("http://axschema.org/namePerson/last").map(String::as_str), Some("Ito"));

        // An alias that is not signed could be anybody's.
        let mut params = assertion();
        params.push(("openid.ns.a".to_owned(), SREG.to_owned()));
        params.push(("openid.a.email".to_owned(), "boss@mail.example".to_owned()));
        assert_eq!(Message::read(&Callback { params }).unwrap().sreg().len(), 1);
    }

    #[test]
    fn o3_the_provider_is_asked_of_the_very_fields_that_are_read() {
        let mut params = assertion();
        let question = Message::read(&Callback { params: params.clone() }).unwrap().question();
        assert!(question.contains(&("openid.mode".to_owned(), "check_authentication".to_owned())));
        assert!(question.contains(&("openid.sig".to_owned(), "c2ln".to_owned())));
        assert_eq!(question.len(), params.len() - 1, "all but our own");

        params.push(("openid.claimed_id".to_owned(), "https://op.example/id/boss".to_owned()));
        assert!(matches!(Message::read(&Callback { params }), Err(ProviderError::Brought(_))));
    }

    #[test]
    fn only_one_clear_yes_confirms() {
        assert!(confirms("ns:http://specs.openid.net/auth/2.0\nis_valid:true\n"));
        for answer in [
            "",
            "is_valid:false\n",
            "is_valid: true\n",
            "is_valid:true\nis_valid:false\n",
            "<p>is_valid:true",
        ] {
            assert!(!confirms(answer), "{answer}");
        }
    }
}
