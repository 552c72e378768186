//! What a provider's error says beside content: told, without the provider's keys.

use crate::*;

const ERROR: &str = r#"{"message":"the key key-a-1 is busy"}"#;

fn answer(beside: &str, in_choice: &str, finish: &str) -> String {
    format!(
        r#"{{"id":"1","choices":[{{"index":0,"message":{{"content":"hi"}},"finish_reason":{finish}{in_choice}}}]{beside}}}"#
    )
}

fn event(document: &str) -> String {
    format!(
        "data: {}\n\n",
        document.replace("\"message\":{\"content", "\"delta\":{\"content")
    )
}

#[test]
fn a_key_in_an_error_beside_content_reaches_nobody() {
    let beside = answer(&format!(",\"error\":{ERROR}"), "", "null");
    let within = answer("", &format!(",\"error\":{ERROR}"), "null");
    let in_piece = answer("", "", "null").replace(
        "\"content\":\"hi\"",
        &format!("\"content\":\"hi\",\"error\":{ERROR}"),
    );
    for document in [&beside, &within, &in_piece] {
        let script = vec![
            Step::Head(200, SSE),
            text(&chunk("ho")),
            text(&event(document)),
            text(DONE),
        ];
        let (summary, client) = stream(vec![script]);
        assert_eq!(
            summary.end,
            StreamEnd::Broken(Failure::Status(502)),
            "{document}"
        );
        assert!(
            client.text.contains("\"content\":\"hi\""),
            "{}",
            client.text
        );
        assert!(
            client.text.contains("the key *** is busy"),
            "{}",
            client.text
        );
        assert!(!client.text.contains("key-a-1"), "{}", client.text);
    }
    for kind in [JSON, SSE] {
        for body in [
            beside.replace("null", "\"stop\""),
            beside
                .replace("null", "\"stop\"")
                .replace(ERROR, "\"key-a-1 is busy\""),
        ] {
            let script = vec![Step::Head(200, kind), text(&body)];
            let (completed, _) = complete(vec![script.clone()], "");
            let told = String::from_utf8_lossy(&completed.answer.body);
            assert_eq!(completed.answer.reason, Reason::Ok, "{told}");
            assert!(
                told.contains("\"content\":\"hi\"") && told.contains("*** is busy"),
                "{told}"
            );
            assert!(!told.contains("key-a-1"), "{told}");
            let (summary, client) = stream(vec![script]);
            assert_eq!(summary.end, StreamEnd::Complete(Reason::Ok));
            assert!(
                client.text.contains("hi") && !client.text.contains("key-a-1"),
                "{}",
                client.text
            );
        }
    }
}
