//! Shared state in Redis, by scripts: the state of any number of replicas.
//!
//! Two connections: *verdicts*, on which requests wait, and *bulk* for totals, so that a large value never delays a
//! limit.

use std::time::Duration;

use spillway_platform::{
    Admission, Admitted, Charge, Charged, Clock, IndexedLimit, LIMIT_KEY_PREFIX, LeaseName, Mode,
    PoolEntry, Settled, State, StateError, UsageProfile, Waiting,
};

use crate::limit_index::{READ_AT_ONCE, index_key};
use crate::metrics::metrics_key;
use crate::script::Script;
use crate::{
    LEASE_RELEASE_V1, LEASE_RENEW_V2, LIMIT_CHARGE_V5, LIMIT_INDEX_V1, LIMIT_READ_V1,
    LIMIT_SETTLE_V2, METRICS_ADD_V2, POOL_READ_V3, POOL_WRITE_V3, RedisConnection, RedisError,
    Reply, USAGE_OBSERVE_V1, lease_release_arguments, lease_renew_arguments,
    limit_charge_arguments, limit_index_arguments, limit_read_arguments, limit_settle_arguments,
    metrics_add_arguments, nonce_claim_arguments, pool_read_arguments, pool_write_arguments,
    probe_claim_arguments, read_limit_charge, read_limit_standings, read_pools, read_usage_profile,
    usage_observe_arguments, usage_profile_arguments,
};

/// No request but that for metrics waits for totals, so this may be longer than for verdicts.
const BULK_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a probe may take in all: longer than a request waits, so that a distance shows.
const PROBE: Duration = Duration::from_millis(800);

/// How often a probe asks, so that one held-up answer does not pass for a distance.
const PROBES: u32 = 3;

/// Shared state in Redis.
#[derive(Debug)]
pub struct RedisStore<R, C> {
    verdicts: R,
    bulk: R,
    clock: C,
    scripts: Scripts,
}

#[derive(Debug)]
struct Scripts {
    limit_charge: Script,
    limit_settle: Script,
    lease_renew: Script,
    lease_release: Script,
    pool_read: Script,
    pool_write: Script,
    metrics_add: Script,
    usage_observe: Script,
    limit_index: Script,
    limit_read: Script,
}

impl<R: RedisConnection, C: Clock> RedisStore<R, C> {
    /// In this Redis; `verdicts` is the connection on which requests wait.
    pub fn new(verdicts: R, clock: C) -> Self {
        Self {
            bulk: verdicts.another(),
            verdicts,
            clock,
            scripts: Scripts {
                limit_charge: Script::new(LIMIT_CHARGE_V5),
                limit_settle: Script::new(LIMIT_SETTLE_V2),
                lease_renew: Script::new(LEASE_RENEW_V2),
                lease_release: Script::new(LEASE_RELEASE_V1),
                pool_read: Script::new(POOL_READ_V3),
                pool_write: Script::new(POOL_WRITE_V3),
                metrics_add: Script::new(METRICS_ADD_V2),
                usage_observe: Script::new(USAGE_OBSERVE_V1),
                limit_index: Script::new(LIMIT_INDEX_V1),
                limit_read: Script::new(LIMIT_READ_V1),
            },
        }
    }

    async fn charge(
        &self,
        connection: &R,
        asked: Admission<'_>,
        waiting: Waiting,
    ) -> Result<Admitted, StateError> {
        let arguments = limit_charge_arguments(asked, None);
        let script = &self.scripts.limit_charge;
        let replies = evaluate(connection, script, arguments, waiting).await?;
        read_limit_charge(&numbers(&replies), asked.charges).map_err(not_understood)
    }

    fn bulk_waiting(&self) -> Waiting {
        Waiting::Until(self.clock.now().saturating_add(BULK_TIMEOUT))
    }

    /// Runs a script for nobody who waits.
    async fn change(&self, script: &Script, arguments: Vec<String>) -> Result<(), StateError> {
        evaluate(&self.verdicts, script, arguments, Waiting::Nobody).await?;
        Ok(())
    }

