//! The connection as the port `State`.

use std::time::Duration;

use spillway_platform::{
    Admission, Admitted, Charge, Charged, IndexedLimit, LeaseName, PoolEntry, Settled, State,
    StateError, UsageProfile, Waiting,
};

use super::{SimStore, StoreAnswer, StoreOperation};

impl SimStore {
    async fn ask_for<T>(
        &self,
        operation: StoreOperation,
        waiting: Waiting,
        read: impl FnOnce(StoreAnswer) -> Option<T>,
    ) -> Result<T, StateError> {
        let answer = self.ask(operation, waiting).await?;
        read(answer).ok_or_else(|| StateError {
            message: "the store said something else".to_owned(),
            is_late: false,
        })
    }

    async fn tell(&self, operation: StoreOperation) -> Result<(), StateError> {
        self.ask(operation, Waiting::Nobody).await.map(|_| ())
    }
}

fn claimed(answer: StoreAnswer) -> Option<bool> {
    match answer {
        StoreAnswer::Claimed(is_claimed) => Some(is_claimed),
        _ => None,
    }
}

impl State for SimStore {
    fn is_shared(&self) -> bool {
        true
    }

    fn distance(&self) -> Option<Duration> {
        self.verdicts.distance()
    }

    async fn admit(&self, asked: Admission<'_>, waiting: Waiting) -> Result<Admitted, StateError> {
        let operation = StoreOperation::Admit {
            charges: asked.charges.to_vec(),
            lease: asked.lease.clone(),
            new_values: asked.new_values.cloned(),
        };
        let read = |answer| match answer {
            StoreAnswer::Admitted(admitted) => Some(admitted),
            _ => None,
        };
        self.ask_for(operation, waiting, read).await
    }

    async fn settle(&self, settled: &[Settled], name: &LeaseName) -> Result<(), StateError> {
        self.tell(StoreOperation::Settle(settled.to_vec(), name.clone()))
            .await
    }

    async fn renew(&self, in_flight: &[Charge], lease: &LeaseName) -> Result<(), StateError> {
        self.tell(StoreOperation::Renew(in_flight.to_vec(), lease.clone()))
            .await
    }

    async fn release(&self, in_flight: &[Charge], lease: &LeaseName) -> Result<(), StateError> {
        self.tell(StoreOperation::Release(in_flight.to_vec(), lease.clone()))
            .await
    }

    async fn pool_read(
        &self,
        providers: &[&str],
        waiting: Waiting,
    ) -> Result<Vec<Vec<PoolEntry>>, StateError> {
        let providers = providers.iter().map(ToString::to_string).collect();
        let read = |answer| match answer {
            StoreAnswer::Pools(pools) => Some(pools),
            _ => None,
        };
        self.ask_for(StoreOperation::PoolRead(providers), waiting, read)
            .await
    }

    async fn pool_write(
        &self,
        provider: &str,
        name: &str,
        to: Option<(&str, u64)>,
    ) -> Result<(), StateError> {
        self.tell(StoreOperation::PoolWrite {
            provider: provider.to_owned(),
            name: name.to_owned(),
            to: to.map(|(state, time)| (state.to_owned(), time)),
        })
        .await
    }

    async fn claim_probe(&self, provider: &str, digest: &str) -> Result<bool, StateError> {
        let operation = StoreOperation::ClaimProbe(provider.to_owned(), digest.to_owned());
        self.ask_for(operation, Waiting::Nobody, claimed).await
    }

    async fn claim_nonce(
        &self,
        nonce: &str,
        until: Duration,
        claimant: &str,
        waiting: Waiting,
    ) -> Result<bool, StateError> {
        let operation = StoreOperation::ClaimNonce {
            nonce: nonce.to_owned(),
            until,
            claimant: claimant.to_owned(),
        };
        self.ask_for(operation, waiting, claimed).await
    }

    async fn observe_usage(&self, name: &str, amount: u64) -> Result<(), StateError> {
        self.tell(StoreOperation::ObserveUsage(name.to_owned(), amount))
            .await
    }

    async fn usage_profile(
        &self,
        name: &str,
        waiting: Waiting,
    ) -> Result<Option<UsageProfile>, StateError> {
        let read = |answer| match answer {
            StoreAnswer::Usage(profile) => Some(profile),
            _ => None,
        };
        self.ask_for(StoreOperation::UsageProfile(name.to_owned()), waiting, read)
            .await
    }

    async fn add_totals(&self, version: &str, amounts: &[(String, u64)]) -> Result<(), StateError> {
        let operation = StoreOperation::AddTotals(version.to_owned(), amounts.to_vec());
        self.tell(operation).await
    }

    async fn totals(&self, version: &str) -> Result<Vec<(String, u64)>, StateError> {
        let read = |answer| match answer {
            StoreAnswer::Totals(totals) => Some(totals),
            _ => None,
        };
        self.ask_for(
            StoreOperation::Totals(version.to_owned()),
            Waiting::Nobody,
            read,
        )
        .await
    }

    async fn index_limits(&self, limits: &[IndexedLimit]) -> Result<(), StateError> {
        self.tell(StoreOperation::IndexLimits(limits.to_vec()))
            .await
    }

    async fn indexed_limits(&self) -> Result<Vec<IndexedLimit>, StateError> {
        let read = |answer| match answer {
            StoreAnswer::Indexed(limits) => Some(limits),
            _ => None,
        };
        self.ask_for(StoreOperation::IndexedLimits, Waiting::Nobody, read)
            .await
    }

    async fn read_limits(&self, charges: &[Charge]) -> Result<Vec<Charged>, StateError> {
        let operation = StoreOperation::ReadLimits(charges.to_vec());
        let read = |answer| match answer {
            StoreAnswer::Standings(standings) => Some(standings),
            _ => None,
        };
        self.ask_for(operation, Waiting::Nobody, read).await
    }

    async fn probe(&self) -> Result<Duration, StateError> {
        let read = |answer| match answer {
            StoreAnswer::Distance(distance) => Some(distance),
            _ => None,
        };
        self.ask_for(StoreOperation::Probe, Waiting::Nobody, read)
            .await
    }

    async fn sweep(&self) -> Result<(), StateError> {
        Ok(())
    }
}
