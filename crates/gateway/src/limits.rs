//! Limits of requests and of tokens: the rules of all APIs, and the store that counts for them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use spillway_config::Gateway;
use spillway_limit::{
    Applicable, DifyApp, DigestKey, Due, InBody, RequestFacts, Rules, TokenDemand,
};
use spillway_platform::{
    Admitted, Headers, LeaseName, Platform, SETTLEMENT_TRIED_MS, Settled, State,
};
use spillway_surface::LocalReply;

pub(crate) use self::api_limits::ApiLimits;
use self::recent::RecentKeys;
use crate::digest_secret::digest_secret;
use crate::permit::{Keeping, Kept};
use crate::retry::retry;
use crate::runtime::Ground;
use crate::state_access::{StateAccess, StateBudget};
use crate::usage_profiles::UsageProfiles;
use crate::{Log, Meter, Permit};

mod api_limits;
mod asking;
mod judging;
mod recent;

/// For how long what a call was counted in is tried to be taken back.
const SETTLEMENT_TRIED: Duration = Duration::from_millis(SETTLEMENT_TRIED_MS);

/// A signed request asks so often whether it may pass, where its rules are asked in two steps.
const MAX_ASKED: u32 = 3;

/// A body up to this is read before any rule is asked, so that all are asked at once: 64 KiB.
const SMALL_BODY_BYTES: u64 = 64 * 1024;

/// What a request that passed carries on.
#[derive(Debug, Default)]
pub struct Passage {
    /// Header fields for its answer.
    pub headers: Vec<(&'static str, String)>,
    /// What it holds: its places among those that are in flight, and reserved tokens, to be kept until its answer has ended.
    pub permits: Vec<Permit>,
    /// Where it was counted by its key, and by what came with that: for [`Limits::forget`].
    pub forgettable: Vec<Settled>,
    /// Where it was counted at all, where a later phase may refuse it.
    counted: Vec<Settled>,
}

impl Passage {
    /// What a later phase gave, and an earlier one.
    fn and(mut self, earlier: Self) -> Self {
        // The later rules are the narrower ones: what they tell stands for both.
        if self.headers.is_empty() {
            self.headers = earlier.headers;
        }
        self.permits.extend(earlier.permits);
        self.forgettable.extend(earlier.forgettable);
        self.counted.extend(earlier.counted);
        self
    }
}

/// What is known of a call's tokens before it is made.
#[derive(Debug, Clone)]
pub struct Demand {
    /// What its rules reserve by.
    pub tokens: TokenDemand,
    /// What calls of its kind are known by, where rules go by what those have used.
    kind: Option<String>,
}

/// The rules of every API, by the API's name.
pub struct Limits<P: Platform> {
    by_api: BTreeMap<String, Rules>,
    digest: DigestKey,
    platform: P,
    state: Arc<P::State>,
    meter: Arc<Meter<P>>,
    log: Log<P>,
    access: Arc<StateAccess<P>>,
    profiles: Arc<UsageProfiles<P>>,
    recent: RecentKeys,
    /// Whether its clients read OpenAI's own header fields.
    is_openai: bool,
}

impl<P: Platform> Limits<P> {
    /// Prepares the rules of these APIs, all of one `kind`.
    ///
    /// # Errors
    /// A rule that cannot be used; the text says which.
    pub(crate) fn new<'g>(
        gateway: &Gateway,
        kind: &str,
        apis: impl IntoIterator<Item = ApiLimits<'g>>,
        ground: &Ground<P>,
    ) -> Result<Self, String> {
        let digest = DigestKey::new(digest_secret(gateway).as_bytes());
        let mut by_api = BTreeMap::new();
        for limits in apis {
            let name = limits.name;
            let rules = limits.rules(&gateway.state, &digest)?;
            if !rules.is_empty() {
                by_api.insert(name.to_owned(), rules);
            }
        }
        Ok(Self {
            by_api,
            digest,
            platform: ground.platform.clone(),
            state: Arc::clone(&ground.state),
            meter: Arc::clone(&ground.meter),
            log: ground.log.clone(),
            access: Arc::clone(&ground.access),
            profiles: Arc::new(UsageProfiles::new(ground)),
            recent: RecentKeys::default(),
            is_openai: kind == "model",
        })
    }

