//! What each key does: to the selection, to the texts, and before a decision.

use super::*;
use crate::dash::{Act, Kind, Topic, Wish};
use crate::engine::question::Question;
use crate::engine::worker_table::WorkerPhase;

fn selected(dash: &Dash) -> &str {
    dash.task().map_or("", |task| task.id.as_str())
}

/// Types `keys` on a fresh dashboard, and tells where that leads.
fn after(keys: &[Key]) -> String {
    let mut dash = dash(look());
    picture(&mut dash, (80, 24));
    for key in keys {
        assert_eq!(dash.key(*key), None, "{key:?}");
    }
    selected(&dash).to_owned()
}

#[test]
fn movement_goes_by_one_to_the_ends_and_never_beyond() {
    let j = Key::Char('j');
    for (keys, there) in [
        (vec![], "build"),
        (vec![j], "fix"),
        (vec![j, j, Key::Char('k')], "fix"),
        (vec![Key::Down, Key::Down, Key::Up], "fix"),
        (vec![Key::Char('k')], "build"),
        (vec![Key::Char('G')], "tail"),
        (vec![Key::Char('G'), j, j], "tail"),
        (vec![Key::End, Key::Char('g')], "build"),
        // A page belongs to the text that is open; without one, to the list.
        (vec![Key::PageDown], "build"),
        (vec![Key::Esc, Key::PageDown], "tail"),
        (vec![Key::Esc, Key::PageDown, Key::PageUp], "build"),
    ] {
        assert_eq!(after(&keys), there, "{keys:?}");
    }
}

#[test]
fn leaving_stopping_and_drawing_anew_are_wishes_from_everywhere() {
    let wishes =
        [(Key::Ctrl('c'), Wish::Quit), (Key::Ctrl('z'), Wish::Suspend), (Key::Ctrl('l'), Wish::Redraw)];
    for (key, wish) in wishes {
        for before in ["", "/", "c", "?"] {
            let mut dash = dash(look());
            press(&mut dash, "j");
            press(&mut dash, before);
            assert_eq!(dash.key(key), Some(wish.clone()), "{before:?}");
        }
    }
    assert_eq!(dash(look()).key(Key::Char('q')), Some(Wish::Quit));
}

#[test]
fn q_in_a_filter_or_a_question_is_no_end() {
    let mut dash = dash(look());
    press(&mut dash, "/q");
    assert_eq!((dash.order.filter.as_str(), selected(&dash)), ("q", ""));
    dash.key(Key::Esc);
    press(&mut dash, "jcq");
    assert!(picture(&mut dash, (80, 24)).contains("Nothing was done."));
}

#[test]
fn enter_goes_to_a_worker_and_says_where_there_is_none() {
    let mut dash = dash(look());
    assert_eq!(dash.key(Key::Enter), Some(Wish::Attach("build.1".to_owned())));
    press(&mut dash, "G");
    assert_eq!(dash.key(Key::Enter), None);
    assert!(picture(&mut dash, (80, 24)).contains("`tail` has no worker: it is skipped."));
}

#[test]
fn w_goes_round_those_who_wait_for_a_person_and_else_to_what_failed() {
    let mut view = sample::view();
    view.tasks[2].phase = TaskPhase::Blocked;
    view.tasks[3].asks = Some("ship it?".to_owned());
    let mut dash = dash(of(view));
    let mut seen = Vec::new();
    for _ in 0..3 {
        press(&mut dash, "w");
        seen.push(selected(&dash).to_owned());
    }
    assert_eq!(seen, ["docs", "pack", "docs"]);

    let mut dash = super::dash(look());
    press(&mut dash, "w");
    assert_eq!(selected(&dash), "gone");
    assert!(picture(&mut dash, (80, 24)).contains("Nothing waits for you; this one failed."));
    press(&mut dash, "/docs");
    dash.key(Key::Enter);
    press(&mut dash, "w");
    assert!(picture(&mut dash, (80, 24)).contains("isn't among what the filter shows"));
}

