//! The ceiling: a bare axum server that parses the path and body of a ride, answers 201 and does nothing else.
//!
//! It is what this machine, this HTTP stack and this client can do at most; every rate of ours is given as a share of it.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use serde::Deserialize;
use std::process::ExitCode;
use tokio::net::TcpListener;

/// The same allocator as in `skictl`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Deserialize)]
struct Boarding {
    time: u16,
    #[serde(rename = "liftID")]
    lift_id: u16,
}

#[expect(
    clippy::disallowed_types,
    reason = "the point of the ceiling is to be bare axum"
)]
async fn accept(
    axum::extract::Path((resort, season, day, skier)): axum::extract::Path<(u16, u16, u16, u32)>,
    axum::extract::Json(boarding): axum::extract::Json<Boarding>,
) -> StatusCode {
    // Nothing of what was parsed may be optimised away.
    std::hint::black_box((resort, season, day, skier, boarding.time, boarding.lift_id));
    StatusCode::CREATED
}

#[tokio::main]
async fn main() -> ExitCode {
    let path = "/skiers/{resort}/seasons/{season}/days/{day}/skiers/{skier}";
    let router = Router::new().route(path, post(accept));
    let served = async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        eprintln!("ceiling on http://{}", listener.local_addr()?);
        axum::serve(listener, router).await
    };
    match served.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ceiling: {error}");
            ExitCode::FAILURE
        }
    }
}
