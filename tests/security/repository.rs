//! A repository that came from somebody else: what it defines is never run (S1, S2, S3).
//!
//! It leaves out the substrate's own verbs one by one; its tests have those.

use std::fs;
use std::path::Path;

use super::canary::Canary;
use super::world::{Ran, World, wait_until};

/// Ends in every way: completed with each kind of evidence, failed, refuted, cancelled, live.
const TASKS: &str = "defaults: { workspace: worktree }\nlimits: { grace: 1s, workers: 4 }\ntasks:\n\
    \x20 good:\n    run: 'echo x > src/new.txt; echo y >> README; echo printed'\n\
    \x20   evidence: [ { exit: 0 }, { command: 'cat src/new.txt', match: x }, { diff: { paths: ['**'] } }, \
    { artifact: src/new.txt }, { log: { pattern: printed } } ]\n\
    \x20 bad: { run: 'echo z > left.txt; exit 1' }\n\
    \x20 next: { run: 'cat src/new.txt', needs: [good], base: { task: good } }\n\
    \x20 asks: { run: 'true', evidence: [ { approval: { message: 'Ship it?' } } ] }\n\
    \x20 long: { run: 'until test -e $W/go; do sleep 0.02; done' }\n\
    \x20 gone: { run: 'until test -e $W/go; do sleep 0.02; done' }\n";

/// Runs a command to its end and looks at the traps.
#[track_caller]
fn quiet(world: &World, canary: &Canary, args: &[&str]) -> Ran {
    let ran = world.run(args);
    canary.silent(&args.join(" "));
    assert!(ran.code >= 0 && ran.code != 101, "{args:?}: {ran:?}");
    ran
}

#[test]
fn s1_no_command_runs_anything_that_a_repository_defines() {
    let world = World::with(TASKS);
    let canary = Canary::new(&world);
    canary.plant(&world);
    for args in ["init", "validate", "plan", "doctor", "schema workflow", "status", "runs"] {
        quiet(&world, &canary, &args.split(' ').collect::<Vec<_>>());
    }
    let up = world.start_up();
    world.await_task("next", "completed");
    world.await_task("bad", "failed");
    wait_until("the question", || world.ok(&["status"]).contains("waits for your approval"));
    world.await_task("gone", "in_progress");
    canary.silent("up");
    let every = |command: &str| {
        quiet(&world, &canary, &command.split(' ').collect::<Vec<_>>());
    };
    let looks = "status|status --json|workers|workers --close|why good|why long|logs good|attach good --print|\
        evidence good|evidence good --recheck|events|runs|plan|doctor|wait good --timeout 1s";
    looks.split('|').for_each(every);
    "approve asks|cancel gone|retry bad".split('|').for_each(every);
    quiet(&world, &canary, &["evidence", "--export", world.root().join("out").to_str().unwrap()]).exits(0);
    every("down");
    up.wait().exits(4);
    "up --detach --session subprocess|down".split('|').for_each(every);
    world.touch("go");
    assert_eq!(quiet(&world, &canary, &["up", "--session", "subprocess"]).code, 3);
    "release good.1|release next.1|retain next.1|release long.2|cleanup --safe|deny asks|decide bad rerun|\
     up --unattended|up --new --unattended --session subprocess|down --force|workers --close"
        .split('|')
        .for_each(every);
    // Not even for a tree that somebody removed, whose way back is asked of git.
    let tree = world.tree("bad.1");
    if tree.exists() {
        fs::remove_dir_all(tree).unwrap();
    }
    "workers|workers --close|why bad|status".split('|').for_each(every);
    assert!(world.phases().iter().any(|(task, phase)| task == "good" && phase == "completed"));
    real(&world, &canary, &world.repo());
}

/// Git itself, asked plainly, walks into the traps.
#[track_caller]
fn real(world: &World, canary: &Canary, tree: &Path) {
    let plain = world.sealed("git").args(["-C", tree.to_str().unwrap(), "diff"]).output().unwrap();
    assert!(!plain.stdout.is_empty() || !plain.stderr.is_empty() || plain.status.code().is_some());
    canary.fired();
}