    /// Whether an API has rules at all: most have none, and their requests need no facts gathered.
    pub fn has_rules(&self, api: &str) -> bool {
        self.by_api.contains_key(api)
    }

    /// Whether an API has rules by end user, so that bodies have to be read.
    pub fn counts_by_end_user(&self, api: &str) -> bool {
        self.by_api.get(api).is_some_and(Rules::count_by_end_user)
    }

    /// Whether an API has rules that count tokens, so that a call's are to be estimated.
    pub fn counts_tokens(&self, api: &str) -> bool {
        self.by_api.get(api).is_some_and(Rules::count_tokens)
    }

    /// What is known of the tokens of a call of this kind, where the API's rules want to know. `kind` are names, of which
    /// there are so many as the configuration has.
    pub(crate) async fn demand(
        &self,
        budget: &StateBudget,
        api: &str,
        kind: &[&str],
        input: Option<u64>,
        output_cap: Option<u64>,
    ) -> Option<Demand> {
        let rules = self.by_api.get(api).filter(|rules| rules.count_tokens())?;
        let kind = rules.expect_usage().then(|| {
            let kind = [&[api], kind].concat();
            self.digest.usage_name(&kind)
        });
        let profile = match &kind {
            Some(kind) => self.profiles.of(kind, budget).await,
            None => None,
        };
        let tokens = TokenDemand {
            input,
            output_cap,
            profile,
        };
        Some(Demand { tokens, kind })
    }

    /// The Dify app whose key a request carries.
    pub fn dify_app(&self, headers: &Headers) -> Option<DifyApp> {
        self.digest.dify_app(headers)
    }

    /// Whether an API's rules are to be asked in two steps: some of them before a body of this length (`None`: not
    /// told) is read. A small one is read anyway, and all are asked at once.
    pub fn splits(&self, api: &str, hidden: InBody, length: Option<u64>) -> bool {
        let is_small = length.is_some_and(|length| length <= SMALL_BODY_BYTES);
        let has = |rules: &Rules| rules.has_due(Due::Head(hidden));
        // From far away the second answer would come too late, and its rules decide nothing.
        let mut distance = self.state.distance().into_iter();
        let is_near = distance.all(|distance| self.access.has_time_for(MAX_ASKED, distance));
        !is_small && is_near && self.by_api.get(api).is_some_and(has)
    }

    /// Counts a request under the rules that are due and hold for it, in one step. `earlier` is what an earlier phase
    /// gave: it is taken back where this one refuses.
    ///
    /// # Errors
    /// The refusal.
    pub(crate) async fn admit(
        &self,
        budget: &StateBudget,
        api: &str,
        facts: &RequestFacts<'_>,
        demand: Option<&Demand>,
        due: Due,
        earlier: Passage,
    ) -> Result<Passage, LocalReply> {
        let facts = RequestFacts {
            demand: demand.map(|demand| &demand.tokens),
            ..*facts
        };
        // What an earlier step has reserved tells of the call's kind already.
        let is_told = !earlier.permits.is_empty();
        let kind = demand.filter(|_| !is_told);
        let kind = kind.and_then(|demand| demand.kind.clone());
        match self.admit_due(budget, api, &facts, kind, due).await {
            Ok(passage) => Ok(passage.and(earlier)),
            Err(reply) => {
                self.forget(earlier.counted);
                Err(reply)
            }
        }
    }

