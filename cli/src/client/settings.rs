//! `skictl settings`: how nodes shall work, what that was, and changes to it.

use std::collections::BTreeMap;

use skilift_console::view::change::Change;
use skilift_console::view::settings::{
    Section, SectionView, SettingValue, SettingsHistoryView, SettingsView,
};

use super::Client;
use super::columns::Columns;
use super::connection::Question;
use super::look::{moment, moment_or_dash};
use super::page::{Page, Tone, or_dash, plain};
use super::show::plain_csv;
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
            client.change(args.watch, consent)?.carry_out(change).await
        }
        Some(SettingsCommand::History { section, watch }) => {
            let section = word(Section::from(*section));
            let ask = || Question::new(["settings", section, "history"]);
            let showing = client.showing(client.either(args.watch, *watch));
            showing.show(ask, draw_history, Some(history_csv)).await
        }
        Some(SettingsCommand::Rollback {
            section,
            to,
            consent,
        }) => {
            let change = Change::Rollback {
                section: (*section).into(),
                number: *to,
            };
            client.change(args.watch, consent)?.carry_out(change).await
        }
    }
}

async fn show(client: &Client, watch: WatchArgs) -> anyhow::Result<Exit> {
    let ask = || Question::new(["settings"]);
    client.showing(watch).show(ask, draw, None).await
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
                if_number: unchanged.if_number,
            };
            (change, consent)
        }
        SetCommand::Api {
            lanes,
            message_rides,
            max_in_flight,
            unchanged,
            consent,
        } => {
            let change = Change::SetApi {
                lanes: *lanes,
                message_rides: *message_rides,
                max_in_flight: *max_in_flight,
                if_number: unchanged.if_number,
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
                if_number: unchanged.if_number,
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
                if_number: unchanged.if_number,
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

fn draw(settings: &SettingsView, page: &mut Page) {
    let rows = settings.sections.iter().map(|section| {
        let number = section.generation.map(|of| of.number.to_string());
        [
            plain(word(section.section)),
            or_dash(number.as_deref()),
            plain(values(&section.values)),
            followers(section),
            plain(moment_or_dash(section.since_ms)),
            or_dash(section.by.as_deref()),
        ]
    });
    page.table(
        &Columns {
            names: ["section", ">number", "~values", "nodes", "since", "by"],
            spare: &["by", "since"],
        },
        rows,
        "no settings",
    );
    for section in &settings.sections {
        if !section.nodes_behind.is_empty() {
            let (name, behind) = (word(section.section), section.nodes_behind.join(", "));
            page.note(format!("{name}: behind: {behind}"));
        }
        if let Some(note) = &section.note {
            page.note(format!("{}: {note}", word(section.section)));
        }
    }
}

fn followers(section: &SectionView) -> (String, Tone) {
    let behind = section.nodes_behind.len();
    let Some(following) = section.nodes_following else {
        return plain("-");
    };
    if behind == 0 {
        return plain(format!("{following} follow"));
    }
    let text = format!("{following} follow, {behind} behind");
    (text, Tone::Warning)
}

fn draw_history(history: &SettingsHistoryView, page: &mut Page) {
    let rows = history.versions.iter().map(|version| {
        [
            plain(version.generation.number.to_string()),
            plain(moment(version.at_ms)),
            plain(&version.by),
            plain(values(&version.values)),
            or_dash(version.plan.as_deref()),
        ]
    });
    page.table(
        &Columns {
            names: [">number", "since", "by", "~values", "plan"],
            spare: &["plan"],
        },
        rows,
        "no history: flags rule",
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
    let fixed = ["number", "hash", "at_ms", "by", "plan"];
    writer.write_record(
        fixed
            .into_iter()
            .chain(names.iter().map(|name| name.as_str())),
    )?;
    for version in &history.versions {
        let mut row = vec![
            version.generation.number.to_string(),
            version.generation.hash.to_string(),
            version.at_ms.to_string(),
            version.by.clone(),
            version.plan.clone().unwrap_or_default(),
        ];
        row.extend(names.iter().map(|name| match version.values.get(*name) {
            Some(SettingValue::Number(number)) => number.to_string(),
            Some(SettingValue::Word(word)) => word.clone(),
            None => String::new(),
        }));
        writer.write_record(row)?;
    }
    plain_csv(&writer.into_inner()?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_name_in_the_history_is_a_formula() {
        let version = json!({
            "generation": {"number": 2, "hash": 7},
            "values": {"value": "keys"},
            "at_ms": 5,
            "by": "=1+1",
            "plan": "@\u{7}",
        });
        let history = json!({"section": "ingest", "versions": [version]});
        let csv = history_csv(&serde_json::from_value(history).unwrap()).unwrap();
        assert_eq!(
            csv,
            "number,hash,at_ms,by,plan,value\n2,7,5,'=1+1,'@\u{fffd},keys\n"
        );
    }
}