#[test]
fn s1_hooks_in_a_folder_that_the_settings_name_do_not_run_either() {
    let world = World::with("tasks: { a: { run: 'echo x > out', evidence: [ { diff: {} } ] } }");
    let canary = Canary::new(&world);
    canary.plant(&world);
    let hooks = world.root().join("hooks");
    canary.hooks(&hooks);
    let config = world.repo().join(".git/config");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}[core]\nhooksPath = {}\n", hooks.display())).unwrap();
    for args in [&["up", "--session", "subprocess"][..], &["release", "a.1"], &["cleanup", "--safe"]] {
        quiet(&world, &canary, args).exits(0);
    }
    real(&world, &canary, &world.repo());
}

/// Names an attacker's git dir in a tree's `.git` file, as its worker can, and then says so.
const SWAP: &str = "git init -q --bare ../evil.git && cp $W/evil.config ../evil.git/config && \
    cp -r $W/evil.hooks/. ../evil.git/hooks && \
    echo gitdir: $(cd ../evil.git && pwd) > .git && echo x > src/new.txt";

/// A world in which a worker swaps its tree's `.git` file and shows `evidence`.
fn swapped(evidence: &str) -> (World, Canary) {
    let world = World::with(&format!("tasks: {{ a: {{ run: '{SWAP}', evidence: [ {evidence} ] }} }}"));
    let canary = Canary::new(&world);
    canary.hooks(&world.root().join("evil.hooks"));
    let settings = format!("[core]\nrepositoryformatversion = 0\nbare = false\n{}", canary.settings());
    fs::write(world.root().join("evil.config"), settings).unwrap();
    (world, canary)
}

#[test]
fn s2_a_swapped_git_file_is_named_never_followed_and_proves_nothing() {
    let kinds = [
        "diff: {}",
        "command: 'git status; git diff --stat'",
        "command: 'true'",
        "diff: { allow_none: true }",
    ];
    for evidence in kinds {
        let (world, canary) = swapped(&format!("{{ {evidence} }}"));
        assert_eq!(quiet(&world, &canary, &["up", "--session", "subprocess"]).code, 3, "{evidence}");
        let told = world.told("a");
        assert!(told.starts_with("failed (refuted: ") && told.contains("`.git` file"), "{evidence}: {told}");
        let shown = quiet(&world, &canary, &["workers", "--close"]).stdout;
        assert!(shown.contains("not safe") && shown.contains("`.git` file"), "{shown}");
        let refused = quiet(&world, &canary, &["release", "a.1"]).exits(1).stderr;
        assert!(refused.contains("`.git` file"), "{refused}");
        for looks in ["evidence a", "evidence a --recheck", "status", "why a", "cleanup --safe", "plan"] {
            quiet(&world, &canary, &looks.split(' ').collect::<Vec<_>>());
        }
        real(&world, &canary, &world.tree("a.1"));
    }
}

#[test]
fn s2_what_asks_nothing_of_git_completes_and_its_tree_is_not_safe_all_the_same() {
    let (world, canary) = swapped("{ exit: 0 }");
    quiet(&world, &canary, &["up", "--session", "subprocess"]).exits(0);
    let shown = quiet(&world, &canary, &["workers", "--close"]).stdout;
    assert!(shown.contains("not safe") && shown.contains("`.git` file"), "{shown}");
}

