//! Every way for an engine to fail: before the deadline, Dify gets an error that it repeats only where that helps.

mod contract;
mod limits;
mod ragflow;
mod unasked;

use std::time::Duration;

use spillway_knowledge::RetrievalOutcome;
use spillway_platform::{Clock, SendError};

use crate::scripted::Step;
use crate::{error, milliseconds, query, serve, text};

/// What Dify repeats three times.
const REPEATED: [u16; 5] = [429, 500, 502, 503, 504];
const HOUR: Duration = Duration::from_secs(3600);

struct Case {
    script: Vec<Step>,
    status: u16,
    code: u64,
    outcome: RetrievalOutcome,
}

fn case(script: Vec<Step>, status: u16, code: u64, outcome: RetrievalOutcome) -> Case {
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
    let (refused, late) = (
        RetrievalOutcome::BackendRefused,
        RetrievalOutcome::BackendTimeout,
    );
    let (broken, forbidden, full) = (
        RetrievalOutcome::BackendError,
        RetrievalOutcome::HostNotAllowed,
        RetrievalOutcome::Overloaded,
    );
    let reset = || Step::Fail(SendError::Reset("cut".to_owned()));
    let mut cases = vec![
        // Refuses, or is not there.
        case(
            fail(SendError::Connect("refused at 10.0.0.1".to_owned())),
            502,
            5001,
            refused,
        ),
        case(fail(SendError::ConnectionLimit), 503, 5006, full),
        // Silent and slow, in each phase.
        case(vec![Step::Wait(HOUR), Step::Head(200)], 424, 5002, late),
        case(fail(SendError::ConnectTimeout), 424, 5001, refused),
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
                message.contains("Try again "),
                repeated,
                "{script:?}: {message}"
            );
            for secret in ["10.0.0.1", "ragflow-secret", "papers-secret", "What is new"] {
                assert!(!message.contains(secret), "{message}");
            }
            let detail = answer.detail.unwrap();
            assert!(!detail.contains("What is new"), "{detail}");
            assert_eq!(answer.query.is_some(), name == "papers");
        }
    }
}

#[test]
fn a_host_that_is_not_allowed_is_named_in_the_log_alone() {
    let (answer, _) = serve(
        "papers",
        &query(),
        vec![Step::Fail(SendError::HostNotAllowed)],
    );
    let message = error(&answer).1;
    assert!(
        message.contains("Its log says") && !message.contains("8443"),
        "{message}"
    );
    let line = answer.detail.unwrap();
    assert!(
        line.contains("https://papers:8443") && line.contains("allowed_outbound_hosts"),
        "{line}"
    );
}
