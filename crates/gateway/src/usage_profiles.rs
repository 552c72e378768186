//! What calls of each kind have used lately, as the store knows it.
//!
//! A profile is read at most once a second, off the path of requests; the first time a request waits for it, though not
//! long: without one it reserves as for a kind that nobody knows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{Either, select};
use spillway_platform::{Platform, State, UsageProfile};

/// How old what is known may be.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// How long a request waits for what is not known.
const PATIENCE: Duration = Duration::from_millis(30);

/// So many kinds are known at once; beyond, those go that nobody has asked for lately.
const MAX_KINDS: usize = 1_000;

/// What calls of each kind have used lately.
pub(crate) struct UsageProfiles<P: Platform> {
    platform: P,
    state: Arc<P::State>,
    known: Mutex<BTreeMap<String, Known>>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    /// When it was last read, or began to be.
    read_at: Duration,
    profile: Option<UsageProfile>,
}

impl<P: Platform> UsageProfiles<P> {
    /// As this store knows it.
    pub fn new(platform: P, state: Arc<P::State>) -> Self {
        Self {
            platform,
            state,
            known: Mutex::default(),
        }
    }

    /// Of this kind, no older than a second, or two.
    pub async fn of(self: &Arc<Self>, kind: &str) -> Option<UsageProfile> {
        let now = self.platform.now();
        let known = {
            let mut all = self.known.lock().ok()?;
            let known = all.get(kind).copied();
            let is_fresh = known.is_some_and(|it| now.saturating_sub(it.read_at) < FRESH_FOR);
            if is_fresh {
                return known?.profile;
            }
            if all.len() >= MAX_KINDS {
                all.retain(|_, known| now.saturating_sub(known.read_at) < FRESH_FOR);
            }
            let profile = known.and_then(|it| it.profile);
            let read = Known {
                read_at: now,
                profile,
            };
            if all.len() < MAX_KINDS {
                all.insert(kind.to_owned(), read);
            }
            known
        };
        let reading = Arc::clone(self).read(kind.to_owned());
        if let Some(known) = known {
            self.platform.spawn(async move {
                reading.await;
            });
            return known.profile;
        }
        let reading = std::pin::pin!(reading);
        match select(reading, std::pin::pin!(self.platform.sleep(PATIENCE))).await {
            Either::Left((profile, _)) => profile,
            Either::Right(_) => None,
        }
    }

    async fn read(self: Arc<Self>, kind: String) -> Option<UsageProfile> {
        // A store that does not answer is told of where it is asked for verdicts.
        let profile = self.state.usage_profile(&kind).await.ok()?;
        let mut all = self.known.lock().ok()?;
        if let Some(known) = all.get_mut(&kind) {
            known.profile = profile;
        }
        profile
    }
}
