//! Redis' errors in words that say what to do.

/// What an error of Redis (or of the way to it) asks of the operator; the error itself where nothing is known.
pub fn explain_redis_error(text: &str) -> String {
    KNOWN
        .iter()
        .find(|(signs, _)| signs.iter().any(|sign| text.contains(sign)))
        .map_or_else(
            || text.to_owned(),
            |(_, sentence)| format!("{sentence} ({text})"),
        )
}

/// Signs of an error, and what to say of it. The hosts give some of Redis' codes names of their own, so each stands
/// here in both forms.
const KNOWN: [(&[&str], &str); 14] = [
    (
        // The latter where the command is a long one.
        &["NOAUTH", "unauthenticated"],
        "Redis wants a password. Write it into `state.redis`: redis://user:password@host:6379",
    ),
    (
        &["WRONGPASS", "AuthenticationFailed"],
        "Redis does not take the user name or password of `state.redis`",
    ),
    (
        &["NOPERM", "can't run this command"],
        "the Redis user of `state.redis` may not do all that the gateway does. Its ACL needs ~spillway:* +@scripting +@read +@write +time, and +select where the address names a database",
    ),
    (
        &["READONLY", "ReadOnly"],
        "this Redis is a replica that takes no writes. `state.redis` must name the primary",
    ),
    (
        &["LOADING", "BusyLoading"],
        "Redis is loading its data from disk. It serves when it is done",
    ),
    (
        &["OOM"],
        "Redis is out of memory. Raise its `maxmemory`, or set a `maxmemory-policy` that evicts",
    ),
    (
        &["MISCONF"],
        "Redis takes no writes because it cannot save to disk. Its log says why",
    ),
    (
        &["MOVED", "Moved"],
        "this Redis is a node of a cluster. `state.redis` must name a Redis, or a proxy, that answers for all keys",
    ),
    (&["CLUSTERDOWN", "ClusterDown"], "the Redis cluster is down"),
    (
        &["invalid peer certificate", "certificate verify failed"],
        "the certificate of Redis is not one that this machine trusts for this name. Install the authority that signed it, or name its file in SSL_CERT_FILE",
    ),
    (
        &["not permitted"],
        "the component may not reach Redis. Add its redis://host:port to `allowed_outbound_hosts` in spin.toml",
    ),
    (
        &["Connection refused", "connection refused"],
        "nothing listens at the address of `state.redis`. Start Redis there, or correct the address",
    ),
    (
        &["failed to lookup address", "Name or service not known"],
        "the host name of `state.redis` has no address. Correct it, or start what answers to it",
    ),
    (
        &["not one of a Redis"],
        "`state.redis` cannot be connected to: it is no redis:// or rediss:// URL, or `allowed_outbound_hosts` in spin.toml lacks it",
    ),
];

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
            (
                "NOPERM this user has no permissions to run the 'eval' command",
                "+@scripting",
            ),
            // What a script may not do is no NOPERM.
            (
                "ERR The user executing the script can't run this command or subcommand",
                "+time",
            ),
            // As the hosts name them, and as Redis answers a long command of somebody unknown.
            (
                "An error was signalled by the server - ResponseError: Protocol error: unauthenticated multibulk length",
                "wants a password",
            ),
            (
                "An error was signalled by the server - ReadOnly: You can't write against a read only replica.",
                "must name the primary",
            ),
            (
                "An error was signalled by the server - BusyLoadingError: Redis is loading the dataset in memory",
                "when it is done",
            ),
            (
                "An error was signalled by the server - Moved: 1234 10.0.0.1:6379",
                "answers for all keys",
            ),
            (
                "An error was signalled by the server - ClusterDown: The cluster is down",
                "cluster is down",
            ),
            ("invalid peer certificate: UnknownIssuer", "SSL_CERT_FILE"),
            (
                "the address is not one of a Redis",
                "`allowed_outbound_hosts`",
            ),
        ] {
            let explained = explain_redis_error(text);
            assert!(
                explained.contains(expected) && explained.contains(text),
                "{explained}"
            );
        }
        assert_eq!(explain_redis_error("broken pipe"), "broken pipe");
    }
}
