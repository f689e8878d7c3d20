//! Each form against its golden file, and the rules that no golden file can show.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::table::Screen;
use super::{Graph, Lived, build, dot, mermaid, svg, text};
use crate::engine::task_table::TaskPhase as T;
use crate::workflow::{Need, Task, TaskKind, When, Workflow, load};

fn screen(width: usize, color: bool) -> Screen {
    Screen { color, width: Some(width), now_ms: 0 }
}

fn workflow(name: &str, tasks: &str) -> Workflow {
    let text = format!("version: 1\nname: {name}\ntasks:\n{tasks}");
    match load("x.yaml", text.as_bytes()) {
        Ok(loaded) => loaded.workflow,
        Err(errors) => panic!("{}", crate::workflow::render(&errors, false, 100)),
    }
}

/// Every control kind, a policy, a label and an edge over two steps.
fn nightly() -> Workflow {
    workflow(
        "nightly",
        "  test: { run: x }\n\
         \x20 fix: { needs: [test], when: failed, loop: { max: 5, until: { exit: 0 }, each: { run: x } } }\n\
         \x20 pick: { needs: [test], classify: { by: { run: x }, branches: { big: [best], small: [patch] } } }\n\
         \x20 best: { tournament: { entrants: 3, each: { run: x }, judge: { run: x } } }\n\
         \x20 patch: { run: x }\n\
         \x20 each: { needs: [{ task: best, when: optional }], map: { over: test.outputs.files, each: { run: x } } }\n\
         \x20 sum: { when: terminal, reduce: { run: x, over: [each, patch, fix, test] } }\n\
         \x20 ship: { needs: [sum], approve: { message: Go? } }\n",
    )
}

/// A child as the engine makes it: with what its parent needs, and a sibling.
fn child(workflow: &Workflow, parent: &str, id: &str, needs: &[&str]) -> Task {
    let planned = workflow.tasks.iter().find(|task| task.id == parent).expect("a parent");
    let mut inherited = planned.needs.clone();
    let need = |need: &&str| Need { task: (*need).to_owned(), when: Some(When::Completed) };
    inherited.extend(needs.iter().map(need));
    Task { parent: Some(parent.to_owned()), needs: inherited, ..Task::new(id, TaskKind::Run("x".into())) }
}

/// A run of the workflow in the middle: the classifier chose, the bracket is under way.
fn running() -> Graph {
    let workflow = nightly();
    let mut tasks = workflow.tasks.clone();
    for (parent, id, needs) in [
        ("fix", "fix-i1", &[][..]),
        ("fix", "fix-i2", &["fix-i1"]),
        ("best", "best-e1", &[]),
        ("best", "best-e2", &[]),
        ("best", "best-e3", &[]),
        ("best", "best-j1", &["best-e1", "best-e3"]),
    ] {
        tasks.push(child(&workflow, parent, id, needs));
    }
    let phases: BTreeMap<&str, (T, &str)> = BTreeMap::from([
        ("test", (T::Failed, "fatal_exit: exit code 1")),
        ("fix", (T::Completed, "")),
        ("fix-i1", (T::Completed, "")),
        ("fix-i2", (T::Completed, "")),
        ("pick", (T::Completed, "")),
        ("best", (T::InProgress, "")),
        ("best-e1", (T::Completed, "")),
        ("best-e2", (T::Failed, "timeout")),
        ("best-e3", (T::Completed, "")),
        ("best-j1", (T::Blocked, "needs_input")),
        ("patch", (T::Skipped, "pruned: `pick` chose `big`")),
    ]);
    drawn(&workflow.name, &tasks, &|id| {
        let (phase, reason) = phases.get(id).copied().unwrap_or((T::Pending, ""));
        Some(Lived { phase, reason, label: (id == "pick").then_some("big") })
    })
}

fn drawn(name: &str, tasks: &[Task], life: &dyn Fn(&str) -> Option<Lived<'static>>) -> Graph {
    let tasks: Vec<&Task> = tasks.iter().collect();
    build(name, Some("20231114-221320-ab12"), &tasks, &|index| life(&tasks[index].id))
}

