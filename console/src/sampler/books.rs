//! The books and the verdict on them, in numbers and in words.

use skilift_core::books::Books;

use super::sources::Latest;
use crate::lives::Lives;
use crate::verdict::Findings;
use crate::view::books::{BooksView, Verdict};

/// The books as they were read last. `discarded` letters were thrown away.
pub(super) fn view(
    source: &Latest<Books>,
    findings: Option<&Findings>,
    lives: &Lives,
    discarded: u64,
    now: u64,
) -> BooksView {
    let of = |term: fn(&Books) -> u64| source.reading(now, term);
    let found = |number: fn(&Findings) -> u64| {
        let counted = findings.map_or(0, number);
        source.reading(now, |_| counted)
    };
    let outstanding = source.reading(now, |books| match books.own_queue {
        Some(own) => own.waiting,
        None => lives.outstanding_rides(books),
    });
    let (verdict, says) = match (source.known(now), findings) {
        (Ok((books, _)), Some(findings)) => {
            verdict(findings, outstanding.value.unwrap_or(0), books, lives)
        }
        (Err((why, _)), _) => unreadable(&why),
        (Ok(_), None) => unreadable("they were not read yet"),
    };
    BooksView {
        verdict,
        says,
        age_ms: outstanding.age_ms,
        accepted: source.reading(now, |books| match books.own_queue {
            Some(own) => own.accepted,
            None => lives.accepted_rides(),
        }),
        settled: of(|books| books.settled),
        replayed: of(|books| books.replayed),
        foreign: of(|books| books.foreign),
        applied: of(|books| books.applied),
        // A batch is applied a moment before it is settled.
        duplicate: of(|books| u64::try_from(books.duplicate()).unwrap_or(0)),
        dead: of(|books| books.dead),
        discarded: crate::view::Reading::of(discarded, 0),
        outstanding,
        outstanding_messages: found(|findings| findings.outstanding),
        lost_messages: found(|findings| findings.lost),
        lost: findings
            .map(|findings| findings.named.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
    }
}

fn unreadable(why: &str) -> (Verdict, String) {
    (Verdict::Unknown, format!("the books cannot be read: {why}"))
}

/// What follows, in a word and in a sentence. `rides` are outstanding.
fn verdict(findings: &Findings, rides: u64, books: &Books, lives: &Lives) -> (Verdict, String) {
    if findings.lost > 0 {
        return (Verdict::Lost, alarm(findings, books, lives));
    }
    if findings.suspect > 0 {
        let messages = messages(findings.suspect);
        let says = format!("{messages} overdue; it is not certain yet that they are lost");
        return (Verdict::Suspect, says);
    }
    // A data folder knows of rides that wait, and of no messages.
    let waiting = match (findings.outstanding, rides) {
        (0, 0) => {
            let says = "every accepted ride is settled, none is lost".to_owned();
            return (Verdict::Closed, says);
        }
        (0, 1) => "1 ride is".to_owned(),
        (0, rides) => format!("{rides} rides are"),
        (outstanding, _) => messages(outstanding),
    };
    (
        Verdict::Open,
        format!("{waiting} on their way, none is lost"),
    )
}

fn alarm(findings: &Findings, books: &Books, lives: &Lives) -> String {
    let (rides, is_exact) = lives.lost_rides(books, &findings.lost_of);
    let messages = match findings.lost {
        1 => "1 message".to_owned(),
        many => format!("{many} messages"),
    };
    let about = if is_exact { "" } else { "about " };
    let rides = match rides {
        1 => "1 ride".to_owned(),
        many => format!("{many} rides"),
    };
    let are = if findings.lost == 1 { "is" } else { "are" };
    let publishers = lives.publishers(findings.lost_of.keys());
    let by = if publishers.is_empty() {
        String::new()
    } else {
        format!("; published by {}", publishers.join(", "))
    };
    format!(
        "{messages} with {about}{rides} {are} lost: the queue had confirmed them, and they are neither stored nor in it{by}. \
         Look who removed messages, and have the gates send again"
    )
}

fn messages(count: u64) -> String {
    match count {
        1 => "1 message is".to_owned(),
        many => format!("{many} messages are"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use skilift_core::control::heartbeat::LaneConfirmed;
    use skilift_core::embedded::records::Records;

    use super::*;

    #[test]
    fn the_alarm_tells_rides_and_publishers() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(folder.path()).unwrap();
        let mut lives = Lives::open(records.table("lives").unwrap()).unwrap();
        let life = LaneConfirmed {
            epoch: 5,
            lane: 0,
            through: 112,
            rides: 225,
            ended: false,
        };
        lives.hear("api-host-8080", &[life], 1_000);
        let findings = |lost, outstanding| Findings {
            outstanding,
            lost,
            lost_of: BTreeMap::from([((5, 0), (lost, outstanding))]),
            ..Findings::default()
        };
        let says = |findings: &Findings| verdict(findings, 225, &Books::default(), &lives);
        let (verdict, all) = says(&findings(112, 112));
        assert_eq!(verdict, Verdict::Lost);
        assert!(
            all.starts_with("112 messages with 225 rides are lost: "),
            "{all}"
        );
        assert!(all.contains("published by api-host-8080"), "{all}");
        let (_, part) = says(&findings(1, 112));
        assert!(
            part.starts_with("1 message with about 2 rides is lost: "),
            "{part}"
        );
    }

    #[test]
    fn books_with_rides_that_wait_are_not_closed() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(folder.path()).unwrap();
        let lives = Lives::open(records.table("lives").unwrap()).unwrap();
        let of = |rides| verdict(&Findings::default(), rides, &Books::default(), &lives).0;
        assert_eq!((of(0), of(3)), (Verdict::Closed, Verdict::Open));
    }
}
