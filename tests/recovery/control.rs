//! Killed in the middle of a loop, a tournament and a classifier: what was chosen stays chosen.
//!
//! Each is held open where only some of it has happened, and killed there five times; then at
//! some of the syscalls by which the journal is written. It leaves out who decides, and by which
//! rule: the engine's own tests have that.

use super::journal::at_every_point;
use super::life::setting;
use super::oracle;
use super::places::{events, killed_in_a_row};
use super::plan::Plan;

/// Three iterations; the second one waits for `go`, the third one is good.
const LOOP: &str = "\
    \x20 fix: { loop: { max: 5, each: { run: 'sh $W/body sh $W/again $W' }, until: { artifact: done.txt } } }\n\
    \x20 after: { needs: [fix], base: { task: fix }, run: 'sh $W/body test -e done.txt' }\n";
const AGAIN: &str = "n=$(($(cat n.txt 2> /dev/null || echo 0) + 1))\n\
    echo $n > n.txt\n\
    test $n != 2 || until test -e \"$1/go\"; do sleep 0.02; done\n\
    test $n -lt 3 || echo x > done.txt\n";

/// Four entrants, of which one fails and one has a bye; the first judge waits for `go`.
const CUP: &str = "\
    \x20 best:\n\
    \x20   tournament:\n\
    \x20     entrants: [ { env: { N: '1' } }, { env: { N: '2' } }, { env: { N: '3' } }, { env: { N: '4' } } ]\n\
    \x20     each: { run: 'sh $W/body sh -c \"echo $N > n.txt; test $N != 2\"' }\n\
    \x20     judge: { run: 'sh $W/body sh $W/judge $W' }\n\
    \x20 use: { needs: [best], base: { task: best }, run: 'sh $W/body grep -x 4 n.txt' }\n";
const JUDGE: &str = "winner=right\n\
    case $ILCHUL_TASK in *-j1) winner=left; until test -e \"$1/go\"; do sleep 0.02; done ;; esac\n\
    ilchul report --status done --summary judged --output winner=$winner\n";

/// Whoever is asked first says `bug`, and whoever is asked again says something else.
const CHOICE: &str = "\
    \x20 sort: { classify: { by: { workspace: none, run: 'sh $W/body sh $W/sort $W' }, branches: { bug: [fix], docs: [write] } } }\n\
    \x20 fix: { workspace: none, run: 'sh $W/body sh $W/stay $W' }\n\
    \x20 write: { workspace: none, run: 'sh $W/body true' }\n\
    \x20 end: { needs: [fix, write], when: optional, workspace: none, run: 'sh $W/body true' }\n";
const SORT: &str = "label=docs\n\
    test -e \"$1/asked\" || { touch \"$1/asked\"; label=bug; }\n\
    ilchul report --status done --summary sorted --output label=$label\n";
const STAY: &str = "until test -e \"$1/go\"; do sleep 0.02; done\n";

fn plans(session: &'static str) -> [(&'static str, Plan); 3] {
    [
        ("fix-i2", Plan::of_with(LOOP, session, &[("again", AGAIN)])),
        ("best-j1", Plan::of_with(CUP, session, &[("judge", JUDGE)])),
        ("fix", Plan::of_with(CHOICE, session, &[("sort", SORT), ("stay", STAY)])),
    ]
}

#[test]
fn j7_killed_five_times_in_the_middle_no_iteration_match_or_choice_is_repeated() {
    for session in ["subprocess", "tmux"] {
        for (held, plan) in plans(session) {
            assert_eq!(plan.code, 0, "{held}: {:#?}", plan.outcome);
            let world = plan.world();
            killed_in_a_row(&world, &plan, |life| {
                let begun = oracle::bodies(&world).contains_key(held);
                begun && events(&world, "run.resumed") >= life - 1
            });
            let made = events(&world, "run.extended");
            world.touch("go");
            oracle::ends_as_undisturbed(&world, &plan, &format!("{session}, while `{held}` works"));
            // One round, or iteration, more, and those before it not again.
            let more = events(&world, "run.extended") - made;
            assert_eq!(more, usize::from(held != "fix"), "`{held}` in {session}");
        }
    }
}

#[test]
fn j7_j12_killed_at_a_syscall_of_the_journal_a_run_with_choices_ends_as_if_nothing_had_happened() {
    let stride = u32::try_from(setting("ILCHUL_CRASH_STRIDE", 25)).unwrap();
    for (first, (held, plan)) in (3..).zip(plans("subprocess")) {
        // Nobody holds anything open there.
        let points = at_every_point(&plan, (first, stride), |world| world.touch("go"));
        assert!(points >= 30, "`{held}`: only {points} points");
    }
}
