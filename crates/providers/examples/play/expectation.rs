//! What must come of a case: what the reference made of it, or what the case advises where that is nothing to follow.

use secrecy::ExposeSecret;
use serde_json::Value;
use url::Url;
use vestibule_providers::{Arrival, ProviderEmail, ProviderError};

use crate::advice;
use crate::case::{Account, Address, Case, Expect, Names, Outcome, Token};
use crate::difference::{self, Difference};
use crate::placeholder::Known;
use crate::rule::{self, Rule, Used};
use crate::script::Review;

/// What must come of a case.
#[derive(Debug)]
pub(crate) enum Expectation {
    /// This person.
    Login(Box<Login>),
    /// An error: that the person said no, or another.
    Error { cancelled: bool },
}

/// Whom the provider vouches for, and what is shown of them.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) account: Account,
    /// Whether the recorded text to show can be judged.
    pub(crate) display_known: bool,
    pub(crate) names: Names,
    pub(crate) addresses: Vec<Address>,
    pub(crate) phone: String,
    pub(crate) token: Option<Token>,
}

/// What a provider's accounts are shown as.
pub(crate) struct Shown {
    pub(crate) provider: String,
    pub(crate) display: String,
    pub(crate) avatar_url: Option<String>,
    pub(crate) profile_url: Option<String>,
}

impl Expectation {
    /// Works out what must come of a case. `others` are all cases of its provider, of which it may be a variant. Also
    /// gives the departure by which it is not what was recorded.
    ///
    /// # Errors
    /// Why the case cannot be judged.
    pub(crate) fn of(
        provider: &str,
        case: &Case,
        others: &[impl AsRef<Case>],
    ) -> Result<(Self, Option<Rule>), String> {
        if let Some(text) = &case.advice {
            return advice::followed(text, case, others);
        }
        let location = case.expect.callback_response.as_ref().map(|response| response.location.as_str());
        let cancelled = location.is_some_and(|location| location.contains("error=cancelled"));
        match case.expect.outcome {
            Outcome::Login if rule::answered_with_an_error(provider, case) => {
                Ok((Self::Error { cancelled: false }, Some(Rule::Status)))
            }
            Outcome::Login => Ok((Self::Login(Box::new(Login::recorded(&case.expect)?)), None)),
            Outcome::AuthError if let Some(login) = advice::numeric_subject(case, others) => {
                Ok((Self::Login(Box::new(login)), Some(Rule::NumericSubject)))
            }
            Outcome::AuthError | Outcome::Rejected => Ok((Self::Error { cancelled }, None)),
            Outcome::Crash if rule::answered_with_an_error(provider, case) => {
                Ok((Self::Error { cancelled: false }, Some(Rule::Status)))
            }
            Outcome::Crash => Err("the reference crashed, and nothing is advised".to_owned()),
        }
    }

    pub(crate) fn wants_error(&self) -> bool {
        matches!(self, Self::Error { .. })
    }

    /// Compares what came with what must come.
    pub(crate) fn check(
        &self,
        came: &Result<(Arrival, Shown), ProviderError>,
        review: &Review,
        known: &Known,
        used: &mut Used,
    ) -> Vec<Difference> {
        match (self, came) {
            (Self::Login(login), Ok((arrival, shown))) => login.check(arrival, shown, review, known, used),
            (Self::Login(_), Err(error)) => vec![Difference::new("outcome", "login", error)],
            (Self::Error { cancelled }, Err(error)) => {
                let got = matches!(error, ProviderError::Cancelled);
                let name = |cancelled| if cancelled { "cancelled" } else { "another error" };
                difference::text("error", name(*cancelled), name(got)).into_iter().collect()
            }
            (Self::Error { .. }, Ok((arrival, _))) => {
                vec![Difference::new("outcome", "an error", format!("login of {:?}", arrival.identity.uid))]
            }
        }
    }
}

impl Login {
    /// A recorded login.
    ///
    /// # Errors
    /// It has no account.
    pub(crate) fn recorded(expect: &Expect) -> Result<Self, String> {
        Ok(Self {
            account: expect.account.clone().ok_or("a login without an account")?,
            display_known: true,
            names: expect.user.clone(),
            addresses: expect.email_addresses.clone(),
            phone: expect.phone.clone().unwrap_or_default(),
            token: expect.token.clone(),
        })
    }

