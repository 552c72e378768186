//! What arguments say, from their text.

use std::net::{SocketAddr, ToSocketAddrs as _};

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

pub(super) fn parse_variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` has no `=`: write NAME=VALUE"))?;
    let value = match value.strip_prefix('@') {
        None => value.to_owned(),
        Some(path) => std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?,
    };
    Ok((name.to_owned(), value))
}
