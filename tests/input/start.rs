//! `validate`, `plan`, `init` and `schema`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::world::World;

const GOOD: &str =
    "version: 1\nname: small\ntasks:\n  a: { run: 'true' }\n  b: { run: 'true', needs: [a] }\n";
const BAD: &str = "version: 1\ntasks:\n  a: { run: 'true', neds: [] }\n  b: { run: 'true', needs: [c] }\n";

fn with(text: &str) -> World {
    let world = World::repository();
    world.write("repo/ilchul.yaml", text);
    world
}

/// The bounds of a run whose file has none.
fn unbounded() -> Value {
    json!({"attempts": null, "depth": null, "failures": null, "free_disk": null, "grace": 10_000,
        "ready": 60_000, "start": 30_000, "tasks": null, "tokens": null, "usd": null, "wall": null,
        "workers": null})
}

#[test]
fn a_valid_file_is_told_in_one_line() {
    let world = with(GOOD);
    world.check(&["validate"], 0, "`ilchul.yaml`: 2 tasks, no problems.\n", "");
    let data = world.run(&["validate", "--json"]).data();
    let expected = json!({"name": "small", "tasks": 2, "warnings": [], "limits": unbounded(), "budgets": {}});
    assert_eq!(data, expected);
}

#[test]
fn the_file_at_the_root_is_found_from_any_folder_below_and_a_named_one_anywhere() {
    let world = with(GOOD);
    fs::create_dir_all(world.path("repo/a/b")).unwrap();
    let said = world.run_in("repo/a/b", &["validate"]);
    assert_eq!((said.code, said.out.as_str()), (0, "`../../ilchul.yaml`: 2 tasks, no problems.\n"));
    world.write("other.yaml", GOOD);
    world.check(&["validate", "../other.yaml"], 0, "`../other.yaml`: 2 tasks, no problems.\n", "");
}

#[test]
fn validate_needs_no_repository_and_touches_nothing() {
    let mut world = World::new();
    world.write("repo/ilchul.yaml", GOOD);
    // Nothing to execute either.
    world.set("PATH", world.path("empty"));
    let before = world.listing();
    world.check(&["validate"], 0, "`ilchul.yaml`: 2 tasks, no problems.\n", "");
    world.write("repo/ilchul.yaml", BAD);
    assert_eq!(world.run(&["validate"]).code, 1);
    assert_eq!(world.listing(), before);
}

#[test]
fn all_problems_are_drawn_at_once() {
    let err = "\
ilchul.yaml:3:21
  × tasks.a.neds: unknown key `neds`
   ╭────
 3 │   a: { run: 'true', neds: [] }
   ·                     ────
   ╰────
  help: did you mean `needs`?
ilchul.yaml:4:29
  × tasks.b.needs[0]: no task `c`
   ╭────
 4 │   b: { run: 'true', needs: [c] }
   ·                             ─
   ╰────
  help: add that task, or remove the need
error: failed to use workflow `ilchul.yaml`: 2 problems.
hint: Nothing was created or started.
";
    with(BAD).check(&["validate"], 1, "", err);
}

#[test]
fn problems_have_places_counted_from_1_for_scripts() {
    let said = with(BAD).run(&["validate", "--json"]);
    assert_eq!(said.code, 1);
    let error = said.error();
    assert_eq!(error["code"], "invalid_workflow");
    let first = &error["details"][0];
    assert_eq!(
        *first,
        json!({"file": "ilchul.yaml", "line": 3, "column": 21, "path": "tasks.a.neds",
            "message": "unknown key `neds`", "help": "did you mean `needs`?"})
    );
    assert_eq!(error["details"].as_array().unwrap().len(), 2);
    assert!(!said.err.contains('│'), "{}", said.err);
}

