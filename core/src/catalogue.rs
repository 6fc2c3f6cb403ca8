//! The resorts that a deployment knows: their names, lifts, verticals and opening days.
//!
//! Without a catalogue every resort in range exists, is called "Resort N", and its lift `n` rises `10 n` metres.
//!
//! ```toml
//! [[resort]]
//! id = 1
//! name = "Zermatt"
//! lifts = { 21 = 420, 22 = 380 }          # lift = vertical in metres; left out: every lift, 10 m times its number
//! seasons = { 2025 = [1, 180] }           # season = first and last open day; left out: every day of every season
//! ```

use crate::ride::{Day, LiftId, ResortDay, ResortId, Ride, Season};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// Metres that a lift rises for each unit of its number, where no catalogue says better.
const METRES_PER_LIFT_NUMBER: u32 = 10;
/// Longest name of a resort, in characters.
const MAX_NAME: usize = 100;
/// Highest vertical that a lift may be given, in metres.
const MAX_VERTICAL_M: u32 = 5_000;

/// What is known of the resorts.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// `None` when there is no catalogue and everything in range is accepted.
    resorts: Option<BTreeMap<ResortId, Resort>>,
    by_name: HashMap<String, ResortId>,
}

#[derive(Debug, Clone)]
struct Resort {
    name: String,
    /// `None`: every lift, at [`METRES_PER_LIFT_NUMBER`].
    verticals: Option<HashMap<LiftId, u32>>,
    /// `None`: every day of every season.
    seasons: Option<BTreeMap<Season, RangeInclusive<Day>>>,
}

/// Something that the catalogue does not list and that is therefore rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotListed {
    /// The resort.
    #[error("resortID {0} is not in this server's catalogue of resorts")]
    Resort(ResortId),
    /// A season in which the resort is closed.
    #[error("seasonID {season} is not an open season of {name}")]
    Season {
        /// The resort's name.
        name: String,
        /// The season.
        season: Season,
    },
    /// A day on which the resort is closed.
    #[error(
        "dayID {day} is not an open day of {name} in season {season}: it is open on days {first} to {last}"
    )]
    Day {
        /// The resort's name.
        name: String,
        /// The season.
        season: Season,
        /// The requested day.
        day: Day,
        /// First open day.
        first: Day,
        /// Last open day.
        last: Day,
    },
    /// A lift that the resort does not have.
    #[error("liftID {lift} is not a lift of {name}")]
    Lift {
        /// The resort's name.
        name: String,
        /// The lift.
        lift: LiftId,
    },
}

/// Why a catalogue file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The file could not be read.
    #[error("cannot read the catalogue {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a valid catalogue.
    #[error("invalid catalogue {}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its place.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogueFile {
    #[serde(default)]
    resort: Vec<ResortEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResortEntry {
    id: ResortId,
    name: String,
    lifts: Option<BTreeMap<String, u32>>,
    seasons: Option<BTreeMap<String, [Day; 2]>>,
}

impl Catalogue {
    /// Reads a catalogue file.
    ///
    /// # Errors
    /// When it cannot be read, is not of the documented form, or lists a resort, name or number that cannot be.
    pub fn read(path: &Path) -> Result<Self, CatalogueError> {
        let text = std::fs::read_to_string(path).map_err(|source| CatalogueError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text).map_err(|reason| CatalogueError::Content {
            path: path.to_owned(),
            reason,
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: CatalogueFile = toml::from_str(text).map_err(|error| error.to_string())?;
        if file.resort.is_empty() {
            return Err("it lists no [[resort]]".to_owned());
        }
        let mut resorts = BTreeMap::new();
        let mut by_name = HashMap::new();
        for entry in file.resort {
            let id = entry.id;
            let resort = Resort::from_entry(entry).map_err(|why| format!("resort {id}: {why}"))?;
            if let Some(other) = by_name.insert(resort.name.clone(), id) {
                return Err(format!("resorts {other} and {id} have the same name"));
            }
            if resorts.insert(id, resort).is_some() {
                return Err(format!("resort {id} is listed twice"));
            }
        }
        Ok(Self {
            resorts: Some(resorts),
            by_name,
        })
    }

    /// Whether resorts are listed at all. Without a list everything in range is accepted.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        self.resorts.is_some()
    }

    /// The listed resorts by number; none without a catalogue.
    pub fn resorts(&self) -> impl Iterator<Item = ResortId> {
        self.resorts.iter().flat_map(BTreeMap::keys).copied()
    }

    /// A resort's name: the catalogue's, else "Resort N".
    #[must_use]
    pub fn name(&self, resort: ResortId) -> String {
        match self.find(resort) {
            Some(listed) => listed.name.clone(),
            None => format!("Resort {resort}"),
        }
    }

    /// The resort of exactly this name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<ResortId> {
        if self.is_listed() {
            return self.by_name.get(name).copied();
        }
        name.strip_prefix("Resort ")?.parse().ok()
    }

