//! Tab in real shells, and the answers that they get.

use std::fs;
use std::time::{Duration, Instant};

use super::in_time::in_time;
use super::pane::Pane;
use super::story;
use super::world::{Ran, World, ran};

/// A shell without anybody's settings, and what makes it complete, typed line by line.
const SHELLS: [(&str, &str, &[&str]); 3] = [
    ("bash", "bash --norc --noprofile -i", &["source <(ilchul completions bash)"]),
    ("zsh", "zsh -f -i", &["autoload -Uz compinit && compinit -u -D", "source <(ilchul completions zsh)"]),
    ("fish", "fish --no-config -i", &["ilchul completions fish | source"]),
];

/// A world in which `ilchul` is found by `PATH`.
fn with_program(mut world: World) -> World {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_ilchul")).parent().unwrap().to_owned();
    let paths = std::env::split_paths(&world.path).collect::<Vec<_>>();
    world.path = std::env::join_paths(std::iter::once(program).chain(paths)).unwrap();
    world
}

/// Types into each shell, presses Tab, and waits for what it makes of it.
#[track_caller]
fn completes(shell: usize, cases: &[(&str, &str)]) {
    let world = with_program(story());
    let (name, line, setup) = SHELLS[shell];
    let pane = Pane::start(&world, name, &format!("env PS1='> ' TERM=screen {line}"));
    for line in setup {
        pane.types(line);
        pane.presses("Enter");
    }
    // The shell has read all of it once it has answered this.
    pane.types("echo re''ady");
    pane.presses("Enter");
    pane.until("the shell", |screen| screen.lines().any(|line| line == "ready"));
    for (typed, completed) in cases {
        pane.types(typed);
        pane.presses("Tab");
        pane.until(&format!("{typed} to become {completed} in {name}"), |screen| screen.contains(completed));
        pane.presses("C-u");
        pane.presses("C-l");
        pane.until("an empty screen", |screen| !screen.contains(completed));
    }
}

/// What is typed, and what is on the screen after Tab.
const CASES: &[(&str, &str)] = &[
    ("ilchul wor", "ilchul workers"),
    ("ilchul why gre", "ilchul why greet"),
    ("ilchul approve s", "ilchul approve ship"),
    ("ilchul release gre", "ilchul release greet.1"),
    ("ilchul up --session sub", "--session subprocess"),
    ("ilchul schema rep", "ilchul schema report"),
    ("ilchul validate ilch", "ilchul validate ilchul.yaml"),
];

#[test]
fn bash_completes_commands_options_and_live_names() {
    completes(0, CASES);
}

#[test]
fn zsh_completes_commands_options_and_live_names() {
    completes(1, CASES);
}

#[test]
fn fish_completes_commands_options_and_live_names() {
    completes(2, CASES);
}

/// What the words get for the last of them, one a line.
#[track_caller]
fn asked(world: &World, words: &[&str]) -> Ran {
    let mut command = world.ilchul(&[&["--"], words].concat());
    command.env("ILCHUL_COMPLETE", "bash").env("_CLAP_IFS", "\n");
    command.env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string());
    ran(&command.output().unwrap())
}

/// The names among the answers: no options.
#[track_caller]
fn names(world: &World, words: &[&str]) -> Vec<String> {
    let answer = asked(world, words).exits(0);
    assert_eq!(answer.stderr, "");
    answer.stdout.lines().filter(|line| !line.starts_with('-')).map(str::to_owned).collect()
}

