//! The URL at the provider that a login departs to.

use crate::error::ProviderError;
use crate::provider::Provider;
use crate::template::Values;

/// The catalogue's URL, with these parameters, then the catalogue's own, then those of the app's settings.
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
    let own = authorize.params.iter().filter_map(|(name, value)| Some((name, value.text(values)?)));
    url.query_pairs_mut().extend_pairs(params).extend_pairs(own).extend_pairs(provider.auth_params());
    Ok(url.into())
}
