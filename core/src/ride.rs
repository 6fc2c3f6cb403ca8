//! A lift ride: who rode which lift, where and when.

use crate::ranged::{RangeError, json_integer, ranged};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

ranged!(
    /// A ski resort.
    ResortId(u16), "resortID", 1..=65_535
);
ranged!(
    /// A season, named by its year. In JSON it is a string, as in the SkiDataAPI; an integer is also accepted.
    Season(u16), "seasonID", 1900..=2999
);
ranged!(
    /// A day of a season, counted from 1. It is the resort's own day and is never converted.
    Day(u16), "dayID", 1..=366
);
ranged!(
    /// A skier's lift pass.
    SkierId(u32), "skierID", 1..=4_294_967_295
);
ranged!(
    /// A minute of the ski day, counted from 1.
    Minute(u16), "time", 1..=1440
);
ranged!(
    /// A lift of a resort.
    LiftId(u16), "liftID", 1..=1000
);

json_integer!(ResortId);
json_integer!(Day);
json_integer!(SkierId);
json_integer!(Minute);
json_integer!(LiftId);

impl Serialize for Season {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Season {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Season;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(
                    f,
                    "a season from \"{}\" to \"{}\"",
                    Season::MIN,
                    Season::MAX
                )
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Season, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Season, E> {
                Season::new(value).map_err(E::custom)
            }

            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Season, E> {
                match u64::try_from(value) {
                    Ok(value) => Season::new(value).map_err(E::custom),
                    Err(_) => Err(E::custom(Season::refuse(value))),
                }
            }

            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Season, E> {
                Err(E::custom(Season::refuse(format_args!("{value:?}"))))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// One day of one resort: the unit in which rides are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResortDay {
    /// The resort.
    pub resort: ResortId,
    /// The season.
    pub season: Season,
    /// The day of the season.
    pub day: Day,
}

/// How far the resort is shifted in [`ResortDay::to_index`]: 11 bits of season and 9 bits of day lie below it.
const RESORT_SHIFT: u32 = 20;
/// How far the season is shifted: 9 bits of day lie below it.
const SEASON_SHIFT: u32 = 9;

impl ResortDay {
    /// The integer that stands for this day in a skier's index: `resort << 20 | (season - 1900) << 9 | day`.
    #[must_use]
    pub fn to_index(self) -> u64 {
        let season = u64::from(self.season.get() - Season::MIN);
        u64::from(self.resort.get()) << RESORT_SHIFT
            | season << SEASON_SHIFT
            | u64::from(self.day.get())
    }

    /// The day in messages: "resort 1, season 2025, day 12".
    #[must_use]
    pub fn in_words(self) -> String {
        let Self {
            resort,
            season,
            day,
        } = self;
        format!("resort {resort}, season {season}, day {day}")
    }

    /// The first day that a season of a resort can have.
    #[must_use]
    pub fn first(resort: ResortId, season: Season) -> Self {
        Self {
            resort,
            season,
            day: Day(Day::MIN),
        }
    }

    /// The last day that a season of a resort can have.
    #[must_use]
    pub fn last(resort: ResortId, season: Season) -> Self {
        Self {
            day: Day(Day::MAX),
            ..Self::first(resort, season)
        }
    }