#[test]
fn names_are_those_that_the_command_can_do_something_with() {
    let world = story();
    let run = world.run_id().unwrap();
    assert_eq!(names(&world, &["ilchul", "why", ""]), ["greet", "grow", "ship"]);
    assert_eq!(names(&world, &["ilchul", "why", "gr"]), ["greet", "grow"]);
    assert_eq!(names(&world, &["ilchul", "retry", ""]), ["greet", "grow"], "the ended ones");
    assert_eq!(names(&world, &["ilchul", "cancel", ""]), ["ship"], "the open one");
    assert_eq!(names(&world, &["ilchul", "approve", ""]), ["ship"], "who waits for a yes");
    assert_eq!(names(&world, &["ilchul", "attach", "grow."]), ["grow.1"]);
    assert_eq!(names(&world, &["ilchul", "release", ""]), ["greet.1", "grow.1", "ship.1"]);
    assert_eq!(names(&world, &["ilchul", "why", "--run", ""]), [run.as_str()]);
    assert_eq!(names(&world, &["ilchul", "status", "--run", "no"]), [""; 0]);
    assert_eq!(names(&world, &["ilchul", "why", "--run", &run, "gre"]), ["greet"]);
    assert_eq!(
        names(&world, &["ilchul", "why", "--run", "no-such", ""]),
        [""; 0],
        "another run has other tasks"
    );
    assert_eq!(names(&world, &["ilchul", "init", "--template", "fa"]), ["fan-out"]);
    assert_eq!(names(&world, &["ilchul", "up", "--only", "gr"]), ["greet", "grow"]);
}

#[test]
fn the_tasks_of_a_file_are_known_before_its_first_run() {
    let world = World::with("tasks: { one: { run: 'true' } }\n");
    assert_eq!(names(&world, &["ilchul", "up", "--only", ""]), ["one"]);
    let other = "version: 1\ntasks: { two: { run: 'true' } }\n";
    fs::write(world.repo().join("other.yaml"), other).unwrap();
    assert_eq!(names(&world, &["ilchul", "up", "other.yaml", "--only", ""]), ["two"]);
    assert_eq!(names(&world, &["ilchul", "why", ""]), [""; 0]);
    assert!(!world.home().root().exists(), "who asks makes no home");
}

#[test]
fn a_question_in_trouble_gets_silence_and_changes_nothing() {
    let world = story();
    let journal = world.home().journal();
    let whole = fs::read(&journal).unwrap();
    for broken in [&b"no journal at all"[..], b"", &whole[..whole.len() / 2]] {
        fs::write(&journal, broken).unwrap();
        let answer = asked(&world, &["ilchul", "why", ""]);
        assert_eq!(answer.stderr, "");
        assert!(!answer.stdout.contains("greet"), "{answer:?}");
        assert_eq!(fs::read(&journal).unwrap(), broken);
    }
    let elsewhere = world.root().join("user");
    let mut command = world.ilchul(&["--", "ilchul", "why", ""]);
    command.env("ILCHUL_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", "2").current_dir(elsewhere);
    assert_eq!(ran(&command.output().unwrap()).stderr, "");
    for (shell, words) in [("tcsh", &["--", "ilchul", ""][..]), ("bash", &[]), ("", &["status"])] {
        let mut command = world.ilchul(words);
        let answer = ran(&command.env("ILCHUL_COMPLETE", shell).output().unwrap()).exits(1);
        assert_eq!((answer.stdout.as_str(), answer.stderr.as_str()), ("", ""), "{shell}");
    }
}

#[test]
fn names_are_told_while_a_supervisor_holds_the_home_and_it_isn_t_disturbed() {
    let world = World::with("tasks:\n  long: { run: 'while ! test -e $W/go; do sleep 0.05; done' }\n");
    let up = world.start_up();
    world.await_task("long", "in_progress");
    assert_eq!(names(&world, &["ilchul", "cancel", ""]), ["long"]);
    assert!(world.is_held());
    world.touch("go");
    up.wait().exits(0);
}

#[test]
fn a_name_that_steers_a_terminal_stays_text() {
    let world = story();
    let answer = asked(&world, &["ilchul", "why", "\u{1b}]0;x\u{7}"]).exits(0);
    assert_eq!((answer.stdout.as_str(), answer.stderr.as_str()), ("", ""));
}

#[test]
fn an_answer_comes_before_a_finger_is_off_the_key() {
    // A debug build on a busy machine; the release build is measured by hand: under 10 ms.
    let world = story();
    in_time(Duration::from_millis(500), || {
        let before = Instant::now();
        asked(&world, &["ilchul", "why", ""]).exits(0);
        before.elapsed()
    });
}
