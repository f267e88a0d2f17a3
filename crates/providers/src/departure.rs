//! The URL at the provider that a login departs to.

use crate::error::ProviderError;
use crate::provider::Provider;
use crate::template::Values;

/// The catalogue's URL, with its parameters and those of the app's settings; then `params`, on which the protocol rests, so
/// that nothing takes their place.
///
/// # Errors
/// [`ProviderError::Settings`] if the entry has none, [`ProviderError::Answer`] if it is not to be filled in.
pub(crate) fn url(
    provider: &Provider,
    values: &Values<'_>,
    params: &[(&str, &str)],
) -> Result<String, ProviderError> {
    let authorize = provider.entry().authorize.as_ref();
    let authorize = authorize.ok_or(ProviderError::settings("the catalogue's entry has no authorize"))?;
    let mut url = authorize.url.url(values)?;
    let free = |name: &str| params.iter().all(|(taken, _)| *taken != name);
    let set = provider.auth_params().iter().filter(|(name, _)| free(name));
    let unset = |name: &str| provider.auth_params().iter().all(|(set, _)| set != name);
    let own = authorize.params.iter().filter(|(name, _)| free(name) && unset(name));
    let own = own.filter_map(|(name, value)| Some((name, value.text(values)?)));
    url.query_pairs_mut()
        .extend_pairs(own)
        .extend_pairs(set.map(|(name, value)| (name, value)))
        .extend_pairs(params);
    Ok(url.into())
}
