//! What the store is asked, and what it says, as values: for a journal, and for asking another store the same.

use std::time::Duration;

use spillway_platform::{
    Admission, Admitted, Charge, Charged, IndexedLimit, LeaseName, NewValues, PoolEntry, Settled,
    State, StateError, UsageProfile, Waiting,
};

/// What the store is asked: each is an operation of [`State`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "State has them")]
pub enum StoreOperation {
    Admit {
        charges: Vec<Charge>,
        lease: LeaseName,
        new_values: Option<NewValues>,
    },
    Settle(Vec<Settled>, LeaseName),
    Renew(Vec<Charge>, LeaseName),
    Release(Vec<Charge>, LeaseName),
    PoolRead(Vec<String>),
    PoolWrite {
        provider: String,
        name: String,
        to: Option<(String, u64)>,
    },
    ClaimProbe(String, String),
    ClaimNonce {
        nonce: String,
        until: Duration,
        claimant: String,
    },
    ObserveUsage(String, u64),
    UsageProfile(String),
    AddTotals(String, Vec<(String, u64)>),
    Totals(String),
    IndexLimits(Vec<IndexedLimit>),
    IndexedLimits,
    ReadLimits(Vec<Charge>),
    Probe,
}

/// What the store says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreAnswer {
    /// It has done so.
    Done,
    /// What came of a request.
    Admitted(Admitted),
    /// What is known of providers.
    Pools(Vec<Vec<PoolEntry>>),
    /// Whether something is claimed.
    Claimed(bool),
    /// What calls of a kind have used.
    Usage(Option<UsageProfile>),
    /// The totals.
    Totals(Vec<(String, u64)>),
    /// Which limits are used.
    Indexed(Vec<IndexedLimit>),
    /// Where limits stand.
    Standings(Vec<Charged>),
    /// How far away it is.
    Distance(Duration),
}

impl StoreOperation {
    /// Its name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Admit { .. } => "admit",
            Self::Settle(..) => "settle",
            Self::Renew(..) => "renew",
            Self::Release(..) => "release",
            Self::PoolRead(..) => "pool_read",
            Self::PoolWrite { .. } => "pool_write",
            Self::ClaimProbe(..) => "claim_probe",
            Self::ClaimNonce { .. } => "claim_nonce",
            Self::ObserveUsage(..) => "observe_usage",
            Self::UsageProfile(_) => "usage_profile",
            Self::AddTotals(..) => "add_totals",
            Self::Totals(_) => "totals",
            Self::IndexLimits(_) => "index_limits",
            Self::IndexedLimits => "indexed_limits",
            Self::ReadLimits(_) => "read_limits",
            Self::Probe => "probe",
        }
    }

    /// Asks a store, for as long as it takes.
    ///
    /// # Errors
    /// Its own.
    pub async fn ask(&self, store: &impl State) -> Result<StoreAnswer, StateError> {
        let done = |()| StoreAnswer::Done;
        let waiting = Waiting::Nobody;
        match self {
            Self::Admit {
                charges,
                lease,
                new_values,
            } => {
                let asked = Admission {
                    charges,
                    lease,
                    new_values: new_values.as_ref(),
                };
                let admitted = store.admit(asked, waiting).await;
                admitted.map(StoreAnswer::Admitted)
            }
            Self::Settle(settled, name) => store.settle(settled, name).await.map(done),
            Self::Renew(charges, lease) => store.renew(charges, lease).await.map(done),
            Self::Release(charges, lease) => store.release(charges, lease).await.map(done),
            Self::PoolRead(providers) => {
                let providers: Vec<&str> = providers.iter().map(String::as_str).collect();
                let read = store.pool_read(&providers, waiting).await;
                read.map(StoreAnswer::Pools)
            }
            Self::PoolWrite { provider, name, to } => {
                let to = to.as_ref().map(|(state, time)| (state.as_str(), *time));
                store.pool_write(provider, name, to).await.map(done)
            }
            Self::ClaimProbe(provider, digest) => {
                let claimed = store.claim_probe(provider, digest).await;
                claimed.map(StoreAnswer::Claimed)
            }
            Self::ClaimNonce {
                nonce,
                until,
                claimant,
            } => {
                let claimed = store.claim_nonce(nonce, *until, claimant, waiting).await;
                claimed.map(StoreAnswer::Claimed)
            }
            Self::ObserveUsage(name, amount) => store.observe_usage(name, *amount).await.map(done),
            Self::UsageProfile(name) => {
                let profile = store.usage_profile(name, waiting).await;
                profile.map(StoreAnswer::Usage)
            }
            Self::AddTotals(version, amounts) => store.add_totals(version, amounts).await.map(done),
            Self::Totals(version) => store.totals(version).await.map(StoreAnswer::Totals),
            Self::IndexLimits(limits) => store.index_limits(limits).await.map(done),
            Self::IndexedLimits => store.indexed_limits().await.map(StoreAnswer::Indexed),
            Self::ReadLimits(charges) => {
                let standings = store.read_limits(charges).await;
                standings.map(StoreAnswer::Standings)
            }
            Self::Probe => store.probe().await.map(StoreAnswer::Distance),
        }
    }
}
