//! The ports of an entry, and the port that a scheme has of its own.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Port {
    Any,
    One(u16),
    /// From the first, to before the second.
    Range(u16, u16),
}

impl Port {
    pub(super) fn parse(text: &str, scheme: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return default_port(scheme)
                .map(Self::One)
                .ok_or("its scheme has no port of its own: add one, or `:*`");
        }
        if text == "*" {
            return Ok(Self::Any);
        }
        if text.starts_with('{') {
            return Err("lists of ports are not supported: write one entry for each");
        }
        let number = |text: &str| {
            text.parse()
                .map_err(|_| "its port is no number from 0 to 65535")
        };
        match text.split_once("..") {
            Some((first, end)) => Ok(Self::Range(number(first)?, number(end)?)),
            None => Ok(Self::One(number(text)?)),
        }
    }

    pub(super) fn allows(self, port: Option<u16>) -> bool {
        match (self, port) {
            (Self::Any, _) => true,
            (Self::One(one), Some(port)) => one == port,
            (Self::Range(first, end), Some(port)) => (first..end).contains(&port),
            (Self::One(_) | Self::Range(..), None) => false,
        }
    }
}

/// The ports that Spin knows. `rediss` is not among them.
pub(crate) fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        "redis" => Some(6379),
        "mysql" => Some(3306),
        "postgres" => Some(5432),
        "mqtt" => Some(1883),
        _ => None,
    }
}
