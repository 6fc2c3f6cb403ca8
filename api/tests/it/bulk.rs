//! Many rides in one request.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io::Write;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Body;
use serde_json::json;
use skilift_core::queue::{Admission, Shed};
use skilift_core::ride::Ride;
use tokio::sync::mpsc;

use crate::harness::{ALPS, Answer, MESSAGE_RIDES, TestApi, catalogue, ride, send};
use crate::outside::{On, on_both_engines};
use crate::raw::Connection;

on_both_engines![
    rides_are_stored_plain_and_zipped,
    zipped_files_that_were_joined_are_one_upload,
    a_bad_line_never_spoils_a_good_one,
    only_the_first_hundred_errors_are_named,
    nothing_is_an_upload_too,
    a_line_that_is_too_long_is_rejected_alone,
    a_bomb_is_given_up_at_the_limit,
    a_body_at_the_limit_is_taken,
    a_broken_body_keeps_what_came_before,
    a_damaged_body_is_noticed,
    other_encodings_are_not_understood,
    rides_are_sent_on_while_the_upload_goes_on,
    what_is_shed_in_the_middle_can_be_sent_again,
    an_upload_that_is_refused_early_is_answered_though_it_is_large,
    an_upload_that_breaks_off_keeps_what_came,
    a_drain_ends_an_upload_that_does_not_end,
    uploads_leave_room_for_gates,
];

fn line(ride: &Ride) -> String {
    serde_json::to_string(ride).unwrap() + "\n"
}

fn rides(skiers: std::ops::RangeInclusive<u64>) -> Vec<Ride> {
    skiers.map(|skier| ride(1, 12, skier, 217, 21)).collect()
}

fn ndjson(rides: &[Ride]) -> String {
    rides.iter().map(line).collect()
}

fn gzip(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_ref()).unwrap();
    encoder.finish().unwrap()
}

async fn upload(api: &TestApi, body: impl Into<Body>) -> Answer {
    let request = api.request("POST", "/rides").body(body);
    send(request.header("content-type", "application/x-ndjson")).await
}

async fn upload_gzip(api: &TestApi, body: impl Into<Body>) -> Answer {
    let request = api.request("POST", "/rides").body(body);
    let request = request.header("content-type", "application/x-ndjson; charset=utf-8");
    send(request.header("content-encoding", "gzip")).await
}

/// A body that comes in parts, whenever the test sends one.
fn parts() -> (mpsc::UnboundedSender<String>, Body) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let stream = futures_util::stream::poll_fn(move |context| {
        receiver
            .poll_recv(context)
            .map(|part| part.map(Ok::<_, Infallible>))
    });
    (sender, Body::wrap_stream(stream))
}

async fn rides_are_stored_plain_and_zipped(on: On) {
    let api = TestApi::start(on).await;
    let all = rides(1..=1234);
    let (plain, zipped) = (ndjson(&all[..700]), gzip(ndjson(&all[700..])));
    for (answer, count) in [
        (upload(&api, plain).await, 700),
        (upload_gzip(&api, zipped).await, 534),
    ] {
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.json,
            json!({"accepted": count, "rejected": 0, "errors": []})
        );
    }
    assert_eq!(api.queued(1234).await, all.into_iter().collect());
}

async fn zipped_files_that_were_joined_are_one_upload(on: On) {
    let api = TestApi::start(on).await;
    let all = rides(1..=30);
    let joined = [gzip(ndjson(&all[..10])), gzip(ndjson(&all[10..]))].concat();
    assert_eq!(upload_gzip(&api, joined).await.json["accepted"], json!(30));
    api.queued(30).await;
}

