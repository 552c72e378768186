//! Runs as Dify's answers tell them.

use proptest::prelude::*;
use spillway_dify::{AnswerReader, Form, Run, RunOutcome, Tokens};

fn read(form: Form, text: &str) -> Run {
    let mut reader = AnswerReader::new(form);
    reader.push(text.as_bytes());
    reader.finish()
}

fn stream(events: &[&str]) -> String {
    let block = |event: &&str| format!("data: {event}\n\n");
    events.iter().map(block).collect()
}

const MESSAGE: &str =
    r#"{"event":"message","task_id":"t","conversation_id":"c1","message_id":"m","answer":"Hi"}"#;
const MESSAGE_END: &str = r#"{"event":"message_end","task_id":"t","conversation_id":"c1","metadata":{"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17,"total_price":"0.1"}}}"#;
const WORKFLOW_STARTED: &str =
    r#"{"event":"workflow_started","task_id":"t","workflow_run_id":"r1","data":{"id":"r1"}}"#;
const WORKFLOW_FINISHED: &str = r#"{"event":"workflow_finished","task_id":"t","workflow_run_id":"r1","data":{"status":"succeeded","outputs":{"text":"a"},"error":null,"total_tokens":17}}"#;
const ERROR: &str = r#"{"event":"error","task_id":"t","status":400,"code":"completion_request_error","message":"no"}"#;

#[test]
fn each_run_is_counted_once() {
    let split = Some(Tokens::Split {
        input: 12,
        output: 5,
    });
    for (events, outcome, tokens) in [
        (&[MESSAGE, MESSAGE_END][..], RunOutcome::Succeeded, split),
        (
            &[WORKFLOW_STARTED, WORKFLOW_FINISHED],
            RunOutcome::Succeeded,
            Some(Tokens::Total(17)),
        ),
        // A chat flow tells the same tokens twice, in either order.
        (
            &[WORKFLOW_STARTED, MESSAGE, WORKFLOW_FINISHED, MESSAGE_END],
            RunOutcome::Succeeded,
            split,
        ),
        (
            &[MESSAGE, MESSAGE_END, WORKFLOW_FINISHED],
            RunOutcome::Succeeded,
            split,
        ),
        (&[MESSAGE], RunOutcome::Unfinished, None),
        (&[MESSAGE, ERROR], RunOutcome::Error, None),
        (&[ERROR], RunOutcome::Error, None),
        (&[MESSAGE, ERROR, MESSAGE_END], RunOutcome::Error, split),
        (&[], RunOutcome::Unfinished, None),
    ] {
        let run = read(Form::Events, &stream(events));
        assert_eq!((run.outcome, run.tokens), (outcome, tokens), "{events:?}");
        assert_eq!(run.events, events.len() as u64);
    }
}

#[test]
fn a_web_apps_stream_tells_less() {
    let end = r#"{"event":"message_end","conversation_id":"c1","metadata":{}}"#;
    let run = read(
        Form::Events,
        &stream(&[WORKFLOW_STARTED, WORKFLOW_FINISHED, end]),
    );
    assert_eq!(run.tokens, Some(Tokens::Total(17)));
    assert_eq!(run.outcome, RunOutcome::Succeeded);
    assert_eq!(run.conversation.as_deref(), Some("c1"));
    assert_eq!(run.workflow_run.as_deref(), Some("r1"));
}

#[test]
fn a_workflows_status_is_its_outcome() {
    for (status, outcome) in [
        ("succeeded", RunOutcome::Succeeded),
        ("partial-succeeded", RunOutcome::Succeeded),
        ("failed", RunOutcome::Failed),
        ("stopped", RunOutcome::Stopped),
    ] {
        let told = WORKFLOW_FINISHED.replace("succeeded", status);
        let run = read(Form::Events, &stream(&[&told]));
        assert_eq!(run.outcome, outcome, "{status}");
        let blocking = format!(
            r#"{{"task_id":"t","workflow_run_id":"r1","data":{{"status":"{status}","total_tokens":9}}}}"#
        );
        let run = read(Form::Json, &blocking);
        assert_eq!(
            (run.outcome, run.tokens),
            (outcome, Some(Tokens::Total(9))),
            "{status}"
        );
    }
    let paused = r#"{"event":"workflow_paused","workflow_run_id":"r1","data":{"status":"paused"}}"#;
    assert_eq!(
        read(Form::Events, &stream(&[paused])).outcome,
        RunOutcome::Paused
    );
}

#[test]
fn a_blocking_answer_tells_the_same() {
    let body = r#"{"event":"message","conversation_id":"c1","mode":"chat","answer":"Hi","metadata":{"usage":{"prompt_tokens":1,"completion_tokens":2}}}"#;
    let run = read(Form::Json, body);
    assert_eq!(run.outcome, RunOutcome::Succeeded);
    assert_eq!(
        run.tokens,
        Some(Tokens::Split {
            input: 1,
            output: 2
        })
    );
    for garbage in ["", "[", "<html>"] {
        assert_eq!(read(Form::Json, garbage).outcome, RunOutcome::Unread);
    }
}

#[test]
fn what_is_too_large_goes_by_unread() {
    let huge = format!(
        r#"{{"event":"message","answer":"{}"}}"#,
        "x".repeat(5 << 20)
    );
    let mut reader = AnswerReader::new(Form::Events);
    reader.push(stream(&[MESSAGE, &huge, MESSAGE_END]).as_bytes());
    let run = reader.finish();
    assert_eq!((run.outcome, run.events), (RunOutcome::Unread, 1));
    assert_eq!(read(Form::Json, &huge).outcome, RunOutcome::Unread);
}

#[test]
fn other_numbers_and_pings_do_no_harm() {
    for event in [
        r#"{"event":"message_end","metadata":{"usage":{"prompt_tokens":-1,"completion_tokens":2}}}"#,
        r#"{"event":"message_end","metadata":null,"data":7}"#,
        r#"{"event":["message_end"]}"#,
        "message_end",
    ] {
        let text = format!("event: ping\n\n{}", stream(&[event]));
        let run = read(Form::Events, &text);
        assert_eq!(run.tokens, None, "{event}");
    }
}

proptest! {
    #[test]
    fn the_cut_of_the_pieces_makes_no_difference(cuts in proptest::collection::vec(1_usize..40, 1..60)) {
        let text = stream(&[WORKFLOW_STARTED, MESSAGE, WORKFLOW_FINISHED, MESSAGE_END]);
        let whole = read(Form::Events, &text);
        let mut reader = AnswerReader::new(Form::Events);
        let mut rest = text.as_bytes();
        for cut in cuts {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            reader.push(piece);
            rest = after;
        }
        reader.push(rest);
        prop_assert_eq!(reader.finish(), whole);
    }

    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        for form in [Form::Events, Form::Json] {
            let mut reader = AnswerReader::new(form);
            reader.push(&bytes);
            reader.finish();
        }
    }
}
