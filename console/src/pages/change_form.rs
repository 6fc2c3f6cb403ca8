//! The form that plans a change: `change` names it, the other fields are its values, by their names in the admin API.

pub(super) mod labels;

use std::str::FromStr;

use self::labels::label;
use crate::error::Error;
use crate::view::access::UserRole;
use crate::view::change::{
    Change, Count, DeadLetterSelection, RoleCount, Scale, ScaledRole, SeasonDays,
};
use crate::view::settings::Section;

/// The fields of a form, in order. An empty field counts as absent.
pub(super) struct ChangeForm(pub(super) Vec<(String, String)>);

impl ChangeForm {
    /// The change.
    ///
    /// # Errors
    /// If a field is missing or cannot be read. Ranges are checked when the change is planned.
    pub(super) fn change(&self) -> Result<Change, Error> {
        Ok(match self.text("change")?.as_str() {
            "set_worker" => Change::SetWorker {
                threads: self.number("threads")?,
                prefetch: self.number("prefetch")?,
                batch: self.number("batch")?,
                linger_ms: self.number("linger_ms")?,
                if_version: self.number("if_version")?,
            },
            "set_api" => Change::SetApi {
                channels: self.number("channels")?,
                message_rides: self.number("message_rides")?,
                max_in_flight: self.number("max_in_flight")?,
                if_version: self.number("if_version")?,
            },
            "set_ingest" => Change::SetIngest {
                keys: match self.text("ingest")?.as_str() {
                    "keys" => true,
                    "open" => false,
                    other => return Err(self.wrong("ingest", "\"keys\" or \"open\"", other)),
                },
                if_version: self.number("if_version")?,
            },
            "set_fleet" => Change::SetFleet {
                worker_min: self.number("worker_min")?,
                worker_max: self.number("worker_max")?,
                api_min: self.number("api_min")?,
                api_max: self.number("api_max")?,
                if_version: self.number("if_version")?,
            },
            "scale" => Change::Scale(self.scale()?),
            "start" => Change::Scale(Scale {
                start: self.instances()?,
                ..Scale::default()
            }),
            "stop" => Change::Scale(Scale {
                stop: self.instances()?,
                ..Scale::default()
            }),
            "rollback" => Change::Rollback {
                section: self.section()?,
                version: self.number("version")?,
            },
            "pause" => Change::Pause {
                for_s: self
                    .number::<u64>("for_min")?
                    .map(|minutes| minutes.saturating_mul(60)),
            },
            "resume" => Change::Resume,
            "drain" => Change::Drain {
                node: self.text("node")?,
            },
            "forget" => Change::Forget {
                node: self.text("node")?,
            },
            "undrain" => Change::Undrain {
                node: self.text("node")?,
            },
            "replay" => Change::Replay {
                dead_letters: self.selected()?,
                per_s: None,
            },
            "replay_all" => Change::Replay {
                dead_letters: self.all(),
                per_s: self.number("per_s")?,
            },
            "discard" => Change::Discard {
                dead_letters: self.selected()?,
            },
            "discard_all" => Change::Discard {
                dead_letters: self.all(),
            },
            "acknowledge" => Change::Acknowledge {
                alarm: self.text("alarm")?.parse().map_err(Error::invalid)?,
                reason: self.text("reason").ok().filter(|text| !text.is_empty()),
            },
            "repair" => Change::Repair {
                resort: self.required("resort")?,
                season: self.text("season")?,
                day: self.required("day")?,
            },
            "archive" => Change::Archive(self.season_days()?),
            "restore" => Change::Restore(self.season_days()?),
            "add_user" => Change::AddUser {
                name: self.text("name")?,
                role: self.role()?,
            },
            "set_password" => Change::SetPassword {
                name: self.text("name")?,
            },
            "set_role" => Change::SetRole {
                name: self.text("name")?,
                role: self.role()?,
            },
            "remove_user" => Change::RemoveUser {
                name: self.text("name")?,
            },
            "add_token" => Change::AddToken {
                name: self.text("name")?,
                role: self.role()?,
                expires_in_s: self.required("expires_in_s")?,
            },
            "revoke_token" => Change::RevokeToken {
                id: self.text("id")?,
            },
            "add_key" => Change::AddKey {
                name: self.text("name")?,
                resorts: self.resorts()?,
            },
            "revoke_key" => Change::RevokeKey {
                id: self.text("id")?,
            },
            // A change that was planned before, and is planned again.
            "again" => serde_json::from_str(&self.text("again")?)
                .map_err(|error| Error::invalid(format!("the form cannot be read: {error}")))?,
            other => {
                return Err(Error::invalid(format!(
                    "there is no change {other:?}; nothing was planned"
                )));
            }
        })
    }

