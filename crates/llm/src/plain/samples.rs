//! Documents much like those of providers, now and then odd.

use proptest::prelude::*;
use proptest::sample::select;

const VALUES: [&str; 20] = [
    "null",
    "null",
    "null",
    "\"\"",
    "\"x\"",
    "\"x\"",
    "\"stop\"",
    "\"error\"",
    "\"\\ud800\"",
    "0",
    "1",
    "-1",
    "0.0",
    "true",
    "[]",
    "{}",
    "NaN",
    "[{\"a\":1}]",
    "{\"message\":\"m\"}",
    "\"a\\u0041\\n\"",
];

pub fn value() -> impl Strategy<Value = String> {
    select(&VALUES[..]).prop_map(ToOwned::to_owned)
}

/// An object with some of these names beside a member of its own; now and then a list of the values alone.
pub fn object(
    own: &'static str,
    inner: impl Strategy<Value = String>,
    names: &'static [&'static str],
) -> impl Strategy<Value = String> {
    let more = prop::collection::vec((select(names), value()), 0..3);
    (inner, more, 0..3_usize, 0..12_u8).prop_map(move |(inner, more, place, kind)| {
        let mut members = more;
        members.insert(place.min(members.len()), (own, inner));
        let members: Vec<String> = members
            .into_iter()
            .map(|(name, value)| match kind {
                0 => value,
                _ => format!("\"{name}\":{value}"),
            })
            .collect();
        let members = members.join(", ");
        match kind {
            0 => format!("[{members}]"),
            _ => format!("{{{members}}}"),
        }
    })
}

pub fn list(element: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let lengths = select(vec![0_usize, 1, 1, 1, 1, 1, 2]);
    (element, lengths)
        .prop_map(|(element, length)| format!("[{}]", vec![element; length].join(",")))
}
