//! Paths and bodies of the API's requests.

use std::fmt::Write;

use bytes::Bytes;
use skilift_core::ride::{ResortDay, ResortId, Ride, Season, SkierId};

/// Path of the bulk endpoint.
pub const BULK: &str = "/rides";
/// Path of a Skilift server's statistics.
pub const STATISTICS: &str = "/statistics";

/// Path of one skier's day, to post rides and to get the day's vertical.
#[must_use]
pub fn skier_day(on: ResortDay, skier: SkierId) -> String {
    skier_day_part(on, skier, "")
}

/// Path of the list of one skier's rides of a day.
#[must_use]
pub fn ride_list(on: ResortDay, skier: SkierId) -> String {
    skier_day_part(on, skier, "/rides")
}

fn skier_day_part(on: ResortDay, skier: SkierId, part: &str) -> String {
    let ResortDay {
        resort,
        season,
        day,
    } = on;
    format!("/skiers/{resort}/seasons/{season}/days/{day}/skiers/{skier}{part}")
}

/// Path of a skier's vertical of a season at a resort.
#[must_use]
pub fn season_vertical(skier: SkierId, resort: ResortId, season: Season) -> String {
    format!("/skiers/{skier}/vertical?resort={resort}&season={season}")
}

/// Path of the number of skiers at a resort on a day.
#[must_use]
pub fn resort_day_skiers(on: ResortDay) -> String {
    let ResortDay {
        resort,
        season,
        day,
    } = on;
    format!("/resorts/{resort}/seasons/{season}/day/{day}/skiers")
}

/// Body of one posted ride; skier and day are in the path.
#[must_use]
pub fn ride_body(ride: &Ride) -> Bytes {
    format!(r#"{{"time":{},"liftID":{}}}"#, ride.minute, ride.lift).into()
}

/// Appends a complete ride as a line of a bulk body.
pub fn push_line(body: &mut String, ride: &Ride) {
    let Ride {
        resort,
        season,
        day,
        skier,
        minute,
        lift,
    } = ride;
    // Writing to memory cannot fail.
    let _ = writeln!(
        body,
        r#"{{"resortID":{resort},"seasonID":"{season}","dayID":{day},"skierID":{skier},"time":{minute},"liftID":{lift}}}"#
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_ride_as_the_domain_writes_it() {
        let text =
            r#"{"resortID":1,"seasonID":"2025","dayID":12,"skierID":7,"time":217,"liftID":21}"#;
        let ride: Ride = serde_json::from_str(text).unwrap();
        let mut body = String::new();
        push_line(&mut body, &ride);
        assert_eq!(body, format!("{text}\n"));
        assert_eq!(&ride_body(&ride)[..], br#"{"time":217,"liftID":21}"#);
        assert_eq!(
            ride_list(ride.resort_day(), ride.skier),
            "/skiers/1/seasons/2025/days/12/skiers/7/rides"
        );
    }
}
