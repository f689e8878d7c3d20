//! Kinds of agents: every built-in one, every rule, and the user's own.

use serde_json::json;

use super::super::adapters::{built_in, built_in_names};
use super::super::{Access, Adapter, Settings, load_for, placeholders};
use super::{check, good};
use crate::protocol::{AgentMode, AgentReady};

fn adapter(name: &str) -> Adapter {
    match built_in(name) {
        Some(Ok(adapter)) => adapter,
        Some(Err(errors)) => panic!("{}", super::super::render(&errors, false, 100)),
        None => panic!("no {name}"),
    }
}

/// What is wrong with a user's own adapter, without the file's name.
fn wrong(text: &str) -> Vec<String> {
    match Settings::parse("c.yaml", text.as_bytes()) {
        Ok(_) => Vec::new(),
        Err(super::super::SettingsError::Wrong(errors)) => super::said(&errors),
        Err(error) => panic!("{error}"),
    }
}

/// A whole adapter, with some of its lines exchanged.
fn own(changes: &[(&str, &str)]) -> String {
    let mut text = "agents:\n  mine:\n    about: mine\n    detect: [mine, --version]\n    modes: { headless: { argv: [mine, '{prompt}'] } }\n    access: { worktree: [] }\n    ready: output\n    health: [output]\n".to_owned();
    for (old, new) in changes {
        assert!(text.contains(old), "{old}");
        text = text.replacen(old, new, 1);
    }
    text
}

fn refused(changes: &[(&str, &str)], expected: &str) {
    let found = wrong(&own(changes));
    assert!(found.iter().any(|one| one.contains(expected)), "{expected} in {found:?}");
}

#[test]
fn every_built_in_adapter_is_whole_and_says_how_it_is_seen_ready_and_healthy() {
    let names: Vec<&str> = built_in_names().collect();
    assert_eq!(names, ["aider", "claude", "codex", "gemini", "goose", "mini-swe-agent", "opencode", "pi"]);
    for name in names {
        let adapter = adapter(name);
        assert_eq!(adapter.name, name);
        assert!(!adapter.health.is_empty() && !adapter.oneshot.is_empty(), "{name}");
        assert!(!adapter.install.is_empty() && !adapter.login.is_empty(), "{name}");
        assert!(!adapter.limits.phrases.is_empty(), "{name}");
        assert!(adapter.access.contains_key(&Access::Worktree), "{name}");
        // Whoever stays after its turn must say that the turn is over.
        for launch in [Some(&adapter.headless), adapter.terminal.as_ref()].into_iter().flatten() {
            let ends_by_turn = launch.end == crate::protocol::AgentEnd::Turn;
            assert!(!ends_by_turn || !adapter.signals.turn_end.is_empty(), "{name}");
        }
    }
}

#[test]
fn a_built_in_adapter_writes_nothing_outside_of_its_own_folder() {
    for name in built_in_names() {
        let adapter = adapter(name);
        for text in
            adapter.env.values().chain(&adapter.inject).chain(adapter.result.iter().map(|it| &it.file))
        {
            assert!(!text.contains("{repo}/") && !text.contains("{tree}/"), "{name}: {text}");
        }
        for file in adapter.files.keys() {
            assert!(!file.contains('/'), "{name}: {file}");
        }
    }
}

#[test]
fn an_adapter_is_read_back_as_it_was_frozen() {
    for name in built_in_names() {
        let adapter = adapter(name);
        let kept = serde_json::to_string(&adapter).unwrap();
        assert_eq!(serde_json::from_str::<Adapter>(&kept).unwrap(), adapter, "{name}");
    }
}

#[test]
fn an_adapter_of_ones_own_is_read_and_named_by_a_workflow() {
    let settings = Settings::parse("c.yaml", own(&[]).as_bytes()).unwrap();
    assert_eq!(settings.agents.own["mine"].ready, AgentReady::Output);
    let text = b"version: 1\nagents: { a: { adapter: mine } }\ntasks: { t: { agent: a, prompt: p, evidence: [{ exit: 0 }] } }\n";
    let workflow = load_for(&settings, "w.yaml", text).unwrap().workflow;
    assert_eq!(workflow.agents["a"].adapter_name(), "mine");
    assert!(super::super::load("w.yaml", text).is_err());
}

