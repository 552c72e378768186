//! Streams.

use super::*;

#[test]
fn a_stream_that_is_cut_goes_on_elsewhere_before_its_content_and_says_so_after() {
    let mut plan = calm();
    let early = request(&mut plan, seconds(1), Api::ChatStream);
    early.behaviours = vec![Behaviour::Reset];
    let late = request(&mut plan, seconds(2), Api::ChatStream);
    late.behaviours = vec![Behaviour::CutAt(700)];
    let history = happens(&plan);
    let attempts = |number| history.attempts(number).count();
    assert_eq!([attempts(0), attempts(1)], [2, 1]);
    let text = outcome(&history, 1).answer().unwrap().text();
    assert!(
        text.contains("\"error\"") && !text.contains("[DONE]"),
        "{text}"
    );
}

#[test]
fn a_stream_at_whose_piece_its_time_ends_says_so() {
    let mut plan = calm();
    plan.store.latency_us = 0;
    let run = request(&mut plan, seconds(1), Api::RunStream);
    // One comes when two minutes are over, which is all that a run has here.
    run.behaviours = vec![Behaviour::Pieces(1, seconds(6))];
    let history = happens(&plan);
    let text = outcome(&history, 0).answer().unwrap().text();
    assert!(
        text.contains("as long as the gateway lets one last"),
        "{text}"
    );
    assert_eq!(
        history.records(0).next().unwrap()["reason"],
        "stream_broken"
    );
}

#[test]
fn a_head_that_comes_after_its_client_has_left_serves_nobody_and_blames_nobody() {
    for api in [Api::Chat, Api::ChatStream, Api::RunStream] {
        let mut plan = calm();
        let call = request(&mut plan, seconds(1), api);
        call.behaviours = vec![Behaviour::Slow(seconds(5))];
        call.leaves = Some(Leave::After(seconds(2)));
        request(&mut plan, seconds(10), api);
        let history = happens(&plan);
        assert_eq!(status(&history, 1), 200, "{api:?}");
        assert_eq!(history.attempts(1).count(), 1);
    }
}

#[test]
fn usage_that_comes_twice_is_counted_once() {
    let mut plan = calm();
    let call = request(&mut plan, seconds(1), Api::ChatStream);
    call.behaviours = vec![Behaviour::Odd(Oddity::UsageTwice)];
    let history = happens(&plan);
    let record = history.records(0).next().unwrap();
    assert_eq!(
        (&record["input_tokens"], &record["output_tokens"]),
        (&3.into(), &5.into())
    );
    let text = outcome(&history, 0).answer().unwrap().text();
    assert!(text.matches("\"usage\"").count() <= 1, "{text}");
}
