//! The server under load, given by its URL.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

/// A server of the API: host, port and path prefix; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    host: String,
    port: u16,
    /// `host:port`, as in the `Host` header.
    authority: String,
    /// Empty, or `/so/and/so` without a slash at its end.
    prefix: String,
    /// Whether connections are encrypted.
    is_https: bool,
}

/// An invalid target URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTarget {
    /// Not a URL.
    #[error("{text:?} is not a URL ({source}); example: http://127.0.0.1:8080")]
    Syntax {
        /// The given text.
        text: String,
        /// The parse error.
        source: url::ParseError,
    },
    /// A URL with another scheme.
    #[error("a target must start with http:// or https://, not {0}://")]
    Scheme(String),
    /// A URL with an unsupported part.
    #[error("a target must be http://HOST:PORT/PREFIX or https://HOST:PORT/PREFIX, without {0}")]
    Part(&'static str),
}

impl Target {
    /// Address of the TCP connection.
    #[must_use]
    pub fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// `host:port`, for the `Host` header.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Whether connections are encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// The path prefix: empty, or `/so/and/so`.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let url: Url = text
            .trim()
            .parse()
            .map_err(|source| InvalidTarget::Syntax {
                text: text.to_owned(),
                source,
            })?;
        let is_https = match url.scheme() {
            "http" => false,
            "https" => true,
            // `localhost:8080` is parsed as a URL with the scheme `localhost`.
            other => return Err(InvalidTarget::Scheme(other.to_owned())),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidTarget::Part("a user or password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidTarget::Part("a query or fragment"));
        }
        let host = match url.host() {
            Some(Host::Ipv6(address)) => address.to_string(),
            Some(host) => host.to_string(),
            None => return Err(InvalidTarget::Part("an empty host")),
        };
        let port = url.port_or_known_default().unwrap_or(80);
        Ok(Self {
            authority: format!("{}:{port}", url.host_str().unwrap_or_default()),
            host,
            port,
            prefix: url.path().trim_end_matches('/').to_owned(),
            is_https,
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let target: Target = "http://[::1]:8080/ski/".parse().unwrap();
        assert_eq!(target.address(), ("::1", 8080));
        assert_eq!(
            (target.authority(), target.prefix()),
            ("[::1]:8080", "/ski")
        );
        assert_eq!(target.to_string(), "http://[::1]:8080/ski");
        let plain: Target = "http://gate.example".parse().unwrap();
        assert_eq!((plain.address().1, plain.prefix()), (80, ""));
        let encrypted: Target = "https://gate.example/ski".parse().unwrap();
        assert!(encrypted.is_https() && !plain.is_https());
        assert_eq!(encrypted.to_string(), "https://gate.example:443/ski");
    }

    #[test]
    fn what_is_no_target_is_refused_with_words() {
        for (text, says) in [
            ("", "not a URL"),
            ("127.0.0.1:8080", "not a URL"),
            ("localhost:8080", "must start with http://"),
            ("ftp://x", "not ftp://"),
            ("http://a:b@x", "without a user"),
            ("http://x/?a=1", "without a query"),
        ] {
            let error = text.parse::<Target>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
