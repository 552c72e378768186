//! The reader against the standard's examples and against itself in every chunking.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use spillway_sse::{Error, Event, Reader, write_comment, write_event};

fn read(chunks: &[&[u8]]) -> Vec<Event> {
    let mut reader = Reader::default();
    let mut events = Vec::new();
    for chunk in chunks {
        reader.push(chunk).unwrap();
        while let Some(event) = reader.next_event() {
            events.push(event);
        }
    }
    reader.finish().unwrap();
    while let Some(event) = reader.next_event() {
        events.push(event);
    }
    events
}

fn data(text: &str) -> Event {
    Event {
        name: None,
        data: text.as_bytes().to_vec(),
    }
}

#[test]
fn data_lines_are_joined_and_blank_lines_dispatch() {
    assert_eq!(
        read(&[b"data: YHOO\ndata: +2\ndata: 10\n\n"]),
        [data("YHOO\n+2\n10")]
    );
    assert_eq!(
        read(&[b"data\n\ndata\ndata\n\ndata:"]),
        [data(""), data("\n"), data("")]
    );
}

#[test]
fn one_space_after_the_colon_is_dropped_and_only_one() {
    assert_eq!(
        read(&[b"data:test\n\ndata: test\n\ndata:  test\n\n"]),
        [data("test"), data("test"), data(" test")]
    );
}

#[test]
fn comments_ids_retries_and_blocks_without_data_are_no_events() {
    assert_eq!(
        read(&[b": hi\n\nid: 1\n\nretry: 5\n\nevent: ping\n\ndata: x\nid: 2\n: y\n\n"]),
        [data("x")]
    );
}

#[test]
fn event_names_are_kept_for_their_own_block_alone() {
    let events = read(&[b"event: a\ndata: 1\n\ndata: 2\n\n"]);
    assert_eq!(events[0].name.as_deref(), Some(&b"a"[..]));
    assert_eq!(events[1].name, None);
}

#[test]
fn line_ends_of_all_three_kinds_and_a_byte_order_mark_are_understood() {
    for text in [
        "\u{feff}data: a\r\n\r\ndata: b\r\n\r\n",
        "data: a\r\rdata: b\r\r",
        "data: a\n\ndata: b\n\n",
    ] {
        assert_eq!(read(&[text.as_bytes()]), [data("a"), data("b")], "{text:?}");
    }
}

#[test]
fn a_last_block_without_its_blank_line_counts() {
    assert_eq!(read(&[b"data: [DONE]\n"]), [data("[DONE]")]);
    assert_eq!(read(&[b"data: [DONE]"]), [data("[DONE]")]);
}

#[test]
fn an_oversized_event_is_refused_and_earlier_ones_survive() {
    let mut reader = Reader::with_limit(16);
    assert_eq!(
        reader.push(b"data: a\n\ndata: 0123456789abcdef"),
        Err(Error::TooLarge { limit: 16 })
    );
    assert_eq!(reader.next_event(), Some(data("a")));
    let mut reader = Reader::with_limit(16);
    assert_eq!(
        reader.push(b"data: 012345\ndata: 012345\ndata: 012345\n\n"),
        Err(Error::TooLarge { limit: 16 })
    );
}

#[test]
fn plain_events_are_told_from_all_others() {
    let mut reader = Reader::default();
    assert_eq!(reader.plain(b"\xEF\xBB\xBFdata: a\n\n"), None, "a mark");
    assert_eq!(reader.plain(b"data: a\n\ndata: b"), Some(&b"a"[..]));
    reader.push(b"\xEF\xBB\xBFdata: a\n\n").unwrap();
    assert_eq!(reader.next_event(), None, "a mark stands at the start");
    for other in [
        "data:a\n\n",
        "data: a\r\n\r\n",
        "data: a\ndata: b\n\n",
        "data: a\n",
        "data: a",
        " data: a\n\n",
        "event: a\ndata: a\n\n",
        "",
    ] {
        assert_eq!(reader.plain(other.as_bytes()), None, "{other:?}");
    }
    for open in [&b"data: "[..], b"data: x\n", b"event: x\n", b"data: x\r"] {
        let mut reader = Reader::default();
        reader.push(b"\n").unwrap();
        reader.push(open).unwrap();
        assert_eq!(reader.plain(b"data: a\n\n"), None, "after {open:?}");
    }
}

#[test]
fn every_way_to_cut_a_stream_in_two_gives_the_same_events() {
    let text =
        "\u{feff}data: grüße\r\ndata: b\r\n\r\n: c\n\nevent: x\rdata: y\r\rdata: z\n\ndata: [DONE]"
            .as_bytes();
    let whole = read(&[text]);
    assert_eq!(whole.len(), 4);
    for cut in 0..=text.len() {
        assert_eq!(read(&[&text[..cut], &text[cut..]]), whole, "cut at {cut}");
    }
    let bytes: Vec<&[u8]> = text.chunks(1).collect();
    assert_eq!(read(&bytes), whole);
}

fn stream_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"data: {\"a\":1}".to_vec()),
        Just(b"data:".to_vec()),
        Just(b"event: e".to_vec()),
        Just(b": c".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\n\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\r".to_vec()),
        Just("\u{feff}".as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..12),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn rechunking_never_changes_the_events(bytes in stream_bytes(), cuts in prop::collection::vec(0_usize..400, 0..20)) {
        let whole = read(&[&bytes]);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.push(0);
        cuts.push(bytes.len());
        cuts.sort_unstable();
        let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(read(&chunks), whole);
    }

    #[test]
    fn what_is_written_is_read_back(lines in prop::collection::vec("[^\r\n]{0,20}", 1..4), comment in ".{0,20}") {
        let text = lines.join("\n");
        let mut bytes = Vec::new();
        write_comment(&mut bytes, &comment);
        write_event(&mut bytes, Some("name"), text.as_bytes());
        prop_assert_eq!(read(&[&bytes]), [Event { name: Some(b"name".to_vec()), data: text.into_bytes() }]);
    }
}
