//! `evidence --recheck`: what came of looking at a record again.
//!
//! It leaves out the looking.

use serde_json::{Value, json};

use super::table::{Screen, Tone, toned};
use super::words::line;
use crate::engine::bundle::{Again, Bundle, Rechecked};

/// The data of `evidence --recheck --json`.
#[must_use]
pub fn json(bundle: &Bundle, found: &[Rechecked]) -> Value {
    let items = found.iter().filter_map(|one| {
        let (_, checked) = bundle.items.get(&one.item)?;
        Some(json!({
            "kind": checked.kind,
            "recorded": checked.verdict.word(),
            "recheck": one.again.word(),
            "reason": one.reason,
        }))
    });
    json!({"task": bundle.task, "attempt": bundle.attempt, "items": items.collect::<Vec<_>>()})
}

/// The words for people.
#[must_use]
pub fn text(bundle: &Bundle, found: &[Rechecked], screen: Screen) -> String {
    let mut text = format!("The record of `{}`, attempt {}, looked at again:\n", bundle.task, bundle.attempt);
    for one in found {
        let Some((_, checked)) = bundle.items.get(&one.item) else { continue };
        let tone = match one.again {
            Again::Same => Tone::Good,
            Again::Differs | Again::Gone => Tone::Bad,
            Again::Unknown => Tone::Warn,
        };
        text.push_str(&format!(
            "  {}  {} ({}): {}\n",
            toned(screen, tone, one.again.word()),
            line(&checked.kind),
            checked.verdict.word(),
            line(&one.reason)
        ));
    }
    if found.is_empty() {
        text.push_str("  No item was checked in it.\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::engine::evidence::{Checked, Verdict};

    #[test]
    fn each_item_shows_what_was_recorded_and_what_is_there_now() {
        let mut bundle = Bundle { task: "build".into(), attempt: 2, ..Bundle::default() };
        bundle.items.insert(1, (sample::at(60), Checked::new("artifact", Verdict::Verified, "kept")));
        let gone = Rechecked { item: 1, again: Again::Gone, reason: "the blob\u{1b}[2J is gone".into() };
        let data = json(&bundle, std::slice::from_ref(&gone));
        let item =
            json!({"kind": "artifact", "recorded": "verified", "recheck": "gone", "reason": gone.reason});
        assert_eq!(data, json!({"task": "build", "attempt": 2, "items": [item]}));
        assert_eq!(
            text(&bundle, &[gone], sample::screen()),
            "The record of `build`, attempt 2, looked at again:\n  gone  artifact (verified): the blob\\u{1b}[2J is gone\n"
        );
        assert!(text(&bundle, &[], sample::screen()).contains("No item was checked"));
    }
}
