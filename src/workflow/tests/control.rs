//! Control kinds: each becomes what the engine is promised.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::{Evidence, Item, Need, Task, TaskBase, TaskKind, When, WorkspaceKind};
use super::{bad, check, good, said};

/// The tasks of a file with an agent `m` and some plain tasks beside.
fn tasks(body: &str) -> Vec<Task> {
    good(&file(body)).workflow.tasks
}

fn file(body: &str) -> String {
    format!("version: 1\nagents: {{ m: {{ adapter: command, argv: [x] }} }}\ntasks:\n{body}")
}

/// The last task of such a file.
fn last(body: &str) -> Task {
    tasks(body).pop().expect("a task")
}

fn messages(body: &str) -> Vec<String> {
    bad(&file(body)).problems.into_iter().map(|problem| problem.message).collect()
}

fn need(task: &str, when: Option<When>) -> Need {
    Need { task: task.to_owned(), when }
}

fn choice(name: &str, among: &[&str]) -> Item {
    Item::Choice { name: name.to_owned(), among: among.iter().map(|&word| word.to_owned()).collect() }
}

fn output(name: &str, equals: Value) -> Item {
    Item::Output { name: name.to_owned(), equals }
}

#[test]
fn a_loop_has_its_conditions_behind_the_evidence_of_its_body() {
    let task = last(
        "  l: { loop: { max: 5, until: [ { exit: 0 }, { output: left, equals: 0 } ], \
         each: { run: ./fix, retries: 2, timeout: 5m, evidence: [ { diff: {} } ] } } }\n",
    );
    assert_eq!(task.evidence, Evidence::Items(vec![Item::Children]));
    assert_eq!((task.retries, task.conditions, task.workspace), (0, 0, WorkspaceKind::Worktree));
    let TaskKind::Loop(body) = task.kind else { panic!("a loop") };
    assert_eq!((body.max, body.each.retries, body.each.conditions), (5, 2, 2));
    assert_eq!((body.each.id.as_str(), body.each.timeout), ("", Duration::from_secs(300)));
    assert_eq!(body.each.kind, TaskKind::Run("./fix".to_owned()));
    let [Item::Diff { .. }, Item::Exit(0), left] = body.each.evidence.items() else {
        panic!("{:?}", body.each.evidence)
    };
    assert_eq!(*left, output("left", json!(0)));
    assert_eq!(body.each.required(), 1);
}

#[test]
fn an_iteration_without_evidence_is_judged_by_the_conditions_alone() {
    for each in ["run: x", "agent: m, prompt: mend it"] {
        let task =
            last(&format!("  l: {{ loop: {{ max: 1, until: {{ exit: 3 }}, each: {{ {each} }} }} }}\n"));
        let TaskKind::Loop(body) = task.kind else { panic!("a loop") };
        assert_eq!(body.each.evidence, Evidence::Items(vec![Item::Exit(3)]), "{each}");
        assert_eq!((body.each.conditions, body.each.required()), (1, 0));
    }
}

#[test]
fn a_condition_compares_with_any_value() {
    for (written, meant) in [
        ("0", json!(0)),
        ("1.5", json!(1.5)),
        ("true", json!(true)),
        ("'true'", json!("true")),
        ("done", json!("done")),
        ("0x1F", json!("0x1F")),
        ("''", json!("")),
        ("[1, two]", json!([1, "two"])),
        ("{ a: [false] }", json!({"a": [false]})),
    ] {
        let task = last(&format!(
            "  l: {{ loop: {{ max: 1, until: {{ output: n, equals: {written} }}, each: {{ run: x }} }} }}\n"
        ));
        let TaskKind::Loop(body) = task.kind else { panic!("a loop") };
        assert_eq!(body.each.evidence.items(), [output("n", meant)], "{written}");
    }
}

