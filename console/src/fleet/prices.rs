//! Hourly instance prices from a dated file of list prices, because AWS's price list API is not available everywhere.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use skilift_fleet::instance::Instance;

use crate::view::cost::PricesView;

/// The file that comes with Skilift.
const BUILT_IN: &str = include_str!("../../../infra/aws/prices.toml");
/// Instance type of a child process.
pub(crate) const PROCESS: &str = "process";

/// List prices of a date.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    currency: String,
    date: String,
    source: String,
    /// By region, by type: USD per hour.
    regions: BTreeMap<String, BTreeMap<String, f64>>,
    #[serde(default)]
    types: BTreeMap<String, Size>,
}

/// Size of an instance type.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Size {
    vcpus: u32,
    #[expect(
        dead_code,
        reason = "documented in the file for people who choose a type"
    )]
    memory_gib: f64,
}

/// Why a price file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PricesError {
    /// It cannot be read.
    #[error("cannot read the price file {file}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// Its content is invalid.
    #[error("invalid price file {file}: {why}; see infra/aws/prices.toml for an example")]
    Invalid {
        /// The file.
        file: String,
        /// Why.
        why: String,
    },
}

impl Prices {
    /// The prices that come with Skilift.
    ///
    /// # Errors
    /// Never in a build whose tests passed.
    pub fn built_in() -> Result<Self, PricesError> {
        Self::parse(BUILT_IN, "built into Skilift")
    }

    /// Reads prices from a file.
    ///
    /// # Errors
    /// If it cannot be read or is invalid.
    pub fn read(file: &Path) -> Result<Self, PricesError> {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|source| PricesError::Read {
            file: name.clone(),
            source,
        })?;
        Self::parse(&text, &name)
    }

    fn parse(text: &str, file: &str) -> Result<Self, PricesError> {
        let invalid = |why: String| PricesError::Invalid {
            file: file.to_owned(),
            why,
        };
        let prices: Self = toml::from_str(text).map_err(|error| invalid(error.to_string()))?;
        if prices.currency != "USD" {
            return Err(invalid(format!(
                "its currency is {:?}; only USD is supported",
                prices.currency
            )));
        }
        for (region, types) in &prices.regions {
            for (of, price) in types {
                if !price.is_finite() || *price < 0.0 {
                    return Err(invalid(format!("{of} in {region} costs {price}")));
                }
            }
        }
        if let Some((of, _)) = prices.types.iter().find(|(_, size)| size.vcpus == 0) {
            return Err(invalid(format!("{of} has 0 vCPUs")));
        }
        Ok(prices)
    }

    /// Price of a running instance, in USD per hour, or why it is unknown.
    pub(crate) fn of(&self, instance: &Instance, region: Option<&str>) -> Result<f64, String> {
        let of = instance.instance_type.as_str();
        if of == PROCESS {
            return Err("a child process has no price of its own".to_owned());
        }
        if instance.is_spot {
            return Err("a Spot instance's price changes from hour to hour".to_owned());
        }
        let region = region.unwrap_or_else(|| region_of(&instance.zone));
        let Some(types) = self.regions.get(region) else {
            return Err(format!(
                "no prices for {region}; use --price-file with a file that has them"
            ));
        };
        types.get(of).copied().ok_or_else(|| {
            format!("no price for {of} in {region}; use --price-file with a file that has it")
        })
    }

    /// Number of vCPUs of a type, if known.
    pub(crate) fn vcpus(&self, instance_type: &str) -> Option<u32> {
        self.types.get(instance_type).map(|size| size.vcpus)
    }

    /// Origin of the prices.
    pub(crate) fn view(&self) -> PricesView {
        PricesView {
            date: self.date.clone(),
            source: self.source.clone(),
        }
    }
}

/// The region of a zone: "eu-central-1" for "eu-central-1b".
fn region_of(zone: &str) -> &str {
    zone.trim_end_matches(|end: char| end.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use skilift_fleet::instance::{InstanceId, InstanceState};

    fn instance(instance_type: &str, zone: &str) -> Instance {
        Instance {
            id: InstanceId::new("i-00000001"),
            role: "worker".to_owned(),
            name: None,
            instance_type: instance_type.to_owned(),
            zone: zone.to_owned(),
            state: InstanceState::Running,
            reason: None,
            started_at_ms: None,
            address: None,
            is_spot: false,
            obstacle: None,
        }
    }

    #[test]
    fn what_comes_with_skilift_can_be_read() {
        let prices = Prices::built_in().unwrap();
        let price = prices.of(&instance("c7g.large", "us-east-1a"), None);
        assert!(price.is_ok_and(|price| price > 0.0));
        assert_eq!(prices.vcpus("c7g.large"), Some(2));
        assert_eq!(prices.view().date.len(), "2026-01-31".len());
        // Whatever has a price has a size.
        for of in prices.regions.values().flat_map(BTreeMap::keys) {
            assert!(prices.vcpus(of).is_some(), "{of}");
        }
    }

    #[test]
    fn what_is_not_known_is_said_to_be() {
        let prices = Prices::built_in().unwrap();
        let unknown = |instance: &Instance, region| prices.of(instance, region).unwrap_err();
        let strange = instance("x99.huge", "us-east-1a");
        assert!(unknown(&strange, None).contains("no price for x99.huge in us-east-1"));
        let far = instance("c7g.large", "mars-north-1a");
        assert!(unknown(&far, None).contains("no prices for mars-north-1"));
        assert!(prices.of(&far, Some("us-east-1")).is_ok());
        let mut spot = instance("c7g.large", "us-east-1a");
        spot.is_spot = true;
        assert!(unknown(&spot, None).contains("Spot"));
        assert!(unknown(&instance("process", "here"), None).contains("child process"));
    }

    #[test]
    fn a_file_that_cannot_be_meant_is_refused() {
        let with = |text: &str| Prices::parse(text, "prices.toml").unwrap_err().to_string();
        let head = "date = \"2026-01-31\"\nsource = \"me\"\n";
        let euros = with(&format!("currency = \"EUR\"\n{head}[regions]\n"));
        assert!(euros.contains("EUR"), "{euros}");
        let negative = format!("currency = \"USD\"\n{head}[regions.here]\n\"c7g.large\" = -1.0\n");
        assert!(with(&negative).contains("c7g.large in here costs -1"));
        assert!(with("nonsense").contains("prices.toml"));
        assert!(with(&format!("currency = \"USD\"\n{head}")).contains("regions"));
    }
}
