//! Ids of the tasks that control tasks make.

use super::super::{Made, made};
use super::{bad, check, good};

const LOOP: &str = "{ loop: { max: 12, until: { exit: 0 }, each: { run: x } } }";

/// Whether a file with this maker and a task of this id is refused for it.
fn collides(maker: &str, id: &str) -> bool {
    let text = format!("version: 1\ntasks:\n  list: {{ run: x }}\n  a: {maker}\n  {id}: {{ run: x }}\n");
    match super::super::load("x.yaml", text.as_bytes()) {
        Ok(_) => false,
        Err(errors) => {
            let expected = format!("`a` makes a task of this id itself: `{id}`");
            assert_eq!(errors.problems[0].message, expected);
            assert_eq!(errors.problems[0].path, format!("tasks.{id}"));
            true
        }
    }
}

#[test]
fn an_authored_id_that_a_control_task_makes_is_refused() {
    let cup = "{ tournament: { entrants: 4, each: { run: x }, judge: { run: x } } }";
    let map = "{ map: { over: list.outputs.p, max: 30, each: { run: x } } }";
    for (maker, taken, free) in [
        (LOOP, ["a-i1", "a-i9", "a-i12"], ["a-i0", "a-i13", "a-e1"]),
        (cup, ["a-e1", "a-e4", "a-j3"], ["a-e5", "a-j4", "a-m1"]),
        (map, ["a-m1", "a-m10", "a-m30"], ["a-m31", "a-m01", "b-m1"]),
    ] {
        for id in taken {
            assert!(collides(maker, id), "{id}");
        }
        for id in free {
            assert!(!collides(maker, id), "{id}");
        }
    }
    // Nothing is made by a task that a worker does.
    assert!(!collides("{ run: x }", "a-i1"));
    assert!(!collides(LOOP, "a-i1-x") && !collides(LOOP, "a-i") && !collides(LOOP, "a-i99999999999"));
}

#[test]
fn ids_of_what_children_make_are_taken_too() {
    let deep = format!("{{ map: {{ over: list.outputs.p, each: {LOOP} }} }}");
    assert!(collides(&deep, "a-m3-i12"));
    assert!(!collides(&deep, "a-m3-i13") && !collides(&deep, "a-i1") && !collides(&deep, "a-m101-i1"));
    let mixed = format!(
        "{{ tournament: {{ entrants: [ {LOOP}, {{ run: x }} ], each: {{}}, judge: {{ run: x }} }} }}"
    );
    assert!(collides(&mixed, "a-e1-i2"));
    assert!(!collides(&mixed, "a-e2-i2"));
}

#[test]
fn an_id_leaves_room_for_those_of_its_children() {
    let file = |length: usize| format!("version: 1\ntasks:\n  {}: {LOOP}\n", "x".repeat(length));
    good(&file(59));
    let errors = bad(&file(60));
    let problem = &errors.problems[0];
    assert!(problem.message.ends_with("makes would have ids of more than 63 characters"), "{problem}");
    assert_eq!(problem.help.as_deref(), Some("an id of at most 59 characters leaves room for `-i12`"));
}

#[test]
fn a_name_that_is_taken_and_a_cycle_are_told_together() {
    check(
        &format!("version: 1\ntasks:\n  a: {LOOP}\n  a-i2: {{ run: x, needs: [a-i2] }}\n"),
        &[
            "4:3 tasks.a-i2: `a` makes a task of this id itself: `a-i2`",
            "4:27 tasks.a-i2.needs[0]: the task `a-i2` needs itself",
        ],
    );
}

#[test]
fn what_will_be_made_is_told_with_its_ids() {
    let text = format!(
        "version: 1\ntasks:\n  list: {{ run: x }}\n  l: {LOOP}\n  \
         t: {{ tournament: {{ entrants: [ {{ run: a }}, {{ run: b }}, {{ run: b }} ], each: {{}}, judge: {{ run: x }} }} }}\n  \
         one: {{ loop: {{ max: 1, until: {{ exit: 0 }}, each: {{ run: x }} }} }}\n"
    );
    let tasks = good(&text).workflow.tasks;
    let told = |index: usize| {
        let told = |it: &Made<'_>| (it.role, it.count, it.ids(&tasks[index].id), it.any(&tasks[index].id));
        made(&tasks[index]).iter().map(told).collect::<Vec<_>>()
    };
    let of = |role, count, first: &str, last: &str, any: &str| {
        (role, count, (first.to_owned(), last.to_owned()), any.to_owned())
    };
    assert_eq!(told(0), []);
    assert_eq!(told(1), [of("iteration", 12, "l-i1", "l-i12", "l-i<k>")]);
    let entrants = [
        of("entrant", 1, "t-e1", "t-e1", "t-e1"),
        of("entrant", 2, "t-e2", "t-e3", "t-e<k>"),
        of("judge", 2, "t-j1", "t-j2", "t-j<k>"),
    ];
    assert_eq!(told(2), entrants);
    assert_eq!(told(3), [of("iteration", 1, "one-i1", "one-i1", "one-i1")]);
}