#[test]
fn a_built_in_adapter_is_overridden_key_by_key_and_another_can_be_like_it() {
    let text = "agents:\n  codex: { verified: ['9.9'] }\n  qwen: { like: gemini, about: Qwen, detect: [qwen, --version] }\n";
    let settings = Settings::parse("c.yaml", text.as_bytes()).unwrap();
    let (codex, before) = (settings.agents.get("codex").unwrap(), adapter("codex"));
    assert_eq!(codex.verified, ["9.9"]);
    assert_eq!(codex, Adapter { verified: codex.verified.clone(), ..before });
    let qwen = settings.agents.get("qwen").unwrap();
    assert_eq!((qwen.name.as_str(), qwen.signals), ("qwen", adapter("gemini").signals));
    assert_eq!(wrong("agents:\n  x: { like: gemin }\n").len(), 1);
}

#[test]
fn an_adapter_without_a_readiness_path_is_refused_by_name() {
    refused(&[("    ready: output\n", "")], "it has no readiness path: nothing says when it runs");
    refused(&[("ready: output", "ready: event")], "`event` needs `signals.ready`");
}

#[test]
fn an_adapter_without_a_health_path_is_refused_by_name() {
    refused(&[("    health: [output]\n", "")], "it has no health path: nothing shows that it gets further");
    refused(&[("[output]", "[]")], "it has no health path: the list is empty");
    refused(&[("[output]", "[events]")], "it has no health path: `events` needs `signals.progress`");
    refused(&[("[output]", "[stream]")], "it has no health path: `stream` needs `stream`");
    refused(&[("[output]", "[result]")], "it has no health path: `result` needs `result`");
    let hooks = "[events]\n    signals: { progress: [x] }";
    refused(&[("[output]", hooks)], "`events` needs `inject` or `files`, which install its hooks");
    let stream = "[stream]\n    signals: { progress: [x] }\n    stream: { name: [type] }";
    let terminal = "'{prompt}'] }, terminal: { argv: [mine, '{prompt}'] } }";
    refused(&[("[output]", stream), ("'{prompt}'] } }", terminal)], "it has no health path on a terminal");
}

#[test]
fn what_an_adapter_lacks_or_misspells_is_named() {
    for key in ["about", "detect", "modes", "access"] {
        let line =
            own(&[]).lines().find(|line| line.trim_start().starts_with(key)).map(|it| format!("{it}\n"));
        refused(&[(&line.unwrap(), "")], &format!("the key `{key}` is missing"));
    }
    refused(&[("about: mine", "abuot: mine")], "unknown key `abuot`");
    refused(&[("'{prompt}'", "'{promt}'")], "unknown placeholder {promt}");
    refused(&[("'{prompt}'", "'x{args}'")], "{args} stands for several arguments");
    refused(&[("'{prompt}'", "'{hook}'")], "{hook} needs the name of an event");
    refused(&[("'{prompt}'", "'{session}'")], "the first turn has no {session} yet");
    refused(&[("'{prompt}']", "'{prompt}'], resume: [mine]")], "{session} isn't in it");
    refused(&[("'{prompt}']", "'{prompt}'], end: turn")], "`turn` needs `signals.turn_end`");
    refused(&[("worktree: []", "full: []")], "the level `worktree` is missing");
    refused(
        &[("ready: output", "ready: output\n    confines: [read-only]")],
        "`read-only` isn't a level of `access`",
    );
    refused(&[("ready: output", "ready: output\n    model: [-m]")], "{model} isn't in it");
    refused(&[("ready: output", "ready: output\n    env: { set: { PATH: x } }")], "PATH can't be set");
    refused(&[("ready: output", "ready: output\n    env: { pass: [ILCHUL_MAIL] }")], "begin with ILCHUL_");
    refused(&[("ready: output", "ready: output\n    env: { set: { A: null } }")], "`A` has no value");
    for name in ["a/b", "..", ".x", "events.jsonl", "stream.jsonl", "''"] {
        refused(&[("ready: output", &format!("ready: output\n    files: {{ {name}: x }}"))], "");
    }
    refused(
        &[("ready: output", "ready: output\n    limits: { phrases: [Rate] }")],
        "`Rate` isn't in lower case",
    );
    refused(
        &[("ready: output", "ready: output\n    stream: { name: [a], session: [id] }")],
        "`id` is no pick",
    );
    assert!(wrong("agents: { command: { about: x } }\n")[0].contains("`command` is any program"));
}

