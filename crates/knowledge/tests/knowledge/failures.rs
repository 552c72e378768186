//! Every way for an engine to fail: before the deadline, Dify gets an error that it repeats only where that helps.

use std::time::Duration;

use serde_json::{Value, json};
use spillway_config::Gateway;
use spillway_knowledge::{Answer, Catalogue, MAX_ENGINE_ANSWER_BYTES, Outcome, Retrieval};
use spillway_platform::{Clock, SendError};

use crate::scripted::{ScriptedSender, Step, run};
use crate::{api, catalogue, error, milliseconds, query, serve, serve_bytes, text};

/// What Dify repeats three times.
const REPEATED: [u16; 5] = [429, 500, 502, 503, 504];
const HOUR: Duration = Duration::from_secs(3600);

struct Case {
    script: Vec<Step>,
    status: u16,
    code: u64,
    outcome: Outcome,
}

fn case(script: Vec<Step>, status: u16, code: u64, outcome: Outcome) -> Case {
    Case {
        script,
        status,
        code,
        outcome,
    }
}

/// Whatever the engine is.
fn cases() -> Vec<Case> {
    let fail = |error: SendError| vec![Step::Fail(error)];
    let (refused, late) = (Outcome::BackendRefused, Outcome::BackendTimeout);
    let (broken, forbidden) = (Outcome::BackendError, Outcome::HostNotAllowed);
    let reset = || Step::Fail(SendError::Reset("cut".to_owned()));
    let mut cases = vec![
        // Refuses, or is not there.
        case(
            fail(SendError::Connect("refused at 10.0.0.1".to_owned())),
            502,
            5001,
            refused,
        ),
        // Silent and slow, in each phase.
        case(vec![Step::Wait(HOUR), Step::Head(200)], 424, 5002, late),
        case(fail(SendError::ConnectTimeout), 424, 5002, late),
        case(fail(SendError::FirstByteTimeout), 424, 5002, late),
        case(vec![Step::Head(200), Step::Wait(HOUR)], 424, 5002, late),
        case(
            vec![Step::Head(200), text("{"), Step::Wait(HOUR)],
            424,
            5002,
            late,
        ),
        case(vec![Step::Head(500), Step::Wait(HOUR)], 424, 5002, late),
        case(
            vec![Step::Head(200), Step::Fail(SendError::BetweenBytesTimeout)],
            424,
            5002,
            late,
        ),
        // Breaks off, or speaks no HTTP.
        case(vec![reset()], 502, 5003, broken),
        case(vec![Step::Head(200), text("{"), reset()], 502, 5003, broken),
        case(fail(SendError::Other("odd".to_owned())), 502, 5003, broken),
        // Answers garbage.
        case(vec![Step::Head(200)], 424, 5003, broken),
        case(vec![Step::Head(204)], 424, 5003, broken),
        case(
            vec![Step::Head(200), text("<html>It works!</html>")],
            424,
            5003,
            broken,
        ),
        case(vec![Step::Head(200), text("[]")], 424, 5003, broken),
        case(vec![Step::Head(200), text("{}")], 424, 5003, broken),
        case(vec![Step::Head(200), text("null")], 424, 5003, broken),
        case(
            vec![Step::Head(200), Step::Bytes(vec![0xff; 64])],
            424,
            5003,
            broken,
        ),
        case(
            vec![Step::Head(200), text("[".repeat(100_000))],
            424,
            5003,
            broken,
        ),
        // Is cut short with a clean end.
        case(
            vec![
                Step::Head(200),
                text(r#"{"code":0,"records":[{"content":"a"#),
            ],
            424,
            5003,
            broken,
        ),
        // Is redirected; the gateway follows nowhere.
        case(vec![Step::Head(301), text("Moved")], 424, 5003, broken),
        // Does not take the gateway's key. 401 or 403 would be shown as Dify's own key, or as a block by Squid.
        case(vec![Step::Head(401), text("{}")], 424, 5003, broken),
        case(vec![Step::Head(403), text("no")], 424, 5003, broken),
        case(
            vec![Step::Head(404), text("no such page")],
            424,
            5003,
            broken,
        ),
        case(vec![Step::Head(400), text("{}")], 424, 5003, broken),
        case(vec![Step::Head(500), text("{}")], 424, 5003, broken),
        case(vec![Step::Head(500), text("{"), reset()], 424, 5003, broken),
        case(fail(SendError::HostNotAllowed), 424, 5004, forbidden),
    ];
    for status in [429, 502, 503, 504] {
        cases.push(case(
            vec![Step::Head(status), text("later")],
            503,
            5003,
            broken,
        ));
    }
    cases
}

#[test]
fn every_failure_is_told_before_the_deadline() {
    for name in ["handbook", "papers"] {
        for Case {
            script,
            status,
            code,
            outcome,
        } in cases()
        {
            let (answer, sender) = serve(name, &query(), script.clone());
            assert!(sender.clock.now() <= milliseconds(4500), "{script:?}");
            assert_eq!(
                answer.status, status,
                "{name}: {script:?}: {:?}",
                answer.body
            );
            assert_eq!(answer.outcome, outcome, "{script:?}");
            let (told, message) = error(&answer);
            assert_eq!(told, code, "{script:?}");
            assert_eq!(sender.requests.borrow().len(), 1);
            let repeated = REPEATED.contains(&status);
            assert_eq!(
                message.ends_with("Try again later."),
                repeated,
                "{script:?}: {message}"
            );
            for secret in ["10.0.0.1", "ragflow-secret", "papers-secret", "What is new"] {
                assert!(!message.contains(secret), "{message}");
            }
            let line = answer.log.unwrap();
            assert!(
                line.starts_with(&format!("{name}: {}: ", outcome.as_str())),
                "{line}"
            );
            assert_eq!(line.contains("What is new?"), name == "papers", "{line}");
        }
    }
}

#[test]
fn the_engine_has_what_is_left_of_the_time() {
    let sender = ScriptedSender::new(vec![vec![Step::Wait(HOUR), Step::Head(200)]]);
    let catalogue = catalogue();
    run(&sender.clock, sender.clock.sleep(milliseconds(5000)));
    let asked = query().to_string();
    let retrieve = |arrived| {
        let retrieval = Retrieval {
            sender: &sender,
            clock: &sender.clock,
            api: api(&catalogue, "handbook"),
            arrived,
        };
        run(&sender.clock, retrieval.serve(asked.as_bytes()))
    };
    let answer = retrieve(milliseconds(2000));
    assert_eq!(
        sender.clock.now(),
        milliseconds(6500),
        "4.5 s after the arrival"
    );
    assert_eq!(answer.outcome, Outcome::BackendTimeout);
    let timeouts = sender.requests.borrow()[0].timeouts;
    assert_eq!(
        [
            timeouts.connect,
            timeouts.first_byte,
            timeouts.between_bytes
        ],
        [milliseconds(1500); 3]
    );
    // No time left: nobody is asked.
    assert_eq!(
        retrieve(milliseconds(2000)).outcome,
        Outcome::BackendTimeout
    );
    assert_eq!(sender.requests.borrow().len(), 1);
}

#[test]
fn a_trickle_is_cut_off_at_the_deadline() {
    let mut script = vec![Step::Head(200), text(r#"{"records":["#)];
    for _ in 0..1000 {
        script.push(Step::Wait(milliseconds(100)));
        script.push(text(" "));
    }
    let (answer, sender) = serve("papers", &query(), script);
    assert_eq!(
        (answer.outcome, sender.clock.now()),
        (Outcome::BackendTimeout, milliseconds(4500))
    );
}

#[test]
fn an_answer_without_end_is_not_held() {
    let piece = Step::Bytes(vec![b' '; 1024 * 1024]);
    let pieces = MAX_ENGINE_ANSWER_BYTES / (1024 * 1024);
    let mut script = vec![Step::Head(200)];
    script.extend(std::iter::repeat_n(piece, pieces));
    script.push(text(r#"{"records":[]}"#));
    let (answer, _) = serve("papers", &query(), script);
    assert_eq!(
        (answer.status.as_u16(), answer.outcome),
        (424, Outcome::BackendError)
    );
    assert!(error(&answer).1.contains("16 MiB"));
}

#[test]
fn a_host_that_is_not_allowed_is_named_with_the_line_to_add() {
    let (answer, _) = serve(
        "papers",
        &query(),
        vec![Step::Fail(SendError::HostNotAllowed)],
    );
    let message = error(&answer).1;
    assert!(
        message.contains("\"https://papers:8443\"") && message.contains("component `rag`"),
        "{message}"
    );
}

fn ragflow_error(status: u16, answer: Value) -> Answer {
    serve("handbook", &query(), vec![Step::Head(status), text(answer)]).0
}

#[test]
fn ragflows_errors_in_200_are_errors() {
    for (code, message, status, told, part) in [
        (102, "You don't own the dataset d1.", 404, 2001, "`d1`"),
        (102, "Dataset not found!", 404, 2001, "`d1`"),
        (102, "Can't find this knowledgebase!", 404, 2001, "`d1`"),
        (
            102,
            "Datasets use different embedding models.",
            424,
            5003,
            "different embedding models",
        ),
        (
            102,
            "The datasets don't own the document o1",
            424,
            5003,
            "own the document",
        ),
        (
            101,
            "page_size must be at most 100, not ragflow-secret",
            424,
            5003,
            "at most 100, not ***",
        ),
        (
            109,
            "Authentication error: API key is invalid!",
            424,
            5003,
            "`backend.api_key` of the knowledge API `handbook`",
        ),
        (401, "Unauthorized", 424, 5003, "`backend.api_key`"),
        (
            100,
            "ConnectionError('http://es01:9200 What is new?')",
            424,
            5003,
            "(200 OK, code 100)",
        ),
        (500, "internal", 424, 5003, "code 500"),
        (404, "Not Found: /api/v1/retrieval", 424, 5003, "code 404"),
        (-1, "", 424, 5003, "code -1"),
    ] {
        for data in [json!({}), json!({"data": null}), json!({"data": false})] {
            let mut answer = data;
            answer["code"] = json!(code);
            answer["message"] = json!(message);
            let answer = ragflow_error(200, answer);
            assert_eq!(answer.status, status, "{message}");
            let (number, shown) = error(&answer);
            assert_eq!(number, told, "{message}");
            assert!(shown.contains(part), "{shown}");
            assert!(
                !shown.contains("es01") && !shown.contains("ragflow-secret"),
                "{shown}"
            );
            assert!(!answer.log.unwrap().contains("What is new"));
        }
    }
}

#[test]
fn an_engines_words_are_cut_without_leaving_half_a_key() {
    let message = format!("{}ragflow-secret", "x".repeat(193));
    let shown = error(&ragflow_error(
        200,
        json!({"code": 101, "message": message}),
    ))
    .1;
    assert!(
        shown.ends_with("xxx***") && !shown.contains("ragflow"),
        "{shown}"
    );
    let shown = error(&ragflow_error(
        200,
        json!({"code": 101, "message": "y".repeat(100_000)}),
    ))
    .1;
    assert_eq!(
        shown.matches('y').count(),
        201,
        "200 of the engine's, and that of `query`"
    );
}

#[test]
fn ragflows_errors_keep_their_meaning_with_other_statuses() {
    for (status, code, expected) in [
        (400, 101, 424),
        (401, 401, 424),
        (403, 108, 424),
        (404, 404, 424),
        (429, 100, 503),
        (500, 100, 424),
        (503, 500, 503),
    ] {
        let answer = ragflow_error(status, json!({"code": code, "message": "m", "data": null}));
        assert_eq!(answer.status, expected, "{status} {code}");
        assert_eq!(answer.outcome, Outcome::BackendError);
    }
    let answer = ragflow_error(404, json!({"code": 404, "message": "Dataset not found"}));
    assert_eq!(
        (answer.status.as_u16(), answer.outcome),
        (404, Outcome::UnknownKnowledge)
    );
    // A code of 0 makes no success of an error status.
    let answer = ragflow_error(500, json!({"code": 0, "data": {"chunks": []}}));
    assert_eq!(answer.outcome, Outcome::BackendError);
    for success in [
        json!({"code": 0}),
        json!({"data": {"chunks": []}}),
        json!({"code": "0", "data": {"chunks": []}}),
        json!({"code": 0, "data": {"chunks": {}}}),
        json!({"code": 0, "data": [1]}),
    ] {
        let answer = ragflow_error(200, success.clone());
        assert_eq!(
            (answer.status.as_u16(), error(&answer).0),
            (424, 5003),
            "{success}"
        );
    }
}

#[test]
fn errors_of_the_contract_keep_their_meaning_whatever_their_status() {
    for (status, answer, expected, told, part) in [
        (
            404,
            json!({"error_code": 2001, "error_msg": "x"}),
            404,
            2001,
            "`d1`",
        ),
        // As the official adapters of AWS and LlamaCloud have it.
        (
            400,
            json!({"error_code": 2001, "error_msg": "x"}),
            404,
            2001,
            "`d1`",
        ),
        (
            200,
            json!({"error_code": 2001, "error_msg": "x"}),
            404,
            2001,
            "`d1`",
        ),
        (
            500,
            json!({"error_code": 2001, "error_msg": "x"}),
            404,
            2001,
            "`d1`",
        ),
        (
            400,
            json!({"error_code": 1002, "error_msg": "x"}),
            424,
            5003,
            "`backend.api_key`",
        ),
        (
            403,
            json!({"error_code": 1001, "error_msg": "x"}),
            424,
            5003,
            "`backend.api_key`",
        ),
        (
            400,
            json!({"error_code": 9, "error_msg": "too\nlong for papers-secret"}),
            424,
            5003,
            "too long for ***",
        ),
        (
            200,
            json!({"code": 101, "message": "required arguments are missing"}),
            424,
            5003,
            "arguments are missing",
        ),
        (
            500,
            json!({"error_msg": "at 10.0.0.1"}),
            424,
            5003,
            "(500 Internal Server Error)",
        ),
        (
            503,
            json!({"error_code": 7, "error_msg": "later"}),
            503,
            5003,
            "Try again later",
        ),
        (422, json!({"error_code": "2001"}), 424, 5003, "(422"),
        (400, json!({"records": []}), 424, 5003, "(400"),
    ] {
        let (got, _) = serve("papers", &query(), vec![Step::Head(status), text(&answer)]);
        assert_eq!(got.status, expected, "{status} {answer}");
        let (number, message) = error(&got);
        assert_eq!(number, told, "{status} {answer}");
        assert!(message.contains(part), "{status} {answer}: {message}");
        assert!(!message.contains("10.0.0.1") && !message.contains("papers-secret"));
    }
}

#[test]
fn a_ragflow_without_any_dataset_is_not_asked() {
    let gateway = r#"{"knowledge": [{"name": "k", "backend": {"type": "ragflow", "base_url": "http://r", "api_key": "s"}}]}"#;
    let catalogue = Catalogue::new(&serde_json::from_str::<Gateway>(gateway).unwrap()).unwrap();
    for id in ["", "default", " , ,"] {
        let sender = ScriptedSender::default();
        let retrieval = Retrieval {
            sender: &sender,
            clock: &sender.clock,
            api: api(&catalogue, "k"),
            arrived: Duration::ZERO,
        };
        let body = json!({"query": "q", "knowledge_id": id}).to_string();
        let answer = run(&sender.clock, retrieval.serve(body.as_bytes()));
        assert_eq!(
            (answer.status.as_u16(), error(&answer).0),
            (404, 2001),
            "{id:?}"
        );
    }
}

#[test]
fn garbage_in_asks_nobody() {
    let (answer, sender) = serve_bytes("handbook", b"{\"query\":", Vec::new());
    assert_eq!((answer.status.as_u16(), answer.log), (400, None));
    assert!(sender.requests.borrow().is_empty());
}