/// Everything of git's that can lead it, or us, elsewhere.
fn poison(world: &World, canary: &Canary) -> Vec<(String, String)> {
    let other = world.root().join("other");
    let (elsewhere, git) = (other.to_str().unwrap().to_owned(), other.join(".git"));
    let (git, program) = (git.to_str().unwrap().to_owned(), canary.program.to_str().unwrap().to_owned());
    let settings = world.root().join("poison.config");
    fs::write(&settings, canary.settings()).unwrap();
    let settings = settings.to_str().unwrap().to_owned();
    let trace = world.root().join("trace").to_str().unwrap().to_owned();
    let mut all: Vec<(String, String)> = Vec::new();
    let mut set = |names: &str, value: &str| {
        all.extend(names.split(' ').map(|name| (format!("GIT_{name}"), value.to_owned())));
    };
    set("DIR COMMON_DIR", &git);
    set("WORK_TREE", &elsewhere);
    set("INDEX_FILE", &format!("{git}/index"));
    set("OBJECT_DIRECTORY ALTERNATE_OBJECT_DIRECTORIES QUARANTINE_PATH", &format!("{git}/objects"));
    set("CONFIG CONFIG_GLOBAL CONFIG_SYSTEM", &settings);
    set("SSH SSH_COMMAND EXTERNAL_DIFF EDITOR SEQUENCE_EDITOR PAGER ASKPASS PROXY_COMMAND", &program);
    set("EXEC_PATH TEMPLATE_DIR", world.root().join("hooks").to_str().unwrap());
    set("CEILING_DIRECTORIES", world.root().to_str().unwrap());
    set("NAMESPACE", "evil");
    set("PREFIX", "src/");
    set("TRACE TRACE_SETUP TRACE2 TRACE2_EVENT TRACE2_PERF TRACE_PACKET TRACE_PERFORMANCE", &trace);
    set("DEFAULT_HASH", "sha256");
    set("DEFAULT_REF_FORMAT", "reftable");
    set("REPLACE_REF_BASE", "refs/evil/");
    set("GRAFT_FILE SHALLOW_FILE", &settings);
    set("ATTR_SOURCE", "HEAD");
    set("LITERAL_PATHSPECS ICASE_PATHSPECS DISCOVERY_ACROSS_FILESYSTEM OPTIONAL_LOCKS", "1");
    set("CONFIG_PARAMETERS", &format!("'core.fsmonitor={program}' 'core.hooksPath={elsewhere}'"));
    set("CONFIG_COUNT", "1");
    set("CONFIG_KEY_0", "core.fsmonitor");
    set("CONFIG_VALUE_0", &program);
    all
}

#[test]
fn s3_a_poisoned_environment_leads_nowhere_and_runs_and_traces_nothing() {
    let world = World::with(TASKS);
    let canary = Canary::new(&world);
    // Programs by git's own names, and hooks by which a template would be known.
    for name in ["git", "git-worktree", "git-read-tree", "hooks/post-checkout", "tmux"] {
        canary.at(&world.root().join("hooks").join(name));
    }
    let other = world.root().join("other");
    let other = other.to_str().unwrap();
    world.git(&["init", "-q", "-b", "main", other]);
    world.git(&[
        "-C",
        other,
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@localhost",
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        "Other",
    ]);
    let before = all_below(Path::new(other));
    let poison = poison(&world, &canary);
    let poisoned = |args: &str| {
        let mut command = world.ilchul(&args.split(' ').collect::<Vec<_>>());
        command.envs(poison.iter().map(|(name, value)| (name, value)));
        // Relative entries, by which the program of whoever's folder one stands in would be taken.
        let path = format!(".:bin::{}", world.path.to_str().unwrap());
        command.env("PATH", path);
        command
    };
    for name in ["git", "tmux", "sh", "setsid", "env"] {
        canary.at(&world.repo().join(name));
        canary.at(&world.repo().join("bin").join(name));
    }
    let ended = |args: &str| {
        let ran = super::world::ran(&poisoned(args).output().unwrap());
        canary.silent(args);
        assert!(ran.code >= 0 && ran.code != 101, "{args}: {ran:?}");
        ran
    };
    "validate|plan|doctor".split('|').for_each(|args| drop(ended(args)));
    let up = world.spawn(poisoned("up --session subprocess"));
    world.await_task("next", "completed");
    world.await_task("bad", "failed");
    world.await_task("gone", "in_progress");
    "status|workers --close|why good|evidence good|evidence good --recheck|runs|cancel gone|retry bad|down"
        .split('|')
        .for_each(|args| drop(ended(args)));
    up.wait().exits(4);
    "release good.1|release next.1|cleanup --safe|up --new --session subprocess --detach|down"
        .split('|')
        .for_each(|args| drop(ended(args)));
    assert_eq!(all_below(Path::new(other)), before, "nothing was made elsewhere");
    assert!(!world.root().join("trace").exists(), "nothing was traced");
    assert!(world.git(&["branch", "--list", "ilchul/*"]).lines().count() >= 5, "the right repository");
    // The trap is real: git in that environment does all of it.
    let mut plain = world.sealed("git");
    plain.env("GIT_EXTERNAL_DIFF", &canary.program).args(["diff", "HEAD~1"]).output().unwrap();
    canary.fired();
}

/// Every file below a folder with its bytes.
fn all_below(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        if path.symlink_metadata().unwrap().is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}
