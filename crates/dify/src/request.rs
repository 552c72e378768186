//! What a request to Dify tells of who is asking.
//!
//! Dify reads it with Python's `json`, and so must this: what is read in another way is counted for another user.

use crate::python_json;

/// Dify's `user` out of a JSON body: the end user, as the calling application names them, in words as Dify would
/// write them. `None` where there is none, it is empty or no name, or the body is no JSON object.
pub fn end_user(body: &[u8]) -> Option<String> {
    let text = python_json::utf8(body)?;
    let value = python_json::last_member(&text, "user")?;
    if value.starts_with(b"\"") {
        return python_json::string(value).filter(|user| !user.is_empty());
    }
    // Dify makes a text of whatever stands here. Of lists, and of numbers that can be written in more ways than one,
    // there is no telling which, nor any application that names its users so.
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    let is_whole = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    match value {
        // Python knows no negative zero.
        b"-0" => Some("0".to_owned()),
        _ if is_whole => String::from_utf8(value.to_vec()).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A body, and whom Python's `str(json.loads(body).get("user"))` names.
    const BODIES: [(&str, Option<&str>); 24] = [
        (r#"{"user":"u1","query":"q"}"#, Some("u1")),
        (
            r#"{"inputs":{"user":"other"},"user":"\u00fc"}"#,
            Some("\u{fc}"),
        ),
        (r#"{"inputs":{}}"#, None),
        (r#"{"user":""}"#, None),
        (r#"{"user":null}"#, None),
        ("[]", None),
        ("", None),
        // The last of two.
        (r#"{"user":"a","user":"ann"}"#, Some("ann")),
        (r#"{"user":"a","\u0075ser":"ann"}"#, Some("ann")),
        (r#"{"user":"ann","user":null}"#, None),
        // Numbers that only Python takes for JSON.
        (
            r#"{"inputs":{"x":NaN},"y":[Infinity,-Infinity],"user":"ann"}"#,
            Some("ann"),
        ),
        (r#"{"user":NaN}"#, None),
        // As Dify makes a text of it.
        (r#"{"user":7}"#, Some("7")),
        (r#"{"user" : -12 }"#, Some("-12")),
        (r#"{"user":-0}"#, Some("0")),
        (r#"{"user":7.0}"#, None),
        (r#"{"user":7e0}"#, None),
        (r#"{"user":true}"#, None),
        (r#"{"user":["ann"]}"#, None),
        // Half of a character, which only Python takes.
        (r#"{"query":"\ud800","user":"ann"}"#, Some("ann")),
        (r#"{"\ud800":"\udfff","user":"ann"}"#, Some("ann")),
        (r#"{"user":"\ud800"}"#, None),
        // What looks like something else, in a text.
        (
            r#"{"query":"}\",\"user\":\"bob\"","user":"ann"}"#,
            Some("ann"),
        ),
        ("\r\n\t {\"user\"\n:\r\t\"ann\" }", Some("ann")),
    ];

    #[test]
    fn the_user_is_whom_dify_takes_for_it() {
        for (body, user) in BODIES {
            assert_eq!(end_user(body.as_bytes()).as_deref(), user, "{body}");
        }
    }

    #[test]
    fn the_encoding_is_told_by_the_first_bytes() {
        let text = "{\"user\":\"\u{fc}\u{1f600}\"}";
        let utf16 = |bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
            text.encode_utf16().flat_map(bytes).collect()
        };
        let utf32 = |bytes: fn(u32) -> [u8; 4]| -> Vec<u8> {
            text.chars().map(u32::from).flat_map(bytes).collect()
        };
        let after = |mark: &[u8], body: Vec<u8>| [mark, body.as_slice()].concat();
        for body in [
            text.as_bytes().to_vec(),
            after(b"\xef\xbb\xbf", text.as_bytes().to_vec()),
            utf16(u16::to_be_bytes),
            utf16(u16::to_le_bytes),
            after(b"\xfe\xff", utf16(u16::to_be_bytes)),
            after(b"\xff\xfe", utf16(u16::to_le_bytes)),
            utf32(u32::to_be_bytes),
            utf32(u32::to_le_bytes),
            after(b"\0\0\xfe\xff", utf32(u32::to_be_bytes)),
            after(b"\xff\xfe\0\0", utf32(u32::to_le_bytes)),
        ] {
            assert_eq!(
                end_user(&body).as_deref(),
                Some("\u{fc}\u{1f600}"),
                "{body:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(body: Vec<u8>) {
            end_user(&body);
        }

        #[test]
        fn of_strict_json_it_reads_what_everybody_reads(
            members in prop::collection::vec(("user|inputs|\\PC{0,3}", json()), 0..6),
        ) {
            let members: Vec<String> = members
                .iter()
                .map(|(name, value)| format!("{} : {value}", serde_json::Value::from(name.as_str())))
                .collect();
            let body = format!("{{ {} }}", members.join(" ,\n"));
            let read: serde_json::Value = serde_json::from_str(&body).unwrap();
            let expected = match &read["user"] {
                serde_json::Value::String(user) => Some(user.clone()).filter(|user| !user.is_empty()),
                serde_json::Value::Number(number) if !number.is_f64() => Some(number.to_string()),
                _ => None,
            };
            prop_assert_eq!(end_user(body.as_bytes()), expected, "{}", body);
        }
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from),
            (-1e9..1e9).prop_map(serde_json::Value::from),
            "[\\\\\"{}\\[\\],:a-c\u{fc}\n]{0,6}".prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(serde_json::Value::from),
                prop::collection::btree_map("user|[\"\\\\]{0,2}", inner, 0..3).prop_map(
                    |members| { serde_json::Value::Object(members.into_iter().collect()) }
                ),
            ]
        })
    }
}
