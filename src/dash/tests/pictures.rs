//! Pictures at the sizes that people have, without colour; and what is written for them.

use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};

use super::*;
use crate::engine::state::RunPhase;

#[test]
fn all_of_a_run_is_there_at_80_by_24() {
    insta::assert_snapshot!(picture(&mut dash(look()), (80, 24)));
}

#[test]
fn a_large_terminal_has_room_for_every_column() {
    let mut dash = dash(look());
    press(&mut dash, "jt");
    insta::assert_snapshot!(picture(&mut dash, (200, 60)));
}

#[test]
fn the_keys_are_explained_on_a_page_of_their_own() {
    let mut dash = dash(look());
    press(&mut dash, "?");
    insta::assert_snapshot!(picture(&mut dash, (80, 24)));
}

#[test]
fn a_question_stands_above_what_its_keys_mean_however_long_it_is() {
    let mut view = sample::view();
    view.tasks[1].asks = Some("Ship this to everybody? ".repeat(20));
    let mut dash = dash(of(view));
    press(&mut dash, "ja");
    insta::assert_snapshot!(picture(&mut dash, (80, 24)));
}

#[test]
fn who_waits_and_a_run_that_nobody_drives_are_told_first() {
    let alert = |dash: &mut Dash| picture(dash, (80, 24)).lines().nth(2).unwrap_or_default().to_owned();
    assert_eq!(alert(&mut dash(look())), "x gone failed: w goes there");
    let nobody = Look { held: false, ..look() };
    assert_eq!(alert(&mut dash(nobody)), "! Nobody drives this run. Go on with: ilchul up");
    let mut view = sample::view();
    view.tasks[1].phase = TaskPhase::Blocked;
    let both = "! Nobody drives this run. Go on with: ilchul up; fix waits for you: w goes there";
    assert_eq!(alert(&mut dash(Look { held: false, ..of(view.clone()) })), both);
    for task in &mut view.tasks {
        task.phase = TaskPhase::Blocked;
    }
    let all = "! build, fix, docs and 3 more wait for you: w goes there";
    assert_eq!(alert(&mut dash(of(view.clone()))), all);
    view.tasks.truncate(1);
    assert_eq!(alert(&mut dash(of(view))), "! build waits for you: w goes there");
}

#[test]
fn a_run_that_ended_says_how_and_what_failed() {
    let mut view = sample::view();
    view.phase = RunPhase::Ended { success: false };
    view.ended_at = Some(sample::at(95));
    let shown = picture(&mut dash(Look { held: false, ..of(view) }), (80, 24));
    let first = "nightly has ended without success 25 s ago, after 1 min     20231114-221320-ab12";
    assert_eq!(shown.lines().next(), Some(first), "{shown}");
    assert!(shown.contains("x gone failed"), "{shown}");
}

#[test]
fn what_is_the_same_writes_nothing_and_a_changed_age_only_its_digits() {
    let mut screen = Screen::new(TestBackend::new(80, 24), true);
    let mut dash = dash(look());
    assert!(screen.draw(&mut dash).unwrap() > 500);
    assert_eq!(screen.draw(&mut dash).unwrap(), 0);
    dash.observe(look());
    assert_eq!(screen.draw(&mut dash).unwrap(), 0, "a look that saw nothing new");
    let Look { beside, progress, now_ms, .. } = look();
    dash.pulse(beside, progress, now_ms + 1000);
    let written = screen.draw(&mut dash).unwrap();
    assert!((1..10).contains(&written), "{written}");
    screen.forget();
    assert!(screen.draw(&mut dash).unwrap() > 500, "somebody else wrote there");
}

/// The styles of a picture, each where its first letter is.
fn styled(color: bool) -> Buffer {
    let mut buffer = Buffer::empty(Rect::new(0, 0, 80, 24));
    let mut dash = dash(look());
    press(&mut dash, "jDk");
    let topic = dash.topic().unwrap();
    dash.put(&topic, "diff --git a b\n@@ -1 +1 @@\n-old\n+new\n same", "");
    dash.draw(&mut buffer, color);
    buffer
}

#[test]
fn colour_is_a_second_cue_and_none_is_written_where_none_is_wanted() {
    let plain = styled(false);
    assert!(plain.content.iter().all(|cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset)));
    let colored = styled(true);
    let words = |buffer: &Buffer| -> String { buffer.content.iter().map(|cell| cell.symbol()).collect() };
    assert_eq!(words(&plain), words(&colored), "the words say everything");
    for color in [Color::Green, Color::Red, Color::Yellow] {
        assert!(colored.content.iter().any(|cell| cell.fg == color), "{color}");
    }
    // The selected line is told by its mark and by reversed letters.
    let marked: Vec<&ratatui::buffer::Cell> =
        plain.content.iter().filter(|cell| cell.modifier.contains(Modifier::REVERSED)).collect();
    assert_eq!((marked.len(), marked[0].symbol()), (80, ">"));
}

#[test]
fn of_ten_thousand_tasks_only_what_is_in_sight_is_drawn() {
    let names: Vec<String> = (0..10_000).map(|number| format!("task-{number}")).collect();
    let needs: Vec<Vec<&str>> = (0..10_000)
        .map(|at: usize| at.checked_sub(7).map(|need| names[need].as_str()).into_iter().collect())
        .collect();
    let plan: Vec<(&str, &[&str], Option<&str>)> =
        names.iter().zip(&needs).map(|(name, needs)| (name.as_str(), needs.as_slice(), None)).collect();
    let mut dash = dash(of(run(&plan)));
    let mut screen = Screen::new(TestBackend::new(200, 60), true);
    for _ in 0..10 {
        press(&mut dash, "jjG");
        screen.draw(&mut dash).unwrap();
        press(&mut dash, "gj");
        screen.draw(&mut dash).unwrap();
    }
    press(&mut dash, "t/task-99");
    screen.draw(&mut dash).unwrap();
    let shown = picture(&mut dash, (80, 24));
    assert!(shown.contains("> task-9995  pending") && shown.contains("/task-99_  111 tasks"), "{shown}");
}