    /// Whether `SET … NX` has set something.
    async fn claim(&self, arguments: &[String], waiting: Waiting) -> Result<bool, StateError> {
        let set = self.verdicts.execute("SET", arguments, waiting);
        Ok(matches!(set.await?.first(), Some(Reply::Status(_))))
    }
}

fn numbers(replies: &[Reply]) -> Vec<i64> {
    let numbers = replies.iter().filter_map(|reply| match reply {
        Reply::Number(number) => Some(*number),
        _ => None,
    });
    numbers.collect()
}

fn not_understood(error: crate::Error) -> StateError {
    StateError {
        message: error.to_string(),
        is_late: false,
    }
}

/// One round trip; two when this Redis meets the script for the first time.
async fn evaluate<R: RedisConnection>(
    connection: &R,
    script: &Script,
    arguments: Vec<String>,
    waiting: Waiting,
) -> Result<Vec<Reply>, RedisError> {
    let mut parameters = Vec::with_capacity(arguments.len().saturating_add(1));
    parameters.push(script.sha1.clone());
    parameters.extend(arguments);
    let answer = connection.execute("EVALSHA", &parameters, waiting).await;
    match answer {
        Err(error) if error.is_unknown_script() => {
            if let Some(first) = parameters.first_mut() {
                script.text.clone_into(first);
            }
            connection.execute("EVAL", &parameters, waiting).await
        }
        other => other,
    }
}

