//! Documents that are fetched once for many logins: one call at a time for each, kept for a while, served stale for
//! some time longer when the provider is down.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use vestibule_base::outbound::{Endpoint, OutboundError};
use vestibule_base::security::Millis;
use vestibule_base::security::clock::SECOND;

use crate::error::ProviderError;
use crate::world::World;

/// How long a document is taken for what it is.
const FRESH: Millis = 10 * 60 * SECOND;
/// How old a document may be that is served because there is no newer one to be had.
const STALE: Millis = 60 * 60 * SECOND;
/// With a stale document at hand, how long a provider that did not answer is left alone.
const PAUSE: Millis = 30 * SECOND;
/// Least time between two calls for a newer document than one that is fresh: whoever brings a token can ask for it.
const RENEWAL: Millis = 60 * SECOND;

/// Documents by URL.
pub(super) struct Shelf<T> {
    places: Mutex<HashMap<String, Arc<Place<T>>>>,
}

/// Where one document is kept. Whoever holds the lock fetches; the others wait and find what came of it.
struct Place<T> {
    /// Calls that have ended, so that those who waited for one can tell.
    calls: AtomicU64,
    held: tokio::sync::Mutex<Held<T>>,
}

struct Held<T> {
    document: Option<(Arc<T>, Millis)>,
    failed_at: Option<Millis>,
    renewed_at: Option<Millis>,
}

impl<T> Shelf<T> {
    /// The document at `url`, which `endpoint` has judged, as `read` reads it.
    ///
    /// # Errors
    /// `Outbound`, or what `read` says, if there is none, not even an older one.
    pub(super) async fn get(
        &self,
        world: &World,
        url: &str,
        endpoint: &Endpoint,
        read: fn(&str) -> Result<T, ProviderError>,
    ) -> Result<Arc<T>, ProviderError> {
        let place = self.place(url);
        let calls = place.calls.load(Ordering::Acquire);
        let mut held = place.held.lock().await;
        let now = world.clock.now();
        if let Some(document) = held.younger_than(FRESH, now) {
            return Ok(document);
        }
        let stale = held.younger_than(STALE, now);
        if let (Some(document), true) = (&stale, happened_within(PAUSE, held.failed_at, now)) {
            return Ok(Arc::clone(document));
        }
        // The call that this one has waited for was in vain, and another would be so too.
        if held.failed_at.is_some() && place.calls.load(Ordering::Acquire) != calls {
            return Err(OutboundError::Unreachable("another login has just failed at it".to_owned()).into());
        }
        match (held.fetch(&place.calls, now, endpoint, read).await, stale) {
            (Err(error), Some(document)) => {
                tracing::warn!(%error, "a provider does not renew what it publishes; the former is used");
                Ok(document)
            }
            (fetched, _) => fetched,
        }
    }

    /// A newer document than `known`, or nothing where there was none to be had, or no call is due.
    pub(super) async fn renew(
        &self,
        world: &World,
        url: &str,
        endpoint: &Endpoint,
        read: fn(&str) -> Result<T, ProviderError>,
        known: Arc<T>,
    ) -> Option<Arc<T>> {
        let place = self.place(url);
        let mut held = place.held.lock().await;
        let now = world.clock.now();
        if let Some((document, _)) = &held.document
            && !Arc::ptr_eq(document, &known)
        {
            return Some(Arc::clone(document));
        }
        if happened_within(RENEWAL, held.renewed_at, now) {
            return None;
        }
        held.renewed_at = Some(now);
        let fetched = held.fetch(&place.calls, now, endpoint, read).await;
        fetched
            .inspect_err(|error| tracing::warn!(%error, "a provider does not renew what it publishes"))
            .ok()
    }

    fn place(&self, url: &str) -> Arc<Place<T>> {
        // A panic elsewhere leaves a map that is as good as before.
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(places.entry(url.to_owned()).or_default())
    }
}

impl<T> Held<T> {
    fn younger_than(&self, age: Millis, now: Millis) -> Option<Arc<T>> {
        let (document, at) = self.document.as_ref()?;
        happened_within(age, Some(*at), now).then(|| Arc::clone(document))
    }

    async fn fetch(
        &mut self,
        calls: &AtomicU64,
        now: Millis,
        endpoint: &Endpoint,
        read: fn(&str) -> Result<T, ProviderError>,
    ) -> Result<Arc<T>, ProviderError> {
        let answer = endpoint.get_text(&[("accept", "application/json")]).await;
        let document = answer.and_then(|answer| answer.success()).map_err(ProviderError::from);
        let document = document.and_then(|text| read(&text)).map(Arc::new);
        calls.fetch_add(1, Ordering::Release);
        match &document {
            Ok(document) => {
                self.document = Some((Arc::clone(document), now));
                self.failed_at = None;
            }
            Err(_) => self.failed_at = Some(now),
        }
        document
    }
}

/// A clock that was set back makes all that happened "later" forgotten.
fn happened_within(span: Millis, at: Option<Millis>, now: Millis) -> bool {
    at.is_some_and(|at| (0..span).contains(&now.saturating_sub(at)))
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { places: Mutex::default() }
    }
}

impl<T> Default for Place<T> {
    fn default() -> Self {
        let held = Held { document: None, failed_at: None, renewed_at: None };
        Self { calls: AtomicU64::new(0), held: tokio::sync::Mutex::new(held) }
    }
}

impl<T> fmt::Debug for Shelf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").finish_non_exhaustive()
    }
}
