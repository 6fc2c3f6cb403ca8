//! Whole reports in folders.

use std::fs;
use std::path::{Path, PathBuf};

use skilift_load::report::{ReportError, check_writable, write};
use skilift_load::timeline::Timeline;

use crate::runs;

/// A folder of this test's own, empty at first, which stays to be looked at.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("reports")
        .join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn every_run_has_a_report_that_others_can_read() {
    for sample in runs::all() {
        let folder = folder(sample.name);
        let summary = serde_json::json!({ "lost": 0 });
        let parameters = serde_json::json!({ "threads": 64 });
        let written = write(
            &folder,
            &sample.run,
            &sample.timeline,
            &parameters,
            &summary,
        )
        .unwrap();
        assert_eq!(written.len(), names(&folder).len(), "{}", sample.name);
        for path in written {
            let text = fs::read_to_string(&path).unwrap();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("svg") => look(&text, &path),
                Some("json") => drop(serde_json::from_str::<serde_json::Value>(&text).unwrap()),
                Some("html") => {
                    assert!(
                        text.contains("1 &#60; 2") && text.contains("<img src=\"latency.svg\"")
                    );
                }
                Some("csv") => assert_eq!(text.lines().count(), sample.timeline.seconds.len() + 1),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// What must hold for every picture.
fn look(text: &str, path: &Path) {
    let document = roxmltree::Document::parse(text)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let root = document.root_element();
    assert_eq!(root.attribute("role"), Some("img"));
    for id in root.attribute("aria-labelledby").unwrap().split(' ') {
        let named = document
            .descendants()
            .find(|node| node.attribute("id") == Some(id))
            .unwrap();
        assert!(named.text().is_some_and(|text| text.len() > 5), "{id}");
    }
    let drawn: String = text.split_once("</desc>").unwrap().1.to_owned();
    assert!(
        !drawn.contains("NaN") && !drawn.contains("inf"),
        "{}",
        path.display()
    );
    assert!(
        text.len() < 150_000,
        "{} has {} bytes",
        path.display(),
        text.len()
    );
}

#[test]
fn a_report_replaces_an_earlier_one_and_nothing_else() {
    let folder = folder("replaced");
    let report = |sample: runs::Sample| {
        write(&folder, &sample.run, &sample.timeline, &(), &sample.name).unwrap()
    };
    report(runs::closed_loop());
    fs::write(folder.join("notes.txt"), "mine").unwrap();
    let all = "backlog.svg breaker.svg errors.svg index.html latency.svg notes.txt summary.json throughput.svg timeline.csv timeline.json";
    assert_eq!(names(&folder).join(" "), all);

    report(runs::open_loop());
    let fewer = "errors.svg index.html latency.svg notes.txt summary.json throughput.svg timeline.csv timeline.json";
    assert_eq!(names(&folder).join(" "), fewer);
    assert_eq!(
        fs::read_to_string(folder.join("notes.txt")).unwrap(),
        "mine"
    );
    let summary = fs::read_to_string(folder.join("summary.json")).unwrap();
    insta::assert_snapshot!(summary, @r#"
    {
      "parameters": null,
      "summary": "open-loop"
    }
    "#);
    let seconds = fs::read_to_string(folder.join("timeline.json")).unwrap();
    let read: Timeline = serde_json::from_str(&seconds).unwrap();
    assert!(read == runs::open_loop().timeline, "the JSON reads back");
}

#[test]
fn a_folder_is_tried_before_the_run() {
    let folder = folder("tried");
    check_writable(&folder.join("deep/down")).unwrap();
    assert_eq!(names(&folder.join("deep/down")), Vec::<String>::new());

    fs::write(folder.join("file"), "").unwrap();
    for taken in ["file", "file/below"] {
        let refused = check_writable(&folder.join(taken)).unwrap_err();
        assert!(matches!(refused, ReportError::NotAFolder(_)), "{refused}");
    }
    // Nobody may make files there, not even root.
    let refused = check_writable(Path::new("/proc/self/report")).unwrap_err();
    assert!(
        refused
            .to_string()
            .starts_with("cannot write the report to /proc/self/report"),
        "{refused}"
    );
}

#[test]
fn a_file_that_cannot_be_replaced_is_named() {
    let folder = folder("taken");
    fs::create_dir_all(folder.join("timeline.csv/full")).unwrap();
    let sample = runs::closed_loop();
    let refused = write(&folder, &sample.run, &sample.timeline, &(), &()).unwrap_err();
    assert!(refused.to_string().contains("timeline.csv"), "{refused}");
    assert!(
        !names(&folder)
            .iter()
            .any(|name| name.starts_with(".report-")),
        "no unfinished file stays"
    );
}
