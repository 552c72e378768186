//! Errors in the words of Dify's contract.

use serde_json::json;

use crate::scripted::Step;
use crate::{error, query, serve, text};

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