/// Names that try to break out of whatever they stand in.
fn hostile() -> Graph {
    let labels = [r#"\"]; end"#, "--> n0", "</text><script>alert(1)</script>", "a|b #quot; \\n %% {x}"];
    let branches: String = labels.iter().map(|label| format!("'{label}': [b], ")).collect();
    let workflow = workflow(
        r##"'x"]:::bad <b>&amp;</b> }; \" \u{202e}'"##,
        &format!(
            "  a: {{ classify: {{ by: {{ run: x }}, branches: {{ {branches} }} }} }}\n  b: {{ run: x }}\n"
        ),
    );
    let mut graph = Graph::of_workflow(&workflow);
    graph.name = super::clean("x\"]:::bad <b>&amp;</b> }; \\\" \u{202e}\u{1b}[2J");
    graph
}

fn golden(file: &str, found: &str) {
    let root: PathBuf = Path::new(file!())
        .ancestors()
        .find(|folder| folder.join("fixtures/graphs").is_dir())
        .expect("fixtures")
        .join("fixtures/graphs");
    let path = root.join(file);
    if std::env::var_os("ILCHUL_BLESS").is_some_and(|bless| bless == "1") {
        std::fs::write(&path, found).expect("a written file");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "ILCHUL_BLESS=1 accepts {file}");
}

#[test]
fn each_form_of_a_plan_a_run_and_hostile_names_is_as_it_was() {
    for (name, graph) in
        [("planned", Graph::of_workflow(&nightly())), ("running", running()), ("hostile", hostile())]
    {
        golden(&format!("{name}.txt"), &text(&graph, screen(80, false)));
        golden(&format!("{name}.mmd"), &mermaid(&graph));
        golden(&format!("{name}.dot"), &dot(&graph));
        golden(&format!("{name}.svg"), &svg(&graph));
        golden(&format!("{name}.json"), &format!("{:#}\n", graph.json()));
    }
}

#[test]
fn a_child_hangs_on_its_siblings_and_not_on_what_its_parent_needs() {
    let graph = running();
    let id = |index: usize| graph.nodes[index].id.as_str();
    let into = |to: &str| -> Vec<&str> {
        graph.edges.iter().filter(|edge| id(edge.to) == to).map(|edge| id(edge.from)).collect()
    };
    assert_eq!(into("fix-i1"), Vec::<&str>::new());
    assert_eq!(into("fix-i2"), ["fix-i1"]);
    assert_eq!(into("best-j1"), ["best-e1", "best-e3"]);
    assert_eq!(into("fix"), ["test"]);
}

#[test]
fn only_the_branch_that_was_not_chosen_is_pruned() {
    let graph = running();
    let pruned: Vec<&str> =
        graph.edges.iter().filter(|edge| edge.pruned).map(|edge| graph.nodes[edge.to].id.as_str()).collect();
    assert_eq!(pruned, ["patch"]);
    let patch = graph.nodes.iter().find(|node| node.id == "patch").expect("it");
    assert_eq!(patch.state(), "skipped (pruned)");
}

#[test]
fn what_was_made_takes_the_place_of_what_would_be() {
    let ids = |graph: &Graph, parent: &str| -> Vec<String> {
        let of = |node: &&super::Node| node.parent.is_some_and(|it| graph.nodes[it].id == parent);
        graph.nodes.iter().filter(of).map(|node| node.id.clone()).collect()
    };
    let planned = Graph::of_workflow(&nightly());
    assert_eq!(ids(&planned, "fix"), ["fix-i<k>"]);
    assert_eq!(ids(&planned, "best"), ["best-e<k>", "best-j<k>"]);
    let running = running();
    assert_eq!(ids(&running, "fix"), ["fix-i1", "fix-i2"]);
    assert_eq!(ids(&running, "each"), ["each-m<k>"]);
    // Whoever ended without making any will make none.
    let skipped =
        drawn("x", &nightly().tasks, &|_| Some(Lived { phase: T::Skipped, reason: "", label: None }));
    assert!(skipped.nodes.iter().all(|node| node.note.is_empty()));
}

#[test]
fn a_step_is_the_longest_way_to_a_task() {
    let graph = Graph::of_workflow(&nightly());
    let steps: Vec<(&str, usize)> = graph
        .nodes
        .iter()
        .filter(|node| node.parent.is_none())
        .map(|node| (node.id.as_str(), node.step))
        .collect();
    let expected = [
        ("test", 1),
        ("fix", 2),
        ("pick", 2),
        ("best", 3),
        ("patch", 3),
        ("each", 4),
        ("sum", 5),
        ("ship", 6),
    ];
    assert_eq!(steps, expected);
}

#[test]
fn the_text_fits_its_width_and_says_the_same_with_colour() {
    let long = "a-very-long-id-that-nobody-would-write-but-that-is-allowed-here";
    let others: String = (0..30).map(|index| format!("  task-number-{index}: {{ run: x }}\n")).collect();
    let needs: Vec<String> = (0..30).map(|index| format!("task-number-{index}")).collect();
    let wide = workflow("wide", &format!("{others}  {long}: {{ run: x, needs: [{}] }}\n", needs.join(", ")));
    for graph in [Graph::of_workflow(&wide), Graph::of_workflow(&nightly()), running(), hostile()] {
        for width in [80, 100] {
            let plain = text(&graph, screen(width, false));
            for line in plain.lines() {
                // A label may be longer than a line; ids and words never are.
                assert!(line.chars().count() <= width || graph.name.contains("bad"), "{width}: {line}");
                assert!(line == line.trim_end(), "{line:?}");
            }
            let colored = text(&graph, screen(width, true));
            assert_eq!(anstream::adapter::strip_str(&colored).to_string(), plain);
        }
    }
    assert!(text(&running(), screen(80, true)).contains('\u{1b}'));
}

#[test]
fn no_label_ends_what_it_stands_in() {
    let graph = hostile();
    // Mermaid: between the quotes of a label there is nothing that Mermaid or HTML acts on.
    for line in mermaid(&graph).lines().filter(|line| line.contains('"')) {
        let inner: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        assert_eq!(line.matches('"').count(), 2, "{line}");
        let inner = inner.concat().replace("<br>", "");
        assert!(!inner.contains(['<', '>', '&', '"', '|', '[', ']', '{', '}', '\\', '`']), "{line}");
    }
    // DOT: outside of strings stands only what we wrote.
    let mut outside = String::new();
    let (mut is_string, mut is_escaped) = (false, false);
    for c in dot(&graph).chars() {
        match (is_string, is_escaped, c) {
            (true, true, _) => is_escaped = false,
            (true, false, '\\') => is_escaped = true,
            (_, false, '"') => is_string = !is_string,
            (true, false, _) => {}
            (false, _, c) => outside.push(c),
        }
    }
    assert!(!is_string, "every string is closed");
    assert!(
        !outside.contains("bad") && !outside.contains("script") && !outside.contains("alert"),
        "{outside}"
    );
    assert_eq!(outside.matches('{').count(), outside.matches('}').count());
    // SVG: no element but our own, nothing that runs or loads.
    let drawn = svg(&graph);
    for tag in drawn.split('<').skip(1) {
        let name: String = tag.chars().take_while(|c| c.is_ascii_alphabetic() || *c == '/').collect();
        let ours = ["svg", "title", "style", "defs", "marker", "path", "rect", "text"];
        assert!(ours.contains(&name.trim_start_matches('/')), "<{tag}");
    }
    for word in ["<script", "href", "url(http", "@import", "onload", "foreignObject"] {
        assert!(!drawn.contains(word), "{word}");
    }
    for form in [text(&graph, screen(80, false)), mermaid(&graph), dot(&graph), drawn] {
        assert!(!form.contains(['\u{1b}', '\u{202e}']), "{form:?}");
    }
}

#[test]
fn a_large_graph_is_drawn_in_bounded_time_and_without_recursion() {
    let begun = std::time::Instant::now();
    let chain: String = (0..5_000)
        .map(|index| match index {
            0 => "  t0: { run: x }\n".to_owned(),
            index => format!("  t{index}: {{ run: x, needs: [t{}] }}\n", index - 1),
        })
        .collect();
    let ids: Vec<String> = (0..5_000).map(|index| format!("t{index}")).collect();
    let wide: String = ids.iter().map(|id| format!("  {id}: {{ run: x }}\n")).collect();
    let all = ids.join(", ");
    let wide = format!(
        "{wide}  sum: {{ reduce: {{ run: x, over: [{all}] }} }}\n  \
         pick: {{ classify: {{ by: {{ run: x }}, branches: {{ a: [{all}] }} }} }}\n"
    );
    for tasks in [chain, wide] {
        let graph = Graph::of_workflow(&workflow("large", &tasks));
        for form in [text(&graph, screen(80, false)), mermaid(&graph), dot(&graph), svg(&graph)] {
            assert!(form.contains("t4999"));
        }
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(60));
}

#[test]
fn the_same_graph_gives_the_same_bytes() {
    // Built anew each time: an unordered map in between would show.
    for _ in 0..4 {
        assert_eq!(svg(&running()), svg(&running()));
        assert_eq!(mermaid(&hostile()), mermaid(&hostile()));
    }
}
