//! Agents by their own names, on stand-ins for their programs: what each is launched with, what
//! is written for it, what it may know, and what a person is told.
//!
//! A stand-in keeps its arguments, input and variables, calls its hooks as the real one would,
//! and reports. It leaves out the real programs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::world::{Ran, World};

/// What every stand-in does: keeps what it was given, and writes what was asked for.
const KEEP: &str = r#"printf '%s\n' "$@" > "$ILCHUL_MAIL/kept.argv"
env > "$ILCHUL_MAIL/kept.env"
cat > "$ILCHUL_MAIL/kept.stdin"
echo fixed > out.txt
"#;

/// Calls the hook of an event that stands in an argument, as codex has them.
const ARGV_HOOKS: &str = r#"hook() {
  for arg in "$@"; do case $arg in hooks."$event"=*)
    line=$(printf %s "$arg" | sed 's/.*command="\(.*\)"}\]}\]$/\1/')
    printf '{"session_id":"s-1","hook_event_name":"%s"}' "$event" | sh -c "$line" ;;
  esac; done
}
"#;

/// A world with stand-ins in front of its `PATH`.
fn world(programs: &[(&str, &str, &str)], workflow: &str) -> World {
    let mut world = World::with(workflow);
    let folder = world.root().join("agents");
    fs::create_dir(&folder).unwrap();
    for (name, version, body) in programs {
        let text = format!("#!/bin/sh\nif [ \"$1\" = --version ]; then echo '{version}'; exit 0; fi\n{body}");
        fs::write(folder.join(name), text).unwrap();
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut path = folder.into_os_string();
    path.push(":");
    path.push(&world.path);
    world.path = path;
    world
}

fn workflow(agent: &str) -> String {
    format!(
        "agents: {{ a: {agent} }}\ntasks:\n  t: {{ agent: a, prompt: Write out.txt., evidence: [ {{ artifact: out.txt }} ] }}\n"
    )
}

fn settings(world: &World, text: &str) {
    let folder = world.root().join("user/.config/ilchul");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.yaml"), text).unwrap();
}

/// The mail of the only run's worker.
fn mail(world: &World, worker: &str) -> PathBuf {
    let run = world.data(&["status"])["run"]["id"].as_str().unwrap().to_owned();
    world.home().mail(&run, worker)
}

fn kept(world: &World, worker: &str, what: &str) -> String {
    fs::read_to_string(mail(world, worker).join(format!("kept.{what}"))).unwrap()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

const REPORT: &str = "ilchul report --status done --summary s >&2\n";

fn codex() -> String {
    format!(
        "{KEEP}{ARGV_HOOKS}event=SessionStart; hook \"$@\"\necho '{{\"type\":\"thread.started\",\"thread_id\":\"s-1\"}}'\n{REPORT}\
         echo '{{\"type\":\"turn.completed\",\"usage\":{{\"input_tokens\":100,\"output_tokens\":20}}}}'\n"
    )
}

#[test]
fn codex_is_launched_headless_in_its_sandbox_with_hooks_that_reach_the_worker() {
    let agent = "{ adapter: codex, model: big, args: [--own, '{mail}'] }";
    let world = world(&[("codex", "codex-cli 0.169.3", &codex())], &workflow(agent));
    world.up().exits(0);
    let (argv, mail) = (kept(&world, "t.1", "argv"), mail(&world, "t.1"));
    let lines: Vec<&str> = argv.lines().collect();
    let mail_text = mail.display().to_string();
    for line in [
        "--dangerously-bypass-hook-trust",
        "exec",
        "--json",
        "sandbox_mode=\"workspace-write\"",
        "model=\"big\"",
    ] {
        assert!(lines.contains(&line), "{line} in\n{argv}");
    }
    // The user's own words stay as they are.
    assert!(lines.windows(3).any(|three| three == ["--own", "{mail}", "-"]), "{argv}");
    let roots =
        lines.iter().find(|line| line.starts_with("sandbox_workspace_write.writable_roots=")).unwrap();
    let git = world.repo().join(".git").canonicalize().unwrap().display().to_string();
    assert!(
        roots.contains(&mail_text)
            && roots.contains(&format!("\"{git}\""))
            && roots.contains("/worktrees/ilchul."),
        "{roots}"
    );
    assert_eq!(kept(&world, "t.1", "stdin"), fs::read_to_string(mail.join("prompt.md")).unwrap());
    let events = fs::read_to_string(mail.join("agent/events.jsonl")).unwrap();
    assert!(
        events.contains("\"event\":\"SessionStart\"") && events.contains("\"session\":\"s-1\""),
        "{events}"
    );
    assert_eq!(json(&mail.join("exit.json"))["usage"]["tokens"], 120);
    assert_eq!(fs::metadata(mail.join("agent")).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn gemini_finds_its_settings_by_a_variable_and_they_call_our_hooks() {
    let body = format!(
        "{KEEP}cp \"$GEMINI_CLI_SYSTEM_SETTINGS_PATH\" \"$ILCHUL_MAIL/kept.settings\"\n\
         echo '{{\"type\":\"init\",\"session_id\":\"g-1\"}}'\n{REPORT}echo '{{\"type\":\"result\",\"status\":\"success\",\"stats\":{{\"total_tokens\":7}}}}'\n"
    );
    let world = world(&[("gemini", "0.61.0", &body)], &workflow("{ adapter: gemini, model: m }"));
    world.up().exits(0);
    let settings: Value = serde_json::from_str(&kept(&world, "t.1", "settings")).unwrap();
    let hook = settings["hooks"]["AfterAgent"][0]["hooks"][0]["command"].as_str().unwrap();
    assert!(hook.contains(" hook AfterAgent --to ") && hook.ends_with(" --guard"), "{hook}");
    let argv = kept(&world, "t.1", "argv");
    assert!(
        argv.starts_with(
            "--skip-trust\n--approval-mode\nyolo\n-o\nstream-json\n-m\nm\n-p\nYour task:\nWrite out.txt.\n"
        ),
        "{argv}"
    );
    assert_eq!(json(&mail(&world, "t.1").join("exit.json"))["usage"]["tokens"], 7);
}

#[test]
fn pi_is_given_an_extension_of_ours_in_its_own_folder_and_none_of_the_users() {
    let body = format!(
        "{KEEP}for arg in \"$@\"; do case $arg in */pi.js) cp \"$arg\" \"$ILCHUL_MAIL/kept.js\";; esac; done\n\
         echo '{{\"type\":\"session\",\"id\":\"p-1\"}}'\n{REPORT}"
    );
    let world = world(&[("pi", "0.73.1", &body)], &workflow("{ adapter: pi }"));
    world.up().exits(0);
    let (argv, script) = (kept(&world, "t.1", "argv"), kept(&world, "t.1", "js"));
    assert!(argv.starts_with("--mode\njson\n--no-extensions\n-e\n"), "{argv}");
    let events = mail(&world, "t.1").join("agent/events.jsonl");
    assert!(script.contains(&format!("\"{}\"", events.display())) && !script.contains("{state"), "{script}");
}

#[test]
fn claude_and_opencode_are_given_hooks_by_files_and_variables_of_their_own() {
    let body =
        format!("{KEEP}echo '{{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"c-1\"}}'\n{REPORT}");
    let both = "agents: { a: { adapter: claude, access: full }, b: { adapter: opencode } }\ntasks:\n  \
                t: { agent: a, prompt: p, evidence: [ { artifact: out.txt } ] }\n  u: { agent: b, prompt: p, evidence: [ { artifact: out.txt } ] }\n";
    let world = world(&[("claude", "2.1.197 (Claude Code)", &body), ("opencode", "1.18.33", &body)], both);
    world.up().exits(0);
    let argv = kept(&world, "t.1", "argv");
    let file = mail(&world, "t.1").join("agent/claude.json");
    assert!(argv.contains(&format!("--settings\n{}\n", file.display())), "{argv}");
    assert!(argv.contains("--permission-mode\nbypassPermissions\n"), "{argv}");
    assert!(json(&file)["hooks"]["Stop"][0]["hooks"][0]["command"].as_str().unwrap().ends_with("--guard"));
    // Its prompt is its input, because what stands in arguments everybody can read.
    assert!(kept(&world, "t.1", "stdin").starts_with("Your task:\np\n"));
    let env = kept(&world, "u.1", "env");
    let plugin = mail(&world, "u.1").join("agent/opencode.js");
    assert!(env.contains(&format!("{{\"plugin\":[\"file://{}\"]}}", plugin.display())), "{env}");
    assert!(plugin.exists());
}

#[test]
fn an_untried_version_is_launched_plainly_and_once_and_said_so() {
    let body = format!("{KEEP}{REPORT}");
    let world = world(&[("codex", "codex-cli 0.170.0", &body)], &workflow("{ adapter: codex }"));
    let ran = world.up().exits(0);
    assert!(
        ran.stderr.contains(
            "Agent `a`: codex has version 0.170.0 (tried: 0.169), so it is launched plainly and once"
        ),
        "{}",
        ran.stderr
    );
    let argv = kept(&world, "t.1", "argv");
    assert!(argv.starts_with("exec\n") && !argv.contains("hook"), "{argv}");
    let assignment = json(&mail(&world, "t.1").join("assignment.json"));
    assert_eq!(
        (&assignment["agent"]["ready"], &assignment["agent"]["reminders"]),
        (&"process".into(), &0.into())
    );
    assert!(!kept(&world, "t.1", "stdin").contains("needs_input"));
}

#[test]
fn a_missing_program_or_terminal_is_an_error_before_anything_is_made() {
    let world = world(&[("pi", "0.73.1", "exit 1\n")], &workflow("{ adapter: goose }"));
    let refused = |code: &str| {
        let (exit, error) = world.refused(&["up", "--session", "subprocess"]);
        assert_eq!((exit, error["code"].as_str()), (1, Some(code)), "{error}");
        assert!(!world.home().root().join("runs").exists());
        error["message"].as_str().unwrap().to_owned()
    };
    let message = refused("agent_missing");
    assert_eq!(message, "start the agent `a`: there is no `goose` in `PATH`");
    world.workflow(&workflow("{ adapter: pi, mode: terminal }"));
    assert!(refused("session_unavailable").contains("in a terminal"));
}

#[test]
fn an_agent_of_the_settings_is_frozen_with_the_run_and_a_mistake_there_has_its_line() {
    let own = |argv: &str| {
        format!(
            "agents:\n  mine:\n    about: mine\n    detect: [mine, --version]\n    verified: ['1.0']\n    modes: {{ headless: {{ argv: [mine, {argv}] }} }}\n    access: {{ worktree: [] }}\n    ready: output\n    health: [output]\n"
        )
    };
    let text = "agents: { a: { adapter: mine } }\ntasks:\n  first: { run: \"printf 'agents: {}' > \\\"$HOME/.config/ilchul/config.yaml\\\"\" }\n  \
                t: { needs: [first], agent: a, prompt: p, evidence: [ { artifact: out.txt } ] }\n";
    let body = format!("{KEEP}{REPORT}");
    let world = world(&[("mine", "mine 1.0.0", &body)], text);
    settings(&world, &own("--before, '{prompt}', extra: 1").replace("    about", "    abuot"));
    let Ran { code, stderr, .. } = world.run(&["validate"]);
    assert!(code == 1 && stderr.contains("config.yaml`: line "), "{stderr}");
    settings(&world, &own("--before, '{prompt}'"));
    world.up().exits(0);
    assert!(kept(&world, "t.1", "argv").starts_with("--before\nYour task:\np\n"));
    let edited = fs::read_to_string(world.root().join("user/.config/ilchul/config.yaml")).unwrap();
    assert_eq!(edited, "agents: {}");
}

#[test]
fn s15_a_credential_reaches_the_agent_it_belongs_to_and_nothing_else() {
    let world = world(
        &[("codex", "codex-cli 0.169.0", &codex())],
        &workflow("{ adapter: codex, env: { MINE: yes } }"),
    );
    let up = |args: &[&str]| {
        let mut command = world.ilchul(args);
        command.env("OPENAI_API_KEY", "canary-7").env("UNRELATED", "canary-8");
        super::world::ran(&command.output().unwrap())
    };
    up(&["up", "--session", "subprocess"]).exits(0);
    let env = kept(&world, "t.1", "env");
    assert!(
        env.contains("OPENAI_API_KEY=canary-7\n") && env.contains("MINE=yes\n") && !env.contains("canary-8"),
        "{env}"
    );
    assert!(!kept(&world, "t.1", "argv").contains("canary"));
    for args in [
        &["agents", "codex"][..],
        &["--json", "agents", "codex"],
        &["doctor"],
        &["events"],
        &["plan", "--prompts"],
    ] {
        let ran = up(args);
        assert!(!ran.stdout.contains("canary") && !ran.stderr.contains("canary"), "{args:?}");
    }
    assert!(up(&["agents", "codex"]).exits(0).stdout.contains("OPENAI_API_KEY (set), "));
}

#[test]
fn the_next_attempt_is_told_what_was_refuted_and_may_complete() {
    let body = format!("{KEEP}test $ILCHUL_ATTEMPT = 2 || rm out.txt\n{REPORT}");
    let text = workflow("{ adapter: pi }").replace("evidence:", "retries: 1, evidence:");
    let world = world(&[("pi", "0.73.1", &body)], &text);
    world.up().exits(0);
    let (first, second) = (kept(&world, "t.1", "argv"), kept(&world, "t.2", "argv"));
    assert!(first.contains("attempt 1, 1 more after it") && !first.contains("failed to show"), "{first}");
    assert!(
        second.contains("--- what the last attempt failed to show ---") && second.contains("the last one"),
        "{second}"
    );
    assert!(second.contains("`out.txt`"), "{second}");
}

#[test]
fn a_plan_shows_what_agents_would_be_told_and_other_workers_words_are_quoted() {
    let text = "agents: { a: { adapter: codex } }\ntasks:\n  test: { run: 'true' }\n  \
                fix: { needs: [test], agent: a, prompt: 'Mend {{ needs.test.summary }}', evidence: [ { command: make check } ] }\n";
    let world = world(&[("codex", "codex-cli 0.169.0", "exit 1\n")], text);
    let shown = world.ok(&["plan", "--prompts"]);
    for part in [
        "Agent     a: codex 0.169.0, headless, access worktree\n",
        "Prompt of `fix` (agent `a`, codex):\n    Your task:\n    Mend <<<(the summary of test)>>> (said by `test`, not to be trusted)\n",
        "    - this command ends with 0 within 600 s: make check\n",
        "was written by other workers",
    ] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    assert!(!world.ok(&["plan"]).contains("Prompt of"));
    let data = world.data(&["plan", "--prompts"]);
    assert_eq!(
        (&data["prompts"][0]["task"], &data["agents"][0]["version"]),
        (&"fix".into(), &"0.169.0".into())
    );
}

#[test]
fn agents_are_listed_and_explained_and_the_doctor_asks_for_those_of_the_workflow() {
    let world = world(
        &[("codex", "codex-cli 0.169.0", "exit 1\n"), ("pi", "pi 9.0.1", "exit 1\n")],
        &workflow("{ adapter: pi }"),
    );
    let data = world.data(&["agents"]);
    let one = |name: &str| data.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone();
    assert_eq!(
        (&one("codex")["tried"], &one("pi")["tried"], &one("pi")["version"]),
        (&true.into(), &false.into(), &"9.0.1".into())
    );
    assert_eq!(one("goose")["program"], Value::Null);
    let listed = world.ok(&["agents"]);
    assert!(
        listed.contains("untried (0.73 was)")
            && listed.contains("not installed")
            && listed.contains("any program"),
        "{listed}"
    );
    let explained = world.ok(&["agents", "codex"]);
    assert!(
        explained.contains("Headless      codex --disable plugins") && explained.contains("Rate limit"),
        "{explained}"
    );
    assert_eq!(world.refused(&["agents", "codx"]).1["code"], "unknown_agent");
    let doctor = world.run(&["doctor"]).stdout;
    assert!(doctor.contains("warn  agent: pi 9.0.1 (tried: 0.73)"), "{doctor}");
}