#[test]
fn a_filter_is_kept_by_enter_and_taken_back_by_esc() {
    let mut dash = dash(look());
    press(&mut dash, "/skip");
    assert_eq!(selected(&dash), "tail");
    dash.key(Key::Backspace);
    dash.key(Key::Enter);
    assert_eq!((dash.rows.len(), dash.order.filter.as_str()), (1, "ski"));
    assert!(
        picture(&mut dash, (80, 24)).contains("/ski: 1 of 6 tasks; Esc shows all"),
        "what is hidden is said"
    );
    press(&mut dash, "/xx");
    assert_eq!(dash.rows.len(), 0);
    dash.key(Key::Esc);
    assert_eq!((dash.rows.len(), selected(&dash)), (1, "tail"));
    dash.key(Key::Esc);
    assert_eq!(dash.rows.len(), 1, "the text beside the list is closed first");
    dash.key(Key::Esc);
    assert_eq!((dash.rows.len(), selected(&dash)), (6, "tail"), "the selection stays on its task");
}

#[test]
fn texts_are_asked_for_by_task_and_attempt_and_another_ones_is_never_shown() {
    let mut dash = dash(look());
    assert_eq!(dash.topic(), None, "the reasons need no file");
    press(&mut dash, "e");
    let topic = dash.topic().unwrap();
    assert_eq!((topic.kind, topic.task.as_str(), topic.attempt), (Kind::Evidence, "build", 1));
    dash.put(&topic, "the evidence of build", "");
    assert!(picture(&mut dash, (80, 24)).contains("the evidence of build"));
    press(&mut dash, "j");
    assert!(!picture(&mut dash, (80, 24)).contains("the evidence of build"));
    dash.put(&topic, "too late", "");
    assert!(!picture(&mut dash, (80, 24)).contains("too late"));
    press(&mut dash, "k");
    dash.put(&Topic { version: (99, 99), ..topic }, "a newer one", "");
    assert!(picture(&mut dash, (80, 24)).contains("a newer one"));
    for (key, kind) in [("l", Kind::Log), ("D", Kind::Diff)] {
        press(&mut dash, key);
        assert_eq!(dash.topic().map(|topic| topic.kind), Some(kind));
    }
    press(&mut dash, "D");
    assert_eq!(dash.topic(), None, "the same key closes it");
}

#[test]
fn a_text_with_the_screen_to_itself_is_scrolled_by_the_lists_keys() {
    let mut dash = dash(look());
    press(&mut dash, "l");
    let text: String = (1..=100).map(|line| format!("line {line}\n")).collect();
    dash.put(&dash.topic().unwrap(), &text, "");
    dash.key(Key::Tab);
    let whole = picture(&mut dash, (80, 24));
    assert!(whole.contains("line 100") && !whole.contains("TASK"), "{whole}");
    press(&mut dash, "gj");
    let scrolled = picture(&mut dash, (80, 24));
    assert!(scrolled.contains("\nline 2\n") && !scrolled.contains("\nline 1\n"), "{scrolled}");
    assert_eq!(selected(&dash), "build");
    dash.key(Key::Tab);
    press(&mut dash, "j");
    assert_eq!(selected(&dash), "fix");
}

