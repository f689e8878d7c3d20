//! Whatever run, size and keys come: no panic, no raw character, and no decision unasked.

use proptest::prelude::*;

use super::*;
use crate::dash::Wish;
use crate::engine::evidence::{Checked, Verdict};
use crate::engine::state::RunPhase;
use crate::engine::worker_table::WorkerPhase;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("silent: no heartbeat \u{1b}]0;x\u{7}for 12 s".to_owned()),
        Just("日本語\t\u{202e}\u{200b}é́́".repeat(9)),
        "\\PC{0,40}",
        any::<String>(),
    ]
}

prop_compose! {
    fn task(number: usize)(
        id in prop_oneof![Just(format!("t{number}")), "[a-z0-9][a-z0-9_-]{0,62}"],
        phase in 0..TaskPhase::ALL.len(),
        reason in text(),
        asks in proptest::option::of(text()),
        needs in proptest::collection::vec(0usize..12, 0..3),
        parent in proptest::option::of(0usize..12),
        (attempt, since) in (0u32..4, 0u32..100_000),
        kind in prop_oneof![Just("run"), Just("loop"), Just("tournament")],
        checks in 0usize..3,
        why in text(),
    ) -> crate::engine::view::TaskView {
        let mut task = sample::task(&id, TaskPhase::ALL[phase], &reason, &[]);
        // A maker and what is needed stand before: the workflow's own rules see to that.
        task.needs = needs.iter().filter(|need| **need < number).map(|need| format!("t{need}")).collect();
        task.parent = parent.filter(|parent| *parent < number).map(|parent| format!("t{parent}"));
        (task.attempt, task.since, task.kind, task.asks) = (attempt, sample::at(since), kind, asks);
        task.worker = (attempt > 0).then(|| format!("{id}.{attempt}"));
        task.evidence = vec![Checked::new("exit", Verdict::Refuted, why); checks];
        task
    }
}

prop_compose! {
    fn any_look()(
        tasks in (0usize..12).prop_flat_map(|count| (0..count).map(task).collect::<Vec<_>>()),
        phases in proptest::collection::vec((0..WorkerPhase::ALL.len(), any::<bool>(), text()), 12),
        phase in prop_oneof![
            Just(RunPhase::Running),
            Just(RunPhase::Interrupted),
            any::<bool>().prop_map(|success| RunPhase::Ended { success })
        ],
        (held, name, base, note) in (any::<bool>(), text(), text(), proptest::option::of(text())),
        (now, numbers) in (any::<i64>(), any::<(u64, u64, i64, i64)>()),
    ) -> Look {
        let mut view = sample::view();
        view.workers = tasks.iter().zip(&phases).filter(|(task, _)| task.attempt > 0).map(|(task, worker)| {
            let mut view = sample::worker(&task.id, task.attempt, WorkerPhase::ALL[worker.0], &worker.2);
            view.lost = worker.1;
            view
        }).collect();
        (view.tasks, view.phase, view.workflow, view.base_name) = (tasks, phase, name, base);
        view.budget.usd = crate::engine::budget::snapshot::Line {
            total: Some(numbers.2), used: numbers.3 / 4, reserved: 0, left: None,
        };
        let made = Progress { output_bytes: numbers.0, cpu_ms: numbers.1, note };
        let progress = view.workers.iter().map(|worker| (worker.id.clone(), made.clone())).collect();
        // Any clock, but one that subtraction still makes sense of.
        Look { view, held, beside: sample::beside(), progress, now_ms: now / 4 }
    }
}

fn any_key() -> impl Strategy<Value = Key> {
    prop_oneof![
        4 => proptest::sample::select("jkgGwltyeDarc?/qxt ".chars().collect::<Vec<_>>()).prop_map(Key::Char),
        1 => any::<char>().prop_map(Key::Char),
        1 => proptest::sample::select(vec!['\u{9b}', '\u{202e}', '\u{200b}', '\t', '\u{7f}', '日']).prop_map(Key::Char),
        1 => any::<char>().prop_map(Key::Ctrl),
        2 => proptest::sample::select(vec![
            Key::Enter, Key::Esc, Key::Tab, Key::Backspace, Key::Up, Key::Down, Key::PageUp, Key::PageDown,
            Key::Home, Key::End,
        ]),
    ]
}

/// What may happen to a dashboard.
#[derive(Debug, Clone)]
enum Step {
    Key(Key),
    Look(Box<Look>),
    Size(u16, u16),
    Text(String),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => any_key().prop_map(Step::Key),
        1 => any_look().prop_map(|look| Step::Look(Box::new(look))),
        2 => (0u16..130, 0u16..40).prop_map(|(columns, lines)| Step::Size(columns, lines)),
        1 => (0u16..12, 0u16..6).prop_map(|(columns, lines)| Step::Size(columns, lines)),
        1 => text().prop_map(|text| Step::Text(crate::render::clean(&text.repeat(5)))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn s8_no_run_size_or_key_breaks_the_picture_or_lets_a_raw_character_through(
        first in any_look(),
        steps in proptest::collection::vec(any_step(), 0..30),
    ) {
        let mut dash = Dash::new(first, false, 24);
        let mut size = (80, 24);
        for step in steps {
            match step {
                Step::Key(key) => {
                    let asked = matches!(dash.mode, crate::dash::model::Mode::Asked(_));
                    let wish = dash.key(key);
                    // Nothing is decided that wasn't asked one key before.
                    prop_assert!(asked || !matches!(wish, Some(Wish::Act(..))), "{wish:?}");
                }
                Step::Look(look) => dash.observe(*look),
                Step::Size(columns, lines) => size = (columns, lines),
                Step::Text(text) => {
                    if let Some(topic) = dash.topic() {
                        dash.put(&topic, &text, "note");
                    }
                }
            }
            // It asserts itself that no control character is in it.
            let shown = picture(&mut dash, size);
            prop_assert!(!shown.contains(['\u{202e}', '\u{200b}']), "{shown}");
        }
    }
}
