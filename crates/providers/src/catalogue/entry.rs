//! What the catalogue says of one provider, in types. Reading an entry parses all of it: rules, templates and pointers
//! that are wrong are found when the catalogue is read, not when somebody logs in.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::rule::{Pointer, Rule};
use crate::template::Template;

/// A provider. The head of `catalogue.toml` explains the words.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// What people are shown.
    pub(crate) name: String,
    /// Its part of the callback URL, where that is not its id.
    #[serde(default)]
    pub(crate) slug: Option<String>,
    #[serde(default)]
    pub(crate) protocol: Protocol,
    /// The end of its callback URL. Left out: `callback` with OpenID 2.0, else `login/callback`.
    #[serde(default)]
    pub(crate) callback: Option<String>,
    /// The file in `quirks/` that says the rest.
    #[serde(default)]
    pub(crate) quirk: Option<String>,
    /// What an app must have.
    #[serde(default = "client_id")]
    pub(crate) needs: Vec<Credential>,
    #[serde(default)]
    pub(crate) settings: BTreeMap<String, Setting>,
    /// Names for templates that follow from settings.
    #[serde(default)]
    pub(crate) derived: BTreeMap<String, Derived>,
    #[serde(default)]
    pub(crate) authorize: Option<Authorize>,
    /// OAuth 1.0a: the request for temporary credentials.
    #[serde(default)]
    pub(crate) request_token: Option<Call>,
    /// Requests whose answers the token request needs.
    #[serde(default)]
    pub(crate) before_token: Vec<Call>,
    #[serde(default)]
    pub(crate) token: Option<TokenCall>,
    /// Requests for what the provider says of the person, in order.
    #[serde(default)]
    pub(crate) profile: Vec<Step>,
    #[serde(default)]
    pub(crate) data: Data,
    /// What shows that an answer is an error. One that holds is enough.
    #[serde(default)]
    pub(crate) error_when: Vec<Condition>,
    pub(crate) map: Map,
    #[serde(default)]
    pub(crate) extra_data: ExtraData,
    #[serde(default)]
    pub(crate) display: Display,
    /// A picture: a rule on the extra data, as the next one.
    #[serde(default)]
    pub(crate) avatar_url: Option<Rule>,
    /// A page about the person.
    #[serde(default)]
    pub(crate) profile_url: Option<Rule>,
    #[serde(default)]
    pub(crate) id_token: Option<IdToken>,
    /// OpenID Connect: where the provider describes itself.
    #[serde(default)]
    pub(crate) discovery: Option<Template>,
    /// OpenID 2.0: the one server, where there is only one.
    #[serde(default)]
    pub(crate) openid_server: Option<Template>,
    /// Whether the API can begin a login there.
    #[serde(default = "yes")]
    pub(crate) supports_redirect: bool,
    /// Whether clients may bring its tokens.
    #[serde(default)]
    pub(crate) supports_token: bool,
    /// Whether `code_challenge` is sent. Off only where a provider refuses it.
    #[serde(default = "yes")]
    pub(crate) pkce: bool,
}

/// How a provider is spoken with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    #[default]
    OAuth2,
    /// OpenID Connect by discovery.
    Oidc,
    OAuth1,
    OpenId2,
    /// As its quirk says.
    Own,
}

/// A part of an app that is not in its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Credential {
    ClientId,
    Secret,
    Key,
}

/// Something that an app can tell the provider. Its type is that of its default; text where it has none.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setting {
    #[serde(default)]
    pub(crate) default: Option<Value>,
    #[serde(default)]
    pub(crate) required: bool,
    /// A few words for who sets it.
    #[serde(default)]
    pub(crate) about: Option<String>,
}

/// A name for templates that follows from another.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Derived {
    /// The name that decides.
    pub(crate) when: String,
    /// The value that it must have. Left out: any that is true (there, not empty, not zero, not false).
    #[serde(default)]
    pub(crate) is: Option<Value>,
    pub(crate) then: Template,
    /// Left out: no value.
    #[serde(default, rename = "else")]
    pub(crate) otherwise: Option<Template>,
}

