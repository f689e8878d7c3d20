//! Rule by rule: what loads becomes what it says, what doesn't is named at its place.

use std::time::Duration;

use super::super::{
    Evidence, Failures, Item, LogSource, Need, OnLost, Order, SessionKind, TaskBase, TaskKind, When,
    WorkspaceKind, load, render,
};
use super::{bad, check, good, good_task, said};

#[test]
fn the_smallest_file_gets_every_default() {
    let workflow = good_task("run: printf a");
    assert_eq!(workflow.name, "test");
    assert_eq!(workflow.base, None);
    assert_eq!(workflow.session, None);
    assert_eq!(workflow.heartbeat, super::super::Heartbeat::default());
    assert_eq!(workflow.limits, super::super::Limits::default());
    let task = &workflow.tasks[0];
    assert_eq!(task.kind, TaskKind::Run("printf a".to_owned()));
    assert_eq!((task.retries, task.retain, task.when), (0, true, When::Completed));
    assert_eq!(task.timeout, Duration::from_secs(30 * 60));
    assert_eq!(task.workspace, WorkspaceKind::Worktree);
    assert_eq!(task.evidence, Evidence::Items(vec![Item::Exit(0)]));
    assert!(task.needs.is_empty() && task.env.is_empty() && task.base.is_none());
}

#[test]
fn tasks_keep_the_order_of_the_file() {
    let loaded = good("version: 1\ntasks:\n  z: { run: x }\n  a: { run: x }\n  m: { run: x }\n");
    let ids: Vec<&str> = loaded.workflow.tasks.iter().map(|task| task.id.as_str()).collect();
    assert_eq!(ids, ["z", "a", "m"]);
}