    /// How far a lift rises, in metres. A lift that the catalogue does not list rises by the rule for unlisted ones, so
    /// that rides stored before the catalogue still count.
    #[must_use]
    pub fn vertical_m(&self, resort: ResortId, lift: LiftId) -> u32 {
        self.find(resort)
            .and_then(|listed| listed.verticals.as_ref()?.get(&lift).copied())
            .unwrap_or_else(|| u32::from(lift.get()) * METRES_PER_LIFT_NUMBER)
    }

    /// Whether a resort may be written to.
    ///
    /// # Errors
    /// When there is a catalogue that does not list it.
    pub fn check_resort(&self, resort: ResortId) -> Result<(), NotListed> {
        match &self.resorts {
            Some(resorts) if !resorts.contains_key(&resort) => Err(NotListed::Resort(resort)),
            _ => Ok(()),
        }
    }

    /// Whether a season of a resort may be written to.
    ///
    /// # Errors
    /// When there is a catalogue that does not list the resort or the season.
    pub fn check_season(&self, resort: ResortId, season: Season) -> Result<(), NotListed> {
        self.check_resort(resort)?;
        match self
            .find(resort)
            .and_then(|listed| Some((listed, listed.seasons.as_ref()?)))
        {
            Some((listed, seasons)) if !seasons.contains_key(&season) => Err(NotListed::Season {
                name: listed.name.clone(),
                season,
            }),
            _ => Ok(()),
        }
    }

    /// The open seasons that are listed for a resort; none where every season is open.
    pub fn seasons(&self, resort: ResortId) -> impl Iterator<Item = Season> {
        let listed = self.find(resort).and_then(|found| found.seasons.as_ref());
        listed.into_iter().flat_map(BTreeMap::keys).copied()
    }

    /// Whether a ride can have taken place.
    ///
    /// # Errors
    /// When there is a catalogue that does not list its resort, season, day or lift.
    pub fn check_ride(&self, ride: &Ride) -> Result<(), NotListed> {
        if self.resorts.is_none() {
            return Ok(());
        }
        self.check_day(ride.resort_day())?;
        match self
            .find(ride.resort)
            .and_then(|listed| Some((listed, listed.verticals.as_ref()?)))
        {
            Some((listed, verticals)) if !verticals.contains_key(&ride.lift) => {
                Err(NotListed::Lift {
                    name: listed.name.clone(),
                    lift: ride.lift,
                })
            }
            _ => Ok(()),
        }
    }

    fn check_day(&self, on: ResortDay) -> Result<(), NotListed> {
        self.check_season(on.resort, on.season)?;
        let open = self
            .find(on.resort)
            .and_then(|listed| Some((listed, listed.seasons.as_ref()?.get(&on.season)?)));
        match open {
            Some((listed, days)) if !days.contains(&on.day) => Err(NotListed::Day {
                name: listed.name.clone(),
                season: on.season,
                day: on.day,
                first: *days.start(),
                last: *days.end(),
            }),
            _ => Ok(()),
        }
    }

    fn find(&self, resort: ResortId) -> Option<&Resort> {
        self.resorts.as_ref()?.get(&resort)
    }
}

impl Resort {
    fn from_entry(entry: ResortEntry) -> Result<Self, String> {
        let length = entry.name.chars().count();
        if length == 0 || length > MAX_NAME || entry.name.chars().any(char::is_control) {
            return Err(format!(
                "its name must have 1 to {MAX_NAME} printable characters"
            ));
        }
        if entry.name.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("its name is a number, which is ambiguous with a resort id".to_owned());
        }
        Ok(Self {
            name: entry.name,
            verticals: entry.lifts.map(read_verticals).transpose()?,
            seasons: entry.seasons.map(read_seasons).transpose()?,
        })
    }
}

