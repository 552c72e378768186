//! Every way of failing, as a client sees it.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use spillway_standin::{
    Behaviour, Break, Cut, EventStream, Gate, LineEnd, StandinError, StandinModel, Step,
    UsagePlacement, Wait,
    client::{Connection, End, Request, Response},
};

/// A streamed chat with a stand-in that behaves so, to the end.
async fn ask(behaviour: Behaviour) -> Result<Response, StandinError> {
    let model = StandinModel::start("first")?;
    model.next(behaviour);
    let body = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "hi"}],
        "stream_options": {"include_usage": true}});
    let connection = Connection::open(model.address()).await?;
    connection
        .call(&Request::json("/v1/chat/completions", &body))
        .await?
        .finish()
        .await
}

async fn stream(shape: EventStream) -> Result<Response> {
    Ok(ask(Behaviour::Stream(shape)).await?)
}

/// The text of a stream read leniently: whatever stands after `data:`.
fn text(body: &str) -> String {
    let data = body
        .split(['\n', '\r'])
        .filter_map(|line| line.strip_prefix("data:"));
    let chunks = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    let content = |chunk: &Value| chunk.pointer("/choices/0/delta/content").cloned();
    let texts = chunks.filter_map(|chunk| content(&chunk)?.as_str().map(str::to_owned));
    texts.collect()
}

const TEXT: &str = "m heard: hi – grüße 你好 🌍 !";

#[tokio::test]
async fn no_head_at_all() -> Result<()> {
    for behaviour in [Behaviour::Reset, Behaviour::Close] {
        let error = ask(behaviour.clone()).await.unwrap_err();
        assert!(
            matches!(error, StandinError::NoHead { .. }),
            "{behaviour:?}: {error}"
        );
    }
    let error = ask(Behaviour::Garbage).await.unwrap_err();
    assert!(matches!(error, StandinError::NotHttp(_)), "{error}");
    Ok(())
}

#[tokio::test]
async fn broken_off_streams_end_dirty_unless_the_break_is_clean() -> Result<()> {
    for (how, clean) in [
        (Break::Clean, true),
        (Break::Close, false),
        (Break::InsideChunk, false),
        (Break::Reset, false),
    ] {
        for events in [0, 2] {
            let answer = stream(EventStream::new().cut_after(events, how)).await?;
            assert_eq!(
                answer.end == End::Clean,
                clean,
                "{how:?} after {events}: {:?}",
                answer.end
            );
            let blocks = answer.text().matches("\n\n").count();
            assert_eq!(blocks, events, "{how:?}: {}", answer.text());
            assert!(!answer.text().contains("[DONE]"));
        }
    }
    let answer = ask(Behaviour::reset_after_head()).await?;
    assert_eq!((answer.status(), answer.body.len()), (200, 0));
    assert!(matches!(answer.end, End::Dirty(_)), "{:?}", answer.end);
    Ok(())
}

#[tokio::test]
async fn odd_framings_carry_the_same_text() -> Result<()> {
    let new = EventStream::new;
    let plain = stream(new()).await?;
    assert_eq!(text(&plain.text()), TEXT);
    for (shape, sign) in [
        (new().line_end(LineEnd::CrLf), "\r\n\r\n"),
        (new().line_end(LineEnd::Cr), "\r\r"),
        (new().comment_lines(), ": beside the data\ndata: {"),
        (new().comment_blocks(), ": still here\n\ndata: {"),
        (new().event_lines(), "event: message\ndata: {"),
        (new().id_lines(), "id: 1\ndata: {"),
        (new().retry_lines(), "retry: 3000\ndata: {"),
        (new().retry_block(), "retry: 3000\n\ndata: {"),
        (new().no_space(), "data:{"),
        (new().one_line_end(), "}\ndata: {"),
        (new().extra_blank_lines(), "}\n\n\n\ndata: {"),
        (new().byte_order_mark(), "\u{feff}data: {"),
        (new().until_close(), "data: [DONE]\n\n"),
        (new().cut(Cut::Whole), "data: [DONE]\n\n"),
    ] {
        let answer = stream(shape.clone()).await?;
        assert!(answer.text().contains(sign), "{shape:?}: {}", answer.text());
        assert_eq!(text(&answer.text()), TEXT, "{shape:?}");
        assert_eq!(answer.end, End::Clean, "{shape:?}");
    }
    for shape in [
        new().cut(Cut::Bytes),
        new().cut(Cut::Lumps(7)),
        new().cut(Cut::Characters),
    ] {
        let answer = stream(shape.clone()).await?;
        assert_eq!(answer.body, plain.body, "{shape:?}");
        assert!(answer.pieces.len() > plain.pieces.len(), "{shape:?}");
    }
    let spread = stream(new().several_data_lines()).await?;
    assert!(
        spread.text().contains("data: {\ndata:   "),
        "{}",
        spread.text()
    );
    Ok(())
}

