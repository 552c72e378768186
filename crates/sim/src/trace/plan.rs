//! What was planned, in words: what is as it would be without the plan is left out.

use std::time::Duration;

use crate::api::subject;
use crate::fleet::place_of;
use crate::plan::{BodyPlan, Fault, Leave, Outage, Place, RequestPlan, StorePlan, Strike, When};
use crate::settings::Settings;

/// The configuration, line by line.
pub fn settings(settings: &Settings) -> Vec<String> {
    let apps = if settings.by_key { "key" } else { "header" };
    let dry = if settings.dry_run {
        ", and none is refused (dry run)"
    } else {
        ""
    };
    let a_second = settings.calls_a_second.map_or_else(String::new, |limit| {
        format!(", a consumer {limit} a second")
    });
    let breaker = settings.breaker_failures.map_or_else(String::new, |count| {
        format!(
            ", ejected after {count} failures of {}",
            count.saturating_mul(2)
        )
    });
    let balancer = if settings.least_request {
        "to the one with the fewest calls"
    } else {
        "in turn"
    };
    let second = match (settings.has_second, settings.second_is_anthropic) {
        (false, _) => "there is no second target",
        (true, true) => "the second target speaks Anthropic's API",
        (true, false) => "the second target speaks OpenAI's API",
    };
    let goes_on = if settings.refused_goes_on {
        "; what a model refuses goes on to the next"
    } else {
        ""
    };
    let attempts = match settings.max_attempts {
        0 => "as many attempts as by default".to_owned(),
        count => format!("{count} attempts at most"),
    };
    let timeout = settings
        .timeout
        .map_or_else(String::new, |time| format!(", a target has {time:?}"));
    let store = if settings.denies {
        "refuses"
    } else {
        "lets pass"
    };
    vec![
        format!("{} instances of each component", settings.instances),
        format!(
            "calls: {} a minute of a consumer and of a model{a_second}, {} of a consumer at once; {attempts}, within {:?}{timeout}, a line to a waiting client every {:?}{goes_on}",
            settings.calls_a_minute, settings.calls_at_once, settings.deadline, settings.keep_alive
        ),
        format!(
            "requests to Dify: {} a minute of an app (by its {apps}) and of an end user, {} of an app at once{dry}; a head within {:?}",
            settings.requests_a_minute, settings.at_once, settings.first_byte
        ),
        format!(
            "the first provider: {} keys, {} endpoints, used {balancer}{breaker}; what the gateway asks by itself: {:?}; {second}",
            settings.keys, settings.endpoints, settings.probes
        ),
        format!("where the store does not answer the gateway {store}"),
        settings.tokens.map_or_else(
            || "no limit of tokens".to_owned(),
            |tokens| {
                format!(
                    "{} tokens a minute of a consumer, and of all runs; reserved: {}",
                    tokens.a_minute, tokens.reserve
                )
            },
        ),
    ]
}

/// How the store is reached.
pub fn store(plan: &StorePlan) -> String {
    let rates = [
        (plan.silent, "fall silent"),
        (plan.late, "are held up for 2.5 s"),
        (
            plan.resets,
            "break a connection that has stood for a second",
        ),
        (plan.breaks, "break their connection"),
        (plan.errors, "get an error"),
        (plan.refused, "(of connections) are refused"),
    ];
    let faults = rates.iter().filter(|(rate, _)| *rate > 0);
    let faults: Vec<String> = faults
        .map(|(rate, what)| format!("; {rate} of 1,000 {what}"))
        .collect();
    let max = Duration::from_micros(u64::from(plan.latency_us));
    format!("the store is up to {max:?} away{}", faults.concat())
}

/// What a client asks for, and what becomes of it.
pub fn request(plan: &RequestPlan) -> String {
    let mut text = format!(
        "request {} at {:?}: {:?} by {:?}, for `{}`",
        plan.number,
        plan.at,
        plan.api,
        plan.caller,
        subject(plan.subject)
    );
    let mut add = |part: String| {
        text.push_str(", ");
        text.push_str(&part);
    };
    if plan.nonce != plan.number {
        add(format!("with the nonce of {}", plan.nonce));
    }
    match plan.body {
        BodyPlan::Whole => {}
        BodyPlan::Slow(time) => add(format!("its body in two pieces, {time:?} apart")),
        BodyPlan::Broken => add("half its body".to_owned()),
        BodyPlan::Garbled => add("its body no JSON".to_owned()),
    }
    if plan.padding > 0 {
        add(format!("{} bytes longer than it need be", plan.padding));
    }
    if !plan.behaviours.is_empty() {
        add(format!(
            "upstreams, attempt by attempt: {:?} (shares of 1,000)",
            plan.behaviours
        ));
    }
    if !plan.pause.is_zero() {
        add(format!("{:?} over each piece of its answer", plan.pause));
    }
    match plan.leaves {
        None => {}
        Some(Leave::After(time)) => add(format!("leaves after {time:?}")),
        Some(Leave::Pieces(count)) => add(format!("leaves after {count} pieces")),
        Some(Leave::Turn(count)) => add(format!("leaves after {count} turns of tasks")),
    }
    text
}

/// What of the first provider fails for a while.
pub fn outage(outage: &Outage) -> String {
    let place = match outage.place {
        Place::Endpoint(number) => format!("endpoint first{number}"),
        Place::Key(number) => format!("key {number}"),
    };
    format!(
        "from {:?} until {:?} {place} of the first provider does {:?}",
        outage.from, outage.until, outage.behaviour
    )
}

/// When fate strikes, and how.
pub fn fault(fault: &Fault, instances: usize) -> String {
    let when = match fault.when {
        When::At(time) => format!("at {time:?}"),
        When::Turn(count) => format!("after {count} turns of tasks"),
    };
    format!("fate, {when}: {}", strike(fault.what, instances))
}

/// What fate does, where there are so many instances of each component.
pub fn strike(strike: Strike, instances: usize) -> String {
    let whose = |number| {
        place_of(number, instances).map_or_else(String::new, |(kind, place)| {
            format!("instance {place} of {kind:?}")
        })
    };
    match strike {
        Strike::Death(number) => format!("{} dies", whose(number)),
        Strike::Deaths => "all instances die".to_owned(),
        Strike::Cancel(number) => {
            format!(
                "the runtime gives up a request of {}, if it has one",
                whose(number)
            )
        }
        Strike::StoreDown(time) => format!("the store takes no connections for {time:?}"),
        Strike::StoreSilent(time) => format!("the store answers nothing for {time:?}"),
        Strike::StoreLate(time) => {
            format!("what is sent to the store for {time:?} is held up for 2.5 s")
        }
        Strike::StoreLoss => "the store loses all that it knew".to_owned(),
        Strike::ClockStep(milliseconds) => {
            format!("the instances' date is {milliseconds} ms off from now on")
        }
        Strike::StoreClockStep(milliseconds) => {
            format!("the store's date is {milliseconds} ms off from now on")
        }
        Strike::NewConfiguration => "new instances with limits twice as wide".to_owned(),
        Strike::BrokenConfiguration => "new instances with a broken configuration".to_owned(),
    }
}
