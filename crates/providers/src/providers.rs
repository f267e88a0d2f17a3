//! The front.
use crate::{Arrival, Callback, Departure, Memory, Presented, Provider, ProviderError, Start, Tokens, World};
use secrecy::SecretString;
use vestibule_base::config::App;
/// All apps.
#[derive(Debug)]
pub struct Providers {
    world: World,
    list: Vec<Provider>,
}
impl Providers {
    /// x
    pub fn new(apps: &[App], catalogue: Option<&str>, world: World) -> Result<Self, Vec<String>> {
        Ok(Self { list: crate::assemble::assemble(apps, catalogue, &world)?, world })
    }
    /// x
    pub fn all(&self) -> &[Provider] {
        &self.list
    }
    /// x
    pub fn find(&self, id: &str) -> Option<&Provider> {
        self.list.iter().find(|p| p.id() == id)
    }
    /// x
    pub fn callback_path(&self, provider: &Provider) -> String {
        provider.callback_path(&self.world)
    }
    /// x
    pub async fn begin(&self, _: &Provider, _: Start<'_>) -> Result<Departure, ProviderError> {
        Err(ProviderError::answer("x"))
    }
    /// x
    pub async fn complete(&self, _: &Provider, _: &Memory, _: &Callback) -> Result<Arrival, ProviderError> {
        Err(ProviderError::answer("x"))
    }
    /// x
    pub async fn verify_token(&self, _: &Provider, _: &Presented) -> Result<Arrival, ProviderError> {
        Err(ProviderError::answer("x"))
    }
    /// x
    pub async fn refresh(&self, _: &Provider, _: &SecretString) -> Result<Tokens, ProviderError> {
        Err(ProviderError::answer("x"))
    }
}