#[test]
fn defaults_are_merged_into_tasks_and_tasks_win() {
    let workflow = good(concat!(
        "version: 1\n",
        "defaults: { session: subprocess, workspace: none, timeout: 5m, retries: 2, env: { A: '1', B: '2' } }\n",
        "tasks:\n  a: { run: x }\n",
        "  b: { run: x, workspace: worktree, timeout: 1s, retries: 0, env: { B: ~, C: '3' } }\n",
    ))
    .workflow;
    assert_eq!(workflow.session, Some(SessionKind::Subprocess));
    let [a, b] = workflow.tasks.as_slice() else { panic!("two tasks") };
    assert_eq!((a.workspace, a.timeout, a.retries), (WorkspaceKind::None, Duration::from_secs(300), 2));
    assert_eq!((b.workspace, b.timeout, b.retries), (WorkspaceKind::Worktree, Duration::from_secs(1), 0));
    let env = |task: &super::super::Task| serde_json::to_string(&task.env).expect("json");
    assert_eq!(env(a), r#"{"A":"1","B":"2"}"#);
    assert_eq!(env(b), r#"{"A":"1","B":null,"C":"3"}"#);
}

#[test]
fn scalars_keep_their_text_exactly() {
    let workflow =
        good_task("run: true, env: { A: no, B: 1.0, C: 0x1F, D: 2026-11-21, E: null, F: 'null', G: '' }");
    assert_eq!(workflow.tasks[0].kind, TaskKind::Run("true".to_owned()));
    let values: Vec<Option<&str>> = workflow.tasks[0].env.values().map(Option::as_deref).collect();
    let expected = [Some("no"), Some("1.0"), Some("0x1F"), Some("2026-11-21"), None, Some("null"), Some("")];
    assert_eq!(values, expected);
}

#[test]
fn every_kind_of_task_is_read() {
    let argv = vec!["a".to_owned(), "1".to_owned(), String::new()];
    assert_eq!(good_task("argv: [a, 1, '']").tasks[0].kind, TaskKind::Argv(argv.clone()));
    assert_eq!(good_task("worker: [a, 1, '']").tasks[0].kind, TaskKind::Worker(argv));
    assert_eq!(good_task("worker: [a]").tasks[0].evidence, Evidence::Items(vec![Item::Exit(0)]));
    let text = concat!(
        "version: 1\nagents: { m: { adapter: command, argv: [./x, y] } }\n",
        "tasks: { a: { agent: m, prompt: do it, evidence: waived, reason: a draft } }\n"
    );
    let workflow = good(text).workflow;
    assert_eq!(workflow.agents["m"].argv, ["./x", "y"]);
    let kind = TaskKind::Agent { agent: "m".to_owned(), prompt: "do it".to_owned(), model: None };
    assert_eq!(workflow.tasks[0].kind, kind);
    assert_eq!(workflow.tasks[0].evidence, Evidence::Waived("a draft".to_owned()));
}

#[test]
fn every_evidence_item_is_read() {
    let items = "[ { exit: 3 }, { command: x, match: 'a+', timeout: 5s }, { command: y }, { artifact: a/b }, \
                 { diff: { paths: [src/**], max_lines: 4, clean: true, allow_none: true } }, { diff: {} }, \
                 { log: { pattern: ok } }, { log: { pattern: ok, source: worker } }, \
                 { log: { pattern: 'a|b', source: ./worker } }, \
                 { review: r }, { approval: { message: Ship it? } } ]";
    let text = format!("version: 1\ntasks: {{ a: {{ run: x, evidence: {items} }}, r: {{ run: x }} }}\n");
    let workflow = good(&text).workflow;
    let command = |command: &str, matches: Option<&str>, seconds| Item::Command {
        command: command.to_owned(),
        matches: matches.map(str::to_owned),
        timeout: Duration::from_secs(seconds),
    };
    let log = |pattern: &str, source| Item::Log { pattern: pattern.to_owned(), source };
    let expected = vec![
        Item::Exit(3),
        command("x", Some("a+"), 5),
        command("y", None, 600),
        Item::Artifact { path: "a/b".to_owned() },
        Item::Diff { paths: vec!["src/**".to_owned()], max_lines: Some(4), clean: true, allow_none: true },
        Item::Diff { paths: Vec::new(), max_lines: None, clean: false, allow_none: false },
        log("ok", LogSource::Worker),
        log("ok", LogSource::Worker),
        // A file of that name is named by a path.
        log("a|b", LogSource::File("./worker".to_owned())),
        Item::Review { task: "r".to_owned() },
        Item::Approval { message: "Ship it?".to_owned() },
    ];
    assert_eq!(workflow.tasks[0].reviewers().collect::<Vec<_>>(), ["r"]);
    assert_eq!(workflow.tasks[0].evidence, Evidence::Items(expected));
}

#[test]
fn declared_evidence_gets_no_exit_item_added() {
    let workflow = good_task("run: x, evidence: [ { artifact: a } ]");
    assert_eq!(workflow.tasks[0].evidence.items().len(), 1);
}

#[test]
fn needs_and_their_policies_are_read() {
    let text = concat!(
        "version: 1\ntasks:\n  a: { run: x }\n  b: { run: x }\n",
        "  c: { run: x, needs: [a, { task: b, when: terminal }], when: partial, base: { task: a } }\n",
        "  d: { run: x, base: main }\n"
    );
    let tasks = good(text).workflow.tasks;
    let need = |task: &str, when| Need { task: task.to_owned(), when };
    assert_eq!(tasks[2].needs, [need("a", None), need("b", Some(When::Terminal))]);
    assert_eq!(tasks[2].when, When::Partial);
    assert_eq!(tasks[2].base, Some(TaskBase::Task("a".to_owned())));
    assert_eq!(tasks[3].base, Some(TaskBase::Commit("main".to_owned())));
    for (word, when) in
        [("completed", When::Completed), ("optional", When::Optional), ("failed", When::Failed)]
    {
        let text =
            format!("version: 1\ntasks: {{ a: {{ run: x }}, b: {{ run: x, needs: [a], when: {word} }} }}\n");
        assert_eq!(good(&text).workflow.tasks[1].when, when);
    }
}

#[test]
fn heartbeat_and_limits_are_read() {
    let loaded = good(concat!(
        "version: 1\nname: n\nbase: main\n",
        "heartbeat: { every: 1s, unhealthy_after: 2s, lost_after: 2s, stalled_after: 1m, on_lost: fail }\n",
        "limits: { workers: 3, tasks: 1, attempts: 5, free_disk: 1KiB, ready: 1s, start: 2s, grace: 3s }\n",
        "tasks: { a: { run: x } }\n"
    ));
    assert_eq!(loaded.warnings, []);
    let (beat, limits) = (&loaded.workflow.heartbeat, &loaded.workflow.limits);
    assert_eq!((beat.every, beat.on_lost), (Duration::from_secs(1), OnLost::Fail));
    assert_eq!((beat.unhealthy_after, beat.lost_after), (Duration::from_secs(2), Duration::from_secs(2)));
    assert_eq!(beat.stalled_after, Duration::from_secs(60));
    assert_eq!((limits.workers, limits.tasks, limits.attempts), (Some(3), Some(1), Some(5)));
    assert_eq!(limits.free_disk, Some(1024));
    assert_eq!(limits.ready + limits.start + limits.grace, Duration::from_secs(6));
    assert_eq!((loaded.workflow.name.as_str(), loaded.workflow.base.as_deref()), ("n", Some("main")));
}

#[test]
fn a_default_that_no_longer_fits_is_named_at_the_key_that_was_written() {
    check(
        "version: 1\nheartbeat: { every: 6s }\ntasks: { a: { run: x } }\n",
        &["2:14 heartbeat: `unhealthy_after` (10s) must be at least twice `every` (6s)"],
    );
    check(
        "version: 1\nheartbeat: { unhealthy_after: 2m }\ntasks: { a: { run: x } }\n",
        &["2:14 heartbeat: `lost_after` (60s) must be at least `unhealthy_after` (120s)"],
    );
}

#[test]
fn every_bound_of_a_run_is_read_without_a_warning() {
    let text = concat!(
        "version: 1\norder: fifo\nlimits: { depth: 1, wall: 1h, tokens: 5, usd: 0.5, ",
        "failures: { max: 3, within: 10m } }\ntasks: { a: { run: x } }\n"
    );
    let loaded = good(text);
    assert_eq!(loaded.warnings, []);
    let limits = loaded.workflow.limits;
    assert_eq!((limits.depth, limits.tokens, limits.usd), (Some(1), Some(5), Some(0.5)));
    assert_eq!(limits.wall, Some(Duration::from_secs(3600)));
    assert_eq!(limits.failures, Some(Failures { max: 3, within: Duration::from_secs(600) }));
    assert_eq!(loaded.workflow.order, Order::Fifo);
    let plain = good("version: 1\ntasks: { a: { run: x } }\n").workflow;
    assert_eq!((plain.order, plain.limits.failures), (Order::Critical, None));
}

#[test]
fn a_default_ceiling_holds_for_what_may_spend_and_channel_by_channel() {
    let loaded = good(concat!(
        "version: 1\ndefaults: { budget: { tokens: 100, usd: 2 } }\n",
        "agents: { g: { adapter: command, argv: [./g] } }\ntasks:\n",
        "  plain: { run: x }\n  own: { run: x, budget: { tokens: 7 } }\n  speaks: { worker: [w] }\n",
        "  asks: { agent: g, prompt: p, budget: { tokens: 9 }, evidence: [ { exit: 0 } ] }\n"
    ));
    let found: Vec<_> =
        loaded.workflow.tasks.iter().map(|task| (task.budget.tokens, task.budget.usd)).collect();
    assert_eq!(found, [(None, None), (Some(7), None), (Some(100), Some(2.0)), (Some(9), Some(2.0))]);
}

#[test]
fn a_ceiling_above_the_whole_runs_is_refused_because_nothing_could_start() {
    check(
        "version: 1\nlimits: { tokens: 10, usd: 1 }\ntasks: { a: { worker: [w], budget: { tokens: 11, usd: 1 } } }\n",
        &[
            "3:46 tasks.a.budget.tokens: more than `limits.tokens` has for the whole run: it could never start",
        ],
    );
}

#[test]
fn what_bounds_nothing_is_refused_where_it_stands() {
    check(
        "version: 1\norder: random\nlimits: { failures: { max: -1 } }\ntasks: { a: { run: x, budget: { tokens: 0 } } }\n",
        &[
            "2:8 order: found `random`: `critical` or `fifo` is allowed here",
            "3:21 limits.failures: the key `within` is missing",
            "3:28 limits.failures.max: found `-1`: a whole number from 0 to 1000000 is allowed here",
            "4:41 tasks.a.budget.tokens: found `0`: a whole number from 1 to 1000000000000 is allowed here",
        ],
    );
}

#[test]
fn a_policy_without_needs_is_a_warning() {
    let loaded = good("version: 1\ntasks: { a: { run: x, when: failed } }\n");
    assert_eq!(loaded.warnings.len(), 1);
    assert_eq!(loaded.warnings[0].path, "tasks.a.when");
}

#[test]
fn all_problems_are_reported_at_once_in_the_order_of_the_lines() {
    check(
        "version: 2\nnmae: x\ntasks:\n  A: { run: x }\n  b: { neds: [], run: x, retries: -1 }\n  c: { run: x, needs: [d] }\n",
        &[
            "1:10 version: found `2`: this ilchul reads version 1",
            "2:1 nmae: unknown key `nmae`",
            "4:3 tasks.A: `A`: an id is made of a-z, 0-9, `-` and `_`, and begins with a letter or digit",
            "5:8 tasks.b.neds: unknown key `neds`",
            "5:35 tasks.b.retries: found `-1`: a whole number from 0 to 100 is allowed here",
            "6:24 tasks.c.needs[0]: no task `d`",
        ],
    );
}

#[test]
fn a_slip_in_the_name_of_a_kind_is_one_problem_and_not_two() {
    check("version: 1\ntasks: { a: { rnu: x } }\n", &["2:15 tasks.a.rnu: unknown key `rnu`"]);
    check("version: 1\ntasks: { a: { lop: {} } }\n", &["2:15 tasks.a.lop: unknown key `lop`"]);
    // An unrelated unknown key hides nothing.
    assert_eq!(said(&bad("version: 1\ntasks: { a: { neds: [] } }\n")).len(), 2);
}

#[test]
fn columns_count_characters_and_spans_count_bytes() {
    let text = "version: 1\ntasks: { a: { run: äöü, nope: 1 } }\n";
    let errors = bad(text);
    let problem = &errors.problems[0];
    assert_eq!((problem.line, problem.column), (2, 25));
    assert_eq!(&text[problem.span.0..problem.span.0 + problem.span.1], "nope");
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_move_no_position() {
    let text = "\u{feff}version: 1\r\ntasks:\r\n  a: { run: x, nope: 1 }\r\n";
    let errors = bad(text);
    let problem = &errors.problems[0];
    assert_eq!((problem.line, problem.column), (3, 16));
    assert_eq!(&text[problem.span.0..problem.span.0 + problem.span.1], "nope");
    let drawn = render(&errors, false, 80);
    assert!(!drawn.contains('\r') && !drawn.contains('\u{feff}'), "{drawn}");
    check("\u{feff}nope: 1\nversion: 1\ntasks: { a: { run: x } }\n", &["1:1 nope: unknown key `nope`"]);
}

#[test]
fn invalid_utf_8_is_named_with_its_offset() {
    let errors = load("x.yaml", b"\xef\xbb\xbfname: \xff").expect_err("refused");
    assert_eq!(said(&errors), ["1:7 : the byte 0xff at offset 9 isn't UTF-8"]);
    assert_eq!(errors.problems[0].span.0, 9);
}

#[test]
fn an_alias_stands_where_it_is_used() {
    let text = "version: 1\ntasks:\n  a: { run: &bad [x] }\n  b: { run: *bad }\n";
    check(
        text,
        &[
            "3:18 tasks.a.run: found a list: text is allowed here",
            "4:13 tasks.b.run: found a list: text is allowed here",
        ],
    );
}

#[test]
fn the_shortest_cycle_is_printed_as_a_path() {
    check(
        "version: 1\ntasks:\n  a: { run: x, needs: [b] }\n  b: { run: x, needs: [c, a] }\n  c: { run: x, needs: [a] }\n",
        &["3:24 tasks.a.needs[0]: tasks wait for each other: a -> b -> a"],
    );
    check(
        "version: 1\ntasks:\n  a: { run: x, needs: [c] }\n  b: { run: x, needs: [a] }\n  c: { run: x, needs: [b] }\n",
        &["3:24 tasks.a.needs[0]: tasks wait for each other: a -> c -> b -> a"],
    );
}

#[test]
fn a_base_may_be_any_task_that_must_have_ended() {
    let chain = "version: 1\ntasks:\n  a: { run: x }\n  b: { run: x, needs: [a] }\n";
    good(&format!("{chain}  c: {{ run: x, needs: [b], base: {{ task: a }} }}\n"));
    check(
        &format!("{chain}  c: {{ run: x, needs: [a], base: {{ task: b }} }}\n"),
        &["5:42 tasks.c.base.task: `c` starts from `b`, but doesn't need it"],
    );
}

#[test]
fn prompts_name_needs_only_and_ids_with_dashes_can_be_filled_in() {
    let file = |needs: &str, prompt: &str| {
        format!(
            "version: 1\nagents: {{ m: {{ adapter: command, argv: [x] }} }}\ntasks:\n  my-task: {{ run: x }}\n  \
             other: {{ run: x }}\n  9: {{ run: x }}\n  p: {{ needs: {needs}, agent: m, evidence: [exit: 0], \
             prompt: \"{prompt}\" }}\n"
        )
    };
    let prompt = |needs: &str, prompt: &str| match &good(&file(needs, prompt)).workflow.tasks[3].kind {
        TaskKind::Agent { prompt, .. } => prompt.clone(),
        other => panic!("{other:?}"),
    };
    let summary = "say {{ needs['other'].summary }}!";
    assert_eq!(prompt("[other]", "say {{ needs.other.summary }}!"), summary);
    assert_eq!(prompt("[other]", "say {{needs.other.summary}}!"), summary);
    assert_eq!(
        prompt("[my-task]", "{{- needs.my-task.outputs.a-b -}}"),
        "{{- needs['my-task'].outputs['a-b'] -}}"
    );
    assert_eq!(prompt("[9]", "{{ needs.9.summary }}"), "{{ needs['9'].summary }}");
    assert_eq!(prompt("[other]", "no braces: needs.my-task.x { } %}"), "no braces: needs.my-task.x { } %}");
    assert_eq!(prompt("[other]", "{{ '{{' }}"), "{{ '{{' }}");
    let words = |text: &str| bad(&file("[other]", text)).problems[0].message.clone();
    assert_eq!(words("{{ needs.9.summary }}"), "the prompt names the task `9`, which isn't among the needs");
    for text in [
        "{{ needs.other.status }}",
        "{{ needs.other }}",
        "{{ needs }}",
        "{{ env.HOME }}",
        "{{ needs.other.summary | upper }}",
        "{{ needs.other.summary",
        "{% if needs.other.summary %}",
        "{# note #}",
        "{{ '{{ ' }}",
        "{{}}",
        "{{",
    ] {
        assert!(words(text).ends_with(" can't be filled in"), "{text}: {}", words(text));
    }
    assert_eq!(bad(&file("[other]", "{{ a }} {{ b }} {{ needs.x.summary }}")).problems.len(), 3);
}

#[test]
fn a_validated_prompt_is_filled_in_as_it_was_meant() {
    let text = concat!(
        "version: 1\nagents: { m: { adapter: command, argv: [x] } }\ntasks:\n  my-task: { run: x }\n",
        "  p: { needs: [my-task], agent: m, evidence: [exit: 0], ",
        "prompt: \"{{ needs.my-task.summary }}, {{ needs.my-task.outputs.a-b }} and {{ '{{' }}\" }\n"
    );
    let workflow = good(text).workflow;
    let TaskKind::Agent { prompt, .. } = &workflow.tasks[1].kind else { panic!("an agent") };
    type Map = std::collections::BTreeMap<&'static str, minijinja::Value>;
    let map = |pairs: Vec<(&'static str, minijinja::Value)>| {
        minijinja::Value::from(pairs.into_iter().collect::<Map>())
    };
    let need = map(vec![("summary", "sum".into()), ("outputs", map(vec![("a-b", "out".into())]))]);
    let needs = map(vec![("needs", map(vec![("my-task", need)]))]);
    let filled = minijinja::Environment::empty().render_str(prompt, needs).expect("a text");
    assert_eq!(filled, "sum, out and {{");
}

#[test]
fn a_picture_shows_the_line_and_no_control_character() {
    let text = "version: 1\ntasks: { a: { run: x, \"no\\epe\u{202e}\": 1 } }  # \u{200b}\n";
    let drawn = render(&bad(text), false, 80);
    assert!(drawn.starts_with("test.yaml:2:23\n  × tasks.a.no␛pe�: unknown key `no␛pe�`\n"), "{drawn}");
    assert!(drawn.contains(" 2 │ tasks: { a: { run: x,"), "{drawn}");
    let hidden = |it: char| it.is_control() && it != '\n' || matches!(it, '\u{202e}' | '\u{200b}');
    assert!(!drawn.contains(hidden), "{drawn:?}");
    let coloured = render(&bad(text), true, 80);
    assert!(coloured.contains("\u{1b}["), "{coloured:?}");
}

#[test]
fn errors_complete_the_words_failed_to() {
    assert_eq!(bad("x: 1\n").to_string(), "use workflow `test.yaml`: 3 problems");
    assert_eq!(bad("").to_string(), "use workflow `test.yaml`: 1 problem");
}

#[test]
fn a_setup_is_read_with_its_time_and_a_file_without_one_has_none() {
    let setup = |body: &str| {
        good(&format!("version: 1\nsetup: {body}\ntasks: {{ a: {{ run: x }} }}\n")).workflow.setup.unwrap()
    };
    let whole = setup("{ include: [.env, 'certs/**'], run: [npm ci], timeout: 90s }");
    assert_eq!(
        (whole.include, whole.run),
        (vec![".env".to_owned(), "certs/**".to_owned()], vec!["npm ci".to_owned()])
    );
    assert_eq!(whole.timeout, Duration::from_secs(90));
    let short = setup("{ run: [make deps] }");
    assert_eq!((short.include.len(), short.timeout), (0, Duration::from_secs(300)));
    assert_eq!(good_task("run: x").setup, None);
}
