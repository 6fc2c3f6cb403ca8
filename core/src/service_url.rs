//! URLs of RabbitMQ, its management API and Redis, whose passwords must not be shown.

use std::fmt;
use url::Url;

/// The URL of a service. `Display` and `Debug` hide the password; only [`ServiceUrl::reveal`] shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct ServiceUrl(Url);

/// Text that is not a service URL. The text itself is omitted, because it may contain a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidServiceUrl {
    /// Not a URL.
    #[error("invalid URL ({0}); examples: amqp://user:password@host:5672/%2f or redis://host:6379")]
    Syntax(url::ParseError),
    /// A URL of something else.
    #[error("the URL must start with {expected}://, not {got}://")]
    Scheme {
        /// What it should begin with.
        expected: &'static str,
        /// What it begins with.
        got: String,
    },
    /// A URL without a host.
    #[error("the URL has no host")]
    Host,
}

impl ServiceUrl {
    /// Reads the URL of a RabbitMQ node: `amqp://` or `amqps://`.
    ///
    /// # Errors
    /// If it is not such a URL.
    pub fn amqp(text: &str) -> Result<Self, InvalidServiceUrl> {
        Self::of_scheme(text, "amqp", &["amqp", "amqps"])
    }

    /// Reads the URL of a Redis server: `redis://` or `rediss://`.
    ///
    /// # Errors
    /// If it is not such a URL.
    pub fn redis(text: &str) -> Result<Self, InvalidServiceUrl> {
        Self::of_scheme(text, "redis", &["redis", "rediss"])
    }

    /// Reads the URL of RabbitMQ's management API: `http://` or `https://`.
    ///
    /// # Errors
    /// If it is not such a URL.
    pub fn management(text: &str) -> Result<Self, InvalidServiceUrl> {
        Self::of_scheme(text, "http", &["http", "https"])
    }

    /// A URL below this one, with these path segments appended.
    #[must_use]
    pub fn join(&self, parts: &[&str]) -> Self {
        let mut url = self.0.clone();
        // Only URLs without a host have no path to add to.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(parts);
        }
        Self(url)
    }

    fn of_scheme(
        text: &str,
        expected: &'static str,
        schemes: &[&str],
    ) -> Result<Self, InvalidServiceUrl> {
        let url: Url = text.trim().parse().map_err(InvalidServiceUrl::Syntax)?;
        if !schemes.contains(&url.scheme()) {
            return Err(InvalidServiceUrl::Scheme {
                expected,
                got: url.scheme().to_owned(),
            });
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(InvalidServiceUrl::Host);
        }
        Ok(Self(url))
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &str {
        // `[::1]` is how a URL writes what a socket calls `::1`.
        let host = self.0.host_str().unwrap_or_default();
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The port, if the URL has one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.0.port()
    }

    /// The virtual host of a broker's URL, percent-encoded as a URL's segment; `/` if there is none.
    #[must_use]
    pub fn encoded_vhost(&self) -> &str {
        match self.0.path().trim_start_matches('/') {
            "" => "%2F",
            named => named,
        }
    }

    /// Whether it uses TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self.0.scheme(), "amqps" | "rediss" | "https")
    }

    /// The full URL with its password, for the client library only.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.clone();
        // Query strings may also contain secrets; neither call fails on a URL with a host.
        shown.set_query(None);
        if shown.password().is_some() && shown.set_password(Some("***")).is_err() {
            return f.write_str("(hidden)");
        }
        shown.fmt(f)
    }
}

impl fmt::Debug for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hides_the_password_wherever_it_is_shown() {
        let url = ServiceUrl::amqp("amqp://gate:s3cret@mq.example:5672/%2f?token=t0ken").unwrap();
        for shown in [url.to_string(), format!("{url:?}")] {
            assert!(
                !shown.contains("s3cret") && !shown.contains("t0ken"),
                "{shown}"
            );
            assert!(shown.contains("gate:***@mq.example"), "{shown}");
        }
        assert!(url.reveal().contains("s3cret"));
    }

    #[test]
    fn refuses_other_urls_without_repeating_them() {
        for bad in [
            "s3cret",
            "http://s3cret@host",
            "amqp:///s3cret",
            "redis://s3cret@host",
        ] {
            let error = ServiceUrl::amqp(bad).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
