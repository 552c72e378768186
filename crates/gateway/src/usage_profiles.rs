//! What calls of each kind have used lately, as the store knows it.
//!
//! A profile is read at most once a second, off the path of requests; the first time a request waits for it, though not
//! long: without one it reserves as for a kind that nobody knows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use spillway_platform::{Platform, State, UsageProfile};

use crate::runtime::Ground;
use crate::state_access::{StateAccess, StateBudget};

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
    access: Arc<StateAccess<P>>,
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
    pub fn new(ground: &Ground<P>) -> Self {
        Self {
            platform: ground.platform.clone(),
            state: Arc::clone(&ground.state),
            access: Arc::clone(&ground.access),
            known: Mutex::default(),
        }
    }

    /// Of this kind, no older than a second, or two.
    pub async fn of(self: &Arc<Self>, kind: &str, budget: &StateBudget) -> Option<UsageProfile> {
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
        let Some(known) = known else {
            return self.read(kind, Some(budget)).await;
        };
        let (profiles, kind) = (Arc::clone(self), kind.to_owned());
        self.platform.spawn(async move {
            profiles.read(&kind, None).await;
        });
        known.profile
    }

    /// Reads it, for a request that has so much time for it, or for none.
    async fn read(&self, kind: &str, budget: Option<&StateBudget>) -> Option<UsageProfile> {
        let read = async |waiting| self.state.usage_profile(kind, waiting).await;
        let read = match budget {
            Some(budget) => self.access.ask(PATIENCE, budget, read).await,
            None => self.access.ask_for_nobody(read).await,
        };
        let profile = read.ok()?;
        let mut all = self.known.lock().ok()?;
        if let Some(known) = all.get_mut(kind) {
            known.profile = profile;
        }
        profile
    }
}
