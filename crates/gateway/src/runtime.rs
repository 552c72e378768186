//! What configuration makes, and what an instance keeps beside it.

use std::sync::Arc;

use spillway_config::Gateway;
use spillway_forward::PeerTrust;
use spillway_platform::{
    BytesInHand, MAX_ANSWERS_IN_HAND, MAX_REQUESTS_IN_HAND, Platform, StateLocation,
};

use crate::limits::ApiLimits;
use crate::settings::read_settings;
use crate::state_access::StateAccess;
use crate::{Limits, Log, Meter};

/// What configuration makes, for one kind of API: `A` is what only that kind knows.
///
/// It stands behind an `Arc`, and a request keeps the one that it began with.
pub struct Runtime<P: Platform, A> {
    /// The outside.
    pub platform: P,
    /// State that instances share.
    pub state: Arc<P::State>,
    /// How it is asked.
    pub(crate) access: Arc<StateAccess<P>>,
    /// The log.
    pub log: Log<P>,
    /// The rules of all APIs of this kind.
    pub limits: Limits<P>,
    /// What is counted.
    pub meter: Arc<Meter<P>>,
    /// Whose word is taken for who the client is.
    pub trust: PeerTrust,
    /// What is held of requests' bodies.
    pub requests_in_hand: Arc<BytesInHand>,
    /// What is held of answers' bodies.
    pub answers_in_hand: Arc<BytesInHand>,
    /// What only this kind of API knows.
    pub apis: A,
}

/// What everything else of an instance stands on.
pub(crate) struct Ground<P: Platform> {
    pub platform: P,
    pub state: Arc<P::State>,
    pub access: Arc<StateAccess<P>>,
    pub meter: Arc<Meter<P>>,
    pub log: Log<P>,
}

impl<P: Platform, A> Runtime<P, A> {
    /// Prepares the limits of all APIs of a `kind`, and what goes with them.
    pub(crate) fn new<'g>(
        platform: P,
        gateway: &Gateway,
        kind: &str,
        api_limits: impl IntoIterator<Item = ApiLimits<'g>>,
        apis: impl FnOnce(&Ground<P>) -> A,
    ) -> Result<Self, String> {
        let state = Arc::new(platform.open_state(StateLocation {
            redis: gateway.state.redis.to_string(),
        }));
        let log = Log::new(platform.clone(), &gateway.telemetry.log);
        let meter = Meter::new(platform.clone(), Arc::clone(&state), log.clone());
        let meter = Arc::new(meter);
        let timeout = gateway.state.timeout.duration();
        let access = StateAccess::new(platform.clone(), Arc::clone(&meter), log.clone(), timeout);
        let ground = Ground {
            platform,
            state,
            access: Arc::new(access),
            meter,
            log,
        };
        let limits = Limits::new(gateway, kind, api_limits, &ground)?;
        Ok(Self {
            limits,
            trust: PeerTrust::new(&gateway.trusted_proxies),
            requests_in_hand: Arc::new(BytesInHand::new(MAX_REQUESTS_IN_HAND)),
            answers_in_hand: Arc::new(BytesInHand::new(MAX_ANSWERS_IN_HAND)),
            apis: apis(&ground),
            platform: ground.platform,
            state: ground.state,
            access: ground.access,
            meter: ground.meter,
            log: ground.log,
        })
    }
}

/// The configuration that this instance was given.
///
/// # Errors
/// Why it cannot be used, and what to do, for the operator.
pub(crate) async fn configuration<P: Platform>(platform: &P) -> Result<Gateway, String> {
    let settings = read_settings(platform).await;
    let settings = settings.map_err(|error| error.to_string())?;
    Ok(settings.gateway)
}
