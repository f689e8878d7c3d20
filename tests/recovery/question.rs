//! Killed before every syscall of the journal around questions and their answers: each answer
//! reaches its worker once, and no work is repeated.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ilchul::engine::question;

use super::life::{self, JOURNAL_CALLS};
use super::world::{PATIENCE, World};

/// Asks twice, and writes down what it hears.
const ASKS: &str = "heartbeat: { every: 200ms, unhealthy_after: 5s, lost_after: 20s }\n\
tasks:\n  ask:\n    workspace: none\n    run: |\n      echo begun >> $W/ledger\n      for n in one two; do\n        ilchul report --status needs_input --reason \"$n?\" --wait > $W/heard || exit 1\n        cat $W/heard >> $W/ledger\n      done\n";

/// A person who answers each question by its own words, once, while a supervisor drives the run.
fn person(world: &World, enough: &AtomicBool) {
    while !enough.load(Ordering::SeqCst) {
        let asked = world.is_held().then(|| world.peek()).flatten();
        let asked = asked.and_then(|state| question::all(&state).into_iter().next());
        if let Some((_, asks)) = asked {
            // Refused where the question was answered by then, or its supervisor has just died.
            let _ = world.run(&["answer", "ask", &format!("to {}", asks.text)]);
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Drives the run to its end, however often a person's command holds the home for a moment.
#[track_caller]
fn to_its_end(world: &World, context: &str) {
    let until = Instant::now() + PATIENCE;
    loop {
        let ran = world.up();
        if ran.code == 0 {
            return;
        }
        assert!(ran.code == 5 && Instant::now() < until, "{context}: {ran:?}");
    }
}

#[test]
fn j6_l16_killed_at_any_syscall_of_the_journal_each_answer_is_given_and_delivered_once() {
    let stride = u32::try_from(life::setting("ILCHUL_CRASH_STRIDE", 3)).unwrap();
    let mut points = 0;
    for point in (1..).step_by(usize::try_from(stride).unwrap()) {
        let world = World::with(ASKS);
        let enough = AtomicBool::new(false);
        let files = life::journal_files(&world);
        let context = format!("killed at journal point {point}");
        let killed = thread::scope(|scope| {
            scope.spawn(|| person(&world, &enough));
            let up = ["up", "--session", "subprocess"];
            let killed = life::killed_at(&world, &up, (JOURNAL_CALLS, &files), point);
            to_its_end(&world, &context);
            enough.store(true, Ordering::SeqCst);
            killed
        });
        assert_eq!(world.ledger(), ["begun", "to one?", "to two?"], "{context}");
        let given = world.state().workers["ask.1"].answers.len();
        assert_eq!((given, world.state().tasks[0].attempt), (2, 1), "{context}");
        let mail: Vec<_> = fs::read_dir(world.mail("ask.1")).unwrap().flatten().collect();
        let answers = mail.iter().filter(|file| file.file_name().to_string_lossy().starts_with("answer-"));
        assert_eq!(answers.count(), 2, "{context}");
        if !killed {
            break;
        }
        points += 1;
    }
    assert!(points * stride >= 40, "only {points} points: strace didn't see the journal being written");
}
