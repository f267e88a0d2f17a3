//! Where we depart from the recorded logins on purpose. Each has a name and is counted; nothing else may differ.

use std::collections::BTreeSet;

use crate::case::{Case, Listed, Response};

/// A departure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    Pkce,
    Nonce,
    ClassicParameters,
    Signature,
    Discovery,
    Issuer,
    Status,
    CallbackNames,
    OwnName,
    AccessTokenHash,
    StateInUrl,
    Https,
    NoLink,
    TokensNotKept,
    Secret,
    AtHome,
    Moment,
    NumericSubject,
    NoUid,
    Defect,
}

impl Rule {
    /// What it says.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Pkce => "PKCE (S256) is sent, though the reference has it off",
            Self::Nonce => "a nonce is sent, and comes back in the ID token",
            Self::ClassicParameters => "parameters are sent that only the reference's login page adds",
            Self::Signature => "keys are fetched, as the signature of every ID token is checked",
            Self::Discovery => "a description of a server is kept, and not fetched again",
            Self::Issuer => "the setting `issuer` names an issuer that is not the server's URL",
            Self::Status => "nobody is logged in by an answer with an error status",
            Self::CallbackNames => "the callback of OAuth 1.0a names the flow by `oauth_token`",
            Self::OwnName => "User-Agent is our name, not the reference's",
            Self::AccessTokenHash => {
                "the ID token is made to name the access token that comes with it: that is checked"
            }
            Self::StateInUrl => {
                "the flow is named in the callback URL, as the protocol has no other place for it"
            }
            Self::Https => "a server's plain http URL is played as https: only that is followed",
            Self::NoLink => "what is no http or https URL is not shown as picture or page",
            Self::TokensNotKept => "tokens are not kept in the extra data",
            Self::Secret => "without the secret that signatures need, there is no such provider",
            Self::AtHome => "the dummy provider is played on localhost, as it works nowhere else",
            Self::Moment => "the clock shows the moment that the signed result was made at",
            Self::NumericSubject => {
                "a number as the subject of an ID token is taken as its text, at Apple as elsewhere"
            }
            Self::NoUid => "an answer that lost the uid with the email logs nobody in",
            Self::Defect => "a defect of the reference is not copied (see mend.rs)",
        }
    }
}

/// Those by which a case was judged.
pub(crate) type Used = BTreeSet<Rule>;

/// Keys of the extra data that tokens, and what belongs to them, are kept under in the reference.
pub(crate) const TOKENS: [&str; 7] = [
    "access_token",
    "expires_in",
    "id_token",
    "oauth_token",
    "oauth_token_secret",
    "refresh_token",
    "token_type",
];

/// Parameters that the reference's own login page adds to the redirect, as the providers document them: provider, name.
const CLASSIC: [(&str, &str); 7] = [
    ("basecamp", "type"),
    ("flickr", "perms"),
    ("shopify", "shop"),
    ("trello", "type"),
    ("trello", "name"),
    ("trello", "expiration"),
    ("untappd", "redirect_url"),
];

/// The rule by which a surplus parameter of the authorization request may be there.
pub(crate) fn authorize_parameter(provider: &str, name: &str, value: &str) -> Option<Rule> {
    match name {
        "code_challenge" => Some(Rule::Pkce),
        "code_challenge_method" if value == "S256" => Some(Rule::Pkce),
        "nonce" if value.len() >= 16 => Some(Rule::Nonce),
        _ => CLASSIC.contains(&(provider, name)).then_some(Rule::ClassicParameters),
    }
}

/// Requests whose failure is no failure of the login, as they only ask for addresses: provider, and what the path ends in.
const OPTIONAL: [(&str, &str); 2] = [("github", "/user/emails"), ("linkedin_oauth2", "/emailAddress")];

/// Whether an answer of the case says by its status that the login failed.
pub(crate) fn answered_with_an_error(provider: &str, case: &Case) -> bool {
    let optional = |url: &str| OPTIONAL.iter().any(|(name, path)| *name == provider && url.ends_with(path));
    let failed = |listed: &&Listed| listed.response.as_ref().is_none_or(Response::is_error);
    case.requests.iter().filter(failed).any(|listed| !optional(&listed.url))
}
