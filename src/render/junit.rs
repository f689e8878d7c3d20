//! A run as JUnit XML: a suite for each task, a case for each item of its evidence.
//!
//! Written to the schema of Ant's `junitreport` task, which has what the tools that read
//! such files ask for. It leaves out what workers printed; what they said stands as text.

use super::cases::{Case, Frame, Outcome, Suite};
use super::evidence::Dossier;
use super::words::time;
use crate::engine::moment::Stamp;

/// By this line a file is known as one that ilchul wrote.
const MARK: &str = "<!-- written by ilchul evidence -->";
const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// Whether a file with these bytes is one that ilchul wrote.
#[must_use]
pub fn is_ours(bytes: &[u8]) -> bool {
    bytes.strip_prefix(HEAD.as_bytes()).is_some_and(|rest| rest.starts_with(MARK.as_bytes()))
}

/// The document.
#[must_use]
pub fn document(frame: &Frame, suites: &[Suite]) -> String {
    let mut text = format!("{HEAD}{MARK}\n<testsuites>\n");
    for (id, suite) in suites.iter().enumerate() {
        push_suite(&mut text, frame, id, suite);
    }
    text.push_str("</testsuites>\n");
    text
}

fn push_suite(text: &mut String, frame: &Frame, id: usize, suite: &Suite) {
    let bundle = &suite.dossier.bundle;
    let count = |which: &[Outcome]| suite.cases.iter().filter(|case| which.contains(&case.outcome)).count();
    let began = bundle.claimed_at.unwrap_or(frame.started_at);
    let millis = bundle.ended_at.map_or(0, |ended| ended.moment.since(began.moment).as_millis());
    let checks: u64 = suite.cases.iter().map(|case| case.millis).sum();
    text.push_str(&format!(
        "  <testsuite name=\"{}\" package=\"{}\" id=\"{id}\" timestamp=\"{}\" hostname=\"localhost\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{}\">\n",
        attribute(&suite.task),
        attribute(&frame.workflow),
        stamp(began),
        suite.cases.len(),
        count(&[Outcome::Failed]),
        count(&[Outcome::Error]),
        count(&[Outcome::Skipped, Outcome::Waived]),
        seconds(millis + u128::from(checks)),
    ));
    text.push_str("    <properties>\n");
    let commit = bundle.snapshot.as_ref().map_or("", |snapshot| snapshot.commit.as_str());
    let attempt = bundle.attempt.to_string();
    let state = suite.phase.word();
    for (name, value) in
        [("run", frame.run.as_str()), ("attempt", &attempt), ("commit", commit), ("state", state)]
    {
        text.push_str(&format!("      <property name=\"{name}\" value=\"{}\"/>\n", attribute(value)));
    }
    text.push_str("    </properties>\n");
    for case in &suite.cases {
        push_case(text, frame, &suite.task, case);
    }
    text.push_str(&format!("    <system-out>{}</system-out>\n", content(&said(&suite.dossier))));
    text.push_str("    <system-err></system-err>\n  </testsuite>\n");
}

fn push_case(text: &mut String, frame: &Frame, task: &str, case: &Case) {
    text.push_str(&format!(
        "    <testcase name=\"{}\" classname=\"{}.{}\" time=\"{}\"",
        attribute(&case.name),
        attribute(&frame.workflow),
        attribute(task),
        seconds(u128::from(case.millis)),
    ));
    let child = match case.outcome {
        Outcome::Passed => {
            text.push_str("/>\n");
            return;
        }
        Outcome::Failed => "failure",
        Outcome::Error => "error",
        Outcome::Waived | Outcome::Skipped => {
            text.push_str(&format!(
                ">\n      <skipped message=\"{}\"/>\n    </testcase>\n",
                attribute(&case.reason)
            ));
            return;
        }
    };
    text.push_str(&format!(
        ">\n      <{child} message=\"{}\" type=\"{}\">{}</{child}>\n    </testcase>\n",
        attribute(&case.reason),
        attribute(&case.kind),
        content(&case.reason),
    ));
}

