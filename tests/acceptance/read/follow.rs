//! `wait`, `logs`, and whatever follows a journal that grows meanwhile.

use std::io::{BufRead, Write};
use std::process::{Child, Stdio};

use ilchul::engine::event::{Event, RunEvent, TaskStep};
use serde_json::json;

use super::story::Story;
use crate::world::{World, wait_for};

const RUN: &str = "20231114-221320-ab12";

/// fix is being worked on.
fn halfway(world: &World) -> Story {
    let mut story = Story::start(world, RUN);
    story.completes("build", 1);
    story.task("fix", "", TaskStep::NeedsMet);
    story.works("fix", 1);
    story
}

/// A command that writes to a file, so that its output can be looked at while it runs.
struct Following {
    child: Child,
    path: std::path::PathBuf,
}

impl Following {
    fn start(world: &World, args: &[&str]) -> Self {
        let path = world.root().join(format!("out-{}", args.join("_")));
        let file = std::fs::File::create(&path).unwrap();
        Self { child: world.ilchul(args).stdout(file).spawn().unwrap(), path }
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap()
    }

    fn shows(&self, text: &str) {
        wait_for(text, || self.text().contains(text).then_some(()));
    }

    fn ends(mut self) -> (i32, String) {
        let status = wait_for("the end", || self.child.try_wait().unwrap());
        (status.code().unwrap_or(-1), self.text())
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn wait_answers_with_the_exit_code_of_what_it_waited_for() {
    let world = World::new();
    Story::start(&world, "20231114-221320-aaaa").ends_well();
    assert_eq!(world.run(&["wait"]).code, 0);
    assert_eq!(world.data(&["wait", "build", "fix"])["success"], true);
    Story::start(&world, "20231115-221320-bbbb").ends_badly();
    assert_eq!(world.run(&["wait"]).code, 3);
    assert_eq!(world.run(&["wait", "build"]).code, 0);
    assert_eq!(world.run(&["wait", "build", "fix"]).code, 3);
    assert_eq!(world.run(&["wait", "fix", "build", "--any"]).code, 0);
    assert_eq!(world.run(&["wait", "pack"]).code, 3, "it was skipped because something failed");
    assert_eq!(world.run(&["wait", "--timeout", "soon"]).code, 2);
}

#[test]
fn wait_sees_what_is_committed_while_it_waits() {
    let world = World::new();
    let mut story = halfway(&world);
    let _held = story.held();
    let task = Following::start(&world, &["wait", "fix"]);
    let run = Following::start(&world, &["wait"]);
    story.finishes("fix", 1);
    assert_eq!(task.ends(), (0, "fix completed\n".to_owned()));
    story.completes("pack", 1);
    story.tell(vec![Event::Run(RunEvent::Ended { success: true, halted: None })]);
    assert_eq!(run.ends(), (0, format!("Run {RUN} has ended with success.\n")));
}

#[test]
fn wait_gives_up_in_time_and_says_for_what() {
    let world = World::new();
    let story = halfway(&world);
    let held = story.held();
    let (code, error) = world.refused(&["wait", "fix", "--timeout", "100ms"]);
    assert_eq!((code, &error["code"]), (4, &json!("timeout")));
    assert!(error["message"].as_str().unwrap().contains("`fix` hasn't ended"), "{error}");
    drop(held);
    let (code, error) = world.refused(&["wait"]);
    assert_eq!((code, &error["code"]), (4, &json!("interrupted")), "nobody will go on with it");
}

#[test]
fn logs_are_plain_text_for_a_pipe() {
    let world = World::new();
    let story = halfway(&world);
    std::fs::write(story.log("fix.1"), b"\x1b[1;31mred\x1b[0m \x1b]0;title\x07caf\xc3\xa9\n").unwrap();
    assert_eq!(world.ok(&["logs", "fix"]), "red café\n");
    assert_eq!(world.ok(&["logs", "fix.1"]), "red café\n");
    assert_eq!(world.ok(&["logs", "fix", "--attempt", "1"]), "red café\n");
    let data = world.data(&["logs", "fix"]);
    assert_eq!((&data["worker"], &data["whole"]), (&json!("fix.1"), &json!(true)));
    assert_eq!(data["text"], "red \\u{1b}]0;title\\u{7}café\n");
    let ran = world.run(&["logs", "build"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""));
    assert!(ran.stderr.contains("`build.1` has written nothing so far."), "{ran:?}");
    assert_eq!(world.run(&["logs", "fix", "-f", "--json"]).code, 2);
}

#[test]
fn logs_follow_until_the_attempt_ends_and_miss_nothing() {
    let world = World::new();
    let mut story = halfway(&world);
    let following = Following::start(&world, &["logs", "fix", "-f"]);
    let mut log = std::fs::File::create(story.log("fix.1")).unwrap();
    log.write_all(b"one\n").unwrap();
    following.shows("one\n");
    log.write_all(b"two\nthree").unwrap();
    story.finishes("fix", 1);
    assert_eq!(following.ends(), (0, "one\ntwo\nthree".to_owned()));
}

#[test]
fn events_follow_until_the_run_ends() {
    let world = World::new();
    let mut story = halfway(&world);
    let following = Following::start(&world, &["events", "-f", "--json"]);
    following.shows("\"worker\":\"fix.1\"");
    story.finishes("fix", 1);
    story.completes("pack", 1);
    story.tell(vec![Event::Run(RunEvent::Ended { success: true, halted: None })]);
    let (code, text) = following.ends();
    assert_eq!((code, text), (0, world.ok(&["events", "--json"])));
}

#[test]
fn following_ends_when_nobody_reads_any_more() {
    let world = World::new();
    let _story = halfway(&world);
    let child = world.ilchul(&["events", "-f"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut following = Following { child, path: std::path::PathBuf::new() };
    let mut reader = std::io::BufReader::new(following.child.stdout.take().unwrap());
    reader.read_line(&mut String::new()).unwrap();
    drop(reader);
    // Nothing more is told: no write has to fail for it.
    let status = wait_for("the end", || following.child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

#[test]
fn status_watch_shows_each_change_once_and_ends_with_the_run() {
    let world = World::new();
    let mut story = halfway(&world);
    let _held = story.held();
    let following = Following::start(&world, &["status", "--watch"]);
    following.shows("`fix.1` works on it");
    story.finishes("fix", 1);
    following.shows("2 completed");
    story.completes("pack", 1);
    story.tell(vec![Event::Run(RunEvent::Ended { success: true, halted: None })]);
    let (code, text) = following.ends();
    assert_eq!(code, 0);
    assert!(text.contains("has ended with success"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    let shown = text.matches(" of nightly ").count();
    assert!((3..=5).contains(&shown), "{shown} times:\n{text}");
}
