//! `evidence --recheck`: what came of looking at a record again.
//!
//! It leaves out the looking.

use serde_json::{Value, json};

use super::evidence::Dossier;
use super::table::{Screen, Tone, toned};
use super::words::line;
use crate::engine::bundle::{Again, Rechecked};
use crate::engine::evidence::Checked;

/// The data of `evidence --recheck --json`.
#[must_use]
pub fn json(dossier: &Dossier, found: &[Rechecked]) -> Value {
    let bundle = &dossier.bundle;
    let shown = |conditions: bool| -> Vec<Value> {
        let these = found.iter().filter(|one| dossier.is_condition(one.item) == conditions);
        these.filter_map(|one| Some(item(one, &bundle.items.get(&one.item)?.1))).collect()
    };
    json!({
        "task": bundle.task,
        "attempt": bundle.attempt,
        "items": shown(false),
        "conditions": shown(true),
    })
}

fn item(one: &Rechecked, checked: &Checked) -> Value {
    json!({
        "kind": checked.kind,
        "recorded": checked.verdict.word(),
        "recheck": one.again.word(),
        "reason": one.reason,
    })
}

/// The words for people.
#[must_use]
pub fn text(dossier: &Dossier, found: &[Rechecked], screen: Screen) -> String {
    let bundle = &dossier.bundle;
    let mut text = format!("The record of `{}`, attempt {}, looked at again:\n", bundle.task, bundle.attempt);
    for one in found {
        let Some((_, checked)) = bundle.items.get(&one.item) else { continue };
        let tone = match one.again {
            Again::Same => Tone::Good,
            Again::Differs | Again::Gone => Tone::Bad,
            Again::Unknown => Tone::Warn,
        };
        let of_loop = if dossier.is_condition(one.item) { "condition " } else { "" };
        text.push_str(&format!(
            "  {}  {of_loop}{} ({}): {}\n",
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
    use crate::engine::bundle::Bundle;
    use crate::engine::evidence::Verdict;

    #[test]
    fn each_item_shows_what_was_recorded_and_what_is_there_now() {
        let mut bundle = Bundle { task: "build".into(), attempt: 2, ..Bundle::default() };
        bundle.items.insert(1, (sample::at(60), Checked::new("artifact", Verdict::Verified, "kept")));
        let gone = Rechecked { item: 1, again: Again::Gone, reason: "the blob\u{1b}[2J is gone".into() };
        let of_loop = Checked::new("exit", Verdict::Refuted, "exit code 1");
        bundle.items.insert(2, (sample::at(60), of_loop));
        let (declared, until) = (Ok(vec!["exit", "artifact"]), vec!["exit"]);
        let dossier = Dossier { declared, until, bundle, change: None };
        let unmet = Rechecked { item: 2, again: Again::Same, reason: "exit code 1".into() };
        let found = [gone.clone(), unmet];
        let data = json(&dossier, &found);
        let item =
            json!({"kind": "artifact", "recorded": "verified", "recheck": "gone", "reason": gone.reason});
        let unmet =
            json!({"kind": "exit", "recorded": "refuted", "recheck": "same", "reason": "exit code 1"});
        assert_eq!(data, json!({"task": "build", "attempt": 2, "items": [item], "conditions": [unmet]}));
        assert_eq!(
            text(&dossier, &found, sample::screen()),
            "The record of `build`, attempt 2, looked at again:\n  gone  artifact (verified): the blob\\u{1b}[2J is gone\n  \
             same  condition exit (refuted): exit code 1\n"
        );
        assert!(text(&dossier, &[], sample::screen()).contains("No item was checked"));
    }
}