    fn find(&self, name: &str) -> Option<&str> {
        let mut fields = self.0.iter();
        let found = fields.find(|(of, value)| of == name && !value.trim().is_empty());
        found.map(|(_, value)| value.trim())
    }

    fn text(&self, name: &str) -> Result<String, Error> {
        let found = self.find(name).map(str::to_owned);
        found.ok_or_else(|| self.empty(name))
    }

    fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Error> {
        let Some(text) = self.find(name) else {
            return Ok(None);
        };
        let number = text.parse();
        number
            .map(Some)
            .map_err(|_| self.wrong(name, "a number", text))
    }

    fn required<T: FromStr>(&self, name: &str) -> Result<T, Error> {
        let number = self.number(name)?;
        number.ok_or_else(|| self.empty(name))
    }

    fn season_days(&self) -> Result<SeasonDays, Error> {
        Ok(SeasonDays {
            resort: self.required("resort")?,
            season: self.text("season")?,
            first_day: self.required("first_day")?,
            last_day: self.required("last_day")?,
        })
    }

    fn role(&self) -> Result<UserRole, Error> {
        match self.text("role")?.as_str() {
            "viewer" => Ok(UserRole::Viewer),
            "operator" => Ok(UserRole::Operator),
            "admin" => Ok(UserRole::Admin),
            other => Err(self.wrong("role", "viewer, operator or admin", other)),
        }
    }

    fn section(&self) -> Result<Section, Error> {
        match self.text("section")?.as_str() {
            "worker" => Ok(Section::Worker),
            "api" => Ok(Section::Api),
            "ingest" => Ok(Section::Ingest),
            "fleet" => Ok(Section::Fleet),
            other => Err(self.wrong("section", "worker, api, ingest or fleet", other)),
        }
    }

    fn scale(&self) -> Result<Scale, Error> {
        let mut roles = Vec::new();
        for role in [ScaledRole::Api, ScaledRole::Worker] {
            if let Some(count) = self.number(&role.to_string())? {
                roles.push(RoleCount {
                    role,
                    count: Count::To(count),
                });
            }
        }
        Ok(Scale {
            roles,
            threads: self.number("threads")?,
            channels: self.number("channels")?,
            drain_timeout_s: self.number("drain_timeout_s")?,
            allow_zero: self.find("allow_zero").is_some(),
            ..Scale::default()
        })
    }

    /// The instances whose boxes are checked.
    fn instances(&self) -> Result<Vec<String>, Error> {
        match self.checked() {
            ids if ids.is_empty() => Err(Error::invalid("no instance is selected")),
            ids => Ok(ids),
        }
    }

    fn checked(&self) -> Vec<String> {
        let ids = self.0.iter().filter(|(name, _)| name == "id");
        ids.map(|(_, id)| id.clone()).collect()
    }

    /// The dead letters whose boxes are checked.
    fn selected(&self) -> Result<DeadLetterSelection, Error> {
        let ids = self.checked();
        if ids.is_empty() {
            return Err(Error::invalid(
                "no dead letter is selected; select some, or choose all",
            ));
        }
        Ok(DeadLetterSelection::Ids(ids))
    }

    /// All dead letters, or all with the reason that the page shows.
    fn all(&self) -> DeadLetterSelection {
        match self.find("reason").filter(|text| !text.is_empty()) {
            Some(text) => DeadLetterSelection::Reason {
                text: text.to_owned(),
                up_to: None,
            },
            None => DeadLetterSelection::All,
        }
    }

    /// Resorts, separated by commas; `None` for all.
    fn resorts(&self) -> Result<Option<Vec<u64>>, Error> {
        let Some(text) = self.find("resorts") else {
            return Ok(None);
        };
        let parts = text.split(',').map(str::trim);
        let ids = parts.map(|part| {
            part.parse()
                .map_err(|_| self.wrong("resorts", "IDs such as 4, 19", part))
        });
        ids.collect::<Result<_, _>>().map(Some)
    }

    /// The label of a field.
    fn label<'a>(&self, name: &'a str) -> &'a str {
        label(self.find("change").unwrap_or_default(), name)
    }

    fn empty(&self, name: &str) -> Error {
        Error::invalid(format!("the field {} is empty", self.label(name)))
    }

    fn wrong(&self, name: &str, expected: &str, got: &str) -> Error {
        let got: String = got.chars().take(100).collect();
        let label = self.label(name);
        Error::invalid(format!("{label} must be {expected}, not {got:?}"))
    }
}

#[cfg(test)]
mod tests;
