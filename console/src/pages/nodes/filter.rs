//! The filter of the page: by role and by state, as plain links.

use serde::Deserialize;

use crate::error::Error;
use crate::view::nodes::NodeState;

/// The role of the console, which sends no heartbeats.
pub(super) const CONSOLE: &str = "console";
/// The roles, as in a URL and for people.
pub(super) const ROLES: [(&str, &str); 3] = [
    ("api", "API nodes"),
    ("worker", "Workers"),
    (CONSOLE, "Console"),
];

/// The query of the page.
#[derive(Deserialize)]
pub(in crate::pages) struct NodesQuery {
    role: Option<String>,
    state: Option<String>,
    page: Option<String>,
}

impl NodesQuery {
    /// The filter.
    ///
    /// # Errors
    /// If there is no such role or state.
    pub(super) fn filter(&self) -> Result<NodeFilter, Error> {
        Ok(NodeFilter {
            role: one_of("role", self.role.as_deref(), &ROLES.map(|(name, _)| name))?,
            state: one_of(
                "state",
                self.state.as_deref(),
                &NodeState::ALL.map(NodeState::word),
            )?,
        })
    }

    /// The number of the page, from 1.
    ///
    /// # Errors
    /// If it is not a number, or 0.
    pub(super) fn page(&self) -> Result<usize, Error> {
        let Some(text) = given(self.page.as_deref()) else {
            return Ok(1);
        };
        let number = text.parse::<usize>().ok().filter(|number| *number > 0);
        number.ok_or_else(|| Error::invalid(format!("page must be a number from 1, not {text:?}")))
    }
}

/// A field that was filled in.
fn given(field: Option<&str>) -> Option<&str> {
    field.map(str::trim).filter(|text| !text.is_empty())
}

fn one_of(
    field: &str,
    wanted: Option<&str>,
    names: &[&'static str],
) -> Result<Option<&'static str>, Error> {
    let Some(wanted) = given(wanted) else {
        return Ok(None);
    };
    let found = names.iter().find(|name| **name == wanted);
    let none = || {
        let names = names.join(", ");
        Error::invalid(format!("{field} must be one of {names}, not {wanted:?}"))
    };
    found.copied().map(Some).ok_or_else(none)
}

/// Which nodes the page lists. What is `None` selects all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct NodeFilter {
    /// The role, as in a URL.
    pub(super) role: Option<&'static str>,
    /// The state, as in a URL.
    pub(super) state: Option<&'static str>,
}

/// A link to a filter.
pub(super) struct FilterLink {
    /// ID of the count, unique on the page.
    pub(super) id: String,
    pub(super) href: String,
    pub(super) text: &'static str,
    /// How many nodes it lists.
    pub(super) count: usize,
    pub(super) is_here: bool,
}

impl NodeFilter {
    /// Whether it selects a node.
    pub(super) fn fits(self, role: &str, state: NodeState) -> bool {
        self.fits_role(role) && self.state.is_none_or(|wanted| wanted == state.word())
    }

    /// Whether it selects nodes of a role.
    pub(super) fn fits_role(self, role: &str) -> bool {
        self.role.is_none_or(|wanted| wanted == role)
    }

    /// The URL of a page of the nodes that it selects.
    pub(super) fn url(self, page: usize) -> String {
        let page = (page > 1).then(|| page.to_string());
        let fields = [
            ("role", self.role),
            ("state", self.state),
            ("page", page.as_deref()),
        ];
        let given = fields
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", value?)));
        let query = given.collect::<Vec<_>>().join("&");
        if query.is_empty() {
            "/nodes".to_owned()
        } else {
            format!("/nodes?{query}")
        }
    }

    /// Links to the roles, each in the chosen state.
    pub(super) fn role_links(self, nodes: &[(&str, NodeState)]) -> Vec<FilterLink> {
        let all = std::iter::once((None, "All roles"));
        let roles = ROLES.into_iter().map(|(name, text)| (Some(name), text));
        let link = |(role, text)| self.link(Self { role, ..self }, text, nodes);
        all.chain(roles).map(link).collect()
    }

    /// Links to the states that a node has, and to the chosen one, each in the chosen role.
    pub(super) fn state_links(self, nodes: &[(&str, NodeState)]) -> Vec<FilterLink> {
        let is_shown = |of: &NodeState| {
            self.state == Some(of.word()) || nodes.iter().any(|(_, state)| state == of)
        };
        let all = std::iter::once((None, "All states"));
        let states = NodeState::ALL.into_iter().filter(is_shown);
        let states = states.map(|of| (Some(of.word()), of.word()));
        let link = |(state, text)| self.link(Self { state, ..self }, text, nodes);
        all.chain(states).map(link).collect()
    }

    fn link(self, to: Self, text: &'static str, nodes: &[(&str, NodeState)]) -> FilterLink {
        let selected = nodes.iter().filter(|(role, state)| to.fits(role, *state));
        FilterLink {
            id: format!("nf-{}", text.to_lowercase().replace(' ', "-")),
            href: to.url(1),
            text,
            count: selected.count(),
            is_here: to == self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(role: &str, state: &str, page: &str) -> NodesQuery {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        NodesQuery {
            role: given(role),
            state: given(state),
            page: given(page),
        }
    }

    #[test]
    fn a_filter_is_its_url() {
        let filter = query("worker", "lost", "").filter().unwrap();
        assert_eq!(filter.url(1), "/nodes?role=worker&state=lost");
        assert_eq!(filter.url(3), "/nodes?role=worker&state=lost&page=3");
        assert_eq!(NodeFilter::default().url(1), "/nodes");
        assert_eq!(
            query(" ", "", "").filter().unwrap(),
            NodeFilter::default(),
            "empty fields select all"
        );
        for (query, expected) in [
            (
                query("gate", "", ""),
                "role must be one of api, worker, console, not \"gate\"",
            ),
            (query("", "gone", ""), "state must be one of ready, "),
        ] {
            let error = query.filter().unwrap_err();
            assert!(error.message().starts_with(expected), "{}", error.message());
        }
        assert_eq!(query("", "", "2").page().unwrap(), 2);
        for page in ["0", "-1", "two"] {
            assert!(query("", "", page).page().is_err(), "{page}");
        }
    }

    #[test]
    fn links_count_what_they_list() {
        let nodes = [
            ("api", NodeState::Ready),
            ("worker", NodeState::Ready),
            ("worker", NodeState::Lost),
        ];
        let filter = NodeFilter {
            role: Some("worker"),
            state: None,
        };
        let shown = |links: Vec<FilterLink>| -> Vec<(&str, usize, bool)> {
            let links = links.into_iter();
            links
                .map(|link| (link.text, link.count, link.is_here))
                .collect()
        };
        assert_eq!(
            shown(filter.role_links(&nodes)),
            [
                ("All roles", 3, false),
                ("API nodes", 1, false),
                ("Workers", 2, true),
                ("Console", 0, false)
            ]
        );
        assert_eq!(
            shown(filter.state_links(&nodes)),
            [
                ("All states", 2, true),
                ("ready", 1, false),
                ("lost", 1, false)
            ]
        );
    }
}
