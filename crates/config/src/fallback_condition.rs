//! The text form of the failures on which a call goes on to the next target: `connect_error`, `"429"`, `"5xx"`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::shortened;
use crate::{Error, FallbackCondition, StatusPattern};

/// The conditions that are words.
const WORDS: [(&str, FallbackCondition); 8] = [
    ("connect_error", FallbackCondition::ConnectError),
    ("timeout", FallbackCondition::Timeout),
    ("first_token_timeout", FallbackCondition::FirstTokenTimeout),
    ("reset", FallbackCondition::Reset),
    ("truncated", FallbackCondition::Truncated),
    ("context_length", FallbackCondition::ContextLength),
    ("content_filter", FallbackCondition::ContentFilter),
    ("gateway_refusal", FallbackCondition::GatewayRefusal),
];

impl FromStr for FallbackCondition {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match WORDS.iter().find(|(word, _)| *word == text) {
            Some((_, condition)) => Ok(*condition),
            None => text.parse().map(Self::Status),
        }
    }
}

impl FromStr for StatusPattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "4xx" => return Ok(Self::Class(4)),
            "5xx" => return Ok(Self::Class(5)),
            _ => {}
        }
        let status = if text.len() == 3 {
            text.parse::<u64>().ok()
        } else {
            None
        };
        status
            .and_then(failing_status)
            .map(Self::Exact)
            .ok_or_else(|| Error::FallbackCondition {
                found: shortened(text),
            })
    }
}

/// A status that tells of a failure; others never lead to a fallback.
fn failing_status(number: u64) -> Option<u16> {
    u16::try_from(number)
        .ok()
        .filter(|status| (400..=599).contains(status))
}

impl fmt::Display for FallbackCondition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ConnectError => "connect_error",
            Self::Timeout => "timeout",
            Self::FirstTokenTimeout => "first_token_timeout",
            Self::Reset => "reset",
            Self::Truncated => "truncated",
            Self::ContextLength => "context_length",
            Self::ContentFilter => "content_filter",
            Self::GatewayRefusal => "gateway_refusal",
            Self::Status(pattern) => return pattern.fmt(formatter),
        })
    }
}

impl fmt::Display for StatusPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(status) => write!(formatter, "{status}"),
            Self::Class(class) => write!(formatter, "{class}xx"),
        }
    }
}

impl Serialize for FallbackCondition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for StatusPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FallbackCondition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ConditionVisitor)
    }
}

impl<'de> Deserialize<'de> for StatusPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StatusVisitor)
    }
}

struct ConditionVisitor;

impl de::Visitor<'_> for ConditionVisitor {
    type Value = FallbackCondition;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a fallback condition, such as connect_error, \"429\" or \"5xx\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<FallbackCondition, E> {
        text.parse().map_err(E::custom)
    }

    // YAML reads an unquoted 429 as a number.
    fn visit_u64<E: de::Error>(self, status: u64) -> Result<FallbackCondition, E> {
        StatusVisitor
            .visit_u64(status)
            .map(FallbackCondition::Status)
    }
}

struct StatusVisitor;

impl de::Visitor<'_> for StatusVisitor {
    type Value = StatusPattern;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a status from \"400\" to \"599\", \"4xx\" or \"5xx\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<StatusPattern, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, status: u64) -> Result<StatusPattern, E> {
        failing_status(status)
            .map(StatusPattern::Exact)
            .ok_or_else(|| {
                E::custom(Error::FallbackCondition {
                    found: status.to_string(),
                })
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_survives_its_text_form() {
        let mut conditions: Vec<FallbackCondition> =
            WORDS.iter().map(|(_, condition)| *condition).collect();
        conditions.extend(
            (400..=599).map(|status| FallbackCondition::Status(StatusPattern::Exact(status))),
        );
        conditions
            .extend([4, 5].map(|class| FallbackCondition::Status(StatusPattern::Class(class))));
        for condition in conditions {
            let json = serde_json::to_string(&condition).unwrap();
            assert_eq!(json, format!("\"{condition}\""));
            assert_eq!(
                serde_json::from_str::<FallbackCondition>(&json).unwrap(),
                condition
            );
        }
        assert_eq!(
            serde_json::from_str::<FallbackCondition>("429").unwrap(),
            FallbackCondition::Status(StatusPattern::Exact(429))
        );
    }

    #[test]
    fn what_is_no_condition_is_refused_with_the_list() {
        for text in [
            "",
            "conect_error",
            "200",
            "399",
            "600",
            "2xx",
            "6xx",
            "5XX",
            "0429",
            "+29",
            "-29",
            "5x",
        ] {
            let message = text.parse::<FallbackCondition>().unwrap_err().to_string();
            assert!(
                message.contains("connect_error, timeout, first_token_timeout"),
                "{message}"
            );
            assert!(message.contains("\"400\" to \"599\""), "{message}");
        }
        assert!(serde_json::from_str::<FallbackCondition>("200").is_err());
        assert!(serde_json::from_str::<FallbackCondition>("70000").is_err());
    }
}
