//! `skictl settings`: desired settings of nodes, their history, and changes.

use std::collections::BTreeMap;

use skilift_console::view::change::Change;
use skilift_console::view::settings::{
    Section, SectionView, SettingValue, SettingsHistoryView, SettingsView,
};

use super::Client;
use super::columns::Columns;
use super::connection::ApiRequest;
use super::error::ClientError;
use super::figures::{moment, moment_or_dash};
use super::page::{Page, Style, or_dash, plain};
use crate::args::client::{ConsentArgs, WatchArgs};
use crate::args::settings::{Ingest, SetCommand, SettingsArgs, SettingsCommand};
use crate::exit::Exit;

/// Runs the command.
pub(crate) async fn run(args: &SettingsArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    match &args.command {
        None => show(&client, args.watch).await,
        Some(SettingsCommand::Show { watch }) => {
            show(&client, client.either(args.watch, *watch)).await
        }
        Some(SettingsCommand::Set(set)) => {
            let (change, consent) = asked_for(set);
            if sets_nothing(&change) {
                return Err(ClientError::Usage(
                    "nothing to set: give at least one option; see `skictl settings set --help`"
                        .to_owned(),
                )
                .into());
            }
            client.change(args.watch, consent)?.carry_out(change).await
        }
        Some(SettingsCommand::History { section, watch }) => {
            let section = word(Section::from(*section));
            let request = || ApiRequest::new(["settings", section, "history"]);
            let show_command = client.show_command(client.either(args.watch, *watch));
            show_command
                .show(request, render_history, Some(history_csv))
                .await
        }
        Some(SettingsCommand::Rollback {
            section,
            to,
            consent,
        }) => {
            let change = Change::Rollback {
                section: (*section).into(),
                version: *to,
            };
            client.change(args.watch, consent)?.carry_out(change).await
        }
    }
}

async fn show(client: &Client, watch: WatchArgs) -> anyhow::Result<Exit> {
    let request = || ApiRequest::new(["settings"]);
    client.show_command(watch).show(request, render, None).await
}

/// Whether no value was given.
fn sets_nothing(change: &Change) -> bool {
    let values = match change {
        Change::SetWorker {
            threads,
            prefetch,
            batch,
            linger_ms,
            ..
        } => [*threads, *prefetch, *batch, *linger_ms],
        Change::SetApi {
            channels,
            message_rides,
            max_in_flight,
            ..
        } => [*channels, *message_rides, *max_in_flight, None],
        Change::SetFleet {
            worker_min,
            worker_max,
            api_min,
            api_max,
            ..
        } => [*worker_min, *worker_max, *api_min, *api_max],
        _ => return false,
    };
    values.iter().all(Option::is_none)
}

fn asked_for(set: &SetCommand) -> (Change, &ConsentArgs) {
    match set {
        SetCommand::Worker {
            threads,
            prefetch,
            batch,
            linger,
            unchanged,
            consent,
        } => {
            let change = Change::SetWorker {
                threads: *threads,
                prefetch: *prefetch,
                batch: *batch,
                linger_ms: *linger,
                if_version: unchanged.if_version,
            };
            (change, consent)
        }
        SetCommand::Api {
            channels,
            message_rides,
            max_in_flight,
            unchanged,
            consent,
        } => {
            let change = Change::SetApi {
                channels: *channels,
                message_rides: *message_rides,
                max_in_flight: *max_in_flight,
                if_version: unchanged.if_version,
            };
            (change, consent)
        }
        SetCommand::Ingest {
            who,
            unchanged,
            consent,
        } => {
            let change = Change::SetIngest {
                keys: *who == Ingest::Keys,
                if_version: unchanged.if_version,
            };
            (change, consent)
        }
        SetCommand::Fleet {
            worker_min,
            worker_max,
            api_min,
            api_max,
            unchanged,
            consent,
        } => {
            let change = Change::SetFleet {
                worker_min: *worker_min,
                worker_max: *worker_max,
                api_min: *api_min,
                api_max: *api_max,
                if_version: unchanged.if_version,
            };
            (change, consent)
        }
    }
}

