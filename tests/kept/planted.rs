//! The rules can catch: deletions planted in a git that ilchul starts, and in workers.
//!
//! One run, a task for each of them. It leaves out what ilchul itself does: `traced.rs`.

use std::fs;
use std::process::Command;

use super::guard::Verdict;
use super::stage::Stage;
use super::tools::{put_first, real, write_program};
use super::world::World;

/// What a planted shell text does once its task's tree is made, the path that must be named,
/// and why. `$tree` is that tree, `$repo` the checkout, `$git` the real git, `$top` the world.
const PLANTS: &[(&str, &str, &str)] = &[
    ("rm \"$tree/README\"", "/README", "takes away"),
    ("cd \"$tree\" && rm README", "/README", "takes away"),
    ("cd \"$tree/src\" && rm ../README", "/README", "takes away"),
    ("find \"$tree/src\" -name lib.txt -delete", "/src/lib.txt", "takes away"),
    ("rm -r \"$tree/src\"", "/src", "takes away"),
    // It isn't empty, and so it stays: asking is enough.
    ("rmdir \"$tree/src\"", "/src", "takes away"),
    ("mv \"$tree\" \"$top/away\"; mv \"$top/away\" \"$tree\"", "", "takes away"),
    (": > \"$tree/README\"", "/README", "writes over"),
    ("truncate -s 1 \"$tree/README\"", "/README", "writes over"),
    ("dd if=/dev/null of=\"$tree/README\" conv=notrunc status=none", "/README", "writes over"),
    ("echo x > \"$top/other\"; mv \"$top/other\" \"$tree/README\"", "/README", "puts something else"),
    ("rm \"$repo/mine.txt\"", "repo/mine.txt", "takes away"),
    ("$git -C \"$repo\" branch -q -D spare", "refs/heads/spare", "takes away"),
    ("$git -C \"$repo\" branch -q -f moved HEAD~1", "refs/heads/moved", "puts something else"),
    ("$git -C \"$repo\" tag -d known > \"$top/said\"", "refs/tags/known", "takes away"),
    ("$git -C \"$repo\" stash -q; $git -C \"$repo\" stash pop -q", "repo/README", "takes away"),
    ("$git -C \"$repo\" clean -q -f -d", "repo/untracked.txt", "takes away"),
    ("rm \"$entry/locked\"", "/locked", "takes away"),
    (": > \"$entry/ilchul-ready\"; $git -C \"$tree\" reset -q", "/index", "puts something else"),
    ("rm \"$repo\"/.git/objects/$lone", ".git/objects/", "takes away"),
    ("rm \"$top/repo.ilchul\"/blobs/sha256/*/*", "/blobs/sha256/", "takes away"),
    ("kill -s USR1 $stranger", "/proc/", "signals a stranger"),
];

/// The same of workers that go where they have no business.
const STRAYS: &[(&str, &str)] = &[
    ("rm $W/repo/src/lib.txt", "repo/src/lib.txt"),
    ("cd .. && rm ilchul.*.p0.1/src/lib.txt", ".p0.1/src/lib.txt"),
];

/// A git that does what was planted right after it has filled a task's tree.
fn planted(world: &mut World, stranger: u32) {
    let (tools, top) = (world.root().join("planted"), world.root().display().to_string());
    let lone = world.git(&["hash-object", "-w", "mine.txt"]);
    let lone = format!("{}/{}", &lone[..2], lone[2..].trim());
    let mut script = format!(
        "#!/bin/sh\ngit={} top={top} repo={top}/repo stranger={stranger} lone={lone}\n\
         $git \"$@\"\ncode=$?\n\
         case \" $* \" in *' read-tree '*) ;; *) exit $code ;; esac\n\
         for word; do case \"$word\" in\n\
         --work-tree=*) tree=${{word#*=}} ;; --git-dir=*) entry=${{word#*=}} ;;\n\
         esac; done\nunset GIT_DIR GIT_WORK_TREE\nexec > \"$top/said\" 2>&1\n\
         case \"$tree\" in\n",
        real(world, "git").display()
    );
    for (index, (text, ..)) in PLANTS.iter().enumerate() {
        script.push_str(&format!("*.p{index}.1) {text} ;;\n"));
    }
    script.push_str("esac\nexit $code\n");
    fs::create_dir(&tools).unwrap();
    write_program(&tools.join("git"), &script);
    put_first(world, &tools);
}

/// A repository with something of each kind in it, and a task for each plant.
fn world() -> World {
    // One at a time, because some of what is planted disturbs everybody.
    let mut text =
        "limits: { workers: 1 }\ntasks:\n  first: { run: 'echo b > b', evidence: [ { artifact: b } ] }\n"
            .to_owned();
    for index in 0..PLANTS.len() {
        text.push_str(&format!(
            "  p{index}: {{ needs: [{{ task: first, when: terminal }}], run: 'true' }}\n"
        ));
    }
    for (index, (stray, _)) in STRAYS.iter().enumerate() {
        text.push_str(&format!("  s{index}: {{ needs: [p0], run: '{stray}' }}\n"));
    }
    let world = World::with(&text);
    for branch in ["spare", "moved"] {
        world.git(&["branch", branch]);
    }
    world.git(&["tag", "known"]);
    fs::write(world.repo().join("README"), "Changed.\n").unwrap();
    for name in ["mine.txt", "untracked.txt"] {
        fs::write(world.repo().join(name), format!("{name}\n")).unwrap();
    }
    world
}

fn traced() -> Verdict {
    let mut world = world();
    let mut stranger = Command::new("sleep").arg("600").spawn().unwrap();
    planted(&mut world, stranger.id());
    let stage = Stage::traced(world);
    let ran = stage.run(&["up", "--session", "subprocess"]);
    // It got its signal, and this collects it.
    let _ = stranger.kill();
    stranger.wait().unwrap();
    let begun = stage.world.phases().iter().filter(|(_, phase)| phase == "completed").count();
    assert!(begun >= PLANTS.len() - 2, "{:?}\n{}", stage.world.phases(), ran.stderr);
    stage.judge()
}

#[test]
fn r1_whatever_is_planted_in_a_git_or_a_worker_is_caught() {
    let verdict = traced();
    for (index, (text, path, why)) in PLANTS.iter().enumerate() {
        let tree = format!(".p{index}.1");
        let named = |wrong: &&String| {
            let told = wrong.split("` by ").next().unwrap();
            told.starts_with(why) && told.contains(path) && (!text.contains("$tree") || told.contains(&tree))
        };
        assert!(verdict.wrong.iter().any(|wrong| named(&wrong)), "{text}: {:#?}", verdict.wrong);
    }
    for (text, path) in STRAYS {
        let named = |wrong: &&String| wrong.starts_with("is a worker's act") && wrong.contains(path);
        assert!(verdict.wrong.iter().any(|wrong| named(&wrong)), "{text}: {:#?}", verdict.wrong);
    }
    // Nobody else is blamed, but for the file that one plant had put in its way.
    let innocent = |wrong: &&String| {
        wrong.contains("Shim (") || (wrong.contains("/ilchul up") && !wrong.contains("/ilchul-ready`"))
    };
    let blamed: Vec<&String> = verdict.wrong.iter().filter(innocent).collect();
    assert!(blamed.is_empty(), "{blamed:#?}");
}
