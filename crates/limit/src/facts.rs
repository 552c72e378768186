//! What is known of a request.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use spillway_config::{AddressSource, Argument, LimitBy, Source};
use spillway_platform::Headers;

use crate::{DifyApp, TokenDemand};

/// Headers that tell the client's address and that anybody can write. What a trusted proxy wrote into them is in
/// [`RequestFacts::client`] already.
pub(crate) const CLIENT_HEADERS: [&str; 2] = ["x-forwarded-for", "x-real-ip"];

/// So many values of one parameter or cookie are looked at: more than any request has use for, and few enough for
/// one with thousands to cost nothing. Spin passes on no more headers than this.
const MAX_VALUES: usize = 100;

/// What is known of a request. What an API has no notion of is `None`, and no rule by it holds.
#[derive(Debug, Clone, Copy)]
pub struct RequestFacts<'a> {
    /// As the client sent them, names in lower case.
    pub headers: &'a Headers,
    /// As the client sent it, without the question mark.
    pub query: Option<&'a str>,
    /// The client: the nearest address that is no trusted proxy.
    pub client: Option<IpAddr>,
    /// The consumer's name.
    pub consumer: Option<&'a str>,
    /// The model asked for.
    pub model: Option<&'a str>,
    /// The Dify application.
    pub dify_app: Option<&'a DifyApp>,
    /// The end user, as the application that calls Dify names them.
    pub end_user: Option<&'a str>,
    /// The route's name.
    pub route: Option<&'a str>,
    /// The host that it is sent to.
    pub host: Option<&'a str>,
    /// What is known of its tokens; `None`: it uses none, and no token limit holds.
    pub demand: Option<&'a TokenDemand>,
    /// The service that gets the request.
    pub service: Option<&'a str>,
}

/// A value of the property that requests are counted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Text(Cow<'a, str>),
    Address(IpAddr),
    DifyApp(&'a DifyApp),
}

impl<'a> RequestFacts<'a> {
    /// Of a request of which nothing but its headers is known.
    pub const fn of(headers: &'a Headers) -> Self {
        Self {
            headers,
            query: None,
            client: None,
            consumer: None,
            model: None,
            dify_app: None,
            end_user: None,
            route: None,
            host: None,
            demand: None,
            service: None,
        }
    }

    /// The values of a property, in the request's order. A header, parameter or cookie may have several; the first
    /// hundred are told.
    pub(crate) fn values(&self, by: &LimitBy) -> Vec<Value<'a>> {
        let name = match &by.argument {
            Argument::Name(name) => name.as_str(),
            Argument::Nothing | Argument::Address(_) => "",
        };
        match by.source() {
            Source::Header => {
                let headers: &'a Headers = self.headers;
                let values = headers.all(name).map(String::from_utf8_lossy);
                values.take(MAX_VALUES).map(Value::Text).collect()
            }
            Source::Param => {
                let query = self.query.unwrap_or_default();
                form_urlencoded::parse(query.as_bytes())
                    .filter(|(key, _)| key == name)
                    .take(MAX_VALUES)
                    .map(|(_, value)| Value::Text(value))
                    .collect()
            }
            Source::Cookie => self.cookies(name),
            Source::Consumer => text(self.consumer),
            Source::Model => text(self.model),
            Source::EndUser => text(self.end_user),
            Source::Route => text(self.route),
            Source::Service => text(self.service),
            Source::Address => self
                .address(&by.argument)
                .map(Value::Address)
                .into_iter()
                .collect(),
            Source::DifyApp => self.dify_app.map(Value::DifyApp).into_iter().collect(),
        }
    }

    fn cookies(&self, name: &str) -> Vec<Value<'a>> {
        let headers: &'a Headers = self.headers;
        let pairs = headers
            .all("cookie")
            .flat_map(|header| header.split(|byte| *byte == b';'));
        let values = pairs.filter_map(|pair| {
            let mut parts = pair.splitn(2, |byte| *byte == b'=');
            let key = parts.next()?.trim_ascii();
            let value = parts.next()?.trim_ascii();
            (key == name.as_bytes()).then(|| Value::Text(String::from_utf8_lossy(value)))
        });
        values.take(MAX_VALUES).collect()
    }

    fn address(&self, source: &Argument) -> Option<IpAddr> {
        let claimed = match source {
            Argument::Address(AddressSource::Header(name))
                if !CLIENT_HEADERS.contains(&name.as_str()) =>
            {
                self.headers.text(name).and_then(first_address)
            }
            Argument::Address(_) | Argument::Name(_) | Argument::Nothing => None,
        };
        let address = claimed.or(self.client)?;
        Some(address.to_canonical())
    }
}

fn text(value: Option<&str>) -> Vec<Value<'_>> {
    value
        .map(|value| Value::Text(Cow::Borrowed(value)))
        .into_iter()
        .collect()
}

/// The first of a list of addresses, with or without port and brackets.
fn first_address(list: &str) -> Option<IpAddr> {
    let first = list.split(',').next()?.trim();
    let alone = first
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(first);
    let with_port = || first.parse::<SocketAddr>().map(|address| address.ip());
    alone.parse().or_else(|_| with_port()).ok()
}