#[test]
fn a_map_needs_the_task_whose_list_it_goes_through() {
    let task = last("  a: { run: x }\n  m: { map: { over: a.outputs.parts, each: { run: x } } }\n");
    assert_eq!(task.needs, [need("a", None)]);
    assert_eq!(task.evidence, Evidence::Items(vec![Item::Children]));
    assert_eq!(task.workspace, WorkspaceKind::None);
    let TaskKind::Map(map) = task.kind else { panic!("a map") };
    assert_eq!((map.task.as_str(), map.output.as_str(), map.max), ("a", "parts", 100));
    assert_eq!(map.each.evidence, Evidence::Items(vec![Item::Exit(0)]));
    // One that is written out keeps its policy and its place.
    let task = last(
        "  a: { run: x }\n  b: { run: x }\n  m: { needs: [b, { task: a, when: partial }], \
         map: { over: a.outputs.parts, max: 7, each: { run: x } } }\n",
    );
    assert_eq!(task.needs, [need("b", None), need("a", Some(When::Partial))]);
}

#[test]
fn a_prompt_of_a_map_may_name_the_element_and_what_the_map_needs() {
    let prompt = |text: &str| {
        let task = last(&format!(
            "  my-a: {{ run: x }}\n  m: {{ map: {{ over: my-a.outputs.parts, \
             each: {{ agent: m, evidence: [exit: 0], prompt: \"{text}\" }} }} }}\n"
        ));
        let TaskKind::Map(map) = task.kind else { panic!("a map") };
        let TaskKind::Agent { prompt, .. } = map.each.kind else { panic!("an agent") };
        prompt
    };
    assert_eq!(prompt("{{ item }}"), "{{ item }}");
    assert_eq!(prompt("{{-item-}}"), "{{- item -}}");
    assert_eq!(prompt("{{ item.a-b }} {{ '{{' }}"), "{{ item['a-b'] }} {{ '{{' }}");
    assert_eq!(prompt("{{ needs.my-a.summary }}"), "{{ needs['my-a'].summary }}");
    let filled = |prompt: &str, item: Value| {
        let values = minijinja::value::Serde(json!({"item": item}));
        minijinja::Environment::empty().render_str(prompt, values).expect("a text")
    };
    assert_eq!(filled(&prompt("<{{ item }}>"), json!("x")), "<x>");
    assert_eq!(filled(&prompt("<{{ item.a-b }}>"), json!({"a-b": "y"})), "<y>");
    // Inside of a tournament in the map as well, its judge included; nowhere else.
    tasks(
        "  a: { run: x }\n  m: { map: { over: a.outputs.p, each: { tournament: { entrants: 2, \
         each: { agent: m, prompt: '{{ item }}', evidence: [exit: 0] }, judge: { agent: m, prompt: '{{ item }}' } } } } }\n",
    );
    let said = messages(
        "  l: { loop: { max: 1, until: { exit: 0 }, each: { agent: m, prompt: '{{ item.x }}' } } }\n",
    );
    assert_eq!(said, ["the prompt names `item`, which only the `each` of a `map` has"]);
    let said = messages(
        "  a: { run: x }\n  m: { map: { over: a.outputs.p, each: { agent: m, evidence: [exit: 0], \
         prompt: '{{ item | upper }} {{ items }} {{ item.a.b }} {{ item[0] }}' } } }\n",
    );
    assert_eq!(said.len(), 4, "{said:?}");
    assert!(said.iter().all(|message| message.ends_with("can't be filled in")));
}

#[test]
fn a_body_may_name_what_the_control_task_needs_and_nothing_else() {
    let loop_of = |prompt: &str| {
        format!(
            "  a: {{ run: x }}\n  b: {{ run: x }}\n  l: {{ needs: [a], loop: {{ max: 1, until: {{ exit: 0 }}, \
             each: {{ agent: m, prompt: '{prompt}' }} }} }}\n"
        )
    };
    tasks(&loop_of("{{ needs.a.summary }}"));
    assert_eq!(
        messages(&loop_of("{{ needs.b.summary }}")),
        ["the prompt names the task `b`, which isn't among the needs"]
    );
}

