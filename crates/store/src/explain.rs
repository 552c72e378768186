//! Redis' errors in words that say what to do.

/// What an error of Redis (or of the way to it) asks of the operator; the error itself where nothing is known.
pub fn explain_redis_error(text: &str) -> String {
    const KNOWN: [(&str, &str); 11] = [
        (
            "NOAUTH",
            "Redis wants a password. Write it into `state.redis`: redis://user:password@host:6379",
        ),
        (
            "WRONGPASS",
            "Redis does not take the user name or password of `state.redis`",
        ),
        (
            "AuthenticationFailed",
            "Redis does not take the user name or password of `state.redis`",
        ),
        (
            "NOPERM",
            "the Redis user of `state.redis` may not run scripts. Its ACL needs +@scripting +@write +@read and ~spillway:*",
        ),
        (
            "READONLY",
            "this Redis is a replica that takes no writes. `state.redis` must name the primary",
        ),
        (
            "LOADING",
            "Redis is loading its data from disk. It serves when it is done",
        ),
        (
            "OOM",
            "Redis is out of memory. Raise its `maxmemory`, or set a `maxmemory-policy` that evicts",
        ),
        (
            "MISCONF",
            "Redis takes no writes because it cannot save to disk. Its log says why",
        ),
        (
            "MOVED",
            "this Redis is a node of a cluster. `state.redis` must name a Redis, or a proxy, that answers for all keys",
        ),
        ("CLUSTERDOWN", "the Redis cluster is down"),
        (
            "not permitted",
            "the component may not reach Redis. Add its redis://host:port to `allowed_outbound_hosts` in spin.toml",
        ),
    ];
    KNOWN
        .iter()
        .find(|(sign, _)| text.contains(sign))
        .map_or_else(
            || text.to_owned(),
            |(_, sentence)| format!("{sentence} ({text})"),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_errors_say_what_to_do_and_unknown_ones_stay() {
        for (text, expected) in [
            ("NOAUTH Authentication required.", "wants a password"),
            (
                "READONLY You can't write against a read only replica.",
                "must name the primary",
            ),
            (
                "LOADING Redis is loading the dataset in memory",
                "when it is done",
            ),
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                "out of memory",
            ),
        ] {
            let told = explain_redis_error(text);
            assert!(told.contains(expected) && told.contains(text), "{told}");
        }
        assert_eq!(explain_redis_error("broken pipe"), "broken pipe");
    }
}
