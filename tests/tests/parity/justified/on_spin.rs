//! What is so on Spin alone.

use super::Justified;
use super::outcome::{DIFY_ERROR, OUTCOME, by_gateway};

pub(super) const JUSTIFIED: &[Justified] = &[
    Justified {
        places: OUTCOME,
        fits: |it| {
            it.case.starts_with("header: a WebSocket at /socket.io/")
                && by_gateway(it, "501", DIFY_ERROR)
        },
        why: "Spin hands no connection on. Polling passes; docs/replacing-nginx.md names the bypass.",
    },
    Justified {
        places: &["answer: framing"],
        fits: |it| {
            it.is_of(&["answer: not modified, 304, with a length"])
                && it.is(
                    &[r#"content-length ["1024"], transfer-encoding []"#],
                    &["content-length [], transfer-encoding []"],
                )
        },
        why: "Spin leaves the length of a 304 out.",
    },
];
