//! Decodes messages into rides and dead letters.

use skilift_core::message::{FORMAT, lines, parse_line};
use skilift_core::queue::{DeadLetter, Delivery};
use skilift_core::reconciliation::Settlement;
use skilift_core::ride::Ride;

/// Delivery limit: after this many returns all lines of a message become dead letters, because it keeps crashing or blocking
/// its consumers.
pub(crate) const POISON_AFTER: u64 = 50;

/// The content of a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) rides: Vec<Ride>,
    pub(crate) dead: Vec<DeadLetter>,
}

impl Decoded {
    /// Parses the lines of a message; every line that is not blank becomes a ride or a dead letter. Returns the settlement of the
    /// message for the case that the store applies all its rides.
    pub(crate) fn add(&mut self, delivery: &Delivery) -> Settlement {
        let before = (self.rides.len(), self.dead.len());
        let all_dead = why_all_lines_are_dead(delivery);
        for (line_number, line) in lines(&delivery.body) {
            let parsed = match &all_dead {
                Some(reason) => Err(reason.clone()),
                None => parse_line(line).map_err(|error| error.to_string()),
            };
            match parsed {
                Ok(ride) => self.rides.push(ride),
                Err(reason) => {
                    let letter = DeadLetter::of_line(delivery, line_number, line, reason);
                    self.dead.push(letter);
                }
            }
        }
        let (rides, dead) = (self.rides.len() - before.0, self.dead.len() - before.1);
        let count = |lines: usize| u32::try_from(lines).unwrap_or(u32::MAX);
        Settlement {
            message: delivery.id,
            is_replay: delivery.replay_of.is_some(),
            rides: count(rides + dead),
            dead: count(dead),
        }
    }
}

fn why_all_lines_are_dead(delivery: &Delivery) -> Option<String> {
    if delivery.returns >= POISON_AFTER {
        let returns = delivery.returns;
        return Some(format!(
            "poison message: redelivered {returns} times without acknowledgement"
        ));
    }
    // A message without a version is a foreign one, and is parsed in the current format.
    delivery.format.filter(|&format| format > FORMAT).map(|format| {
        format!("message format {format} is newer than the newest supported format {FORMAT}: upgrade workers first")
    })
}

/// Estimated number of rides in a message, without parsing it.
pub(crate) fn count_rides(delivery: &Delivery) -> usize {
    match delivery.rides {
        Some(rides) => rides as usize,
        None => memchr::memchr_iter(b'\n', &delivery.body).count().max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        r#"{"resortID":1,"seasonID":"2025","dayID":2,"skierID":3,"time":4,"liftID":5}"#;

    fn delivery(body: &str) -> Delivery {
        Delivery {
            tag: 1,
            body: body.as_bytes().to_vec(),
            id: "0000000000000001-0-7".parse().ok(),
            format: Some(1),
            rides: None,
            accepted_at_ms: None,
            replay_of: None,
            returns: 0,
        }
    }

    fn decode(delivery: &Delivery) -> Decoded {
        let mut decoded = Decoded::default();
        decoded.add(delivery);
        decoded
    }

    #[test]
    fn a_bad_line_does_not_spoil_the_good_ones() {
        let decoded = decode(&delivery(&format!("{GOOD}\npoison\n\n{GOOD}")));
        assert_eq!(decoded.rides.len(), 2);
        let [dead] = &decoded.dead[..] else {
            panic!("{decoded:?}")
        };
        assert_eq!(
            (dead.line.as_slice(), dead.line_number),
            (b"poison".as_slice(), 2)
        );
        assert!(dead.message.is_some() && !dead.reason.is_empty());
    }

    #[test]
    fn a_message_is_settled_with_all_its_lines_and_a_letter_keeps_its_id() {
        let mut decoded = Decoded::default();
        let ours = decoded.add(&delivery(&format!(
            "{GOOD}\npoison\n\n{GOOD}\n{GOOD}\npoison"
        )));
        assert_eq!((ours.message, ours.is_replay), (delivery("").id, false));
        assert_eq!((ours.rides, ours.dead), (5, 2));
        let foreign = Delivery {
            id: None,
            ..delivery("poison\npoison\npoisoned")
        };
        let nobodys = decoded.add(&foreign);
        assert_eq!((nobodys.message, nobodys.rides, nobodys.dead), (None, 3, 3));
        let replay = Delivery {
            replay_of: Some("0000000000000001-0-5-3".to_owned()),
            ..delivery("poison\n")
        };
        let again = decoded.add(&replay);
        assert_eq!((again.is_replay, again.rides, again.dead), (true, 1, 1));
        assert_eq!(decoded.add(&delivery("\n")).rides, 0);
        let ids: Vec<&str> = decoded.dead.iter().map(|letter| &*letter.id).collect();
        assert_eq!(
            ids[..2],
            ["0000000000000001-0-7-2", "0000000000000001-0-7-6"]
        );
        // The same line gives the same dead letter, a different line another one.
        assert!(ids[2].starts_with("foreign-") && ids[2] == ids[3] && ids[3] != ids[4]);
        assert_eq!(ids[5..], ["0000000000000001-0-5-3"]);
    }

    #[test]
    fn a_message_from_the_future_or_one_that_kills_is_dead_as_a_whole() {
        let future = Delivery {
            format: Some(2),
            ..delivery(GOOD)
        };
        assert!(
            decode(&future).dead[0]
                .reason
                .contains("upgrade workers first")
        );
        let killer = Delivery {
            returns: 50,
            ..delivery(GOOD)
        };
        assert!(decode(&killer).dead[0].reason.starts_with("poison message"));
        let foreign = Delivery {
            format: None,
            id: None,
            returns: 49,
            ..delivery(GOOD)
        };
        assert_eq!(decode(&foreign).rides.len(), 1);
    }

    #[test]
    fn rides_are_counted_by_header_or_by_line() {
        assert_eq!(
            count_rides(&Delivery {
                rides: Some(9),
                ..delivery(GOOD)
            }),
            9
        );
        assert_eq!(count_rides(&delivery(&format!("{GOOD}\n{GOOD}\n"))), 2);
        assert_eq!(count_rides(&delivery("")), 1);
    }
}