fn word(section: Section) -> &'static str {
    match section {
        Section::Worker => "worker",
        Section::Api => "api",
        Section::Ingest => "ingest",
        Section::Fleet => "fleet",
    }
}

fn values(values: &BTreeMap<String, SettingValue>) -> String {
    let said: Vec<String> = values
        .iter()
        .map(|(name, value)| match value {
            SettingValue::Number(number) => format!("{name}={number}"),
            SettingValue::Word(word) => format!("{name}={word}"),
        })
        .collect();
    said.join(" ")
}

fn render(settings: &SettingsView, page: &mut Page) {
    let rows = settings.sections.iter().map(|section| {
        let number = section.generation.map(|of| of.version.to_string());
        [
            plain(word(section.section)),
            or_dash(number.as_deref()),
            plain(values(&section.values)),
            followers(section),
            plain(moment_or_dash(section.updated_at_ms)),
            or_dash(section.updated_by.as_deref()),
        ]
    });
    page.table(
        &Columns {
            names: [
                "section",
                ">version",
                "~values",
                "nodes",
                "since",
                "updated by",
            ],
            optional_columns: &["updated by", "since"],
        },
        rows,
        "no settings",
    );
    for section in &settings.sections {
        if !section.nodes_pending.is_empty() {
            let (name, behind) = (word(section.section), section.nodes_pending.join(", "));
            page.note(format!("{name}: pending: {behind}"));
        }
        if let Some(note) = &section.note {
            page.note(format!("{}: {note}", word(section.section)));
        }
    }
}

fn followers(section: &SectionView) -> (String, Style) {
    let behind = section.nodes_pending.len();
    let Some(following) = section.nodes_up_to_date else {
        return plain("-");
    };
    if behind == 0 {
        return plain(format!("{following} up to date"));
    }
    let text = format!("{following} up to date, {behind} pending");
    (text, Style::Warning)
}

fn render_history(history: &SettingsHistoryView, page: &mut Page) {
    let rows = history.versions.iter().map(|version| {
        [
            plain(version.generation.version.to_string()),
            plain(moment(version.updated_at_ms)),
            plain(&version.updated_by),
            plain(values(&version.values)),
            or_dash(version.plan.as_deref()),
        ]
    });
    page.table(
        &Columns {
            names: [">version", "since", "updated by", "~values", "plan"],
            optional_columns: &["plan"],
        },
        rows,
        "no history: settings come from command-line flags",
    );
}

fn history_csv(history: &SettingsHistoryView) -> anyhow::Result<String> {
    let names: Vec<&String> = history
        .versions
        .iter()
        .flat_map(|version| version.values.keys())
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let fixed = ["version", "hash", "updated_at_ms", "updated_by", "plan"];
    writer.write_record(
        fixed
            .into_iter()
            .chain(names.iter().map(|name| name.as_str())),
    )?;
    for version in &history.versions {
        let mut row = vec![
            version.generation.version.to_string(),
            version.generation.hash.to_string(),
            version.updated_at_ms.to_string(),
            version.updated_by.clone(),
            version.plan.clone().unwrap_or_default(),
        ];
        row.extend(names.iter().map(|name| match version.values.get(*name) {
            Some(SettingValue::Number(number)) => number.to_string(),
            Some(SettingValue::Word(word)) => word.clone(),
            None => String::new(),
        }));
        writer.write_record(row)?;
    }
    Ok(skilift_console::view::csv::plain(&writer.into_inner()?)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_name_in_the_history_is_a_formula() {
        let version = json!({
            "generation": {"version": 2, "hash": 7},
            "values": {"value": "keys"},
            "updated_at_ms": 5,
            "updated_by": "=1+1",
            "plan": "@\u{7}",
        });
        let history = json!({"section": "ingest", "versions": [version]});
        let csv = history_csv(&serde_json::from_value(history).unwrap()).unwrap();
        assert_eq!(
            csv,
            "version,hash,updated_at_ms,updated_by,plan,value\n2,7,5,'=1+1,'@\u{fffd},keys\n"
        );
    }
}
