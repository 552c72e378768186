//! How long an engine may take, and how much it may say.

use spillway_knowledge::{MAX_ENGINE_ANSWER_BYTES, Retrieval, RetrievalOutcome};
use spillway_platform::Clock;

use super::HOUR;
use crate::scripted::{ScriptedSender, Step, run};
use crate::{api, catalogue, error, milliseconds, query, serve, text};

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
    assert_eq!(answer.outcome, RetrievalOutcome::BackendTimeout);
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
        RetrievalOutcome::BackendTimeout
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
        (RetrievalOutcome::BackendTimeout, milliseconds(4500))
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
        (424, RetrievalOutcome::BackendError)
    );
    assert!(error(&answer).1.contains("16 MiB"));
}

#[test]
fn a_host_without_memory_holds_no_large_answer() {
    let piece = Step::Bytes(vec![b' '; 1024 * 1024]);
    let script = vec![Step::Head(200), Step::MemoryIsShort, piece];
    let (answer, _) = serve("papers", &query(), script);
    assert_eq!(
        (answer.status.as_u16(), answer.outcome),
        (503, RetrievalOutcome::Overloaded)
    );
    let script = vec![
        Step::Head(200),
        Step::MemoryIsShort,
        text(r#"{"records":[]}"#),
    ];
    assert_eq!(serve("papers", &query(), script).0.status.as_u16(), 200);
}
