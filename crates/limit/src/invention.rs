//! Values that clients make up, each of which would make keys in the store: any number of `app-` keys, of headers, of
//! addresses below an IPv6 network.
//!
//! Rule: a client may begin to be counted under so many new values in a second (`state.new_values_per_second`). A value
//! counts in full where its longest window is an hour or a day; a tenth where it is a minute, which is over soon; and
//! nothing where it is a second. Values that stand in the configuration, consumers, routes and services are no
//! inventions, nor is an IPv4 address. What the bound leaves possible: 400 bytes a value in Redis for as long as its
//! window.

use std::net::IpAddr;

use spillway_config::{AddressSource, Argument, LimitBy, QuotaWindow, Values};

use crate::facts::{CLIENT_HEADERS, Value};

/// What a new value costs where its window is an hour or a day.
const COST: u32 = 10;

/// Whether a client made a value up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invention {
    /// It cannot.
    None,
    /// It has many such: addresses, names of models.
    Choice,
    /// It can write anything there. Of a call that Dify does not take, as its key is none, nothing is to stay.
    Word,
}

impl Invention {
    pub fn of(by: &LimitBy, value: &Value<'_>) -> Self {
        let is_others = matches!(
            &by.argument,
            Argument::Address(AddressSource::Header(name)) if !CLIENT_HEADERS.contains(&name.as_str())
        );
        match (by.dimension.values, value) {
            // An IPv4 address of the client's own is no choice of its.
            (Values::Chosen, Value::Address(IpAddr::V4(_))) if !is_others => Self::None,
            (Values::Chosen, _) => Self::Choice,
            (Values::Known, _) => Self::None,
            (Values::Invented, _) => Self::Word,
        }
    }
}

/// What it costs a client to begin such a window.
pub(crate) const fn cost_when_new(window: QuotaWindow) -> u32 {
    match window {
        QuotaWindow::Second => 0,
        QuotaWindow::Minute => 1,
        QuotaWindow::Hour | QuotaWindow::Day => COST,
    }
}

/// What a client may spend where it may bring so many new values a second.
pub(crate) const fn allowance(per_second: u32) -> u32 {
    per_second.saturating_mul(COST)
}

/// What tells a client from others: its address, or the IPv6 network that one client usually has, a /64.
pub(crate) fn client(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().into_iter().take(8).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_client_is_its_network() {
        let client = |text: &str| client(text.parse().unwrap());
        assert_eq!(client("2001:db8:0:1::1"), client("2001:db8:0:1:ffff::2"));
        assert_ne!(client("2001:db8:0:1::1"), client("2001:db8:0:2::1"));
        assert_eq!(client("::ffff:10.0.0.1"), client("10.0.0.1"));
        assert_ne!(client("10.0.0.1"), client("10.0.0.2"));
    }
}
