//! Requests of EC2's Query protocol: a form with an action, a version, and lists whose entries are numbered from one.

use std::collections::{BTreeMap, BTreeSet};

use url::form_urlencoded;

use super::refusal::Refusal;

const VERSION: &str = "2016-11-15";

/// One request, read.
#[derive(Clone, Debug, Default)]
pub(super) struct Query {
    /// All that was sent, as it was.
    pub(super) parameters: BTreeMap<String, String>,
}

/// A filter: an instance passes when one of the values is its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Filter {
    pub(super) name: String,
    pub(super) values: Vec<String>,
}

impl Query {
    pub(super) fn parse(form: &[u8]) -> Self {
        Self {
            parameters: form_urlencoded::parse(form).into_owned().collect(),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    pub(super) fn action(&self) -> &str {
        self.get("Action").unwrap_or_default()
    }

    /// Refuses a version other than the one whose answers we give.
    pub(super) fn check_version(&self) -> Result<(), Refusal> {
        match self.get("Version") {
            Some(VERSION) => Ok(()),
            other => Err(Refusal::new(
                "NoSuchVersion",
                format!(
                    "The requested version ({}) does not exist.",
                    other.unwrap_or_default()
                ),
            )),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(Refusal::invalid_value(other, name)),
        }
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let number = self.get(name).map(|text| {
            let number = text.parse();
            number.map_err(|_| Refusal::invalid_value(text, name))
        });
        number.transpose()
    }

    /// The ids it names, each once, in their order.
    pub(super) fn ids(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let mut ids = self.list("InstanceId");
        ids.retain(|id| seen.insert(id.clone()));
        ids
    }

    pub(super) fn filters(&self) -> Vec<Filter> {
        let filters = self.indices("Filter").into_iter().map(|index| Filter {
            name: self
                .get(&format!("Filter.{index}.Name"))
                .unwrap_or_default()
                .to_owned(),
            values: self.list(&format!("Filter.{index}.Value")),
        });
        filters.collect()
    }

    fn list(&self, name: &str) -> Vec<String> {
        let entries = self.indices(name).into_iter();
        let entries = entries.filter_map(|index| self.get(&format!("{name}.{index}")));
        entries.map(str::to_owned).collect()
    }

    /// The numbers in use below `name`, in order.
    fn indices(&self, name: &str) -> BTreeSet<u32> {
        let below = self.parameters.keys().filter_map(|key| {
            let rest = key.strip_prefix(name)?.strip_prefix('.')?;
            rest.split('.').next()?.parse().ok()
        });
        below.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_by_number_and_filters_by_name() {
        let form = "Action=DescribeInstances&Version=2016-11-15&InstanceId.10=j&InstanceId.2=b&InstanceId.1=a&InstanceId.3=a\
                    &Filter.1.Name=tag%3Askilift%3Astack&Filter.1.Value.1=a+b&Filter.1.Value.2=c&MaxResults=5&DryRun=true";
        let query = Query::parse(form.as_bytes());
        assert_eq!(query.action(), "DescribeInstances");
        assert_eq!(query.check_version(), Ok(()));
        assert_eq!(query.ids(), ["a", "b", "j"]);
        let filter = Filter {
            name: "tag:skilift:stack".to_owned(),
            values: vec!["a b".to_owned(), "c".to_owned()],
        };
        assert_eq!(query.filters(), [filter]);
        assert_eq!(query.number("MaxResults"), Ok(Some(5)));
        assert_eq!(query.flag("DryRun"), Ok(true));
        assert_eq!(query.flag("Force"), Ok(false));
    }

    #[test]
    fn nonsense_is_refused_by_its_code() {
        let query =
            Query::parse(b"Action=StopInstances&Version=2014-10-01&DryRun=yes&MaxResults=few");
        let code = |refusal: Refusal| refusal.code;
        assert_eq!(
            query.check_version().map_err(code),
            Err("NoSuchVersion".to_owned())
        );
        let invalid = "InvalidParameterValue".to_owned();
        assert_eq!(query.flag("DryRun").map_err(code), Err(invalid.clone()));
        assert_eq!(query.number("MaxResults").map_err(code), Err(invalid));
    }
}
