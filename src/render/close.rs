//! Close verdicts, for people and for scripts: the verdict, its reasons, the sizes.
//!
//! It leaves out looking and judging.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::table::{Screen, Table, Tone};
use super::words::{line, list};
use crate::engine::close::{Close, CloseVerdict, size};

/// A table of verdicts, by worker.
#[must_use]
pub fn table(closes: &BTreeMap<String, Close>, screen: Screen) -> String {
    let headings = ["WORKER", "CLOSE", "SOURCE", "REGENERABLE", "UNKNOWN", "REASONS"];
    // Reasons stay whole: they are what was asked for.
    let mut table = Table::new(Screen { width: None, ..screen }, &headings);
    for (worker, close) in closes {
        let bytes = |bytes: Option<u64>| bytes.map(size).unwrap_or_default();
        let sizes = close.sizes;
        let tone = match close.verdict {
            CloseVerdict::Safe => Tone::Good,
            CloseVerdict::NotSafe => Tone::Bad,
            CloseVerdict::Unknown => Tone::Warn,
        };
        let row = vec![
            worker.clone(),
            close.verdict.word().to_owned(),
            bytes(sizes.source),
            bytes(sizes.regenerable),
            bytes(sizes.unknown),
            line(&deciding(close).join("; ")),
        ];
        table.row(row, 1, tone);
    }
    table.text()
}

/// The reasons that a verdict follows from: all of them where it is safe.
#[must_use]
pub fn deciding(close: &Close) -> &[String] {
    let count = if close.against == 0 { close.reasons.len() } else { close.against };
    close.reasons.get(..count).unwrap_or_default()
}

/// The reasons as one clause.
#[must_use]
pub fn clause(close: &Close) -> String {
    let reasons: Vec<String> = deciding(close).iter().map(|reason| line(reason)).collect();
    list(&reasons)
}

/// One verdict, as in `workers --close --json`.
#[must_use]
pub fn json(close: &Close) -> Value {
    let sizes = close.sizes;
    json!({
        "verdict": close.verdict.word(),
        "reasons": close.reasons,
        "sizes": {"source": sizes.source, "regenerable": sizes.regenerable, "unknown": sizes.unknown},
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::engine::close::Sizes;

    fn close(verdict: CloseVerdict, against: usize) -> Close {
        Close {
            verdict,
            reasons: vec!["1 file ignored: a\u{7}".to_owned(), "no process lives".to_owned()],
            against,
            sizes: Sizes { source: Some(2048), regenerable: Some(5), unknown: None },
            restore: Vec::new(),
        }
    }

    #[test]
    fn r4_verdicts_are_shown_with_what_they_follow_from() {
        let closes = BTreeMap::from([
            ("a.1".to_owned(), close(CloseVerdict::NotSafe, 1)),
            ("b.1".to_owned(), close(CloseVerdict::Safe, 0)),
        ]);
        insta::assert_snapshot!(table(&closes, sample::screen()), @r"
        WORKER  CLOSE     SOURCE   REGENERABLE  UNKNOWN  REASONS
        a.1     not safe  2.0 KiB  5 B          -        1 file ignored: a\u{7}
        b.1     safe      2.0 KiB  5 B          -        1 file ignored: a\u{7}; no process lives
        ");
    }

    #[test]
    fn r4_scripts_get_every_reason_and_the_sizes_in_bytes() {
        assert_eq!(
            json(&close(CloseVerdict::NotSafe, 1)),
            json!({
                "verdict": "not safe",
                "reasons": ["1 file ignored: a\u{7}", "no process lives"],
                "sizes": {"source": 2048, "regenerable": 5, "unknown": null},
            })
        );
    }
}
