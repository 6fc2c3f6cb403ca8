//! What `skictl up` tells whoever started it: where it is, and how it goes.

use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use skilift_core::lifecycle::TaskError;
use skilift_core::queue::Publisher;
use skilift_worker::Counts;
use tokio_util::sync::CancellationToken;

use crate::console::RunningConsole;
use crate::{logging, process};

/// How often the line changes.
const INTERVAL: Duration = Duration::from_secs(1);

/// Prints where everything is.
pub(crate) fn greet(api: &str, console: &RunningConsole, private: SocketAddr, data: &str) {
    let code = match &console.login_code {
        Some(code) => format!(
            "\x20 login code       {code}  (once, within 10 minutes; on this machine skictl needs none)\n"
        ),
        None => String::new(),
    };
    let console = &console.url;
    let ride = format!("{api}/skiers/1/seasons/2026/days/1/skiers/123");
    let text = format!(
        "\nSkilift is ready. Ctrl-C drains and stops it; its data stay.\n\n\
         \x20 API              {api}\n\
         \x20 its description  {api}/openapi.json\n\
         \x20 console          {console}\n\
         {code}\
         \x20 queue and store  {data}\n\
         \x20 health, metrics  http://{private}/readyz  http://{private}/metrics\n\n\
         Record a ride of skier 123, then ask for his vertical of that day:\n\n\
         \x20 curl -i -H 'Content-Type: application/json' -d '{{\"time\": 217, \"liftID\": 21}}' {ride}\n\
         \x20 curl {ride}\n\n\
         See what is there:\n\n\
         \x20 curl {api}/resorts\n\
         \x20 curl {api}/statistics\n\n"
    );
    process::print(&text);
}

/// Shows how it goes in one line on a terminal, until `end`; shows nothing elsewhere.
pub(crate) async fn show(
    publisher: Publisher,
    counts: Arc<Counts>,
    end: CancellationToken,
) -> Result<(), TaskError> {
    if !io::stderr().is_terminal() {
        end.cancelled().await;
        return Ok(());
    }
    let line = logging::BARS.add(ProgressBar::new_spinner());
    line.set_style(ProgressStyle::with_template("{spinner} {msg}")?);
    let mut before = (Instant::now(), publisher.accepted(), counts.applied());
    while end
        .run_until_cancelled(tokio::time::sleep(INTERVAL))
        .await
        .is_some()
    {
        let now = (Instant::now(), publisher.accepted(), counts.applied());
        let seconds = now.0.duration_since(before.0).as_secs_f64();
        let a_second = |now: u64, before: u64| (now - before) as f64 / seconds;
        let waiting = publisher.backlog().rides();
        line.set_message(format!(
            "accepted {} ({:.0}/s)  stored {} ({:.0}/s)  waiting {}  sent twice {}  dead {}",
            HumanCount(now.1),
            a_second(now.1, before.1),
            HumanCount(now.2),
            a_second(now.2, before.2),
            waiting.map_or("unknown".to_owned(), |rides| HumanCount(rides as u64)
                .to_string()),
            HumanCount(counts.duplicate()),
            HumanCount(counts.dead()),
        ));
        line.tick();
        before = now;
    }
    line.finish_and_clear();
    Ok(())
}
