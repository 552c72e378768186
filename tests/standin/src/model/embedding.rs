//! Embeddings: vectors that depend on nothing but the text.

use serde_json::{Value, json};

use crate::json::at;

/// Components of a vector.
const DIMENSIONS: usize = 8;

pub(super) fn embeddings(request: &Value) -> Value {
    let inputs: Vec<String> = match at(request, "/input") {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) if items.iter().all(Value::is_number) => {
            vec![at(request, "/input").to_string()]
        }
        Value::Array(items) => items
            .iter()
            .map(|item| {
                item.as_str()
                    .map_or_else(|| item.to_string(), str::to_owned)
            })
            .collect(),
        _ => Vec::new(),
    };
    let base64 = at(request, "/encoding_format") == "base64";
    let entry = |(index, text): (usize, &String)| {
        let vector = vector(text);
        let embedding = if base64 {
            let bytes: Vec<u8> = vector
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            json!(to_base64(&bytes))
        } else {
            json!(vector)
        };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    };
    let tokens: usize = inputs
        .iter()
        .map(|text| text.chars().count().div_ceil(4))
        .sum();
    json!({
        "object": "list", "model": at(request, "/model"),
        "data": inputs.iter().enumerate().map(entry).collect::<Vec<_>>(),
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })
}

/// Components between -1 and 1, multiples of 1/128, so that they survive JSON and base64 alike.
fn vector(text: &str) -> [f32; DIMENSIONS] {
    let mut sums = [7_u8; DIMENSIONS];
    for (position, byte) in text.bytes().enumerate() {
        if let Some(sum) = sums.get_mut(position % DIMENSIONS) {
            *sum = sum.wrapping_mul(31).wrapping_add(byte);
        }
    }
    sums.map(|sum| f32::from(i16::from(sum).wrapping_sub(128)) / 128.0)
}

fn to_base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or_default());
        let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for (index, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = usize::try_from((bits >> shift) & 63).unwrap_or_default();
            let letter = ALPHABET.get(digit).copied().map_or('=', char::from);
            text.push(if index <= group.len() { letter } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_as_in_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(to_base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn equal_texts_have_equal_vectors() {
        let answer = embeddings(&json!({"model": "m", "input": ["a", "b", "a"]}));
        let vectors = answer["data"].as_array().unwrap();
        assert_eq!(vectors[0]["embedding"], vectors[2]["embedding"]);
        assert_ne!(vectors[0]["embedding"], vectors[1]["embedding"]);
    }
}
