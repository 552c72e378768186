//! Consumers and their credentials.

use std::collections::{BTreeMap, BTreeSet};

use super::{conditions, duration, names, secret};
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
        for (index, pattern) in consumer.models.iter().flatten().enumerate() {
            conditions::model(pattern, &at.key("models").index(index), findings);
        }
        if consumer.models.as_ref().is_some_and(Vec::is_empty) {
            findings.warning(
                &at.key("models"),
                "the list is empty, so this consumer may use no model: name some, or leave the key out for all",
            );
        }
        for (index, credential) in consumer.credentials.iter().enumerate() {
            let at = credentials.index(index);
            // What calls name: two consumers with the same could not be told apart. Equal templates have equal values.
            let (name, at) = match credential {
                Credential::ApiKey(key) => {
                    let at = at.key("api_key");
                    secret(key, &at, findings);
                    (("key", key.as_str()), at)
                }
                Credential::Hmac(pair) => {
                    let at = at.key("hmac");
                    secret(&pair.secret_key, &at.key("secret_key"), findings);
                    duration(pair.clock_skew, &at.key("clock_skew"), findings);
                    if pair.access_key.is_empty() {
                        findings.error(&at.key("access_key"), "an empty access key: write one");
                    }
                    (
                        ("access key", pair.access_key.as_str()),
                        at.key("access_key"),
                    )
                }
            };
            match owners.insert(name, consumer.name.as_str()) {
                Some(owner) if owner == consumer.name => findings.error(
                    &at,
                    format!("this consumer has the same {} twice: remove one", name.0),
                ),
                Some(owner) => findings.error(
                    &at,
                    format!(
                        "the consumer `{owner}` has the same {}: give each its own",
                        name.0
                    ),
                ),
                None => {}
            }
        }
    }
}

/// Tells of consumers that no API knows.
pub(super) fn check_use(gateway: &Gateway, path: &Path, findings: &mut Findings<'_>) {
    let apis = gateway.models.iter();
    if apis.clone().any(|api| api.policies.auth.is_none()) {
        // Whoever shows a credential there is known by it, to limits and routes.
        return;
    }
    let used: BTreeSet<&str> = apis
        .filter_map(|api| api.policies.auth.as_ref())
        .flatten()
        .map(String::as_str)
        .collect();
    for (index, consumer) in gateway.consumers.iter().enumerate() {
        if !used.contains(consumer.name.as_str()) {
            let advice =
                "no API lets this consumer in: name it under `policies.auth` of one, or remove it";
            findings.warning(&path.index(index), advice);
        }
    }
}