/// Where people are sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Authorize {
    pub(crate) url: Template,
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
    /// Asked for in addition when addresses are.
    #[serde(default)]
    pub(crate) email_scopes: Vec<String>,
    /// Asked for in addition when tokens are kept.
    #[serde(default)]
    pub(crate) token_scopes: Vec<String>,
    /// What stands between scopes.
    #[serde(default = "space")]
    pub(crate) delimiter: String,
    /// Further parameters.
    #[serde(default)]
    pub(crate) params: BTreeMap<String, Template>,
    #[serde(default = "client_id_name")]
    pub(crate) client_id_parameter: String,
    #[serde(default = "code")]
    pub(crate) response_type: String,
    #[serde(default)]
    pub(crate) response_mode: Option<String>,
    #[serde(default)]
    pub(crate) redirect_uri: RedirectUri,
}

/// How our callback URL is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RedirectUri {
    #[default]
    Sent,
    /// With https, whatever the server's own URL is.
    Https,
    /// Not at all: the provider knows it from the registration.
    Omitted,
}

/// A request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    #[serde(default = "post")]
    pub(crate) method: Verb,
    pub(crate) url: Template,
    #[serde(default)]
    pub(crate) query: BTreeMap<String, Parameter>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Template>,
    /// The body, as a form.
    #[serde(default)]
    pub(crate) form: BTreeMap<String, Template>,
    /// The body, as JSON.
    #[serde(default)]
    pub(crate) json: BTreeMap<String, Template>,
}

/// The request that turns what the callback brought into tokens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenCall {
    pub(crate) url: Template,
    /// With GET the fields are in the query.
    #[serde(default = "post")]
    pub(crate) method: Verb,
    #[serde(default)]
    pub(crate) body: TokenBody,
    /// How we prove who we are. Left out: client id and secret among the fields; with OpenID Connect, as discovered.
    #[serde(default)]
    pub(crate) client_auth: Option<ClientAuth>,
    /// All fields. Left out: `grant_type`, `code`, `redirect_uri`, and the client's.
    #[serde(default)]
    pub(crate) fields: Option<BTreeMap<String, Template>>,
    #[serde(default)]
    pub(crate) query: BTreeMap<String, Parameter>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Template>,
    /// Where in the answer the tokens are.
    #[serde(default)]
    pub(crate) select: Pointer,
    /// Keys of the answer that have other names than the standard's: theirs, and the standard's.
    #[serde(default)]
    pub(crate) rename: BTreeMap<String, String>,
    /// What the callback calls the code.
    #[serde(default = "code")]
    pub(crate) code_parameter: String,
}

/// What the body of a token request is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TokenBody {
    #[default]
    Form,
    Json,
}

/// How a client proves itself at a token endpoint. Names are those of OpenID Connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClientAuth {
    ClientSecretPost,
    ClientSecretBasic,
    PrivateKeyJwt,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Verb {
    #[default]
    Get,
    Post,
}

/// A request for what the provider says of the person, and where the answer goes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    pub(crate) url: Template,
    #[serde(default)]
    pub(crate) method: Verb,
    /// Where the access token is. Left out: in the header `Authorization: Bearer`; with OAuth 1.0a, in the signature.
    #[serde(default)]
    pub(crate) token_in: Option<TokenIn>,
    #[serde(default)]
    pub(crate) query: BTreeMap<String, Parameter>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Template>,
    /// The body, as a form.
    #[serde(default)]
    pub(crate) form: BTreeMap<String, Template>,
    /// All must hold for the request to be made.
    #[serde(default)]
    pub(crate) when: When,
    /// Statuses of 400 and more that are no error: then the answer is not used.
    #[serde(default)]
    pub(crate) tolerate_status: Vec<u16>,
    /// What of the answer is used.
    #[serde(default)]
    pub(crate) take: Option<Rule>,
    /// Where it is put into what is there. Left out: in place of all.
    #[serde(default)]
    pub(crate) put: Pointer,
    /// Whether its keys are added to the object that is there, instead of replacing it.
    #[serde(default)]
    pub(crate) merge: bool,
}

/// Where an access token is put.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TokenIn {
    /// A parameter of the query.
    Query(String),
    /// A header of its own.
    Header(String),
    /// The header `Authorization`, with this scheme.
    Scheme(Template),
    /// Where other parts of the request say, if at all.
    Nowhere,
}