#[test]
fn entrants_are_alike_or_each_a_variant_of_one_body() {
    let cup = |text: &str| {
        let task = last(&format!("  t: {{ tournament: {{ {text}, judge: {{ run: ./judge }} }} }}\n"));
        assert_eq!(task.evidence, Evidence::Items(vec![Item::Children]));
        let TaskKind::Tournament(cup) = task.kind else { panic!("a tournament") };
        (cup, task.workspace)
    };
    let (three, workspace) = cup("entrants: 3, each: { run: x, retries: 1 }");
    assert_eq!(three.entrants.len(), 3);
    assert_eq!(three.entrants[0], three.entrants[2]);
    assert_eq!((three.entrants[0].retries, workspace), (1, WorkspaceKind::Worktree));
    let (mixed, workspace) =
        cup("each: { run: x, env: { A: '1', B: '2' }, timeout: 5m, evidence: waived, reason: y }, \
         entrants: [ { env: { B: '3' } }, { argv: [z], timeout: 6m }, \
         { agent: m, prompt: p, workspace: none, evidence: [ { exit: 0 } ] } ]");
    let [first, second, third] = mixed.entrants.as_slice() else { panic!("three") };
    let env = |task: &Task| serde_json::to_string(&task.env).expect("json");
    assert_eq!(env(first), r#"{"A":"1","B":"3"}"#);
    assert_eq!(env(second), r#"{"A":"1","B":"2"}"#);
    assert_eq!(second.kind, TaskKind::Argv(vec!["z".to_owned()]));
    assert_eq!((first.timeout, second.timeout), (Duration::from_secs(300), Duration::from_secs(360)));
    assert_eq!(second.evidence, Evidence::Waived("y".to_owned()));
    assert_eq!(third.evidence, Evidence::Items(vec![Item::Exit(0)]));
    // Whoever wins has the head: without a tree for each there is none to rely on.
    assert_eq!(workspace, WorkspaceKind::None);
}

#[test]
fn a_variant_may_replace_the_prompt_or_the_agent_alone() {
    let text = "version: 1\nagents: { a: { adapter: command, argv: [x] }, b: { adapter: command, argv: [y] } }\n\
                tasks:\n  t: { tournament: { entrants: [ { agent: a }, { agent: b, prompt: long } ], \
                each: { prompt: short, evidence: [exit: 0] }, judge: { run: x } } }\n";
    let task = good(text).workflow.tasks.remove(0);
    let TaskKind::Tournament(cup) = task.kind else { panic!("a tournament") };
    let kinds: Vec<&TaskKind> = cup.entrants.iter().map(|entrant| &entrant.kind).collect();
    let agent = |agent: &str, prompt: &str| TaskKind::Agent {
        agent: agent.to_owned(),
        prompt: prompt.to_owned(),
        model: None,
    };
    assert_eq!(kinds, [&agent("a", "short"), &agent("b", "long")]);
}

#[test]
fn what_is_wrong_with_a_shared_body_is_said_once() {
    let text = file(
        "  t: { tournament: { entrants: [ { env: { A: '1' } }, { env: { A: '2' } } ], \
         each: { run: x, timeout: soon }, judge: { run: x } } }\n",
    );
    assert_eq!(said(&bad(&text)).len(), 1);
}

#[test]
fn a_judge_answers_left_or_right_and_is_asked_once_more() {
    for (judge, retries, items) in [
        ("run: x", 1, vec![Item::Exit(0), choice("winner", &["left", "right"])]),
        ("agent: m, prompt: Which?, retries: 0", 1, vec![choice("winner", &["left", "right"])]),
        (
            "worker: [x], retries: 4, evidence: [ { artifact: a } ]",
            4,
            vec![Item::Artifact { path: "a".to_owned() }, choice("winner", &["left", "right"])],
        ),
    ] {
        let task = last(&format!(
            "  t: {{ tournament: {{ entrants: 2, each: {{ run: x }}, judge: {{ {judge} }} }} }}\n"
        ));
        let TaskKind::Tournament(cup) = task.kind else { panic!("a tournament") };
        assert_eq!((cup.judge.retries, cup.judge.evidence), (retries, Evidence::Items(items)), "{judge}");
    }
}

#[test]
fn a_classifier_is_its_body_and_its_branches_wait_for_it() {
    let tasks = tasks(
        "  pick: { classify: { by: { run: ./pick, retries: 3, env: { A: '1' }, workspace: none }, \
         branches: { z: [b], 'not a slug!': [b, c], none: [] } } }\n  a: { run: x }\n  \
         b: { run: x, needs: [a], when: terminal }\n  \
         c: { agent: m, prompt: '{{ needs.pick.outputs.label }}', evidence: [exit: 0], \
         needs: [ { task: pick, when: partial } ] }\n",
    );
    let pick = &tasks[0];
    assert_eq!((pick.kind.word(), pick.word(), pick.retries), ("run", "classify", 3));
    assert_eq!((pick.workspace, pick.env.len()), (WorkspaceKind::None, 1));
    // In the order of the file, not of the alphabet.
    let label = choice("label", &["z", "not a slug!", "none"]);
    assert_eq!(pick.evidence, Evidence::Items(vec![Item::Exit(0), label]));
    assert_eq!(pick.branches["not a slug!"], ["b", "c"]);
    assert!(pick.branches["none"].is_empty());
    // Its own policy is about its own needs; the choice must have been made in any case.
    assert_eq!(tasks[2].needs, [need("a", None), need("pick", Some(When::Completed))]);
    assert_eq!(tasks[3].needs, [need("pick", Some(When::Partial))]);
}

#[test]
fn an_agent_that_classifies_needs_no_evidence_but_its_label() {
    let tasks = tasks(
        "  p: { classify: { by: { agent: m, prompt: Which? }, branches: { a: [b] } } }\n  b: { run: x }\n",
    );
    assert_eq!(tasks[0].evidence, Evidence::Items(vec![choice("label", &["a"])]));
}

#[test]
fn implied_needs_come_before_the_file_says_who_chooses() {
    let tasks = tasks(
        "  b: { run: x }\n  p: { classify: { by: { run: x }, branches: { y: [b], n: [b] } } }\n  \
         q: { classify: { by: { run: x }, branches: { y: [b] } } }\n",
    );
    let completed = Some(When::Completed);
    assert_eq!(tasks[0].needs, [need("p", completed), need("q", completed)]);
}

#[test]
fn a_control_task_reviews_nothing() {
    let text = "version: 1\ntasks:\n  a: { run: x, evidence: [ { review: r } ] }\n  \
                r: { loop: { max: 2, until: { exit: 0 }, each: { run: x } } }\n";
    let said = said(&bad(text));
    let expected =
        "3:38 tasks.a.evidence[0].review: `r` is a `loop`, and a reviewer is one worker that answers";
    assert_eq!(said, [expected]);
}

#[test]
fn a_cycle_through_a_branch_is_named_where_the_branch_is_written() {
    check(
        "version: 1\ntasks:\n  p: { classify: { by: { run: x }, branches: { y: [b] } }, needs: [a] }\n  \
         a: { run: x, needs: [b] }\n  b: { run: x }\n",
        &["3:68 tasks.p.needs[0]: tasks wait for each other: p -> a -> b -> p"],
    );
    check(
        "version: 1\ntasks:\n  b: { run: x }\n  p: { classify: { by: { run: x }, branches: { y: [b] } }, needs: [b] }\n",
        &["4:52 tasks.p.classify.branches.y[0]: tasks wait for each other: b -> p -> b"],
    );
}

#[test]
fn a_reduction_needs_what_it_reads_and_has_no_tree() {
    let task = last(
        "  a: { run: x }\n  b: { run: x }\n  r: { needs: [b], reduce: { run: sort, over: [a, b] }, timeout: 1m }\n",
    );
    assert_eq!(task.kind, TaskKind::Reduce("sort".to_owned()));
    assert_eq!(task.needs, [need("b", None), need("a", None)]);
    assert_eq!((task.workspace, task.timeout), (WorkspaceKind::None, Duration::from_secs(60)));
    assert_eq!(task.evidence, Evidence::Items(vec![Item::Exit(0), Item::Reduced]));
    let task = last(
        "  a: { run: x }\n  r: { reduce: { run: sort, over: [a] }, workspace: worktree, base: { task: a } }\n",
    );
    assert_eq!((task.workspace, task.base), (WorkspaceKind::Worktree, Some(TaskBase::Task("a".to_owned()))));
}

#[test]
fn an_approval_is_asked_and_nobody_works_on_it() {
    let task = last("  a: { run: x }\n  p: { approve: { message: Ship it? }, needs: [a], when: terminal }\n");
    assert_eq!(task.kind, TaskKind::Approve("Ship it?".to_owned()));
    assert_eq!(task.evidence, Evidence::Items(vec![Item::Approval { message: "Ship it?".to_owned() }]));
    assert_eq!((task.workspace, task.retries, task.when), (WorkspaceKind::None, 0, When::Terminal));
}

#[test]
fn defaults_hold_for_bodies_and_not_for_who_makes_them() {
    let text = "version: 1\ndefaults: { retries: 2, timeout: 5m, env: { A: '1' } }\ntasks:\n  \
                l: { loop: { max: 1, until: { exit: 0 }, each: { run: x } } }\n";
    let task = good(text).workflow.tasks.remove(0);
    assert_eq!((task.retries, task.env.len()), (0, 0));
    let TaskKind::Loop(body) = task.kind else { panic!("a loop") };
    assert_eq!((body.each.retries, body.each.timeout, body.each.env.len()), (2, Duration::from_secs(300), 1));
}

#[test]
fn a_base_holds_for_every_body_with_a_tree() {
    let map = |each: &str| {
        file(&format!(
            "  a: {{ run: x }}\n  m: {{ base: {{ task: a }}, map: {{ over: a.outputs.p, each: {{ {each} }} }} }}\n"
        ))
    };
    assert_eq!(good(&map("run: x")).workflow.tasks[1].base, Some(TaskBase::Task("a".to_owned())));
    let said = said(&bad(&map("run: x, workspace: none")));
    assert_eq!(said, ["5:8 tasks.m.base: without a worktree there is nothing to start from"]);
    // Its elements have trees, but which of them would another task start from?
    let said = messages(
        "  a: { run: x }\n  m: { map: { over: a.outputs.p, each: { run: x } } }\n  b: { run: x, needs: [m], base: { task: m } }\n",
    );
    assert_eq!(said, ["`m` has no worktree to start from"]);
    tasks(
        "  l: { loop: { max: 1, until: { exit: 0 }, each: { run: x } } }\n  b: { run: x, needs: [l], base: { task: l } }\n",
    );
}

#[test]
fn control_tasks_nest_three_levels_deep() {
    let nested = |levels: usize| {
        let mut each = "{ run: x }".to_owned();
        for _ in 0..levels {
            each = format!("{{ map: {{ over: a.outputs.p, each: {each} }} }}");
        }
        file(&format!("  a: {{ run: x }}\n  m: {each}\n"))
    };
    let task = good(&nested(3)).workflow.tasks.remove(1);
    // What an inner one goes through is needed by the task of the file.
    assert_eq!(task.needs, [need("a", None)]);
    assert_eq!(bad(&nested(4)).problems[0].message, "control tasks are nested deeper than 3 levels");
}

#[test]
fn a_loop_may_stand_in_a_map_but_nothing_in_a_loop() {
    tasks(
        "  a: { run: x }\n  m: { map: { over: a.outputs.p, each: { loop: { max: 2, until: { exit: 0 }, each: { run: x } } } } }\n",
    );
    for inner in ["map", "tournament", "loop", "classify", "reduce", "approve"] {
        let said = messages(&format!(
            "  l: {{ loop: {{ max: 2, until: {{ exit: 0 }}, each: {{ {inner}: {{}} }} }} }}\n"
        ));
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with(&format!("`{inner}` can't stand")), "{said:?}");
    }
}
