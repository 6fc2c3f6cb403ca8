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
    /// A part that would be ignored.
    #[error("the URL has {part}, which is not supported: {instead}")]
    Part {
        /// The part, without its value.
        part: String,
        /// What to do.
        instead: &'static str,
    },
}

/// Parameters that the client of RabbitMQ takes from the URL. Heartbeat and timeouts are set by Skilift.
const AMQP_PARAMETERS: [&str; 3] = ["auth_mechanism", "channel_max", "frame_max"];
/// Parameters that the client of Redis takes from the URL.
const REDIS_PARAMETERS: [&str; 1] = ["protocol"];

impl ServiceUrl {
    /// Reads the URL of a RabbitMQ node: `amqp://` or `amqps://`.
    ///
    /// # Errors
    /// If it is not such a URL.
    pub fn amqp(text: &str) -> Result<Self, InvalidServiceUrl> {
        let found = Self::of_scheme(text, "amqp", &["amqp", "amqps"], &AMQP_PARAMETERS)?;
        if found.0.path().trim_start_matches('/').contains('/') {
            return Err(InvalidServiceUrl::Part {
                part: "more than one part in its path".to_owned(),
                instead: "the path is the virtual host; write a slash in its name as %2F",
            });
        }
        Ok(found)
    }

    /// Reads the URL of a Redis server: `redis://` or `rediss://`.
    ///
    /// # Errors
    /// If it is not such a URL.
    pub fn redis(text: &str) -> Result<Self, InvalidServiceUrl> {
        let found = Self::of_scheme(text, "redis", &["redis", "rediss"], &REDIS_PARAMETERS)?;
        let path = found.0.path().trim_matches('/');
        if !path.is_empty() && path.parse::<u32>().is_err() {
            return Err(InvalidServiceUrl::Part {
                part: "a path that is not a number".to_owned(),
                instead: "the path is the number of the database, for example redis://host:6379/0",
            });
        }
        Ok(found)
    }

    /// Reads the URL of RabbitMQ's management API: `http://` or `https://`.
    ///
    /// # Errors
    /// If it is not such a URL.
    pub fn management(text: &str) -> Result<Self, InvalidServiceUrl> {
        Self::of_scheme(text, "http", &["http", "https"], &[])
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
        parameters: &[&str],
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
        if url.fragment().is_some() {
            return Err(InvalidServiceUrl::Part {
                part: "a fragment (#)".to_owned(),
                instead: "leave it out; in a password, write # as %23",
            });
        }
        let mut unknown = url.query_pairs().map(|(name, _)| name);
        if let Some(name) = unknown.find(|name| !parameters.contains(&&**name)) {
            return Err(InvalidServiceUrl::Part {
                part: format!("the parameter {name:?}"),
                instead: "leave it out",
            });
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
        let url =
            ServiceUrl::amqp("amqp://gate:s3cret@mq.example:5672/%2f?frame_max=70000").unwrap();
        for shown in [url.to_string(), format!("{url:?}")] {
            assert!(
                !shown.contains("s3cret") && !shown.contains("70000"),
                "{shown}"
            );
            assert!(shown.contains("gate:***@mq.example"), "{shown}");
        }
        assert!(url.reveal().contains("s3cret"));
    }

    #[test]
    fn what_would_be_ignored_is_refused() {
        for (parsed, part) in [
            (
                ServiceUrl::amqp("amqp://mq/?heartbeat=5"),
                "the parameter \"heartbeat\"",
            ),
            (ServiceUrl::amqp("amqp://mq/a/b"), "more than one part"),
            (ServiceUrl::amqp("amqp://mq/#x"), "a fragment"),
            (ServiceUrl::redis("rediss://store/#insecure"), "a fragment"),
            (
                ServiceUrl::redis("redis://store/rides"),
                "a path that is not a number",
            ),
            (
                ServiceUrl::redis("redis://store/0?timeout=5"),
                "the parameter \"timeout\"",
            ),
            (
                ServiceUrl::management("http://mq:15672/?a=b"),
                "the parameter \"a\"",
            ),
        ] {
            let error = parsed.unwrap_err().to_string();
            assert!(error.starts_with(&format!("the URL has {part}")), "{error}");
        }
        for text in [
            "amqp://mq",
            "amqp://mq/",
            "amqp://[::1]:5672/alps",
            "amqps://mq/%2F?frame_max=9000",
        ] {
            assert!(ServiceUrl::amqp(text).is_ok(), "{text}");
        }
        assert!(ServiceUrl::redis("redis://[::1]:6379/3?protocol=resp3").is_ok());
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