/// What the worker said, as a claim, and what changed round it.
fn said(dossier: &Dossier) -> String {
    let drift = super::drift::text(&dossier.bundle.worker_id(), &dossier.bundle.drift);
    let Some(report) = &dossier.bundle.report else { return drift };
    let reason = report.reason.as_deref().unwrap_or_default();
    let drift = if drift.is_empty() { drift } else { format!("\n{drift}") };
    format!("The worker said (a claim, no proof): {}\n{}\n{reason}{drift}", report.status, report.summary)
}

fn seconds(millis: u128) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

/// To the second, in UTC, without a zone: the schema has no place for one.
fn stamp(at: Stamp) -> String {
    let text = time(at.wall_ms).unwrap_or_default();
    text.get(..19).unwrap_or("1970-01-01T00:00:00").to_owned()
}

/// Text between tags: what XML can't hold at all is made visible.
fn content(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\n' | '\t' => out.push(c),
            // No document may have these, not even by number.
            '\u{fffe}' | '\u{ffff}' => out.extend(c.escape_unicode()),
            c if c.is_control() => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
        out
    })
}

/// The value of an attribute, in double quotes. Line breaks go by number, or they would be spaces.
fn attribute(text: &str) -> String {
    content(text).replace('"', "&quot;").replace('\n', "&#10;").replace('\t', "&#9;")
}

#[cfg(test)]
mod tests {
    use super::super::cases::tests::{frame, sample_suite};
    use super::super::sample;
    use super::*;
    use crate::engine::bundle::Said;

    #[test]
    fn a_suite_counts_its_cases_and_times_them() {
        let text = document(&frame(), &[sample_suite()]);
        let parsed = roxmltree::Document::parse(&text).unwrap();
        let suite = parsed.root_element().first_element_child().unwrap();
        let value = |name: &str| suite.attribute(name).unwrap();
        assert_eq!((value("name"), value("package"), value("id")), ("build", "nightly", "0"));
        assert_eq!(
            (value("tests"), value("failures"), value("errors"), value("skipped")),
            ("3", "0", "0", "0")
        );
        assert_eq!((value("timestamp"), value("time")), ("2023-11-14T22:13:20", "1.250"));
        assert!(is_ours(text.as_bytes()) && !is_ours(b"<testsuites/>"));
    }

    #[test]
    fn s8_whatever_anybody_wrote_is_text_and_never_markup() {
        let all: String =
            (0..0x2100u32).chain([0xfffe, 0xffff, 0x1f600]).filter_map(char::from_u32).collect();
        let hostile = format!("\"/><evil a='1'>]]></evil><!-- &amp; &#0; {all}");
        let mut suite = sample_suite();
        for (case, outcome) in suite.cases.iter_mut().zip([Outcome::Failed, Outcome::Error, Outcome::Waived])
        {
            (case.name, case.reason, case.outcome) = (hostile.clone(), hostile.clone(), outcome);
        }
        suite.dossier.bundle.report = Some(Said {
            at: sample::at(1),
            status: "done".into(),
            summary: hostile.clone(),
            reason: Some(hostile),
            outputs: Default::default(),
            claims: Vec::new(),
            sha256: String::new(),
        });
        let text = document(&frame(), &[suite]);
        let parsed = roxmltree::Document::parse(&text).unwrap();
        assert!(!parsed.descendants().any(|node| node.has_tag_name("evil")));
        let failure = parsed.descendants().find(|node| node.has_tag_name("failure")).unwrap();
        for found in [failure.attribute("message").unwrap(), failure.text().unwrap()] {
            assert!(found.starts_with("\"/><evil a='1'>]]></evil><!-- &amp; &#0; \\u{0}"), "{found}");
            assert!(found.contains("\\u{1b}") && found.contains("\t\n") && found.contains("\\u{ffff}😀"));
            assert!(found.contains("\\u{85}") && found.contains("é"));
        }
    }
}