#[test]
fn what_stops_or_decides_is_asked_first_and_only_its_own_key_is_a_yes() {
    let approve = |view: &mut RunView| view.tasks[1].asks = Some("ship \u{1b}[5mit?".to_owned());
    let lose = |view: &mut RunView| view.workers[1].lost = true;
    let nothing = |_: &mut RunView| {};
    type Change<'c> = &'c dyn Fn(&mut RunView);
    let table: [(Change<'_>, &str, char, char, Act); 7] = [
        (&nothing, "fix", 'c', 'y', Act::Cancel),
        (&nothing, "gone", 'r', 'y', Act::Retry),
        (&approve, "fix", 'a', 'a', Act::Approve),
        (&approve, "fix", 'a', 'd', Act::Deny),
        (&lose, "fix", 'a', 'r', Act::Rerun),
        (&lose, "fix", 'a', 's', Act::Skip),
        (&lose, "fix", 'a', 'c', Act::Accept),
    ];
    for (change, task, key, yes, act) in table {
        let mut view = sample::view();
        change(&mut view);
        for answer in (' '..='~').map(Key::Char).chain([Key::Enter, Key::Esc, Key::Tab, Key::Backspace]) {
            let mut dash = dash(of(view.clone()));
            press(&mut dash, &format!("/{task}"));
            dash.key(Key::Enter);
            press(&mut dash, &key.to_string());
            let asked = picture(&mut dash, (80, 24));
            assert!(asked.contains(": ") && asked.contains("any other key"), "{asked}");
            match dash.key(answer) {
                Some(wish) if answer == Key::Char(yes) => assert_eq!(wish, Wish::Act(act, task.to_owned())),
                // Another choice of the same question.
                Some(Wish::Act(other, _)) => assert_ne!(other, act),
                Some(wish) => panic!("{wish:?}"),
                None => assert_ne!(answer, Key::Char(yes)),
            }
        }
    }
}

#[test]
fn what_a_task_isnt_open_to_is_said_and_not_asked() {
    for (task, key, said) in [
        ("build", "c", "`build` has ended: it is completed."),
        ("fix", "r", "`fix` is in_progress: only what failed, was partial or cancelled can be retried."),
        ("fix", "a", "`fix` asks you nothing: it is in_progress."),
        ("fix", "x", "`x` does nothing; `?` shows the keys."),
    ] {
        let mut dash = dash(look());
        press(&mut dash, &format!("/{task}"));
        dash.key(Key::Enter);
        press(&mut dash, key);
        let shown = picture(&mut dash, (100, 24));
        assert!(shown.contains(said), "{shown}");
    }
}

#[test]
fn a_question_about_a_task_that_changed_meanwhile_is_withdrawn() {
    let mut view = sample::view();
    view.tasks[1].asks = Some("ship it?".to_owned());
    let mut dash = dash(of(view.clone()));
    press(&mut dash, "ja");
    dash.observe(of(view.clone()));
    assert!(picture(&mut dash, (80, 24)).contains("a: approve"), "nothing about it is new");
    view.tasks[1].attempt += 1;
    dash.observe(of(view));
    assert_eq!(dash.key(Key::Char('a')), None, "a yes to the old attempt is no yes to the new one");
}

#[test]
fn the_selection_stays_on_its_task_whatever_comes_before_it() {
    let mut dash = dash(look());
    press(&mut dash, "jj");
    let mut view = sample::view();
    view.tasks.insert(0, sample::task("early", TaskPhase::Ready, "", &[]));
    dash.observe(of(view.clone()));
    assert_eq!(selected(&dash), "docs");
    view.tasks.retain(|task| task.id != "docs");
    view.tasks.truncate(2);
    dash.observe(of(view.clone()));
    assert_eq!(selected(&dash), "build", "gone: the last one that is left there");
    view.id = "20231115-000000-cd34".to_owned();
    dash.observe(of(view));
    assert!(picture(&mut dash, (80, 24)).contains("Another run has begun: 20231115-000000-cd34"));
}

#[test]
fn a_lost_worker_of_an_attempt_that_is_over_asks_nobody() {
    let mut view = sample::view();
    view.workers[1].lost = true;
    view.workers[1].phase = WorkerPhase::Closed;
    assert!(dash(of(view)).waiting.is_empty());
}

#[test]
fn an_answer_is_typed_sent_by_enter_and_kept_by_nothing_else() {
    let asking = |n: u32| {
        let mut view = sample::view();
        let task = &mut view.tasks[0];
        task.phase = TaskPhase::Blocked;
        task.question = Some(Question {
            status: "needs_input".to_owned(),
            text: "which one?".to_owned(),
            n,
            since: view.started_at,
            worker: "build.1".to_owned(),
        });
        of(view)
    };
    let mut dash = dash(asking(1));
    press(&mut dash, "ablue qc");
    let shown = picture(&mut dash, (80, 24));
    assert!(shown.contains("`build` asks: which one?") && shown.contains("> blue qc_"), "{shown}");
    dash.key(Key::Backspace);
    assert_eq!(dash.key(Key::Enter), Some(Wish::Reply("build".to_owned(), "blue q".to_owned())));
    // Nothing typed is no answer, and neither is what was left.
    press(&mut dash, "a ");
    assert_eq!(dash.key(Key::Enter), None);
    press(&mut dash, "ayes");
    assert_eq!(dash.key(Key::Esc), None);
    assert!(picture(&mut dash, (80, 24)).contains("Nothing was sent."));
    // The next question isn't what these words were meant for.
    press(&mut dash, "ayes");
    dash.observe(asking(2));
    assert!(picture(&mut dash, (80, 24)).contains("`build` asks that no more: nothing was sent."));
    assert_eq!(dash.key(Key::Enter), Some(Wish::Attach("build.1".to_owned())));
}

#[test]
fn a_long_answer_shows_its_end() {
    let mut view = sample::view();
    view.tasks[0].phase = TaskPhase::Blocked;
    let mut dash = dash(of(view));
    press(&mut dash, &format!("a{}end", "x".repeat(2_000)));
    for size in [(80, 24), (20, 6), (3, 3)] {
        picture(&mut dash, size);
    }
    assert!(picture(&mut dash, (80, 24)).contains("xx_"), "what is past the bound isn't taken");
}