async fn a_bad_line_never_spoils_a_good_one(on: On) {
    let api = TestApi::start_with(on, catalogue(ALPS)).await;
    let good = rides(1..=3);
    let body = [
        &line(&good[0])[..],
        "not json\n",
        "\n",
        "  \r\n",
        &line(&ride(1, 12, 5, 217, 23)),
        &line(&good[1]).replace('\n', "\r\n"),
        "{\"resortID\":0,\"seasonID\":2025,\"dayID\":12,\"skierID\":1,\"time\":217,\"liftID\":21}\n",
        "{\"resortID\":1,\"seasonID\":2025,\"dayID\":12,\"skierID\":1,\"liftID\":21}\n",
        "[1,2025,12,1,217,21]\n",
        "\u{fffd}\n",
        line(&good[2]).trim_end(),
    ]
    .concat();
    for (answer, _) in [
        (upload(&api, body.clone()).await, 0),
        (upload_gzip(&api, gzip(&body)).await, 0),
    ] {
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.json,
            json!({"accepted": 3, "rejected": 6, "errors": [
                {"line": 2, "message": "the line is not JSON: expected ident"},
                {"line": 5, "message": "liftID 23 is not a lift of Zermatt"},
                {"line": 7, "message": "resortID must be a whole number from 1 to 65535, not 0"},
                {"line": 8, "message": "missing field `time`"},
                {"line": 9, "message": "it must be an object, not an array"},
                {"line": 10, "message": "the line is not JSON: expected value"},
            ]})
        );
    }
    assert_eq!(api.queued(3).await, good.into_iter().collect());
}

async fn only_the_first_hundred_errors_are_named(on: On) {
    let api = TestApi::start(on).await;
    let body = format!(
        "{}{}",
        "x\n".repeat(150),
        line(&ride(1, 12, 7, 1, 1)).repeat(250)
    );
    let answer = upload(&api, format!("{body}{}", "x\n".repeat(150))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        (&answer.json["accepted"], &answer.json["rejected"]),
        (&json!(250), &json!(300))
    );
    let errors = answer.json["errors"].as_array().unwrap();
    assert_eq!((errors.len(), &errors[99]["line"]), (100, &json!(100)));
    api.queued(1).await;
}

async fn nothing_is_an_upload_too(on: On) {
    let api = TestApi::start(on).await;
    for body in ["", "\n\n", " "] {
        let answer = upload(&api, body).await;
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.json,
            json!({"accepted": 0, "rejected": 0, "errors": []})
        );
    }
    for body in [gzip(""), Vec::new()] {
        assert_eq!(upload_gzip(&api, body).await.status, 200);
    }
}

async fn a_line_that_is_too_long_is_rejected_alone(on: On) {
    let api = TestApi::start(on).await;
    let good = rides(1..=2);
    let padded = |length: usize| {
        let text = line(&good[1]);
        format!("{}{text}", " ".repeat(length + 1 - text.len()))
    };
    let body = format!("{}{}", line(&good[0]), padded(1024));
    assert_eq!(upload(&api, body).await.status, 200);
    for (long, length) in [(padded(1025), 1025), ("y".repeat(300_000) + "\n", 300_000)] {
        let body = format!("{long}{}", line(&good[0]));
        for answer in [
            upload(&api, body.clone()).await,
            upload_gzip(&api, gzip(&body)).await,
        ] {
            assert_eq!(answer.status, 413);
            assert_eq!(
                (&answer.json["accepted"], &answer.json["rejected"]),
                (&json!(1), &json!(1))
            );
            let says = format!("the line has {length} bytes, more than 1024");
            assert_eq!(answer.json["errors"], json!([{"line": 1, "message": says}]));
            assert!(answer.message().contains("the others are stored"));
            assert_eq!(answer.json.get("nextLine"), None);
        }
    }
    assert_eq!(api.queued(2).await, good.into_iter().collect());
}

async fn a_bomb_is_given_up_at_the_limit(on: On) {
    let api = TestApi::start(on).await;
    let good = rides(1..=150);
    let zeros = format!("{}{}", ndjson(&good), "\0".repeat(100_000_000));
    let answer = upload_gzip(&api, gzip(zeros)).await;
    assert_eq!(answer.status, 413);
    assert!(
        answer
            .message()
            .starts_with("the body has more than 67108864 bytes")
    );
    assert_eq!(
        (&answer.json["accepted"], &answer.json["nextLine"]),
        (&json!(150), &json!(151))
    );

    let blank_lines = "\n".repeat(70_000_000);
    for answer in [
        upload_gzip(&api, gzip(&blank_lines)).await,
        upload(&api, blank_lines).await,
    ] {
        assert_eq!(answer.status, 413);
        assert_eq!(answer.json["nextLine"], json!(67_108_865));
    }
    assert_eq!(api.queued(150).await, good.into_iter().collect());
}