#[test]
fn every_invalid_fixture_is_refused_with_its_pictures() {
    let world = World::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/workflows/invalid");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        fs::copy(&path, world.path("repo").join(name)).unwrap();
        let said = world.run(&["validate", name]);
        let pictures = fs::read_to_string(path.with_extension("txt")).unwrap();
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{name}");
        assert!(said.err.starts_with(pictures.trim_end()), "{name}:\n{}\n{pictures}", said.err);
        count += 1;
    }
    assert!(count > 50, "{count}");
}

#[test]
fn a_warning_is_drawn_and_listed_and_refuses_nothing() {
    let world = with("version: 1\ntasks:\n  a: { run: 'true', when: failed }\n");
    let message = "`when` has no effect without `needs`";
    let expected = json!([{"file": "ilchul.yaml", "line": 3, "column": 21, "path": "tasks.a.when",
        "message": message, "help": null}]);
    assert_eq!(world.run(&["validate", "--json"]).data()["warnings"], expected);
    assert_eq!(world.run(&["plan", "--json"]).data()["warnings"], expected);
    let said = world.run(&["validate"]);
    assert_eq!((said.code, said.out.as_str()), (0, "`ilchul.yaml`: 1 task, no errors, 1 warning.\n"));
    assert!(
        said.err.starts_with(&format!("ilchul.yaml:3:21\n  ⚠ tasks.a.when: {message}\n")),
        "{}",
        said.err
    );
}

#[test]
fn a_file_that_is_not_there_is_named_with_what_to_do() {
    let err = "\
error: failed to find workflow `ilchul.yaml`.
hint: Run `ilchul init` to write one, or name another file.
";
    World::repository().check(&["validate"], 1, "", err);
    let said = World::repository().run(&["validate", "--json", "x.yaml"]);
    assert_eq!((said.code, &said.error()["code"]), (1, &json!("workflow_file")));
}

