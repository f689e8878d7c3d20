//! The file: what it holds of a real run, and what it may take the place of.
//!
//! It leaves out how it looks.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use roxmltree::{Document, ParsingOptions};

use super::rich;
use super::world::World;

#[test]
fn a_real_run_is_told_whole_and_as_well_formed_xml() {
    let world = rich();
    let said = world.ok(&["page", "page.html"]);
    assert!(said.starts_with("The page of run ") && said.contains(" is in `page.html` ("), "{said}");
    let page = fs::read_to_string(world.repo().join("page.html")).unwrap();
    let document =
        Document::parse_with_options(&page, ParsingOptions { allow_dtd: true, ..Default::default() });
    let document = document.unwrap();
    let task = |id: &str| -> String {
        let id = format!("task-{id}");
        let found = document.descendants().find(|node| node.attribute("id") == Some(&id)).unwrap();
        let texts = found.descendants().filter(|node| node.is_text()).filter_map(|node| node.text());
        texts.collect::<Vec<_>>().join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let holds = |id: &str, words: &str| assert!(task(id).contains(words), "no `{words}` in {}", task(id));
    holds("test", "expected exit code 0, found exit code 1");
    holds("test", "Attempt 2");
    holds("test", "Attempt 1 an earlier one, exit code 1");
    holds("test", "one two");
    holds("fix", "iteration 2 of at most 3 met the condition");
    holds("fix-i1", "What its loop asked of it; not meeting it is no failure:");
    holds("best", "best-j1 best-e1 against best-e3: best-e1 won");
    holds("best", "Withdrawn: best-e2 (failed).");
    holds("best-j1", "Its worker said (a claim, no proof): done");
    holds("best-j1", "<b>left</b> & right");
    holds("ship", "? not answered yet approval");
    holds("ship", "What it printed (the end of 7 bytes)".split(" (").next().unwrap());
    holds("ship", "bold <img src=x>");
    holds("tail", "waits for task ship , which is verifying");
    // Nobody's text, so it may be told by its place in the page.
    let words: String =
        document.descendants().filter(|node| node.is_text()).filter_map(|node| node.text()).collect();
    assert!(words.contains("critical path") && words.contains("Supervised from 0 s to "));
}

#[test]
fn s13_only_a_page_of_ours_is_replaced_and_always_whole() {
    let world = World::with("tasks: { a: { run: 'true' } }\n");
    world.up().exits(0);
    let file = world.repo().join("page.html");
    world.ok(&["page", "page.html"]);
    let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600, "it holds what workers printed");
    let first = fs::read_to_string(&file).unwrap();
    world.ok(&["page", "page.html"]);
    fs::write(&file, "<html>mine</html>").unwrap();
    let (code, error) = world.refused(&["page", "page.html"]);
    assert_eq!((code, &error["code"]), (1, &"page_in_the_way".into()));
    assert!(error["hint"].as_str().unwrap().contains("--force"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "<html>mine</html>");
    assert_eq!(world.data(&["page", "page.html", "--force"])["file"], "page.html");
    assert!(fs::read_to_string(&file).unwrap().starts_with(&first[..40]));
    // A name is replaced; what a link leads to isn't.
    let (link, target) = (world.repo().join("link.html"), world.repo().join("target.html"));
    fs::write(&target, "kept").unwrap();
    symlink(&target, &link).unwrap();
    world.run(&["page", "link.html"]).exits(1);
    world.run(&["page", "link.html", "--force"]).exits(0);
    assert_eq!(fs::read_to_string(&target).unwrap(), "kept");
    assert!(!fs::symlink_metadata(&link).unwrap().is_symlink());
    for (name, why) in
        [("src", "isn't a regular file"), ("no/page.html", "No such file"), ("..", "names no file")]
    {
        let ran = world.run(&["page", name, "--force"]).exits(1);
        assert!(ran.stderr.contains(why), "{ran:?}");
    }
    let names = fs::read_dir(world.repo()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| !name.to_string_lossy().ends_with(".tmp")));
}

#[test]
fn a_page_goes_to_stdout_and_leaves_logs_out_where_that_is_asked_for() {
    let world = World::with("tasks: { a: { run: 'echo secret-of-a' } }\n");
    world.up().exits(0);
    let page = world.ok(&["page", "-"]);
    assert!(
        page.starts_with("<!DOCTYPE html>\n<!-- written by ilchul page -->\n<html lang=\"en\">"),
        "{page}"
    );
    assert!(page.ends_with("</html>\n") || page.ends_with("</html>"), "{page}");
    // The command's own line isn't in it; its output is.
    assert!(page.contains("secret-of-a") && page.contains("look through it before you give it away"));
    let page = world.ok(&["page", "-", "--no-logs"]);
    assert!(!page.contains("secret-of-a") && !page.contains("look through it"));
    let ran = world.run(&["page", "-", "--json"]).exits(2);
    assert!(ran.stdout.contains("\"code\":\"usage\""), "{ran:?}");
    let empty = World::new();
    let (_, error) = empty.refused(&["page", "x.html"]);
    assert_eq!(error["code"], "no_runs");
    assert!(!empty.repo().join("x.html").exists());
}

#[test]
fn a_page_of_a_run_that_is_under_way_says_who_waits() {
    let world = World::with(
        "tasks:\n  a: { run: 'until test -e $W/go; do sleep 0.02; done' }\n  b: { needs: [a], run: 'true' }\n",
    );
    let up = world.start_up();
    world.await_task("a", "in_progress");
    let page = world.ok(&["page", "-"]);
    assert!(page.contains("It is running") && page.contains("▶</span> running"), "{page}");
    assert!(page.contains("In the end for") && page.contains("from 0 s on"), "{page}");
    world.touch("go");
    up.wait().exits(0);
}