async fn a_body_at_the_limit_is_taken(on: On) {
    let api = TestApi::start(on).await;
    let text = line(&ride(1, 12, 7, 1, 1));
    let body = format!("{}{text}", "\n".repeat(64 * 1024 * 1024 - text.len()));
    let answer = upload_gzip(&api, gzip(body)).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json["accepted"]),
        (200, &json!(1)),
        "{answer:?}"
    );
}

async fn a_broken_body_keeps_what_came_before(on: On) {
    let api = TestApi::start(on).await;
    let all = rides(1..=1000);
    let whole = gzip(ndjson(&all));
    for cut in [whole.len() / 2, whole.len() - 4] {
        let answer = upload_gzip(&api, whole[..cut].to_vec()).await;
        assert_broken_gzip(&answer);
        assert_eq!(answer.json["rejected"], json!(0));
    }
    let answer = upload_gzip(&api, "this is no gzip").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json["nextLine"]),
        (400, &json!(1))
    );
    // The last one lacked only its checksum.
    assert_eq!(api.queued(1000).await, all.into_iter().collect());
}

async fn a_damaged_body_is_noticed(on: On) {
    let api = TestApi::start(on).await;
    let mut damaged = gzip(ndjson(&rides(1..=1000)));
    let middle = damaged.len() / 2;
    damaged[middle..middle + 20].fill(0xff);
    assert_broken_gzip(&upload_gzip(&api, damaged).await);
}

fn assert_broken_gzip(answer: &Answer) {
    assert_eq!(answer.status, 400, "{answer:?}");
    let message = answer.message();
    assert!(
        message.starts_with("the body is invalid gzip: "),
        "{message}"
    );
    assert!(
        message.ends_with("the rides before nextLine are stored"),
        "{message}"
    );
    let number = |name: &str| answer.json[name].as_u64().unwrap();
    assert_eq!(
        number("nextLine"),
        number("accepted") + number("rejected") + 1
    );
}

