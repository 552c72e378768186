//! Dify's caller of external knowledge bases, with its timeouts and retries, before engines that fail in every way:
//! it gets records or an error that it can show before it gives up, and the engine is searched no oftener than a second
//! search may help. What is expected stands in the table of `docs/knowledge.md`.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use serde_json::{Value, json};
use spillway_tests::{
    Gateway, Options, run,
    standin::{
        Behaviour, RagflowOptions, Reply, ReservedPort, StandinRagflow, Step, ragflow_error,
    },
};

use crate::script;

const KEY: &str = "kb-key-1";

/// What Dify makes of a query.
enum Outcome {
    /// Records.
    Found,
    /// This status at once, with this `error_code`.
    Error(u16, u32),
    /// This status four times, and then an error of Dify's own.
    GivenUp(u16),
}

struct Case {
    name: &'static str,
    behaviour: Behaviour,
    outcome: Outcome,
    /// How many searches the engine sees.
    searches: usize,
}

fn case(name: &'static str, behaviour: Behaviour, outcome: Outcome, searches: usize) -> Case {
    Case {
        name,
        behaviour,
        outcome,
        searches,
    }
}

/// An answer's head, and these steps in the place of its 1000 bytes.
fn begun(steps: impl IntoIterator<Item = Step>) -> Behaviour {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{";
    Behaviour::Raw(std::iter::once(Step::text(head)).chain(steps).collect())
}

/// A byte now and then, so that no wait between two of them is long.
fn trickling() -> Behaviour {
    let byte = || {
        let pause = spillway_tests::standin::Wait::For(Duration::from_millis(300));
        [Step::Wait(pause), Step::text(" ")]
    };
    begun((0..100).flat_map(|_| byte()))
}

fn cases() -> Vec<Case> {
    use Outcome::{Error, Found, GivenUp};
    let status = |status| Behaviour::Reply(Reply::new(status));
    let slow = |seconds| Behaviour::late(Duration::from_secs(seconds), Behaviour::Normal);
    vec![
        case("well", Behaviour::Normal, Found, 1),
        case("slow", slow(2), Found, 1),
        case("too slow", slow(60), Error(424, 5002), 1),
        case("silent", Behaviour::Silent, Error(424, 5002), 1),
        case(
            "silent after the head",
            begun([Step::Hold]),
            Error(424, 5002),
            1,
        ),
        case("trickling", trickling(), Error(424, 5002), 1),
        case("resetting", Behaviour::Reset, GivenUp(502), 4),
        case("closing", Behaviour::Close, GivenUp(502), 4),
        case("breaking off", begun([Step::Reset]), GivenUp(502), 4),
        case("no HTTP", Behaviour::Garbage, GivenUp(502), 4),
        case("no JSON", Behaviour::not_json(), Error(424, 5003), 1),
        case("empty", Behaviour::empty(), Error(424, 5003), 1),
        case("500", status(500), Error(424, 5003), 1),
        case("401", status(401), Error(424, 5003), 1),
        case("404", status(404), Error(424, 5003), 1),
        case("429", status(429), GivenUp(503), 4),
        case("503", status(503), GivenUp(503), 4),
        case(
            "redirecting",
            Behaviour::Reply(Reply::new(307).header("Location", "/")),
            Error(424, 5003),
            1,
        ),
        case(
            "an error in 200",
            ragflow_error(100, "KeyError('kb')"),
            Error(424, 5003),
            1,
        ),
        case(
            "the engine's key refused in 200",
            ragflow_error(109, "API key is invalid!"),
            Error(424, 5003),
            1,
        ),
        case(
            "no such data set in 200",
            ragflow_error(102, "You don't own the dataset kb1."),
            Error(404, 2001),
            1,
        ),
    ]
}

#[test]
fn dify_gets_records_or_an_error_in_time_and_searches_again_only_where_it_may_help() -> Result<()> {
    run(async {
        let options = || RagflowOptions {
            api_keys: Vec::new(),
            dataset_ids: vec!["kb1".to_owned()],
        };
        let engine = StandinRagflow::start(options())?;
        let recovering = StandinRagflow::start(options())?;
        let nobody = ReservedPort::reserve()?;
        let api = |name: &str, url: &str| {
            format!(
                "  - {{ name: {name}, api_keys: [{KEY}], backend: {{ type: ragflow, base_url: \"{url}\", api_key: k }} }}\n"
            )
        };
        let yaml = format!(
            "knowledge:\n{}{}{}",
            api("handbook", &engine.url()),
            api("recovering", &recovering.url()),
            api("nobody", &nobody.url())
        );
        let gateway = Gateway::start(&yaml, Options::default()).await?;
        let endpoint = |api: &str| format!("{}/knowledge/{api}", gateway.url());

        let cases = cases();
        let mut queries = BTreeMap::new();
        for (number, case) in cases.iter().enumerate() {
            let query = format!("query-{number:02}");
            engine.when(&query, case.behaviour.clone());
            queries.insert(case.name, [endpoint("handbook"), query]);
        }
        // Two searches fail, each in a way that is worth another one.
        recovering.next(Behaviour::Reset);
        recovering.next(Behaviour::Reply(Reply::new(503)));
        queries.insert("recovering", [endpoint("recovering"), "q".to_owned()]);
        queries.insert("refusing", [endpoint("nobody"), "q".to_owned()]);
        let results = script("dify_retrieval.py", &[KEY, &json!(queries).to_string()]).await?;

        for case in &cases {
            let result = &results[case.name];
            assert_outcome(case.name, result, &case.outcome);
            let query = queries.get(case.name).map_or("", |[_, query]| query);
            let searches = engine.requests_mentioning(query).len();
            assert_eq!(
                searches, case.searches,
                "searches of {}: {result}",
                case.name
            );
        }
        assert_outcome("refusing", &results["refusing"], &Outcome::GivenUp(502));
        let recovered = &results["recovering"];
        assert_eq!(recovered["tries"], json!([502, 503, 200]), "{recovered}");
        assert_records("recovering", recovered);
        assert_eq!(recovering.requests().len(), 3);
        Ok(())
    })
}

fn assert_outcome(name: &str, result: &Value, outcome: &Outcome) {
    match outcome {
        Outcome::Found => {
            assert_eq!(result["tries"], json!([200]), "{name}: {result}");
            assert_records(name, result);
        }
        Outcome::Error(status, code) => {
            assert_eq!(result["tries"], json!([status]), "{name}: {result}");
            let body = &result["body"];
            assert_eq!(body["error_code"], json!(code), "{name}: {result}");
            let message = body["error_msg"].as_str().unwrap_or_default();
            assert!(!message.is_empty(), "{name}: {result}");
        }
        Outcome::GivenUp(status) => {
            assert_eq!(result["tries"], json!(vec![status; 4]), "{name}: {result}");
            let error = result["error"].as_str().unwrap_or_default();
            assert!(
                error.starts_with("Reached maximum retries"),
                "{name}: {result}"
            );
        }
    }
}

fn assert_records(name: &str, result: &Value) {
    let records = result.pointer("/body/records").and_then(Value::as_array);
    assert_eq!(records.map(Vec::len), Some(3), "{name}: {result}");
}