#[test]
fn a_fifo_is_refused_and_not_waited_for() {
    let world = World::new();
    nix::unistd::mkfifo(&world.path("repo/f"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let said = world.run(&["validate", "f"]);
    assert_eq!(said.code, 1);
    assert!(
        said.err.starts_with("error: failed to read workflow `f`: it is a FIFO, not a file."),
        "{}",
        said.err
    );
}

/// Everything that `init` can write.
const TEMPLATES: [&str; 7] =
    ["minimal", "agent", "fan-out", "generate-filter", "fix-until-green", "best-of-n", "review-panel"];

#[test]
fn init_then_validate_then_plan_succeed() {
    for template in TEMPLATES {
        let world = World::repository();
        let out = "Wrote `ilchul.yaml`.\nRun `ilchul plan` to see what it would do, then `ilchul up`.\n";
        world.check(&["init", "--template", template], 0, out, "");
        let said = world.run(&["validate"]);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{template}");
        assert_eq!(world.run(&["plan"]).code, 0, "{template}");
    }
}

#[test]
fn the_default_template_has_two_tasks_at_once_and_one_that_needs_both() {
    let world = World::repository();
    assert_eq!(world.run(&["init", "--json"]).data()["template"], "minimal");
    let tasks = world.run(&["plan", "--json"]).data()["tasks"].clone();
    let steps: Vec<_> = tasks.as_array().unwrap().iter().map(|task| task["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [1, 1, 2]);
    assert_eq!(tasks[2]["needs"].as_array().unwrap().len(), 2);
}

#[test]
fn what_init_writes_runs_green_in_any_repository() {
    for template in TEMPLATES {
        let world = World::new();
        world.git(&["init", "--quiet"]);
        world.git(&["commit", "--quiet", "--allow-empty", "--message=nothing yet"]);
        assert_eq!(world.run(&["init", "--template", template]).code, 0);
        let said = world.run(&["up", "--session", "subprocess"]);
        assert_eq!(said.code, 0, "{template}: {said:?}");
        let drawn = world.run(&["graph", "--json"]).data();
        assert!(drawn["run"].is_string(), "{template}: {drawn}");
        let states = drawn["nodes"].as_array().unwrap().iter().map(|node| node["state"].as_str().unwrap());
        let others: Vec<&str> = states.filter(|state| *state != "completed").collect();
        // The one thing that isn't done is what the panel didn't choose.
        assert_eq!(others, ["skipped"].repeat(usize::from(template == "review-panel")), "{template}");
    }
}

#[test]
fn init_replaces_nothing() {
    let world = with("mine");
    let err = "\
error: failed to write `ilchul.yaml`: it is there already.
hint: Nothing was changed. Run `ilchul validate` to check it, or move it away first.
";
    world.check(&["init"], 1, "", err);
    assert_eq!(world.read("repo/ilchul.yaml"), "mine");
    let dangling = World::repository();
    std::os::unix::fs::symlink("../out", dangling.path("repo/ilchul.yaml")).unwrap();
    assert_eq!(dangling.run(&["init"]).code, 1);
    assert!(!dangling.path("out").exists());
}

#[test]
fn init_writes_at_the_root_and_says_what_is_missing_outside_of_a_repository() {
    let world = World::repository();
    fs::create_dir(world.path("repo/sub")).unwrap();
    let said = world.run_in("repo/sub", &["init"]);
    assert!(said.out.starts_with("Wrote `../ilchul.yaml`.\n"), "{said:?}");
    assert!(world.path("repo/ilchul.yaml").exists());
    let out = "Wrote `ilchul.yaml`.\n\
        This is no git repository: run `git init` and make a commit, then `ilchul up`.\n";
    World::new().check(&["init"], 0, out, "");
}

#[test]
fn an_unknown_template_or_schema_is_answered_with_the_list() {
    let world = World::repository();
    let err = "error: failed to find the template `x`.\nhint: The templates are `minimal`, `agent`, `fan-out`, `generate-filter`, \
        `fix-until-green`, `best-of-n`, `review-panel`.\n";
    world.check(&["init", "--template", "x"], 1, "", err);
    assert!(!world.path("repo/ilchul.yaml").exists());
    let err = "error: failed to find the schema `x`.\nhint: The schemas are `workflow`, `settings`, `report`, `worker`, \
         `status`, `workers`, `why`, `evidence`, `events`, `graph`, `runs`, `logs`, `plan`, `page`.\n";
    world.check(&["schema", "x"], 1, "", err);
    assert_eq!(world.run(&["schema"]).code, 2);
}

#[test]
fn schemas_are_json_schemas_alone_and_in_an_envelope() {
    let world = World::new();
    for name in ["workflow", "report", "worker"] {
        let plain: Value = world.run(&["schema", name]).json();
        assert_eq!(plain["$schema"], "https://json-schema.org/draft/2020-12/schema", "{name}");
        assert_eq!(world.run(&["schema", name, "--json"]).data(), plain, "{name}");
    }
}

#[test]
fn a_plan_says_all_that_up_would_do_and_touches_nothing() {
    let text = "version: 1
name: nightly
limits: { workers: 3 }
defaults: { session: subprocess, retries: 1 }
tasks:
  last: { needs: [{ task: test, when: terminal }, lint], when: partial, argv: [echo, a b], evidence: [{ exit: 0 }] }
  test:
    run: make check
    timeout: 1h30m
    evidence:
      - { exit: 0 }
      - artifact: out/report.xml
  lint:
    run: make lint
    base: main
    evidence:
      - { command: make lint, match: 'ok', timeout: 2m }
      - diff: { paths: [\"src/**\"], max_lines: 40, clean: true, allow_none: true }
";
    let world = with(text);
    world.write("repo/read.me", "changed\n");
    let head = world.git(&["rev-parse", "HEAD"]);
    let short = &head[..12];
    let before = world.listing();
    let out = format!(
        "\
Workflow  nightly (ilchul.yaml, 3 tasks)
Base      {short} (HEAD)
          not part of it, because uncommitted: `ilchul.yaml`, `read.me`
Sessions  subprocess (named by the workflow)
Workers   3 at once
Home      <top>/repo.ilchul (to be made)

Step 1
  test: run: make check
    evidence: ends with exit code 0
    evidence: makes the file `out/report.xml`
    2 attempts, 1h30m each
  lint: run: make lint
    base: `main` ({short})
    evidence: `make lint` succeeds and prints /ok/ within 2m
    evidence: changes nothing or something only in `src/**`, at most 40 lines, all of it committed
    2 attempts, 30m each

Step 2
  last: argv: echo 'a b'
    needs: test (terminal), lint (when: partial)
    evidence: ends with exit code 0
    2 attempts, 30m each

Nothing was started. Run `ilchul up` to start it.
"
    );
    world.check(&["plan"], 0, &out, "");
    assert_eq!(world.listing(), before);
}

#[test]
fn a_plan_has_the_same_for_scripts() {
    let text = "version: 1\nbase: main\ndefaults: { session: subprocess }\ntasks:\n  a: { run: 'true' }\n  b: { run: x, needs: [a], base: { task: a } }\n";
    let world = with(text);
    let head = world.git(&["rev-parse", "HEAD"]);
    let data = world.run(&["plan", "--json", "--workers", "5"]).data();
    let exit = json!([{"kind": "exit", "words": "ends with exit code 0", "until": false}]);
    let task = |id: &str, step: u32, what: &str, needs: Value, base: Value| {
        json!({"id": id, "step": step, "kind": "run", "what": what, "needs": needs, "when": "completed",
            "base": base, "workspace": "worktree", "evidence": exit, "waived": null,
            "timeout_ms": 1_800_000, "attempts": 1, "retain": true, "branches": {}, "makes": [],
            "budget": {"tokens": null, "usd": null}, "submit": null})
    };
    let expected = json!({
        "workflow": "ilchul",
        "file": "ilchul.yaml",
        "base": {"commit": head, "written": "main", "uncommitted": ["ilchul.yaml"]},
        "session": {"kind": "subprocess", "reason": "named by the workflow", "notice": null},
        "workers": 5,
        "home": world.path("repo.ilchul"),
        "home_exists": false,
        "setup": null,
        "limits": unbounded(),
        "order": "critical",
        "adoption": null,
        "lacking": [],
        "agents": [],
        "prompts": null,
        "tasks": [
            task("a", 1, "run: true", json!([]), Value::Null),
            task("b", 2, "run: x", json!([{"task": "a", "when": "completed"}]),
                json!({"task": "a", "commit": null, "written": null})),
        ],
        "warnings": [],
    });
    assert_eq!(data, expected);
}

#[test]
fn without_a_terminal_and_without_a_name_a_plan_says_why_it_is_no_tmux() {
    let world = with(GOOD);
    let session = world.run(&["plan", "--json"]).data()["session"].clone();
    let why = "there is no terminal, and `TMUX` isn't set";
    let expected = json!({"kind": "subprocess", "reason": why,
        "notice": format!("Workers run as plain processes: {why}.")});
    assert_eq!(session, expected);
}

#[test]
fn l15_a_named_session_that_cannot_be_had_is_an_error_and_never_replaced() {
    let mut world = with(GOOD);
    world.set("PATH", world.path("empty"));
    let why = |who: &str| {
        format!(
            "error: failed to use the session kind `tmux`: it is {who}, but there is no `tmux` in `PATH`.\n\
             hint: Install tmux 3.2 or newer, or name `--session subprocess`.\n"
        )
    };
    world.check(&["plan", "--session", "tmux"], 1, "", &why("named with `--session`"));
    world.write("repo/ilchul.yaml", &format!("defaults: {{ session: tmux }}\n{GOOD}"));
    world.check(&["plan"], 1, "", &why("named by the workflow"));
    assert_eq!(world.run(&["plan", "--session", "subprocess"]).code, 0);
    let slurm = world.run(&["plan", "--json", "--session", "slurm"]);
    assert_eq!((slurm.code, &slurm.error()["code"]), (1, &json!("session_unavailable")));
    assert_eq!(world.run(&["plan", "--session", "screen"]).code, 2);
}

#[test]
fn an_old_tmux_is_no_tmux() {
    use std::os::unix::fs::PermissionsExt;
    let mut world = with(GOOD);
    world.write("empty/tmux", "#!/bin/sh\necho tmux 3.1c\n");
    fs::set_permissions(world.path("empty/tmux"), fs::Permissions::from_mode(0o755)).unwrap();
    world.set("PATH", world.path("empty"));
    let said = world.run(&["plan", "--session", "tmux"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("`tmux 3.1c` is older than tmux 3.2"), "{}", said.err);
    world.set("TMUX", "/x,1,0");
    let session = world.run(&["plan", "--json"]).data()["session"].clone();
    assert_eq!(session["notice"], "Workers run as plain processes: `tmux 3.1c` is older than tmux 3.2.");
}

#[test]
fn a_base_that_names_no_commit_is_an_error_of_the_plan() {
    let world = with(&format!("base: nowhere\n{GOOD}"));
    let said = world.run(&["plan"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.contains("`nowhere`"), "{}", said.err);
    world.write("repo/ilchul.yaml", "version: 1\ntasks:\n  a: { run: x, base: nowhere }\n");
    let said = world.run(&["plan"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("find the base `nowhere` of task `a`"), "{}", said.err);
}

#[test]
fn from_another_worktree_a_plan_is_about_that_checkout() {
    let world = World::repository();
    world.git(&["worktree", "add", "--quiet", "../side"]);
    world.write("side/ilchul.yaml", GOOD);
    let said = world.run_in("side", &["plan", "--json"]);
    let data = said.data();
    assert_eq!(data["base"]["uncommitted"], json!(["ilchul.yaml"]), "{said:?}");
    assert_eq!(data["home"], json!(world.path("repo.ilchul")));
}

#[test]
fn outside_of_a_repository_there_is_no_plan() {
    let world = World::new();
    world.write("repo/ilchul.yaml", GOOD);
    let err = "\
error: failed to open repository: `<top>/repo` is in no git repository: could not find repository at '<top>/repo'.
hint: Run ilchul inside a git repository with at least one commit.
";
    world.check(&["plan"], 1, "", err);
}

#[test]
fn a_workflow_is_drawn_before_anything_has_run() {
    let world = World::repository();
    assert_eq!(world.run(&["init", "--template", "fix-until-green"]).code, 0);
    let said = world.run(&["graph"]);
    let expected = "\
Workflow fix-until-green: 2 tasks in 2 steps.

1  fix         loop
   └ fix-i<k>  run: iteration, at most 5
2  after       run   <- fix
";
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, expected, ""));
    assert_eq!(world.run(&["graph", "ilchul.yaml"]).out, expected);
    let data = world.run(&["graph", "--json"]).data();
    assert_eq!(data["run"], serde_json::Value::Null);
    assert_eq!(data["nodes"][2]["stands_for"], "run: iteration, at most 5");
    assert_eq!(data["edges"][0]["from"], "fix");
    for (format, beginning) in [("mermaid", "flowchart TD\n"), ("dot", "digraph "), ("svg", "<svg ")] {
        let said = world.run(&["graph", "--format", format]);
        assert!(said.code == 0 && said.out.starts_with(beginning), "{said:?}");
    }
}

#[test]
fn a_graph_of_nothing_is_refused_with_what_to_do() {
    let world = World::repository();
    assert_eq!(world.run(&["graph"]).code, 1);
    assert_eq!(world.run(&["graph", "--run", "x"]).code, 1);
    assert_eq!(world.run(&["graph", "ilchul.yaml", "--run", "x"]).code, 2);
    assert_eq!(world.run(&["graph", "--format", "png"]).code, 2);
}
