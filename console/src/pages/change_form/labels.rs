//! Labels of the fields of forms, as the pages show them.

use skilift_core::control::Setting;

/// Fields of the form that applies a plan: as the admin API names them, and as the page does.
const PHRASES: [(&str, &str); 3] = [
    ("set `confirm` to", "type"),
    ("the field `password`", "the field Password of the user"),
    (
        "use --allow-zero to allow it",
        "select \"allow stopping the last instance\" to allow it",
    ),
];

/// The label of a field of the form that plans a change; the field's own name if no label is shown.
pub(in crate::pages) fn label<'a>(change: &str, name: &'a str) -> &'a str {
    match (change, name) {
        ("scale", "api") => "New desired api instances",
        ("scale", "worker") => "New desired worker instances",
        ("scale", "threads") => "Worker threads",
        ("scale", "channels") => "API channels",
        ("sweep", _) => of_sweep(name),
        (_, "drain_timeout_s") => "Drain timeout",
        (_, "ingest") => "Who may post rides",
        (_, "per_s") => "Replay all at",
        ("add_user", "name") => "User name",
        ("set_role", "name") => "User",
        ("set_role", "role") => "New role",
        ("add_user" | "add_token", "role") => "Role",
        ("add_token", "name") => "Token name",
        (_, "expires_in_s") => "Expires after",
        ("add_key", "name") => "Key name",
        ("add_key", "resorts" | "resortID") => "Resorts",
        (_, "resort" | "resortID") => "Resort",
        (_, "season" | "seasonID") => "Season",
        (_, "day" | "dayID") => "Day",
        (_, "first_day") => "First day",
        (_, "last_day") => "Last day",
        (_, "skierID") => "Skier",
        _ => Setting::named(name).map_or(name, |setting| setting.label),
    }
}

/// The label of a field of the form that starts a sweep.
fn of_sweep(name: &str) -> &str {
    match name {
        "api" => "API nodes",
        "workers" => "Workers",
        "worker_types" => "Worker types",
        "threads" => "Threads",
        "batch" => "Batch",
        "target" | "load.target" => "Target",
        "rate" | "load.rate" => "Load",
        "latency" => "Latency",
        "p99_ms" | "objective.p99_ms" => "Largest p99",
        "min_rate" | "objective.min_rate" => "Least rate",
        "max_usd_per_h" | "objective.max_usd_per_h" => "Largest cost",
        "max_usd" => "Most to spend",
        "repeats" => "Repeats",
        "warm_up_s" => "Warm-up",
        "measure_s" => "Measured for",
        _ => name,
    }
}

/// A message about a change, with labels in place of the names of fields.
pub(in crate::pages) fn with_labels(change: &str, message: &str) -> String {
    let words = message.split(' ').enumerate().map(|(number, word)| {
        // "threads", "day": within a sentence, such a word need not be the name of a field.
        if number == 0 || word.contains('_') {
            label(change, word)
        } else {
            word
        }
    });
    let text = words.collect::<Vec<_>>().join(" ");
    let replaced = |text: String, (of, by): (&str, &str)| text.replace(of, by);
    PHRASES.into_iter().fold(text, replaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_called_by_its_label() {
        for (change, message, expected) in [
            (
                "set_worker",
                "linger_ms must be from 0 to 10000, not 10001",
                "Linger must be from 0 to 10000, not 10001",
            ),
            (
                "set_api",
                "message_rides (9) must not be above max_in_flight (8)",
                "Message (9) must not be above In flight (8)",
            ),
            (
                "scale",
                "threads must be from 1 to 256, not 0",
                "Worker threads must be from 1 to 256, not 0",
            ),
            (
                "add_key",
                "resortID must be a whole number from 1 to 65535, not 0",
                "Resorts must be a whole number from 1 to 65535, not 0",
            ),
            (
                "",
                "p3 is a severe plan: set `confirm` to \"ski\"",
                "p3 is a severe plan: type \"ski\"",
            ),
            ("", "no instance is selected", "no instance is selected"),
            (
                "sweep",
                "warm_up_s must be from 1 to 600, not 0",
                "Warm-up must be from 1 to 600, not 0",
            ),
        ] {
            assert_eq!(with_labels(change, message), expected);
        }
    }
}
