//! What the client says about the page that asked (`clientDataJSON`).

use serde::Deserialize;

use super::base64url;
use super::ceremony::{CeremonyError, Challenge};
use crate::security::same;

/// `type` of a registration.
pub(super) const CREATE: &str = "webauthn.create";
/// `type` of an authentication.
pub(super) const GET: &str = "webauthn.get";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: Option<bool>,
    #[serde(default)]
    top_origin: Option<String>,
}

/// What Level 3 demands of the client data, in 7.1 and 7.2 alike.
pub(super) fn check(
    json: &[u8],
    kind: &str,
    challenge: &Challenge,
    origins: &[String],
) -> Result<(), CeremonyError> {
    // "UTF-8 decode" of the Encoding standard drops a byte order mark.
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
    let data: ClientData =
        serde_json::from_slice(json).map_err(|_| CeremonyError::Malformed("clientDataJSON"))?;
    if data.kind != kind {
        return Err(CeremonyError::Type);
    }
    if !same(data.challenge.as_bytes(), base64url::encode(challenge.as_bytes()).as_bytes()) {
        return Err(CeremonyError::Challenge);
    }
    if !origins.contains(&data.origin) {
        return Err(CeremonyError::Origin);
    }
    // Nobody's page may hold ours in a frame and run a ceremony there.
    if data.cross_origin == Some(true) || data.top_origin.is_some() {
        return Err(CeremonyError::CrossOrigin);
    }
    Ok(())
}
