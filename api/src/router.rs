//! Every URL of the public API.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::Uri;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};

use crate::error::ApiError;
use crate::ingest::authorize_reads;
use crate::state::Api;
use crate::statistics::{BULK_URL, Endpoint, OPERATION, RIDE_URL, measure};
use crate::{bulk, days, index, openapi, readiness, resorts, rides, skiers, statistics};

/// The public API.
#[rustfmt::skip]
pub fn router(api: Api) -> Router {
    Routes::new(api)
        // One skier's day
        .on(RIDE_URL, post(rides::post_ride).get(rides::day_vertical))
        .on("/skiers/{resortID}/seasons/{seasonID}/days/{dayID}/skiers/{skierID}/rides", get(rides::day_rides))
        // A skier over many days
        .on("/skiers/{skierID}/vertical", get(skiers::vertical))
        .on("/skiers/{skierID}/seasons/{seasonID}/days", get(skiers::days))
        // The resorts
        .on("/resorts", get(resorts::list))
        .on("/resorts/{resortID}/seasons", get(resorts::seasons).post(resorts::add_season))
        .on("/resorts/{resortID}/seasons/{seasonID}/days", get(resorts::days))
        // One day of a resort
        .on("/resorts/{resortID}/seasons/{seasonID}/day/{dayID}/skiers", get(days::skiers))
        .on("/resorts/{resortID}/seasons/{seasonID}/day/{dayID}/lifts", get(days::lifts))
        .on("/resorts/{resortID}/seasons/{seasonID}/day/{dayID}/lifts/{liftID}", get(days::lift))
        .on("/resorts/{resortID}/seasons/{seasonID}/day/{dayID}/hours", get(days::hours))
        .on("/resorts/{resortID}/seasons/{seasonID}/day/{dayID}/top", get(days::top))
        // Many rides at once
        .on(BULK_URL, post(bulk::post_rides))
        // Operation
        .on("/", get(index::index))
        .on("/statistics", get(statistics::statistics))
        .on("/openapi.json", get(openapi::document))
        .on("/readyz", get(readiness::readyz))
        .build()
}

/// The same URL with `day` and `days` exchanged, if it contains one of them.
pub(crate) fn other_spelling(path: &str) -> Option<String> {
    let other = |segment| match segment {
        "day" => "days",
        "days" => "day",
        same => same,
    };
    let respelled: Vec<&str> = path.split('/').map(other).collect();
    Some(respelled.join("/")).filter(|respelled| respelled != path)
}

/// Builds the router; each route is measured and available in both spellings.
struct Routes {
    router: Router<Api>,
    api: Api,
}

impl Routes {
    fn new(api: Api) -> Self {
        Self {
            router: Router::new(),
            api,
        }
    }

    fn on(self, path: &'static str, methods: MethodRouter<Api>) -> Self {
        let endpoint = self.api.statistics.endpoint(path);
        let mut methods = methods.fallback(method_not_allowed);
        if self.api.authorizer.requires_read_keys() && !OPERATION.contains(&path) {
            methods = methods.layer(from_fn_with_state(Arc::clone(&self.api), authorize_reads));
        }
        let methods = methods.layer(from_fn_with_state(endpoint, measure));
        let mut router = self.router.route(path, methods.clone());
        if let Some(other) = other_spelling(path) {
            router = router.route(&other, methods);
        }
        Self { router, ..self }
    }

    fn build(self) -> Router {
        let nowhere = Endpoint::unlisted("(none)");
        let unknown = unknown_url.layer(from_fn_with_state(nowhere, measure));
        self.router.fallback(unknown).with_state(self.api)
    }
}

async fn unknown_url(uri: Uri) -> ApiError {
    let shown: String = uri.path().chars().take(100).collect();
    ApiError::NotFound(format!("not found: {shown}; see /openapi.json"))
}

async fn method_not_allowed() -> ApiError {
    ApiError::MethodNotAllowed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn day_and_days_are_exchanged_wherever_they_stand() {
        assert_eq!(
            other_spelling("/a/days/{dayID}/x").as_deref(),
            Some("/a/day/{dayID}/x")
        );
        assert_eq!(other_spelling("/a/day").as_deref(), Some("/a/days"));
        assert_eq!(other_spelling("/holidays/{dayID}"), None);
    }
}