    async fn admit_due(
        &self,
        budget: &StateBudget,
        api: &str,
        facts: &RequestFacts<'_>,
        kind: Option<String>,
        due: Due,
    ) -> Result<Passage, LocalReply> {
        let Some(rules) = self.by_api.get(api) else {
            return Ok(Passage::default());
        };
        let applicable = rules.applicable(facts, due);
        if applicable.is_empty() {
            return Ok(Passage::default());
        }
        // A name is only needed where something is held.
        let name = if applicable.holds_nothing() {
            LeaseName(String::new())
        } else {
            self.lease_name()
        };
        match self.charge(budget, &applicable, &name).await {
            Ok(admitted) if admitted.too_many_new => Err(self.too_many_new_values()),
            Ok(admitted) => {
                let kept = kept(&applicable, &admitted, kind, name);
                let permit = self.permit(kept).await;
                self.count_tokens_of(&applicable, &admitted);
                self.index(&applicable, &admitted);
                let mut passage = self.judged(&applicable.verdict(&admitted), permit)?;
                passage.forgettable = applicable.forgettable(&admitted);
                if due != Due::All {
                    passage.counted = applicable.counted(&admitted);
                }
                Ok(passage)
            }
            Err(why) => {
                let passage = self.without_state(&applicable);
                if why.may_be_done() {
                    // What it reserves may be done yet, and what it uses counts in any case.
                    let kept = Kept {
                        in_flight: Vec::new(),
                        reserved: applicable.reserved(None),
                        kind,
                        name,
                        may_be_taken_again: true,
                    };
                    self.kept_unanswered(kept, passage).await
                } else {
                    passage
                }
            }
        }
    }

    /// What of a call that the store has not answered is kept: what it has used is charged when it ends; one that is refused
    /// gives it back.
    async fn kept_unanswered(
        &self,
        kept: Kept,
        passage: Result<Passage, LocalReply>,
    ) -> Result<Passage, LocalReply> {
        match passage {
            Ok(mut passage) => {
                passage.permits.extend(self.permit(kept).await);
                Ok(passage)
            }
            Err(refusal) => {
                if !kept.is_empty() {
                    Permit::give_back(&self.keeping(), kept);
                }
                Err(refusal)
            }
        }
    }

    /// Gives back what an earlier phase gave, where a later one refuses the request.
    pub fn give_back(&self, earlier: Option<Passage>) {
        self.forget(earlier.unwrap_or_default().counted);
    }

    /// Takes back, off the request's path, what a call was counted in: where a later phase refuses it, or where its key
    /// is one that the upstream does not know: such keys can be made up in any number, and would each be kept for as
    /// long as a window.
    pub fn forget(&self, counted: Vec<Settled>) {
        if counted.is_empty() {
            return;
        }
        let (log, state, name) = (self.log.clone(), Arc::clone(&self.state), self.lease_name());
        let platform = self.platform.clone();
        self.platform.spawn(async move {
            let settle = async || state.settle(&counted, &name).await;
            // A store of one machine does not tell a settlement that it has done in part from another.
            let settled = if state.is_shared() {
                retry(&platform, SETTLEMENT_TRIED, settle).await
            } else {
                settle().await
            };
            if let Err(error) = settled {
                log.warn(&format!(
                    "limits: a call that was refused, or whose key Dify does not know, stays counted: {error}"
                ));
            }
        });
    }

    fn lease_name(&self) -> LeaseName {
        LeaseName(self.platform.unique_name())
    }

    fn keeping(&self) -> Keeping<P> {
        Keeping {
            platform: self.platform.clone(),
            log: self.log.clone(),
            state: Arc::clone(&self.state),
            meter: Arc::clone(&self.meter),
        }
    }

    /// Keeps what a request holds, if that is something.
    async fn permit(&self, kept: Kept) -> Option<Permit> {
        if kept.is_empty() {
            return None;
        }
        let permit = Permit::keep(&self.keeping(), kept);
        // What renews it begins in this request's next turn, and where another of its tasks stands there may be none before
        // the upstream answers.
        self.platform.yield_now().await;
        Some(permit)
    }
}

/// What a request holds that passed.
fn kept(
    applicable: &Applicable<'_>,
    admitted: &Admitted,
    kind: Option<String>,
    name: LeaseName,
) -> Kept {
    let charges = applicable.charges().iter().zip(&admitted.charges);
    let in_flight = charges
        .filter(|(charge, charged)| admitted.passes && charge.is_in_flight() && !charged.full)
        .map(|(charge, _)| charge.clone());
    Kept {
        in_flight: in_flight.collect(),
        reserved: applicable.reserved(Some(admitted)),
        kind,
        name,
        may_be_taken_again: false,
    }
}
