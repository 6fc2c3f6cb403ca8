//! What `with-servers` put at this process' side, and in its environment.

use crate::MotoServer;

/// The AWS credentials and the region that tests have: those of no account.
pub const AWS_OF_NOBODY: [(&str, &str); 3] = [
    ("AWS_REGION", MotoServer::REGION),
    ("AWS_ACCESS_KEY_ID", "AKIAOFNOBODYATALL000"),
    ("AWS_SECRET_ACCESS_KEY", "of nobody at all"),
];

/// Makes sure that AWS's tools and libraries find the credentials [of nobody](AWS_OF_NOBODY) here.
///
/// # Panics
/// When the process was not started by `with-servers`.
pub fn assert_aws_of_nobody() {
    for (variable, value) in AWS_OF_NOBODY {
        assert_eq!(
            value_of(variable),
            value,
            "{variable} may be that of an account: {HOW}"
        );
    }
}

/// How tests are run.
const HOW: &str = "run the tests with `make test` or `with-servers -- cargo test`";

/// The URL of the RabbitMQ that all tests share.
///
/// # Panics
/// When the process was not started by `with-servers`.
#[must_use]
pub fn shared_amqp_url() -> String {
    value_of("SKI_AMQP_URL")
}

/// The URL of the Redis that all tests share.
///
/// # Panics
/// When the process was not started by `with-servers`.
#[must_use]
pub fn shared_redis_url() -> String {
    value_of("SKI_REDIS_URL")
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is how with-servers hands this to tests, which have no configuration"
)]
fn value_of(variable: &str) -> String {
    match std::env::var(variable) {
        Ok(value) => value,
        Err(_) => panic!("{variable} is not set: {HOW}"),
    }
}
