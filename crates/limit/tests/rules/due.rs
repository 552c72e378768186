//! Rules that are asked before the body is read, and those that are asked after.

use spillway_limit::{Due, InBody};

use super::{request, rules};

const RULES: &str = r#"[
    { "rule_name": "one", "global_threshold": { "query_per_day": 1 }, "rule_items": [
        { "limit_by_header": "x-app-id", "limit_keys": [{ "key": "a", "query_per_day": 2 }] },
        { "limit_by_model": "", "limit_keys": [{ "key": "gpt", "query_per_day": 3 }] }] },
    { "rule_name": "two", "rule_items": [
        { "limit_by_model": "", "limit_keys": [{ "key": "*", "query_per_day": 4 }] }] }]"#;

#[test]
fn every_rule_is_asked_once_in_either_step() {
    let rules = rules(RULES);
    let mut request = request().header("x-app-id", "a");
    request.model = Some("gpt");
    let limits = |due| -> Vec<u64> {
        let takes = request.takes_due(&rules, due);
        takes.iter().map(|take| take.limit).collect()
    };
    assert_eq!(limits(Due::All), [1, 2, 3, 4]);
    assert_eq!(limits(Due::Head(InBody::ModelAndRoute)), [1, 2]);
    assert_eq!(limits(Due::Body(InBody::ModelAndRoute)), [3, 4]);
    assert_eq!(limits(Due::Head(InBody::EndUser)), [1, 2, 3, 4]);
    assert!(rules.has_due(Due::Head(InBody::ModelAndRoute)));
    assert!(!rules.has_due(Due::Body(InBody::EndUser)));
}
