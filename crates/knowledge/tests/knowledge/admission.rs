//! Where knowledge APIs are, and whom they let in.

use spillway_config::Gateway;
use spillway_knowledge::{KnowledgeCaller, KnowledgeCatalogue, RetrievalOutcome, RetrievalReply};
use spillway_telemetry::Reason;

use crate::{Answer, api, catalogue, error, head, serve_bytes};

const PATH: &str = "/knowledge/handbook/retrieval";

fn admit(name: &str, authorization: Option<&str>) -> Result<KnowledgeCaller, Answer> {
    api(&catalogue(), name)
        .admit(&head("POST", PATH, authorization))
        .map_err(Answer::from)
}

#[test]
fn an_api_is_where_dify_looks_for_it() {
    let catalogue = catalogue();
    for path in [
        PATH,
        "/knowledge/handbook//retrieval",
        "/knowledge/handbook///retrieval",
    ] {
        assert_eq!(catalogue.api(path).unwrap().name, "handbook", "{path}");
    }
    for path in [
        "/knowledge/hand/retrieval",
        "/knowledge/HANDBOOK/retrieval",
        "/knowledge/handbook",
        "/knowledge/handbook/",
        "/knowledge/handbook/retrieval/",
        "/knowledge/handbook/retrieval/retrieval",
        "/knowledge/handbookretrieval",
        "/knowledge/retrieval",
        "/knowledge//retrieval",
        "/knowledge/",
        "/knowledge",
        "/handbook/retrieval",
        "",
    ] {
        let answer = Answer::from(catalogue.api(path).unwrap_err());
        // 404 makes Dify refuse the setting.
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.outcome, RetrievalOutcome::UnknownKnowledge);
        assert_eq!(answer.reason, Reason::NotFound);
        let (code, message) = error(&answer);
        assert_eq!(code, 2001);
        let words = match path {
            "/knowledge/handbook" | "/knowledge/handbook/" => {
                "answers at /knowledge/handbook/retrieval"
            }
            _ => "without /retrieval",
        };
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn any_of_its_keys_opens_an_api() {
    let one = admit("handbook", Some("Bearer key-1")).unwrap();
    let two = admit("handbook", Some("bearer  key-2 ")).unwrap();
    assert!(
        matches!(one, KnowledgeCaller::Key(_))
            && matches!(two, KnowledgeCaller::Key(_))
            && one != two
    );
    assert_eq!(admit("papers", Some("Bearer key-1")).unwrap(), one);
    for authorization in [None, Some("Bearer whatever"), Some("")] {
        assert_eq!(
            admit("open", authorization).unwrap(),
            KnowledgeCaller::Anyone
        );
    }
}

#[test]
fn what_is_no_bearer_key_is_1001_and_a_wrong_key_1002_both_403() {
    // 401 passes for a success when Dify checks a setting.
    for (authorization, expected) in [
        (None, 1001),
        (Some(""), 1001),
        (Some("Bearer"), 1001),
        (Some("Bearer "), 1001),
        (Some("key-1"), 1001),
        (Some("Basic a2V5LTE="), 1001),
        (Some("Bearerkey-1"), 1001),
        (Some("Bearer key-3"), 1002),
        (Some("Bearer KEY-1"), 1002),
        (Some("Bearer key-1x"), 1002),
    ] {
        let answer = admit("handbook", authorization).unwrap_err();
        assert_eq!(answer.status, 403, "{authorization:?}");
        assert_eq!(answer.outcome.as_str(), "unauthorized");
        assert_eq!(error(&answer).0, expected, "{authorization:?}");
    }
}

#[test]
fn a_key_whose_template_had_no_value_opens_nothing() {
    for (authorization, code) in [
        (None, 1001),
        (Some("Bearer "), 1001),
        (Some("Bearer x"), 1002),
    ] {
        assert_eq!(error(&admit("locked", authorization).unwrap_err()).0, code);
    }
}

#[test]
fn other_methods_are_told_which_is_right() {
    let catalogue = catalogue();
    let answer = api(&catalogue, "handbook")
        .admit(&head("GET", PATH, Some("Bearer key-1")))
        .map_err(Answer::from)
        .unwrap_err();
    assert_eq!(answer.status, 405);
    assert_eq!(answer.headers.text("allow"), Some("POST"));
    assert_eq!(
        (answer.outcome, answer.reason),
        (RetrievalOutcome::InvalidRequest, Reason::MethodNotAllowed)
    );
    assert_eq!(error(&answer).0, 3001);
}

#[test]
fn a_url_that_is_none_is_told_of_by_name() {
    let gateway = r#"{"knowledge": [{"name": "k", "backend": {"type": "dify_compatible", "base_url": "ftp://k"}}]}"#;
    let gateway: Gateway = serde_json::from_str(gateway).unwrap();
    let message = KnowledgeCatalogue::new(&gateway).unwrap_err().to_string();
    assert_eq!(
        message,
        "knowledge API `k`: `ftp://k` is no http or https URL"
    );
}

#[test]
fn a_check_of_the_setting_asks_no_engine() {
    // Without a body, or with an empty query since Dify's pull request 39410 of July 2026.
    let later = r#"{"knowledge_id": "", "query": "", "retrieval_setting": {"top_k": 1, "score_threshold": 0.0}}"#;
    for probe in ["", " \r\n", later, r#"{"query": " \n"}"#] {
        let (answer, sender) = serve_bytes("handbook", probe.as_bytes(), Vec::new());
        assert_eq!(
            (answer.status.as_u16(), answer.outcome),
            (200, RetrievalOutcome::Probe),
            "{probe:?}"
        );
        assert_eq!(answer.body, r#"{"records":[]}"#);
        assert_eq!((answer.query, answer.detail), (None, None));
        assert!(sender.requests.borrow().is_empty());
    }
}

#[test]
fn bodies_that_never_came_whole_are_answered_in_the_contracts_form() {
    let answer = Answer::from(RetrievalReply::too_large());
    assert_eq!(
        (answer.status.as_u16(), answer.reason),
        (413, Reason::TooLarge)
    );
    assert!(error(&answer).1.contains("1048576"));
    let answer = Answer::from(RetrievalReply::broken_body());
    assert_eq!((answer.status.as_u16(), error(&answer).0), (400, 3001));
}