async fn other_encodings_are_not_understood(on: On) {
    let api = TestApi::start(on).await;
    for (encoding, status) in [
        ("br", 415),
        ("gzip, gzip", 415),
        ("identity", 200),
        ("GZIP", 400),
    ] {
        let request = api
            .request("POST", "/rides")
            .body(line(&ride(1, 12, 7, 1, 1)));
        let request = request.header("content-type", "application/x-ndjson");
        let answer = send(request.header("content-encoding", encoding)).await;
        assert_eq!(answer.status, status, "{encoding}");
    }
    let single = api.request("POST", "/skiers/1/seasons/2025/days/12/skiers/7");
    let single = single
        .header("content-type", "application/json")
        .header("content-encoding", "gzip");
    let answer = send(single.body(gzip(r#"{"time":1,"liftID":1}"#))).await;
    assert_eq!(answer.status, 415);
    assert!(
        answer.message().contains("omit Content-Encoding"),
        "{answer:?}"
    );
    for content_type in ["application/ndjson", "Application/JSONL"] {
        let request = api.request("POST", "/rides").body("");
        assert_eq!(
            send(request.header("content-type", content_type))
                .await
                .status,
            200
        );
    }
}

async fn rides_are_sent_on_while_the_upload_goes_on(on: On) {
    let api = TestApi::start(on).await;
    let (sender, body) = parts();
    let all = rides(1..=2 * MESSAGE_RIDES as u64);
    let uploading = upload(&api, body);
    let watching = async {
        let (first, second) = all.split_at(MESSAGE_RIDES);
        sender.send(ndjson(first)).unwrap();
        assert_eq!(
            api.queued(MESSAGE_RIDES).await,
            first.iter().copied().collect()
        );
        // A line may come in pieces.
        for piece in ndjson(second).as_bytes().chunks(7) {
            sender
                .send(String::from_utf8(piece.to_vec()).unwrap())
                .unwrap();
        }
        drop(sender);
    };
    let (answer, ()) = tokio::join!(uploading, watching);
    assert_eq!(answer.json["accepted"], json!(all.len()));
    api.queued(MESSAGE_RIDES).await;
}

async fn what_is_shed_in_the_middle_can_be_sent_again(on: On) {
    let admission = Arc::<Admission>::default();
    let api = TestApi::start_with_admission(on, Arc::clone(&admission)).await;
    let (sender, body) = parts();
    let all = rides(1..=1000);
    let text = ndjson(&all);
    let lines: Vec<&str> = text.lines().collect();
    let first = 2 * MESSAGE_RIDES + 30;
    let uploading = upload(&api, body);
    let shedding = async {
        sender
            .send("bad\n".to_owned() + &lines[..first].join("\n") + "\n")
            .unwrap();
        let stored: BTreeSet<Ride> = api.queued(2 * MESSAGE_RIDES).await;
        admission.set(Shed::StoreMemory, true);
        sender
            .send("bad\n".to_owned() + &lines[first..].join("\n"))
            .unwrap();
        drop(sender);
        stored
    };
    let (answer, mut stored) = tokio::join!(uploading, shedding);
    assert_eq!(answer.status, 503);
    assert_eq!(answer.headers["retry-after"], "5");
    assert!(answer.message().contains("maxmemory"), "{answer:?}");
    // One bad line and two messages are settled; the second bad line lies behind and is not told of.
    let next_line = 2 + 2 * MESSAGE_RIDES;
    assert_eq!(answer.json["nextLine"], json!(next_line));
    assert_eq!(answer.json["accepted"], json!(2 * MESSAGE_RIDES));
    assert_eq!(
        (&answer.json["rejected"], &answer.json["errors"][0]["line"]),
        (&json!(1), &json!(1))
    );

    admission.set(Shed::StoreMemory, false);
    let rest = upload(&api, lines[next_line - 2..].join("\n")).await;
    assert_eq!(rest.json["accepted"], json!(all.len() - 2 * MESSAGE_RIDES));
    stored.extend(api.queued(all.len() - 2 * MESSAGE_RIDES).await);
    assert_eq!(stored, all.into_iter().collect());
}

async fn an_upload_that_is_refused_early_is_answered_though_it_is_large(on: On) {
    let admission = Arc::<Admission>::default();
    let api = TestApi::start_with_admission(on, Arc::clone(&admission)).await;
    admission.set(Shed::StoreMemory, true);
    let body = ndjson(&rides(1..=400_000));
    assert!(body.len() > 30_000_000);
    let answer = upload(&api, body).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json["nextLine"]),
        (503, &json!(1))
    );
    assert_eq!(answer.json["accepted"], json!(0));
}

async fn an_upload_that_breaks_off_keeps_what_came(on: On) {
    let api = TestApi::start(on).await;
    let mut upload = Connection::open(&api).await;
    let body = ndjson(&rides(1..=150));
    upload
        .send(&format!(
            "POST /rides HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\n\
             content-length: 1000000\r\n\r\n{body}"
        ))
        .await;
    api.queued(MESSAGE_RIDES).await;
    drop(upload);
}

async fn a_drain_ends_an_upload_that_does_not_end(on: On) {
    let api = TestApi::start(on).await;
    let (sender, body) = parts();
    let all = rides(1..=150);
    let uploading = upload(&api, body);
    let draining = async {
        sender.send(ndjson(&all)).unwrap();
        api.queued(MESSAGE_RIDES).await;
        api.lifecycle.drain();
        sender
    };
    let (answer, _sender) = tokio::join!(uploading, draining);
    assert_eq!(answer.status, 503);
    assert_eq!(
        (&answer.json["accepted"], &answer.json["nextLine"]),
        (&json!(150), &json!(151))
    );
}

async fn uploads_leave_room_for_gates(on: On) {
    let api = TestApi::start_with_room(on, 4 * MESSAGE_RIDES).await;
    let uploads = (0..6).map(|number| {
        let skiers = number * 2000 + 1..=(number + 1) * 2000;
        upload(&api, ndjson(&rides(skiers)))
    });
    let gates = async {
        for skier in 1..=200 {
            let path = format!("/skiers/2/seasons/2025/days/12/skiers/{skier}");
            let answer = api.post(&path, &json!({"time": 217, "liftID": 21})).await;
            assert_eq!(answer.status, 201, "{answer:?}");
        }
    };
    let (answers, ()) = tokio::join!(futures_util::future::join_all(uploads), gates);
    for answer in answers {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json["accepted"], json!(2000));
    }
    api.queued(6 * 2000 + 200).await;
}