#[tokio::test]
async fn a_character_is_cut_in_two() -> Result<()> {
    let answer = stream(EventStream::new().cut(Cut::Characters)).await?;
    let broken = |piece: &bytes::Bytes| std::str::from_utf8(piece).is_err();
    assert!(
        answer.pieces.iter().any(broken),
        "no piece ends within a character"
    );
    Ok(())
}

#[tokio::test]
async fn done_usage_and_errors_where_they_are_wanted() -> Result<()> {
    let body = |shape| async { anyhow::Ok(stream(shape).await?.text()) };
    let new = EventStream::new;
    assert!(body(new()).await?.ends_with("data: [DONE]\n\n"));
    assert!(!body(new().without_done()).await?.contains("[DONE]"));
    assert!(body(new()).await?.contains("\"choices\":[]"));
    let without = body(new().usage(UsagePlacement::WithoutChoices)).await?;
    assert!(
        !without.contains("\"choices\":[]") && without.contains("\"usage\":{"),
        "{without}"
    );
    assert!(
        !body(new().usage(UsagePlacement::Never))
            .await?
            .contains("usage")
    );
    let with_finish = body(new().usage(UsagePlacement::WithFinish)).await?;
    let last = with_finish
        .split("\n\n")
        .find(|block| block.contains("\"usage\":{"))
        .unwrap();
    assert!(last.contains("\"finish_reason\":\"stop\""), "{last}");
    let failed = body(new().error_after(0)).await?;
    assert!(
        failed.starts_with("data: {\"error\":{") && !failed.contains("[DONE]"),
        "{failed}"
    );
    assert_eq!(body(new().error_after(3)).await?.matches("\n\n").count(), 4);
    assert!(body(new().huge(1 << 20)).await?.len() > 1 << 20);
    assert!(text(&body(new().long(50)).await?).ends_with("word49 "));
    Ok(())
}

#[tokio::test]
async fn a_gate_holds_events_back() -> Result<()> {
    let model = StandinModel::start("first")?;
    let (each, second) = (Gate::new(), Gate::new());
    let shape = EventStream::new()
        .gated(&each)
        .wait_before(1, Wait::Release(second.clone()));
    model.next(Behaviour::Stream(shape));
    let body = json!({"model": "m", "stream": true, "messages": []});
    let connection = Connection::open(model.address()).await?;
    let mut incoming = connection
        .call(&Request::json("/v1/chat/completions", &body))
        .await?;
    each.release();
    assert!(incoming.next_block().await?.unwrap().starts_with("data: {"));
    each.release();
    let soon = tokio::time::timeout(Duration::from_millis(50), incoming.next_block()).await;
    assert!(
        soon.is_err(),
        "the second event came before its own gate was released"
    );
    second.open();
    assert!(incoming.next_block().await?.is_some());
    each.open();
    assert!(
        incoming
            .finish()
            .await?
            .text()
            .ends_with("data: [DONE]\n\n")
    );
    Ok(())
}

#[tokio::test]
async fn raw_steps_are_written_as_they_are() -> Result<()> {
    let steps = vec![
        Step::text("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"),
        Step::text("abc"),
        Step::Close,
    ];
    let answer = ask(Behaviour::Raw(steps)).await?;
    assert_eq!(answer.text(), "abc");
    assert!(matches!(answer.end, End::Dirty(_)), "{:?}", answer.end);
    let answer = ask(Behaviour::not_json()).await?;
    assert_eq!((answer.status(), answer.json()), (200, Value::Null));
    let answer = ask(Behaviour::empty()).await?;
    assert_eq!((answer.status(), answer.body.len()), (200, 0));
    let answer = ask(Behaviour::Unstreamed).await?;
    assert_eq!(answer.json()["choices"][0]["message"]["content"], TEXT);
    Ok(())
}
