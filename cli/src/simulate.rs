//! `skictl up --simulate`: posts simulated rides of three resorts to the API of this process.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use skilift_core::clock::epoch_ms;
use skilift_core::lifecycle::{TaskError, chain};
use skilift_core::ride::Ride;
use skilift_load::connection::Connection;
use skilift_load::simulation::{Rate, Simulation};
use skilift_load::target::Target;
use tokio_util::sync::CancellationToken;

/// Interval at which the new rides are posted.
const TICK: Duration = Duration::from_millis(100);
/// Number of gates, each with its own connection.
const GATES: usize = 8;
/// Maximum rides that a gate buffers while they are not accepted; beyond it the oldest are dropped.
const KEPT_RIDES: usize = 2_000;
/// Timeout of a post.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A gate and its unposted rides.
struct Gate {
    connection: Connection,
    rides: VecDeque<Ride>,
}

/// Posts rides until `end`.
pub(crate) async fn run(
    api: SocketAddr,
    rate: Rate,
    end: CancellationToken,
) -> Result<(), TaskError> {
    let target: Target = format!("http://{api}").parse()?;
    let mut gates: Vec<Gate> = (0..GATES)
        .map(|_| Gate {
            connection: Connection::new(target.clone(), TIMEOUT),
            rides: VecDeque::new(),
        })
        .collect();
    // The simulation requires a monotonic clock.
    let (began, began_ms) = (Instant::now(), epoch_ms());
    let mut simulation = Simulation::new(rate, rand::random(), began_ms);
    let mut were_taken = true;
    while end
        .run_until_cancelled(tokio::time::sleep(TICK))
        .await
        .is_some()
    {
        let now_ms = began_ms + u64::try_from(began.elapsed().as_millis())?;
        // The first call simulates the day so far.
        let simulating = tokio::task::spawn_blocking(move || {
            let rides = simulation.rides_until(now_ms);
            (simulation, rides)
        });
        let (returned, rides) = simulating.await?;
        simulation = returned;
        for (ride, number) in rides.into_iter().zip(0..) {
            gates[number % GATES].take(ride);
        }
        let posting = join_all(gates.iter_mut().map(Gate::post));
        let Some(outcomes) = end.run_until_cancelled(posting).await else {
            break;
        };
        let refusal = outcomes.into_iter().find_map(Result::err);
        match &refusal {
            Some(why) if were_taken => tracing::warn!("simulated rides are not accepted: {why}"),
            None if !were_taken => tracing::info!("simulated rides are accepted again"),
            _ => {}
        }
        were_taken = refusal.is_none();
    }
    Ok(())
}

impl Gate {
    fn take(&mut self, ride: Ride) {
        if self.rides.len() == KEPT_RIDES {
            self.rides.pop_front();
        }
        self.rides.push_back(ride);
    }

    /// Posts the rides; retryable ones stay buffered, rejected ones are dropped.
    async fn post(&mut self) -> Result<(), String> {
        let mut refusal = Ok(());
        while let Some(ride) = self.rides.front() {
            match self.connection.post_ride(ride).await {
                Ok(answer) if answer.status == 201 => {}
                Ok(answer) => {
                    let said = String::from_utf8_lossy(&answer.body);
                    let why = format!("{} {said}", answer.status);
                    if answer.status >= 500 {
                        return Err(why);
                    }
                    refusal = Err(why);
                }
                Err(error) => return Err(chain(&error)),
            }
            self.rides.pop_front();
        }
        refusal
    }
}
