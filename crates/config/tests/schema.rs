//! The committed JSON Schema is the one that follows from the types; `UPDATE_SCHEMA=1` writes it.

use std::fs;
use std::path::Path;

use spillway_config::json_schema;

#[test]
fn the_committed_schema_follows_from_the_types() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../gateway.schema.json");
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(&committed, json_schema()).unwrap();
    }
    assert!(
        fs::read_to_string(committed).unwrap() == json_schema(),
        "gateway.schema.json is not what the types say: `just schema` writes it"
    );
}

#[test]
fn no_key_may_be_null_and_none_be_unknown() {
    let schema: serde_json::Value = serde_json::from_str(&json_schema()).unwrap();
    let mut objects = 0;
    visit(&schema, &mut |value| {
        assert_ne!(
            value.get("type"),
            Some(&serde_json::Value::from("null")),
            "{value}"
        );
        assert!(
            !value.get("type").is_some_and(serde_json::Value::is_array),
            "{value}"
        );
        if value.get("properties").is_some() {
            objects += 1;
            assert_eq!(
                value.get("additionalProperties"),
                Some(&serde_json::Value::from(false)),
                "{value}"
            );
            assert!(
                value.get("description").is_some() || value.get("required").is_some(),
                "{value}"
            );
        }
    });
    assert!(objects > 10);
}

fn visit(value: &serde_json::Value, see: &mut impl FnMut(&serde_json::Value)) {
    see(value);
    match value {
        serde_json::Value::Object(members) => {
            members.values().for_each(|member| visit(member, see))
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| visit(item, see)),
        _ => {}
    }
}