    fn check(
        &self,
        arrival: &Arrival,
        shown: &Shown,
        review: &Review,
        known: &Known,
        used: &mut Used,
    ) -> Vec<Difference> {
        let identity = &arrival.identity;
        let or_nothing = |text: &Option<String>| text.clone().unwrap_or_default();
        let mut texts = vec![
            ("provider", self.account.provider.clone(), shown.provider.clone()),
            ("uid", self.account.uid.clone(), identity.uid.clone()),
            ("email", self.names.email.clone(), or_nothing(&identity.email)),
            ("emails", addresses(&self.addresses), came(&identity.emails)),
            ("username", self.names.username.clone(), or_nothing(&identity.username)),
            ("first_name", self.names.first_name.clone(), or_nothing(&identity.first_name)),
            ("last_name", self.names.last_name.clone(), or_nothing(&identity.last_name)),
            ("phone", self.phone.clone(), or_nothing(&identity.phone)),
            ("token", token(self.token.as_ref()), came_token(arrival)),
        ];
        for (what, expected, got) in [
            ("avatar_url", &self.account.avatar_url, &shown.avatar_url),
            ("profile_url", &self.account.profile_url, &shown.profile_url),
        ] {
            if got.is_none() && expected.as_ref().is_some_and(|text| !is_link(text)) {
                used.insert(Rule::NoLink);
            } else {
                texts.push((what, or_nothing(expected), or_nothing(got)));
            }
        }
        if self.display_known {
            texts.push(("display", self.account.display.clone(), shown.display.clone()));
        }
        let texts = texts.iter().filter_map(|(what, expected, got)| difference::text(what, expected, got));
        let mut expected = self.account.extra_data.clone();
        each_text(&mut expected, &|text| review.replaced.get(text).cloned());
        let mut got = identity.extra_data.clone();
        if let Some(nonce) = &review.nonce {
            without_nonce(&mut got, nonce);
        }
        if without_tokens(&mut expected, &got) {
            used.insert(Rule::TokensNotKept);
        }
        texts.chain(difference::json("extra_data", &expected, &got, known)).collect()
    }
}

fn addresses(addresses: &[Address]) -> String {
    let one = |address: &Address| {
        format!("{} verified={} primary={}", address.email, address.verified, address.primary)
    };
    addresses.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn came(emails: &[ProviderEmail]) -> String {
    let one = |email: &ProviderEmail| Address {
        email: email.email.clone(),
        verified: email.verified,
        primary: email.primary,
    };
    addresses(&emails.iter().map(one).collect::<Vec<_>>())
}

fn token(token: Option<&Token>) -> String {
    token.map_or_else(
        || "none".to_owned(),
        |token| format!("{} secret={} expires={}", token.token, token.token_secret, token.expires),
    )
}

fn came_token(arrival: &Arrival) -> String {
    let given = arrival.tokens.as_ref().map(|tokens| Token {
        token: tokens.access.expose_secret().to_owned(),
        token_secret: tokens
            .refresh
            .as_ref()
            .map(|secret| secret.expose_secret().to_owned())
            .unwrap_or_default(),
        expires: tokens.expires_at.is_some(),
    });
    token(given.as_ref())
}

/// Replaces texts anywhere in a value.
fn each_text(value: &mut Value, replacement: &impl Fn(&str) -> Option<String>) {
    match value {
        Value::String(text) => {
            if let Some(new) = replacement(text) {
                *text = new;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| each_text(value, replacement)),
        Value::Object(object) => object.values_mut().for_each(|value| each_text(value, replacement)),
        _ => {}
    }
}

/// Takes out tokens that are not kept.
fn without_tokens(expected: &mut Value, got: &Value) -> bool {
    let (Value::Object(expected), Value::Object(got)) = (expected, got) else {
        return false;
    };
    let before = expected.len();
    expected.retain(|name, _| got.contains_key(name) || !rule::TOKENS.contains(&name.as_str()));
    let mut any = expected.len() < before;
    for (name, value) in expected.iter_mut() {
        any |= got.get(name).is_some_and(|got| without_tokens(value, got));
    }
    any
}

/// Whether a text is a URL that people can follow.
fn is_link(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// Takes out the nonce that we had put in.
fn without_nonce(value: &mut Value, nonce: &str) {
    if let Value::Object(object) = value {
        if object.get("nonce").is_some_and(|value| value == nonce) {
            object.remove("nonce");
        }
        object.values_mut().for_each(|value| without_nonce(value, nonce));
    }
}