impl<R: RedisConnection, C: Clock + 'static> State for RedisStore<R, C> {
    fn is_shared(&self) -> bool {
        true
    }

    fn distance(&self) -> Option<Duration> {
        self.verdicts.distance()
    }

    async fn admit(&self, asked: Admission<'_>, waiting: Waiting) -> Result<Admitted, StateError> {
        self.charge(&self.verdicts, asked, waiting).await
    }

    async fn settle(&self, settled: &[Settled], name: &LeaseName) -> Result<(), StateError> {
        let arguments = limit_settle_arguments(settled, name, None);
        self.change(&self.scripts.limit_settle, arguments).await
    }

    async fn renew(&self, in_flight: &[Charge], lease: &LeaseName) -> Result<(), StateError> {
        let arguments = lease_renew_arguments(in_flight, lease, None);
        self.change(&self.scripts.lease_renew, arguments).await
    }

    async fn release(&self, in_flight: &[Charge], lease: &LeaseName) -> Result<(), StateError> {
        let arguments = lease_release_arguments(in_flight, lease);
        self.change(&self.scripts.lease_release, arguments).await
    }

    async fn pool_read(
        &self,
        providers: &[&str],
        waiting: Waiting,
    ) -> Result<Vec<Vec<PoolEntry>>, StateError> {
        let arguments = pool_read_arguments(providers, None);
        let script = &self.scripts.pool_read;
        let replies = evaluate(&self.verdicts, script, arguments, waiting).await?;
        let texts: Vec<Vec<u8>> = replies.into_iter().map(Reply::into_bytes).collect();
        Ok(read_pools(&texts, providers.len()))
    }

    async fn pool_write(
        &self,
        provider: &str,
        name: &str,
        to: Option<(&str, u64)>,
    ) -> Result<(), StateError> {
        let arguments = pool_write_arguments(provider, name, to, None);
        self.change(&self.scripts.pool_write, arguments).await
    }

    async fn claim_probe(&self, provider: &str, digest: &str) -> Result<bool, StateError> {
        let arguments = probe_claim_arguments(provider, digest);
        self.claim(&arguments, Waiting::Nobody).await
    }

    async fn claim_nonce(
        &self,
        nonce: &str,
        until: Duration,
        claimant: &str,
        waiting: Waiting,
    ) -> Result<bool, StateError> {
        let rest = until.saturating_sub(self.clock.since_1970());
        let rest_ms = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX);
        let arguments = nonce_claim_arguments(nonce, rest_ms, claimant);
        if self.claim(&arguments, waiting).await? {
            return Ok(true);
        }
        // Refused, and perhaps by itself: a command is sent again where its connection broke.
        let key = arguments.get(..1).unwrap_or_default();
        let by = self.verdicts.execute("GET", key, waiting).await?;
        let by = by.into_iter().next().and_then(Reply::into_text);
        Ok(by.as_deref() == Some(claimant))
    }

    async fn observe_usage(&self, name: &str, amount: u64) -> Result<(), StateError> {
        let arguments = usage_observe_arguments(name, amount);
        self.change(&self.scripts.usage_observe, arguments).await
    }

    async fn usage_profile(
        &self,
        name: &str,
        waiting: Waiting,
    ) -> Result<Option<UsageProfile>, StateError> {
        let arguments = usage_profile_arguments(name);
        let read = self.verdicts.execute("HMGET", &arguments, waiting);
        let mut texts = read.await?.into_iter().map(Reply::into_text);
        let (calls, bucket) = (texts.next().flatten(), texts.next().flatten());
        Ok(read_usage_profile(calls.as_deref(), bucket.as_deref()))
    }

    async fn add_totals(&self, version: &str, amounts: &[(String, u64)]) -> Result<(), StateError> {
        let arguments = metrics_add_arguments(version, amounts);
        let script = &self.scripts.metrics_add;
        evaluate(&self.bulk, script, arguments, self.bulk_waiting()).await?;
        Ok(())
    }

    async fn totals(&self, version: &str) -> Result<Vec<(String, u64)>, StateError> {
        let key = [metrics_key(version)];
        let waiting = self.bulk_waiting();
        let replies = self.bulk.execute("HGETALL", &key, waiting).await?;
        let mut texts = replies.into_iter().filter_map(Reply::into_text);
        let mut totals = Vec::new();
        while let (Some(series), Some(value)) = (texts.next(), texts.next()) {
            // A store may hold an older release's.
            if let Ok(value) = value.parse() {
                totals.push((series, value));
            }
        }
        Ok(totals)
    }

    async fn index_limits(&self, limits: &[IndexedLimit]) -> Result<(), StateError> {
        let arguments = limit_index_arguments(limits, None);
        let script = &self.scripts.limit_index;
        evaluate(&self.bulk, script, arguments, self.bulk_waiting()).await?;
        Ok(())
    }

    async fn indexed_limits(&self) -> Result<Vec<IndexedLimit>, StateError> {
        let waiting = self.bulk_waiting();
        let replies = self
            .bulk
            .execute("HGETALL", &[index_key()], waiting)
            .await?;
        let mut texts = replies.into_iter().filter_map(Reply::into_text);
        let mut limits = Vec::new();
        while let (Some(key), Some(description)) = (texts.next(), texts.next()) {
            limits.push(IndexedLimit { key, description });
        }
        Ok(limits)
    }

    async fn read_limits(&self, charges: &[Charge]) -> Result<Vec<Charged>, StateError> {
        let script = &self.scripts.limit_read;
        let waiting = self.bulk_waiting();
        let mut standings = Vec::with_capacity(charges.len());
        for some in charges.chunks(READ_AT_ONCE) {
            let arguments = limit_read_arguments(some, None);
            let read = evaluate(&self.bulk, script, arguments, waiting).await?;
            let read = read_limit_standings(&numbers(&read), some).map_err(not_understood)?;
            standings.extend(read);
        }
        Ok(standings)
    }

    async fn probe(&self) -> Result<Duration, StateError> {
        let connection = self.verdicts.another();
        let waiting = Waiting::Until(self.clock.now().saturating_add(PROBE));
        let charge = Charge {
            key: format!("{LIMIT_KEY_PREFIX}probe"),
            cost: 1,
            limit: u64::from(u32::MAX),
            mode: Mode::Count {
                window_ms: 1000,
                cost_when_new: 0,
            },
            dry_run: false,
        };
        let asked = Admission {
            charges: std::slice::from_ref(&charge),
            lease: &LeaseName(String::new()),
            new_values: None,
        };
        for _ in 0..PROBES {
            match self.charge(&connection, asked, waiting).await {
                Ok(_) => {}
                Err(error) if error.is_late => return connection.distance().ok_or(error),
                Err(error) => return Err(error),
            }
        }
        Ok(connection.distance().unwrap_or_default())
    }

    async fn sweep(&self) -> Result<(), StateError> {
        // Every key has an expiry.
        Ok(())
    }
}
