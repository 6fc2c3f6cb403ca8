//! The servers that `with-servers` put at this process' side.

/// The URL of the RabbitMQ that all tests share.
///
/// # Panics
/// When the process was not started by `with-servers`.
#[must_use]
pub fn shared_amqp_url() -> String {
    url_in("SKI_AMQP_URL")
}

/// The URL of the Redis that all tests share.
///
/// # Panics
/// When the process was not started by `with-servers`.
#[must_use]
pub fn shared_redis_url() -> String {
    url_in("SKI_REDIS_URL")
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is how with-servers hands the URLs to tests, which have no configuration"
)]
fn url_in(variable: &str) -> String {
    match std::env::var(variable) {
        Ok(url) => url,
        Err(_) => {
            panic!(
                "{variable} is not set: run the tests with `make test` or `with-servers -- cargo test`"
            )
        }
    }
}