    /// Parses the output of [`Self::to_index`].
    ///
    /// # Errors
    /// If a part is out of range: the index was not written by Skilift.
    pub fn from_index(index: u64) -> Result<Self, RangeError> {
        let season = (index >> SEASON_SHIFT) & ((1 << (RESORT_SHIFT - SEASON_SHIFT)) - 1);
        Ok(Self {
            resort: ResortId::new(index >> RESORT_SHIFT)?,
            season: Season::new(season + u64::from(Season::MIN))?,
            day: Day::new(index & ((1 << SEASON_SHIFT) - 1))?,
        })
    }
}

impl fmt::Display for ResortDay {
    /// Writes `resort:season:day`, the form in Redis' keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.resort, self.season, self.day)
    }
}

/// A ride. Its fields are its identity: two equal rides are one ride, because a skier cannot board one lift twice in a
/// minute.
///
/// The order (resort, season, day, skier, minute, lift) is the order in which a batch is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ride {
    /// The resort.
    #[serde(rename = "resortID")]
    pub resort: ResortId,
    /// The season.
    #[serde(rename = "seasonID")]
    pub season: Season,
    /// The day of the season.
    #[serde(rename = "dayID")]
    pub day: Day,
    /// The skier.
    #[serde(rename = "skierID")]
    pub skier: SkierId,
    /// The minute of the day.
    #[serde(rename = "time")]
    pub minute: Minute,
    /// The lift.
    #[serde(rename = "liftID")]
    pub lift: LiftId,
}

impl Ride {
    /// The day of the resort on which the ride took place.
    #[must_use]
    pub fn resort_day(&self) -> ResortDay {
        ResortDay {
            resort: self.resort,
            season: self.season,
            day: self.day,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error_of(json: &str) -> String {
        serde_json::from_str::<Ride>(json).unwrap_err().to_string()
    }

    fn line(time: &str, season: &str) -> String {
        format!(
            r#"{{"resortID":1,"seasonID":{season},"dayID":12,"skierID":7,"time":{time},"liftID":21,"note":[]}}"#
        )
    }

    #[test]
    fn reads_a_ride_and_ignores_what_it_does_not_know() {
        let ride: Ride = serde_json::from_str(&line("217", "\"2025\"")).unwrap();
        assert_eq!(ride, serde_json::from_str(&line("217", "2025")).unwrap());
        assert_eq!(
            serde_json::to_string(&ride).unwrap(),
            r#"{"resortID":1,"seasonID":"2025","dayID":12,"skierID":7,"time":217,"liftID":21}"#
        );
    }

    #[test]
    fn refuses_what_is_not_exactly_a_ride_and_names_the_range() {
        for time in ["0", "1441", "-3", "1.5", "1e3", "99999999999999999999"] {
            let message = error_of(&line(time, "2025"));
            assert!(
                message.contains("time must be a whole number from 1 to 1440"),
                "{time}: {message}"
            );
        }
        assert!(
            error_of(&line("\"217\"", "2025")).contains("time as a whole number from 1 to 1440")
        );
        assert!(error_of(&line("null", "2025")).contains("time as a whole number from 1 to 1440"));
        assert!(error_of(&line("5,\"time\":6", "2025")).contains("duplicate field `time`"));
        assert!(error_of(&line("5", "\"20 25\"")).contains("seasonID must be a whole number"));
        assert!(error_of(&line("5", "true")).contains("a season from"));
        assert!(error_of("{}").contains("missing field"));
    }

    #[test]
    fn text_is_read_strictly() {
        assert_eq!("0012".parse::<Day>().unwrap().get(), 12);
        for text in [
            "",
            "+1",
            " 1",
            "1 ",
            "0",
            "367",
            "-1",
            "1.0",
            "x",
            "9999999999999999999999",
        ] {
            let error = text.parse::<Day>().unwrap_err().to_string();
            assert!(
                error.starts_with("dayID must be a whole number from 1 to 366, not "),
                "{error}"
            );
        }
        let long = "x".repeat(500).parse::<Day>().unwrap_err().to_string();
        assert!(long.len() < 120, "{long}");
    }

    proptest! {
        #[test]
        fn a_day_survives_its_index(resort in 1..=65_535_u64, season in 1900..=2999_u64, day in 1..=366_u64) {
            let resort_day = ResortDay {
                resort: ResortId::new(resort).unwrap(),
                season: Season::new(season).unwrap(),
                day: Day::new(day).unwrap(),
            };
            prop_assert_eq!(ResortDay::from_index(resort_day.to_index()).unwrap(), resort_day);
        }
    }
}
