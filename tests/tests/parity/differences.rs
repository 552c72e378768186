//! How the two ways differ for one request.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use bytes::Bytes;
use serde_json::Value;
use spillway_tests::{
    client::{End, Response},
    standin::RecordedRequest,
};

use crate::{Case, Exchange};

/// One thing that is not the same.
#[derive(Debug, Clone)]
pub(crate) struct Difference {
    /// The request's name.
    pub(crate) case: String,
    /// The host that it asked for.
    pub(crate) host: String,
    /// What differs, such as `arrived: header host` or `answer: status`.
    pub(crate) place: String,
    /// What it is by nginx: nothing, one value, or several in order.
    pub(crate) nginx: Vec<String>,
    /// What it is by the gateway.
    pub(crate) gateway: Vec<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |values: &[String]| {
            let characters: Vec<char> = format!("{values:?}").chars().collect();
            match (
                characters.first_chunk::<200>(),
                characters.last_chunk::<200>(),
            ) {
                (Some(first), Some(last)) if characters.len() > 400 => {
                    first.iter().chain(&[' ', '…', ' ']).chain(last).collect()
                }
                _ => characters.iter().collect::<String>(),
            }
        };
        writeln!(
            formatter,
            "{}\n    {}\n        nginx:   {}\n        gateway: {}",
            self.case,
            self.place,
            short(&self.nginx),
            short(&self.gateway)
        )
    }
}

/// What is compared, by its name: no values where there is nothing.
type Facts = BTreeMap<String, Vec<String>>;

/// Everything that differs. Ports of the gateways are named rather than shown, as they are new in every run.
pub(crate) fn differences(case: &Case, nginx: &Exchange, gateway: &Exchange) -> Vec<Difference> {
    let mut facts = [Facts::new(), Facts::new()];
    // An answer of either's own has its own form, so that only its status and who gave it are compared.
    let both_pass_on = !is_nginx_own(nginx) && !is_gateway_own(gateway);
    for (facts, exchange) in facts.iter_mut().zip([nginx, gateway]) {
        arrived(exchange, facts);
        match &exchange.answer {
            Ok(answer) => {
                put(facts, "answer: status", answer.status().to_string());
                if both_pass_on {
                    answered(answer, exchange, facts);
                }
            }
            Err(error) => put(facts, "answer: none", error.clone()),
        }
    }
    let [mut nginx_facts, mut gateway_facts] = facts;
    let by_nginx = author(is_nginx_own(nginx), nginx);
    let by_gateway = author(is_gateway_own(gateway), gateway);
    put(&mut nginx_facts, "answer: by", by_nginx);
    put(&mut gateway_facts, "answer: by", by_gateway);
    let one_saw_none = nginx.arrived.is_empty() != gateway.arrived.is_empty();
    let places: BTreeSet<String> = nginx_facts
        .keys()
        .chain(gateway_facts.keys())
        .cloned()
        .collect();
    places
        .into_iter()
        .map(|place| Difference {
            case: case.name.clone(),
            host: case.host().to_owned(),
            nginx: nginx_facts.remove(&place).unwrap_or_default(),
            gateway: gateway_facts.remove(&place).unwrap_or_default(),
            place,
        })
        .filter(|difference| difference.nginx != difference.gateway)
        // Where only one of them forwarded, how it did says nothing.
        .filter(|difference| {
            !one_saw_none
                || difference.place == "arrived: at"
                || !difference.place.starts_with("arrived")
        })
        .collect()
}

fn put(facts: &mut Facts, place: &str, value: String) {
    facts.entry(place.to_owned()).or_default().push(value);
}

/// Whether nginx made the answer itself.
fn is_nginx_own(exchange: &Exchange) -> bool {
    let page = |answer: &Response| answer.text().contains("<hr><center>nginx");
    exchange.answer.as_ref().is_ok_and(page)
}

/// Whether the gateway made the answer itself, or its host did.
fn is_gateway_own(exchange: &Exchange) -> bool {
    let reason = |answer: &Response| answer.header("x-gateway-reason").is_some();
    exchange.arrived.is_empty() || exchange.answer.as_ref().is_ok_and(reason)
}

/// Whose answer it is, and of which form if it is the gateway's own.
fn author(own: bool, exchange: &Exchange) -> String {
    let Ok(answer) = &exchange.answer else {
        return "nobody".to_owned();
    };
    let json = answer.json();
    let has_texts = ["code", "message"]
        .iter()
        .all(|field| json.get(field).is_some_and(Value::is_string));
    let status = Some(u64::from(answer.status()));
    let is_dify_error = has_texts && json.get("status").and_then(Value::as_u64) == status;
    match answer.header("content-type").as_deref() {
        _ if !own => "Dify",
        _ if answer.body.is_empty() => "the gateway: nothing",
        Some("application/json") if is_dify_error => "the gateway: Dify's error",
        Some(page) if page.starts_with("text/html") => "the gateway: a page",
        _ => "the gateway: something else",
    }
    .to_owned()
}

fn arrived(exchange: &Exchange, facts: &mut Facts) {
    let services = exchange
        .arrived
        .iter()
        .map(|seen| format!("{:?}", seen.service));
    facts.insert("arrived: at".to_owned(), services.collect());
    let Some(seen) = exchange.arrived.last() else {
        return;
    };
    put(facts, "arrived: method", seen.method.clone());
    put(facts, "arrived: target", seen.target.clone());
    put(facts, "arrived: framing", format!("{:?}", seen.framing));
    put(facts, "arrived: body", body(seen));
    put(facts, "arrived: trailers", format!("{:?}", seen.trailers));
    headers("arrived", &seen.headers, exchange, facts);
}

fn body(seen: &RecordedRequest) -> String {
    let end = if seen.body_complete {
        "whole"
    } else {
        "broken off"
    };
    format!("{} bytes, {end}, {}", seen.body_length, seen.body_sha256)
}

fn answered(answer: &Response, exchange: &Exchange, facts: &mut Facts) {
    let end = match answer.end {
        End::Clean => "clean",
        End::Dirty(_) => "broken off",
    };
    put(facts, "answer: end", end.to_owned());
    put(facts, "answer: body", printable(&answer.body));
    let framing = ["content-length", "transfer-encoding"]
        .map(|name| format!("{name} {:?}", answer.head.header_values(name)));
    put(facts, "answer: framing", framing.join(", "));
    put(facts, "answer: trailers", format!("{:?}", answer.trailers));
    headers("answer", &answer.head.headers, exchange, facts);
}

/// Bytes as a text that is another one for other bytes.
fn printable(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}

/// Header lines without regard to their order and the case of their names. Those of the framing are compared as it,
/// and each gateway has a mark of its own.
fn headers(side: &str, lines: &[(String, Bytes)], exchange: &Exchange, facts: &mut Facts) {
    for (name, value) in lines {
        let name = name.to_ascii_lowercase();
        if matches!(
            name.as_str(),
            "content-length" | "transfer-encoding" | "x-mark"
        ) {
            continue;
        }
        let place = format!("{side}: header {name}");
        put(facts, &place, named(&printable(value), exchange));
    }
    for values in facts.values_mut() {
        values.sort();
    }
}

/// The text with a name in the place of what is another one in every run.
fn named(text: &str, exchange: &Exchange) -> String {
    if text == exchange.gateway.port().to_string() {
        return "{port}".to_owned();
    }
    let port = format!(":{}", exchange.gateway.port());
    text.replace(&port, ":{port}")
}
