//! The runtime's error codes, by what they mean for a caller.

use spin_sdk::wasip3::http::types::ErrorCode;

use spillway_platform::SendError;

/// What an error says that came before the answer's head.
pub(super) fn before_head(code: &ErrorCode) -> SendError {
    match code {
        ErrorCode::ConnectionReadTimeout | ErrorCode::HttpResponseTimeout => {
            SendError::FirstByteTimeout
        }
        other => general(other),
    }
}

/// What an error says that came within the answer's body.
pub(super) fn within_body(code: &ErrorCode) -> SendError {
    match code {
        ErrorCode::ConnectionReadTimeout | ErrorCode::HttpResponseTimeout => {
            SendError::BetweenBytesTimeout
        }
        other => general(other),
    }
}

fn general(code: &ErrorCode) -> SendError {
    match code {
        ErrorCode::HttpRequestDenied => SendError::HostNotAllowed,
        ErrorCode::ConnectionTimeout => SendError::ConnectTimeout,
        ErrorCode::ConnectionLimitReached => SendError::ConnectionLimit,
        ErrorCode::ConnectionRefused
        | ErrorCode::DnsError(_)
        | ErrorCode::DnsTimeout
        | ErrorCode::DestinationNotFound
        | ErrorCode::DestinationUnavailable
        | ErrorCode::DestinationIpProhibited
        | ErrorCode::DestinationIpUnroutable
        | ErrorCode::TlsProtocolError
        | ErrorCode::TlsCertificateError
        | ErrorCode::TlsAlertReceived(_) => SendError::Connect(words(code)),
        ErrorCode::HttpProtocolError
        | ErrorCode::ConnectionTerminated
        | ErrorCode::HttpResponseIncomplete
        | ErrorCode::HttpResponseBodySize(_)
        | ErrorCode::HttpResponseTransferCoding(_) => SendError::Reset(words(code)),
        other => SendError::Other(words(other)),
    }
}

/// A code in words, for a log that operators read.
fn words(code: &ErrorCode) -> String {
    let words = match code {
        ErrorCode::ConnectionRefused => "it was refused",
        ErrorCode::DnsTimeout => "its name was not resolved in time",
        ErrorCode::DestinationNotFound | ErrorCode::DestinationUnavailable => "nobody is there",
        ErrorCode::DestinationIpProhibited | ErrorCode::DestinationIpUnroutable => {
            "its address cannot be reached"
        }
        ErrorCode::TlsProtocolError => "TLS failed",
        ErrorCode::TlsCertificateError => "its certificate is not trusted",
        ErrorCode::HttpProtocolError => {
            "the head of the answer cannot be used (no HTTP, lengths that differ, too large), or the connection was closed"
        }
        ErrorCode::ConnectionTerminated => "it was closed",
        ErrorCode::HttpResponseIncomplete => "the answer is not complete",
        ErrorCode::DnsError(payload) => {
            let rcode = payload.rcode.as_deref().unwrap_or_default();
            return if rcode.is_empty() {
                "its name could not be resolved".to_owned()
            } else {
                format!("its name could not be resolved ({rcode})")
            };
        }
        ErrorCode::TlsAlertReceived(payload) => {
            let alert = payload.alert_message.as_deref().unwrap_or_default();
            return format!("TLS failed: the other side said {alert}");
        }
        ErrorCode::HttpResponseTransferCoding(_) => "a transfer coding that was not asked for",
        ErrorCode::HttpResponseBodySize(_) => "the answer's length is not the one it named",
        ErrorCode::InternalError(Some(text)) => return text.clone(),
        other => return spaced(&format!("{other:?}")),
    };
    words.to_owned()
}

/// `ErrorCode::HttpUpgradeFailed` as `http upgrade failed`.
fn spaced(name: &str) -> String {
    let name = name.rsplit("::").next().unwrap_or(name);
    let name = name.split('(').next().unwrap_or(name);
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}
