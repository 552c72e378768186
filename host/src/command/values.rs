//! What arguments say, from their text.

use std::ffi::OsStr;
use std::net::{SocketAddr, ToSocketAddrs as _};

use clap::builder::TypedValueParser;

use crate::reload::GivenValue;

pub(super) fn parse_address(text: &str) -> Result<SocketAddr, String> {
    // `:3000`, as many tools take it: every address of this machine.
    let every = text.strip_prefix(':').map(|port| format!("0.0.0.0:{port}"));
    let mut found: Vec<SocketAddr> = every
        .as_deref()
        .unwrap_or(text)
        .to_socket_addrs()
        .map_err(|error| format!("no address such as 127.0.0.1:3000: {error}"))?
        .collect();
    // `localhost` is often both; browsers and scripts expect the older one.
    found.sort_by_key(|address| !address.is_ipv4());
    found
        .first()
        .copied()
        .ok_or_else(|| format!("`{text}` has no address"))
}

pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    text.parse::<spillway_config::ByteSize>()
        .map(spillway_config::ByteSize::bytes)
        .map_err(|error| error.to_string())
}

/// `NAME=VALUE`, or `NAME=@FILE`. What is wrong is told without the text, which may be a secret.
#[derive(Clone)]
pub(super) struct VariableParser;

impl TypedValueParser for VariableParser {
    type Value = (String, GivenValue);

    fn parse_ref(
        &self,
        _: &clap::Command,
        _: Option<&clap::Arg>,
        text: &OsStr,
    ) -> Result<Self::Value, clap::Error> {
        let wrong = |why: String| {
            let line = format!("--variable: {why}\n");
            clap::Error::raw(clap::error::ErrorKind::ValueValidation, line)
        };
        let Some((name, value)) = text.to_str().and_then(|text| text.split_once('=')) else {
            return Err(wrong(
                "the value has no `=`: write NAME=VALUE, or NAME=@FILE".to_owned(),
            ));
        };
        let value = match value.strip_prefix('@') {
            None => GivenValue::Text(value.to_owned()),
            Some(path) => GivenValue::of_file(path.as_ref())
                .map_err(|error| wrong(format!("{name}=@{path}: {error}")))?,
        };
        Ok((name.to_owned(), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_is_none_is_not_repeated() {
        let parse = |text: &str| {
            VariableParser.parse_ref(&clap::Command::new("up"), None, OsStr::new(text))
        };
        let (name, value) = parse("a=b=c").unwrap();
        assert!(name == "a" && matches!(value, GivenValue::Text(text) if text == "b=c"));
        let error = parse("sk-to-be-hidden").unwrap_err().to_string();
        assert!(
            error.contains("NAME=VALUE") && !error.contains("hidden"),
            "{error}"
        );
        let error = parse("a=@/none").unwrap_err().to_string();
        assert!(error.contains("a=@/none: No such file"), "{error}");
    }
}
