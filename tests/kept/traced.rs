//! The whole run under strace: of all that was called, nothing took anything away.
//!
//! It leaves out whether the rules can catch anything: `planted.rs` shows that they do.

use super::guard::Verdict;
use super::stage::Stage;
use super::story;
use super::tools::{put_first, real, write_program};
use super::world::World;

#[track_caller]
fn nothing_is_wrong(verdict: &Verdict) {
    let shown: Vec<&String> = verdict.wrong.iter().take(40).collect();
    assert!(shown.is_empty(), "{} acts: {shown:#?}", verdict.wrong.len());
}

/// What shows that the trace saw everybody.
#[track_caller]
fn everybody_was_seen(verdict: &Verdict, names: &[&str]) {
    for name in names {
        assert!(verdict.programs.get(*name).is_some_and(|count| *count >= 10), "{name}: {verdict:?}");
    }
    assert!(verdict.looked_at >= 500 && verdict.by_workers >= 10, "{verdict:?}");
}

#[test]
fn r1_traced_over_a_whole_run_with_crashes_nothing_of_ours_takes_anything_away() {
    let stage = Stage::traced(story::world());
    story::play(&stage, "subprocess");
    let verdict = stage.judge();
    nothing_is_wrong(&verdict);
    everybody_was_seen(&verdict, &["ilchul", "git"]);
}

#[test]
fn r1_the_same_in_tmux_whose_server_is_traced_too() {
    let stage = Stage::traced(story::world());
    // The person's own session, on the server that all windows of the run will be in.
    let mut tmux = stage.world.sealed("tmux");
    tmux.args(["new-session", "-d", "-s", "mine", "sleep", "3600"]);
    stage.start_program(&tmux).wait().exits(0);
    let panes = |format: &str| {
        let all = stage.world.tmux(&["list-panes", "-a", "-F", format]).exits(0).stdout;
        all.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let mine = panes("#{session_name} #{pane_id} #{pane_pid} #{pane_dead}");
    story::play(&stage, "tmux");
    let after = panes("#{session_name} #{pane_id} #{pane_pid} #{pane_dead}");
    assert!(mine.len() == 1 && after.contains(&mine[0]), "{mine:?} {after:?}");
    // A pane for each worker of both runs is still there, dead or alive.
    assert!(after.len() >= 12, "{after:?}");
    stage.world.tmux(&["kill-server"]).exits(0);
    let verdict = stage.judge();
    nothing_is_wrong(&verdict);
    everybody_was_seen(&verdict, &["ilchul", "git", "tmux"]);
}

#[test]
fn r1_a_git_that_fails_takes_back_only_what_it_was_making_itself() {
    let mut world = World::with(
        "limits: { workers: 1 }\n\
         tasks: { a: { run: 'true', retries: 1 }, b: { needs: [ { task: a, when: terminal } ], run: 'echo b > b.txt' } }",
    );
    let tools = world.root().join("failing");
    std::fs::create_dir(&tools).unwrap();
    // It may write no byte into any file, as on a full disk.
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *' worktree add '*.a.[12]*) trap '' XFSZ; ulimit -f 0 ;; esac\nexec {} \"$@\"\n",
        real(&world, "git").display()
    );
    write_program(&tools.join("git"), &script);
    put_first(&mut world, &tools);
    let stage = Stage::traced(world);
    let ran = stage.exits(3, &["up", "--session", "subprocess"]);
    let told = (stage.world.told("a"), stage.world.told("b"));
    assert!(told.0.contains("failed (launch_workspace") && told.1 == "completed", "{told:?} {}", ran.stderr);
    assert!(stage.world.tree("b.1").join("b.txt").exists());
    nothing_is_wrong(&stage.judge());
}