fn read_verticals(lifts: BTreeMap<String, u32>) -> Result<HashMap<LiftId, u32>, String> {
    let read = |(lift, vertical): (String, u32)| {
        let lift: LiftId = lift.parse().map_err(|error| format!("lifts: {error}"))?;
        if vertical > MAX_VERTICAL_M {
            return Err(format!(
                "lift {lift}: a vertical of {vertical} m is more than {MAX_VERTICAL_M} m"
            ));
        }
        Ok((lift, vertical))
    };
    lifts.into_iter().map(read).collect()
}

fn read_seasons(
    seasons: BTreeMap<String, [Day; 2]>,
) -> Result<BTreeMap<Season, RangeInclusive<Day>>, String> {
    let read = |(season, [first, last]): (String, [Day; 2])| {
        let season: Season = season
            .parse()
            .map_err(|error| format!("seasons: {error}"))?;
        if first > last {
            return Err(format!(
                "season {season}: day {first} comes after day {last}"
            ));
        }
        Ok((season, first..=last))
    };
    seasons.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALPS: &str = r#"
        [[resort]]
        id = 1
        name = "Zermatt"
        lifts = { 21 = 420 }
        seasons = { 2025 = [10, 180] }
        [[resort]]
        id = 2
        name = "Verbier"
    "#;

    fn ride(resort: u64, season: u64, day: u64, lift: u64) -> Ride {
        serde_json::from_value(serde_json::json!({
            "resortID": resort, "seasonID": season, "dayID": day, "skierID": 1, "time": 1, "liftID": lift
        }))
        .unwrap()
    }

    #[test]
    fn refuses_what_it_does_not_list_and_says_what_would_do() {
        let alps = Catalogue::parse(ALPS).unwrap();
        assert_eq!(alps.check_ride(&ride(1, 2025, 10, 21)), Ok(()));
        assert_eq!(alps.check_ride(&ride(2, 2999, 366, 1000)), Ok(()));
        let refused = |r, s, d, l| alps.check_ride(&ride(r, s, d, l)).unwrap_err().to_string();
        assert!(refused(3, 2025, 10, 21).contains("not in this server's catalogue"));
        assert!(refused(1, 2026, 10, 21).contains("not an open season of Zermatt"));
        assert!(refused(1, 2025, 9, 21).contains("open on days 10 to 180"));
        assert!(refused(1, 2025, 10, 22).contains("not a lift of Zermatt"));
    }

    #[test]
    fn names_and_verticals_have_defaults() {
        let alps = Catalogue::parse(ALPS).unwrap();
        let none = Catalogue::default();
        let (one, lift) = (ResortId::new(1).unwrap(), LiftId::new(21).unwrap());
        assert_eq!(
            (alps.vertical_m(one, lift), none.vertical_m(one, lift)),
            (420, 210)
        );
        assert_eq!(
            (alps.name(one), none.name(one)),
            ("Zermatt".into(), "Resort 1".into())
        );
        assert_eq!(alps.by_name("Zermatt"), Some(one));
        assert_eq!(alps.by_name("Resort 1"), None);
        assert_eq!(none.by_name("Resort 1"), Some(one));
        assert_eq!(none.by_name("Resort 0"), None);
    }

    #[test]
    fn a_catalogue_that_cannot_be_meant_is_refused() {
        for (text, says) in [
            ("", "lists no"),
            ("[[resort]]\nid = 0\nname = 'x'", "1 to 65535"),
            ("[[resort]]\nid = 1\nname = ''", "1 to 100"),
            ("[[resort]]\nid = 1\nname = '7'", "is a number"),
            (
                "[[resort]]\nid = 1\nname = 'x'\n[[resort]]\nid = 1\nname = 'y'",
                "listed twice",
            ),
            (
                "[[resort]]\nid = 1\nname = 'x'\n[[resort]]\nid = 2\nname = 'x'",
                "same name",
            ),
            (
                "[[resort]]\nid = 1\nname = 'x'\nlifts = { 1001 = 5 }",
                "liftID",
            ),
            (
                "[[resort]]\nid = 1\nname = 'x'\nlifts = { 1 = 9000 }",
                "5000 m",
            ),
            (
                "[[resort]]\nid = 1\nname = 'x'\nseasons = { 2025 = [5, 4] }",
                "comes after",
            ),
            (
                "[[resort]]\nid = 1\nname = 'x'\ncolour = 'red'",
                "unknown field",
            ),
        ] {
            let error = Catalogue::parse(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
