//! The close verdict by table: each observation alone turns it.

use super::*;

fn held() -> Held {
    Held {
        gitfile_intact: Ok(true),
        reference: "refs/ilchul/r/a.1".to_owned(),
        uncommitted: Ok(vec!["left.txt".to_owned()]),
        kept: Ok(Kept::Whole),
        reach: Ok(None),
        ignored: Ok(Files::default()),
        stashes: Ok(Vec::new()),
        nested: Ok(Vec::new()),
        sizes: Sizes::default(),
    }
}

fn looked(tree: Tree) -> Looked {
    Looked { at_work: None, processes: Ok(Vec::new()), unarchived: Ok(Vec::new()), tree }
}

fn of(change: impl FnOnce(&mut Held)) -> Looked {
    let mut held = held();
    change(&mut held);
    looked(Tree::There(Box::new(held)))
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[track_caller]
fn check(looked: &Looked, verdict: CloseVerdict, first: &str) {
    let close = judge(looked);
    assert_eq!((close.verdict, close.reasons[0].as_str()), (verdict, first), "{:?}", close.reasons);
    assert_eq!(close.against == 0, verdict == CloseVerdict::Safe);
}

#[test]
fn s2_a_tree_whose_git_file_was_replaced_is_not_safe() {
    let words = "its `.git` file isn't the one that git wrote: git run in it works elsewhere";
    check(&of(|held| held.gitfile_intact = Ok(false)), CloseVerdict::NotSafe, words);
    let unknown = of(|held| held.gitfile_intact = Err("no".to_owned()));
    check(&unknown, CloseVerdict::Unknown, "its `.git` file can't be looked at: no");
}

#[test]
fn r4_a_worker_of_which_everything_is_kept_is_safe_with_every_reason() {
    let close = judge(&of(|_| {}));
    assert_eq!(close.verdict, CloseVerdict::Safe);
    assert_eq!(
        close.reasons,
        [
            "no process lives",
            "all of it is in refs/ilchul/r/a.1",
            "1 uncommitted file is kept",
            "its branch isn't merged",
            "nothing is ignored",
            "nothing is stashed",
            "it has no repositories inside",
            "its evidence is kept",
        ]
    );
}

#[test]
fn r4_each_observation_alone_makes_it_not_safe() {
    use CloseVerdict::NotSafe;
    let mut busy = of(|_| {});
    busy.at_work = Some("busy".to_owned());
    check(&busy, NotSafe, "its work isn't over: it is busy");
    let mut alive = of(|_| {});
    alive.processes = Ok(names(&["process 7 (sleep) in its tree"]));
    check(&alive, NotSafe, "process 7 (sleep) in its tree lives");
    let mut lost = of(|_| {});
    lost.unarchived = Ok(names(&["ab12"]));
    check(&lost, NotSafe, "ab12 isn't among the kept evidence");
    let files = Files { count: 12, bytes: 3_500_000, more: false, names: names(&["target/"]) };
    let ignored = of(|held| held.ignored = Ok(files.clone()));
    check(&ignored, NotSafe, "12 files (3.3 MiB) ignored, in no commit: target/");
    let many = of(|held| held.ignored = Ok(Files { more: true, names: Vec::new(), ..files.clone() }));
    check(&many, NotSafe, "more than 12 files (3.3 MiB) ignored, in no commit");
    let stash = of(|held| held.stashes = Ok(names(&["stash@{0}: On a: x"])));
    check(&stash, NotSafe, "stash@{0}: On a: x was stashed here");
    let changed = of(|held| held.kept = Ok(Kept::Changed(names(&["a", "b", "c", "d"]))));
    check(&changed, NotSafe, "4 paths changed since refs/ilchul/r/a.1 was taken: a, b, c and 1 more");
    check(&of(|held| held.kept = Ok(Kept::Missing)), NotSafe, "refs/ilchul/r/a.1 isn't there");
    let moved = of(|held| held.kept = Ok(Kept::Moved { journaled: "abc".to_owned() }));
    check(&moved, NotSafe, "refs/ilchul/r/a.1 isn't what the journal tells of: abc");
    let folder = looked(Tree::Folder(Ok(Files { count: 1, bytes: 5, ..Files::default() })));
    check(&folder, NotSafe, "1 file (5 B) in a plain folder, in no commit");
    let gone = looked(Tree::Gone { kept: Ok(None), restore: Vec::new() });
    check(&gone, NotSafe, "the worktree is gone, and nothing below refs/ilchul keeps it");
}

#[test]
fn r4_each_look_that_failed_alone_makes_it_unknown() {
    use CloseVerdict::Unknown;
    let why = || "denied".to_owned();
    let mut processes = of(|_| {});
    processes.processes = Err(why());
    check(&processes, Unknown, "its processes can't be looked at: denied");
    let mut evidence = of(|_| {});
    evidence.unarchived = Err(why());
    check(&evidence, Unknown, "its evidence can't be looked at: denied");
    for (change, first) in [
        ((|held| held.ignored = Err("denied".to_owned())) as fn(&mut Held), "its ignored files"),
        (|held| held.stashes = Err("denied".to_owned()), "the stash"),
        (|held| held.nested = Err("denied".to_owned()), "its submodules"),
        (|held| held.kept = Err("denied".to_owned()), "refs/ilchul/r/a.1"),
        (|held| held.uncommitted = Err("denied".to_owned()), "what is uncommitted"),
    ] {
        let mut clean = held();
        clean.uncommitted = Ok(Vec::new());
        change(&mut clean);
        // Without a snapshot that can be read an unmerged branch counts against it.
        if clean.kept.is_err() {
            clean.reach = Err("denied".to_owned());
        }
        let judged = looked(Tree::There(Box::new(clean)));
        check(&judged, Unknown, &format!("{first} can't be looked at: denied"));
    }
    let reach = of(|held| held.reach = Err(why()));
    check(&reach, Unknown, "whether its branch is merged can't be told: denied");
    let inside = of(|held| held.nested = Ok(names(&["lib"])));
    check(&inside, Unknown, "it has repositories inside, which aren't looked into: lib");
    check(&looked(Tree::Hidden(why())), Unknown, "its worktree can't be looked at: denied");
    check(&looked(Tree::Folder(Err(why()))), Unknown, "its folder can't be looked at: denied");
    let gone = looked(Tree::Gone { kept: Err(why()), restore: Vec::new() });
    check(&gone, Unknown, "the worktree is gone, and its snapshot can't be looked at: denied");
}

#[test]
fn r4_what_another_branch_holds_is_safe_without_a_snapshot_unless_something_is_uncommitted() {
    for kept in [Ok(Kept::Missing), Err("denied".to_owned()), Ok(Kept::Changed(names(&["a"])))] {
        let merged = of(|held| {
            held.kept = kept.clone();
            held.uncommitted = Ok(Vec::new());
            held.reach = Ok(Some("`main` contains its branch".to_owned()));
        });
        assert_eq!(judge(&merged).verdict, CloseVerdict::Safe, "{kept:?}");
        let dirty = of(|held| {
            held.kept = kept.clone();
            held.reach = Ok(Some("`main` contains its branch".to_owned()));
        });
        assert_eq!(judge(&dirty).verdict, CloseVerdict::NotSafe, "{kept:?}");
        let apart = of(|held| {
            held.kept = kept.clone();
            held.uncommitted = Ok(Vec::new());
        });
        assert_eq!(judge(&apart).verdict, CloseVerdict::NotSafe, "{kept:?}");
    }
}

#[test]
fn r4_what_speaks_against_it_outweighs_what_is_unknown_and_stands_first() {
    let mut both = of(|held| held.ignored = Err("denied".to_owned()));
    both.processes = Ok(names(&["process 7 (sleep)"]));
    check(&both, CloseVerdict::NotSafe, "process 7 (sleep) lives");
    assert_eq!(judge(&both).reasons[1], "its ignored files can't be looked at: denied");
}

#[test]
fn r3_a_vanished_tree_that_is_kept_is_safe_and_says_how_to_have_it_back() {
    let restore = names(&["git worktree repair"]);
    let kept = Ok(Some("refs/ilchul/r/a.1".to_owned()));
    let close = judge(&looked(Tree::Gone { kept, restore: restore.clone() }));
    assert_eq!((close.verdict, close.restore), (CloseVerdict::Safe, restore));
}

#[test]
fn sizes_read_as_people_say_them() {
    let said = [0, 1023, 1024, 1536, 20 << 20, 5 << 30].map(size);
    assert_eq!(said, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "20.0 MiB", "5.0 GiB"]);
}
