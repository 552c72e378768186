//! Hosts that are added to a manifest's text, all else of which stays as it is.

use std::collections::BTreeMap;

use anyhow::Context as _;
use toml_edit::{Array, DocumentMut, Item, Value};

/// The text with these entries in `allowed_outbound_hosts` of these components.
///
/// # Errors
/// When it is no manifest with these components.
pub fn with_hosts(text: &str, missing: &BTreeMap<&str, Vec<String>>) -> anyhow::Result<String> {
    let (mark, bare) = match text.strip_prefix('\u{feff}') {
        Some(bare) => ("\u{feff}", bare),
        None => ("", text),
    };
    let mut document: DocumentMut = bare.parse().context("spin.toml cannot be read")?;
    for (id, entries) in missing {
        let component = document
            .get_mut("component")
            .and_then(|components| components.get_mut(*id))
            .and_then(Item::as_table_like_mut)
            .with_context(|| format!("spin.toml has no [component.{id}]"))?;
        let hosts = component
            .entry("allowed_outbound_hosts")
            .or_insert_with(|| Item::Value(Value::Array(Array::new())));
        let hosts = hosts
            .as_array_mut()
            .with_context(|| format!("allowed_outbound_hosts of [component.{id}] is no list"))?;
        for entry in entries {
            push(hosts, entry);
        }
    }
    let written = document.to_string();
    // The parser takes both line ends and keeps the shorter.
    let written = if text.contains("\r\n") {
        written.replace("\r\n", "\n").replace('\n', "\r\n")
    } else {
        written
    };
    Ok(format!("{mark}{written}"))
}

/// As the last one stands: on a line of its own, or beside it.
fn push(hosts: &mut Array, entry: &str) {
    let last = hosts
        .iter()
        .last()
        .and_then(|last| last.decor().prefix()?.as_str().map(str::to_owned));
    // What stands between the last entry and the bracket, where no comma does, stays there.
    let place = hosts.len().saturating_sub(1);
    if let Some(last) = hosts.get_mut(place) {
        let suffix = last.decor().suffix().and_then(|it| it.as_str());
        if let Some(suffix) = suffix.filter(|it| !it.is_empty()).map(str::to_owned) {
            last.decor_mut().set_suffix("");
            hosts.set_trailing(suffix);
            hosts.set_trailing_comma(true);
        }
    }
    // The first of a list on one line has no space before it.
    let prefix = match last {
        Some(prefix) if prefix.contains('\n') => {
            let indent = prefix.rsplit('\n').next().unwrap_or_default();
            format!("\n{indent}")
        }
        Some(_) => " ".to_owned(),
        None => String::new(),
    };
    let mut value = Value::from(entry);
    value.decor_mut().set_prefix(prefix);
    hosts.push_formatted(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_added_and_comments_stay() {
        let text = "# mine\n[component.a]\nsource = \"a.wasm\" # here\nallowed_outbound_hosts = [\n    # Dify\n    \"http://api:5001\",\n]\n\n[component.b]\nallowed_outbound_hosts = [\"http://b\"]\n\n[component.c]\nsource = \"c\"\n";
        let missing = BTreeMap::from([
            (
                "a",
                vec!["http://web:3000".to_owned(), "http://more".to_owned()],
            ),
            ("b", vec!["http://c".to_owned()]),
            ("c", vec!["http://d".to_owned()]),
        ]);
        let written = with_hosts(text, &missing).unwrap();
        assert_eq!(
            written,
            "# mine\n[component.a]\nsource = \"a.wasm\" # here\nallowed_outbound_hosts = [\n    # Dify\n    \"http://api:5001\",\n    \"http://web:3000\",\n    \"http://more\",\n]\n\n[component.b]\nallowed_outbound_hosts = [\"http://b\", \"http://c\"]\n\n[component.c]\nsource = \"c\"\nallowed_outbound_hosts = [\"http://d\"]\n"
        );
        let bare = "[component.a]\nallowed_outbound_hosts = [\n  \"http://a\"\n]\n";
        let one = BTreeMap::from([("a", vec!["http://b".to_owned()])]);
        let added =
            "[component.a]\nallowed_outbound_hosts = [\n  \"http://a\",\n  \"http://b\",\n]\n";
        assert_eq!(with_hosts(bare, &one).unwrap(), added);
        let windows = |text: &str| format!("\u{feff}{}", text.replace('\n', "\r\n"));
        assert_eq!(with_hosts(&windows(bare), &one).unwrap(), windows(added));
        assert!(with_hosts(text, &BTreeMap::from([("x", vec![])])).is_err());
        assert!(with_hosts("= no", &BTreeMap::new()).is_err());
    }
}
