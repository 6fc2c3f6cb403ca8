//! Listen addresses.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Deserializer, de::Error};

/// Parses `IP:PORT`, `localhost:PORT` or `:PORT`. The last two are 127.0.0.1, so that nothing is exposed by accident.
pub(crate) fn parse(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix("localhost").unwrap_or(text);
    if let Some(port) = port.strip_prefix(':')
        && let Ok(port) = port.parse()
    {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    let refuse = |_| {
        format!(
            "invalid listen address {text:?}: use IP:PORT, localhost:PORT or :PORT, for example 127.0.0.1:8080"
        )
    };
    text.parse().map_err(refuse)
}

/// The same in a configuration file or an environment variable.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(from)?;
    parse(&text).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_host_is_loopback() {
        for (text, address) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("localhost:8080", "127.0.0.1:8080"),
            (":8080", "127.0.0.1:8080"),
            (":0", "127.0.0.1:0"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::1]:80", "[::1]:80"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), address, "{text}");
        }
        for text in [
            "",
            "8080",
            "localhost",
            ":",
            ":65536",
            "host:80",
            "127.0.0.1",
            "localhost8080",
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains("localhost:PORT"), "{error}");
        }
    }
}
