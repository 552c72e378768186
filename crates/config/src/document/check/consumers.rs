//! Consumers and their credentials.

use std::collections::{BTreeMap, BTreeSet};

use super::{names, secret};
use crate::document::node::Path;
use crate::document::report::Findings;
use crate::{Credential, Gateway};

pub(super) fn check(gateway: &Gateway, path: &Path, findings: &mut Findings<'_>) {
    let consumers = || {
        gateway
            .consumers
            .iter()
            .enumerate()
            .map(|(index, consumer)| (consumer, path.index(index)))
    };
    names::unique(
        "consumer",
        consumers().map(|(consumer, at)| (consumer.name.as_str(), at.key("name"))),
        findings,
    );

    let mut owners = BTreeMap::new();
    for (consumer, at) in consumers() {
        names::name(&consumer.name, &at.key("name"), findings);
        let credentials = at.key("credentials");
        if consumer.credentials.is_empty() {
            findings.error(
                &credentials,
                "no credentials, so nobody is this consumer: add one such as `api_key`",
            );
        }
        for (index, credential) in consumer.credentials.iter().enumerate() {
            let Credential::ApiKey(key) = credential;
            let at = credentials.index(index).key("api_key");
            secret(key, &at, findings);
            // Which of the two calls could not be told. Equal templates have equal values.
            match owners.insert(key.as_str(), consumer.name.as_str()) {
                Some(owner) if owner == consumer.name => {
                    findings.error(&at, "this consumer has the same key twice: remove one");
                }
                Some(owner) => {
                    findings.error(
                        &at,
                        format!("the consumer `{owner}` has the same key: give each its own"),
                    );
                }
                None => {}
            }
        }
    }
}

/// Tells of consumers that no API knows.
pub(super) fn check_use(gateway: &Gateway, path: &Path, findings: &mut Findings<'_>) {
    let lists = gateway
        .models
        .iter()
        .filter_map(|api| api.policies.auth.as_ref());
    let used: BTreeSet<&str> = lists.flatten().map(String::as_str).collect();
    for (index, consumer) in gateway.consumers.iter().enumerate() {
        if !used.contains(consumer.name.as_str()) {
            let advice =
                "no API lets this consumer in: name it under `policies.auth` of one, or remove it";
            findings.warning(&path.index(index), advice);
        }
    }
}
