//! The runtime's error codes, by what they mean for a caller.

use spin_sdk::wasip3::http::types::ErrorCode;

use crate::SendError;

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
        | ErrorCode::TlsAlertReceived(_) => SendError::Connect(code.to_string()),
        ErrorCode::HttpProtocolError
        | ErrorCode::ConnectionTerminated
        | ErrorCode::HttpResponseIncomplete
        | ErrorCode::HttpResponseBodySize(_)
        | ErrorCode::HttpResponseTransferCoding(_) => SendError::Reset(code.to_string()),
        other => SendError::Other(other.to_string()),
    }
}