/// Conditions of a request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct When {
    /// Addresses are asked for.
    #[serde(default)]
    pub(crate) query_email: bool,
    /// There is no ID token.
    #[serde(default)]
    pub(crate) no_id_token: bool,
    /// Scopes that are asked for hold this one.
    #[serde(default)]
    pub(crate) scope: Option<String>,
    /// Scopes that are asked for do not hold this one.
    #[serde(default)]
    pub(crate) no_scope: Option<String>,
    /// What was answered so far holds this.
    #[serde(default)]
    pub(crate) present: Option<Pointer>,
    /// What was answered so far lacks this.
    #[serde(default)]
    pub(crate) missing: Option<Pointer>,
    /// Settings have these values.
    #[serde(default)]
    pub(crate) settings: BTreeMap<String, Value>,
}

/// The value of a parameter: one, or several of the same name.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Parameter {
    One(Template),
    Many(Vec<Template>),
}

impl Parameter {
    /// The values.
    pub(crate) fn templates(&self) -> &[Template] {
        match self {
            Self::One(template) => std::slice::from_ref(template),
            Self::Many(templates) => templates,
        }
    }
}

/// What is mapped.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Data {
    #[serde(default)]
    pub(crate) from: Source,
    /// Where in it.
    #[serde(default)]
    pub(crate) select: Pointer,
    /// Where in it, if it is there.
    #[serde(default)]
    pub(crate) unwrap: Option<Pointer>,
    /// Keys that get another name: theirs, and ours.
    #[serde(default)]
    pub(crate) rename: BTreeMap<String, String>,
    /// Keys that are added.
    #[serde(default)]
    pub(crate) add: BTreeMap<String, Template>,
}

/// Where data comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    /// The profile requests.
    #[default]
    Profile,
    /// The token answer.
    Token,
    /// The claims of the ID token; the profile requests where there is none.
    IdToken,
}

/// What shows that a whole answer is an error.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Condition {
    /// It holds this.
    Present(Pointer),
    /// It lacks this.
    Missing(Pointer),
    /// This is not that.
    Differs { pointer: Pointer, from: Expected },
}

/// What a value should be.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Expected {
    Text(Template),
    Other(Value),
}

/// Where what is said of the person is found.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Map {
    pub(crate) uid: Rule,
    #[serde(default)]
    pub(crate) email: Option<Rule>,
    #[serde(default)]
    pub(crate) email_verified: Option<Rule>,
    #[serde(default)]
    pub(crate) emails: Option<EmailList>,
    #[serde(default)]
    pub(crate) username: Option<Rule>,
    #[serde(default)]
    pub(crate) first_name: Option<Rule>,
    #[serde(default)]
    pub(crate) last_name: Option<Rule>,
    /// The whole name: what first and last name lack is cut out of it.
    #[serde(default)]
    pub(crate) name: Option<Rule>,
    #[serde(default)]
    pub(crate) phone: Option<Rule>,
}

/// A list of addresses.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EmailList {
    pub(crate) list: Pointer,
    /// In an element, as the next two.
    pub(crate) email: Rule,
    #[serde(default)]
    pub(crate) verified: Option<Rule>,
    #[serde(default)]
    pub(crate) primary: Option<Rule>,
}

/// What is kept of the data. Nothing said: all. Steps are taken in the order of the fields.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExtraData {
    /// Only what is there.
    #[serde(default)]
    pub(crate) select: Pointer,
    /// Only these keys.
    #[serde(default)]
    pub(crate) only: Vec<String>,
    /// Not these.
    #[serde(default)]
    pub(crate) without: Vec<Pointer>,
    /// A new object of these.
    #[serde(default)]
    pub(crate) build: BTreeMap<String, Rule>,
    /// And these.
    #[serde(default)]
    pub(crate) add: BTreeMap<String, Rule>,
}

/// What people are shown of an account, made of its extra data.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Display {
    /// The first of these that gives a text.
    #[serde(default)]
    pub(crate) first: Vec<Rule>,
    /// Then the generic rule on the first of these that is there. Left out: on all.
    #[serde(default)]
    pub(crate) root: Vec<Pointer>,
}

/// What is known of ID tokens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IdToken {
    pub(crate) issuer: Template,
    /// Where its keys are: a JWK set, or an object of key ids and PEM certificates.
    pub(crate) keys: Template,
}

fn client_id() -> Vec<Credential> {
    vec![Credential::ClientId]
}

fn client_id_name() -> String {
    "client_id".to_owned()
}

fn code() -> String {
    "code".to_owned()
}

fn post() -> Verb {
    Verb::Post
}

fn space() -> String {
    " ".to_owned()
}

fn yes() -> bool {
    true
}
