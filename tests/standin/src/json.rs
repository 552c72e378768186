//! Reading JSON that may hold anything.

use serde_json::Value;

/// What stands at a JSON pointer; null when nothing does.
pub(crate) fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

/// The elements of an array at a JSON pointer; none when there is no array.
pub(crate) fn elements<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    at(value, pointer)
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// The object with these fields added. Both values must be objects; else the first stays as it is.
pub(crate) fn with(value: &Value, fields: Value) -> Value {
    let mut value = value.clone();
    if let (Value::Object(object), Value::Object(fields)) = (&mut value, fields) {
        object.extend(fields);
    }
    value
}
