//! Fields of forms that are read, and messages about those that cannot be.

use super::*;

fn form(fields: &[(&str, &str)]) -> ChangeForm {
    let own = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
    ChangeForm(fields.iter().map(own).collect())
}

#[test]
fn empty_fields_are_left_unchanged() {
    let fields = [("change", "set_worker"), ("threads", " 8 "), ("batch", "")];
    let Change::SetWorker { threads, batch, .. } = form(&fields).change().unwrap() else {
        panic!("another change");
    };
    assert_eq!((threads, batch), (Some(8), None));
}

#[test]
fn a_wrong_field_is_named() {
    for (fields, expected) in [
        (
            &[("change", "set_worker"), ("threads", "eight")][..],
            "Threads must be a number, not \"eight\"",
        ),
        (
            &[("change", "drain"), ("node", " ")],
            "the field node is empty",
        ),
        (
            &[("change", "replay")],
            "no dead letter is selected; select some, or choose all",
        ),
        (
            &[("change", "add_key"), ("name", "g"), ("resorts", "4, x")],
            "Resorts must be IDs such as 4, 19, not \"x\"",
        ),
        (
            &[("change", "set_role"), ("name", "a"), ("role", "root")],
            "New role must be viewer, operator or admin, not \"root\"",
        ),
        (
            &[("change", "reboot")],
            "there is no change \"reboot\"; nothing was planned",
        ),
        (&[], "the field change is empty"),
    ] {
        assert_eq!(form(fields).change().unwrap_err().message(), expected);
    }
}

#[test]
fn every_selected_dead_letter_counts() {
    let fields = [("change", "discard"), ("id", "a"), ("id", "b")];
    let Change::Discard { dead_letters } = form(&fields).change().unwrap() else {
        panic!("another change");
    };
    assert_eq!(
        dead_letters,
        DeadLetterSelection::Ids(vec!["a".to_owned(), "b".to_owned()])
    );
}