#[test]
fn a_workflow_says_which_agent_with_which_model_and_what_it_may_do() {
    let text = "version: 1\nagents:\n  fixer: { adapter: codex, model: big, args: [--x, '{y}'], access: read-only, mode: terminal, env: { A: null } }\n\
                tasks:\n  t: { agent: fixer, model: small, prompt: p, evidence: [{ exit: 0 }] }\n";
    let workflow = good(text).workflow;
    let fixer = &workflow.agents["fixer"];
    assert_eq!(
        (fixer.model.as_deref(), fixer.mode, fixer.access),
        (Some("big"), AgentMode::Terminal, Access::ReadOnly)
    );
    assert_eq!(json!(workflow.tasks[0].kind)["agent"]["model"], json!("small"));
    let back: super::super::Workflow = serde_json::from_value(json!(workflow)).unwrap();
    assert_eq!(back.agents["fixer"].args, ["--x", "{y}"]);
}

#[test]
fn what_an_adapter_cannot_be_told_is_refused_with_its_line() {
    check(
        "version: 1\nagents:\n  a: { adapter: codx }\n  b: { adapter: aider, mode: terminal }\n  c: { adapter: pi, access: read-only }\n  d: { adapter: codex, argv: [x] }\n  e: { adapter: command, argv: [x], model: y }\n  f: { adapter: command }\ntasks: { t: { run: x } }\n",
        &[
            "3:17 agents.a.adapter: no adapter `codx`",
            "4:30 agents.b.mode: `aider` has no terminal mode",
            "5:29 agents.c.access: `pi` can't be told `read-only`",
            "6:24 agents.d.argv: `argv` belongs to `adapter: command`: `codex` has its own command line",
            "7:37 agents.e.model: `model` means nothing to `adapter: command`",
            "8:6 agents.f: the key `argv` is missing",
        ],
    );
    check(
        "version: 1\nagents: { m: { adapter: command, argv: [x] } }\ntasks:\n  a: { agent: m, model: y, prompt: p, evidence: [{ exit: 0 }] }\n  b: { run: x, model: y }\n",
        &[
            "4:25 tasks.a.model: `command` can't be told its model by arguments",
            "5:16 tasks.b.model: a model only goes with `agent`",
        ],
    );
}

#[test]
fn entrants_of_a_tournament_may_differ_in_their_model() {
    let text = "version: 1\nagents: { c: { adapter: claude }, j: { adapter: command, argv: [x] } }\ntasks:\n  t:\n    tournament:\n      entrants: [{ model: opus }, { model: sonnet }, { agent: c }]\n      each: { agent: c, model: haiku, prompt: p, evidence: [{ exit: 0 }] }\n      judge: { agent: j, prompt: q }\n";
    let workflow = good(text).workflow;
    let super::super::TaskKind::Tournament(cup) = &workflow.tasks[0].kind else { panic!("{workflow:?}") };
    let models: Vec<_> = cup.entrants.iter().map(|one| json!(one.kind)["agent"]["model"].clone()).collect();
    assert_eq!(models, [json!("opus"), json!("sonnet"), json!(null)]);
}

#[test]
fn hooks_of_built_in_adapters_call_nothing_but_ilchul() {
    for name in built_in_names() {
        let adapter = adapter(name);
        let texts = adapter.inject.iter().chain(&adapter.headless.argv);
        for text in texts.filter(|text| text.contains("command=")) {
            assert!(
                placeholders::has(text, "hook")
                    || placeholders::has(text, "guard")
                    || placeholders::has(text, "ilchul"),
                "{text}"
            );
        }
    }
}
