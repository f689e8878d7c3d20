//! What only this substrate promises: one start, its surroundings, its terminal, its refusals.
//!
//! It leaves out the suite's promises, and clusters that fail.

use crate::common::{World, pace, slurm};
use ilchul_conformance::{PATIENCE, wait_until};
use ilchul_slurm::Slurm;
use ilchul_substrate::{ErrorKind, Exit, Handle, State, Substrate, Urgency};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

fn started(world: &World, task: &str, script: &str) -> Handle {
    let mark = world.mark(task);
    let handle = world.substrate.ensure(&mark, &world.script(&mark, script)).unwrap();
    world.live(&handle);
    handle
}

#[test]
fn a_second_job_of_the_same_attempt_ends_without_a_second_start() {
    let world = World::new();
    let handle = started(&world, "twice", "echo begun >> begun; sleep 600");
    world.text("begun");
    // What a doubtful submit that was repeated would be: the same name, the same folder.
    let folder = handle.fields["folder"].clone();
    let root = world.folder.path().join("slurm");
    let script = format!("#!/bin/sh\nexec /bin/sh {}/job-*.sh job {folder}\n", root.display());
    let file = world.folder.path().join("again.sh");
    fs::write(&file, script).unwrap();
    let again = slurm(&[
        "sbatch",
        "--parsable",
        "-J",
        &handle.mark.to_string(),
        "-o",
        "/dev/null",
        file.to_str().unwrap(),
    ]);
    wait_until("the second one is over", PATIENCE, || {
        slurm(&["squeue", "-h", "-t", "all", "-j", &again, "-o", "%T"]) == "FAILED"
    });
    assert!(slurm(&["scontrol", "show", "job", &again]).contains("ExitCode=79:0"));
    assert_eq!(world.text("begun"), "begun\n");
    assert!(matches!(world.state(&handle), State::Live(_)), "and the first one goes on");
}

#[test]
fn l21_what_was_called_off_before_it_began_never_begins() {
    let world = World::new();
    let mark = world.mark("off");
    let mut spec = world.script(&mark, "echo begun > begun");
    spec.request.options = vec!["--begin=now+3".to_owned()];
    let handle = world.substrate.ensure(&mark, &spec).unwrap();
    assert!(matches!(world.state(&handle), State::Queued(_)));
    // The controller isn't asked to forget it: the claim alone must keep it from beginning.
    fs::write(world.folder.path().join("slurm").join(mark.to_string()).join("claim"), "called_off=1\n")
        .unwrap();
    assert_eq!(world.state(&handle), State::Ended(None));
    wait_until("its job has come and gone", PATIENCE, || {
        slurm(&["squeue", "-h", "-t", "all", "-j", &handle.id, "-o", "%T"]) == "FAILED"
    });
    assert!(!world.folder.path().join("begun").exists());
}

#[test]
fn a_release_before_the_start_takes_it_out_of_the_queue() {
    let world = World::new();
    let mark = world.mark("early");
    let mut spec = world.script(&mark, "echo begun > begun");
    spec.request.options = vec!["--begin=now+1hour".to_owned()];
    let handle = world.substrate.ensure(&mark, &spec).unwrap();
    wait_until("its reason is told", PATIENCE, || {
        world.state(&handle) == State::Queued("BeginTime".to_owned())
    });
    world.substrate.release(&handle, Urgency::Asked).unwrap();
    assert_eq!(slurm(&["squeue", "-h", "-j", &handle.id, "-o", "%T"]), "");
    assert_eq!(world.state(&handle), State::Ended(None));
}

#[test]
fn asked_it_may_end_in_order_and_its_word_counts() {
    let world = World::new();
    let handle =
        started(&world, "order", "trap 'echo bye > bye; exit 12' TERM; echo ready > ready; sleep 600 & wait");
    world.text("ready");
    world.substrate.release(&handle, Urgency::Asked).unwrap();
    assert_eq!(world.text("bye"), "bye\n");
    assert_eq!(world.state(&handle), State::Ended(Some(Exit::Code(12))));
}

#[test]
fn at_once_and_deaf_to_terms_its_whole_tree_is_gone() {
    for urgency in [Urgency::Asked, Urgency::AtOnce] {
        let world = World::new();
        let script = "trap '' TERM HUP; setsid sleep 7777 & echo $! > child; echo $$ > ready; while :; do sleep 1; done";
        let handle = started(&world, "deaf", script);
        let pids = [world.text("ready"), world.text("child")];
        world.substrate.release(&handle, urgency).unwrap();
        for pid in pids {
            // All nodes are this machine.
            let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
            assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
        }
        assert!(matches!(world.state(&handle), State::Ended(_)));
    }
}

#[test]
fn a_batch_script_that_is_killed_outright_leaves_nothing_running() {
    let world = World::new();
    let handle = started(&world, "killed", "echo $$ > ready; sleep 600");
    let pid = world.text("ready");
    // Without cgroups Slurm itself would only hit the script.
    slurm(&["scancel", "--batch", "--signal=KILL", &handle.id]);
    wait_until("the program is gone as well", PATIENCE, || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    });
    assert!(matches!(world.ended(&handle), State::Ended(_)));
}

#[test]
fn a_terminal_of_its_own_can_be_reached_through_the_job() {
    let world = World::new();
    let handle = started(&world, "term", "tty > tty; echo hello-there; sleep 600");
    assert!(world.text("tty").starts_with("/dev/pts/"));
    let argv = world.substrate.attach(&handle).unwrap();
    let shown: Vec<_> = argv.iter().map(|word| word.to_str().unwrap()).collect();
    assert_eq!(shown[..5], ["srun", &format!("--jobid={}", handle.id), "--overlap", "--pty", "tmux"]);
    // The same way, without a terminal here: what would be attached to shows what was printed.
    let mut look = Command::new("srun");
    look.args(["--overlap", &format!("--jobid={}", handle.id)])
        .args(&shown[4..7])
        .args(["capture-pane", "-p"]);
    let seen = String::from_utf8(look.output().unwrap().stdout).unwrap();
    assert!(seen.contains("hello-there"), "{seen}");
}

#[test]
fn its_environment_is_the_one_asked_for_and_nothing_of_ours() {
    let world = World::new();
    let mark = world.mark("env");
    let mut spec = world.script(&mark, "env > env");
    let secrets = world.folder.path().join("secrets");
    fs::write(&secrets, "# not a shell's\nTOKEN=$(id) 'x'\n").unwrap();
    fs::set_permissions(&secrets, fs::Permissions::from_mode(0o600)).unwrap();
    spec.request.env_file = Some(secrets);
    let handle = world.substrate.ensure(&mark, &spec).unwrap();
    world.ended(&handle);
    let env = world.text("env");
    for line in ["CANARY=it's 1", "TOKEN=$(id) 'x'", &format!("SLURM_JOB_ID={}", handle.id)] {
        assert!(env.lines().any(|one| one == line), "{line} in {env}");
    }
    // What Slurm's commands may inherit, what shells and terminals add.
    let known = "PATH HOME USER LOGNAME SHELL LANG TZ SLURM_CONF PWD OLDPWD SHLVL _ TERM TMUX TMUX_PANE HOSTNAME MAIL";
    let ours =
        std::env::vars().map(|(name, _)| name).filter(|name| !known.split(' ').any(|known| known == name));
    let ours: Vec<String> = ours.filter(|name| !name.starts_with("LC_")).collect();
    // There is something that could have come along.
    assert!(!ours.is_empty());
    let came = ours.iter().find(|name| env.lines().any(|line| line.starts_with(&format!("{name}="))));
    assert_eq!(came, None, "{env}");
    let script = slurm(&["scontrol", "write", "batch_script", &handle.id, "-"]);
    assert!(script.contains("job-") && !script.contains("TOKEN"), "{script}");
}

#[test]
fn setup_lines_build_on_the_environment_in_a_login_shell() {
    let world = World::new();
    let mark = world.mark("built");
    let mut spec = world.script(&mark, "echo \"$BUILT\" > built");
    // What `module` is: a function that only a login shell has.
    let function = "built() { export BUILT=\"$CANARY\"; }; shopt -q login_shell && built";
    spec.request.setup = vec![function.to_owned()];
    let handle = world.substrate.ensure(&mark, &spec).unwrap();
    assert_eq!(world.ended(&handle), State::Ended(Some(Exit::Code(0))));
    assert_eq!(world.text("built"), "it's 1\n");
}

#[test]
fn a_setup_line_that_fails_and_a_folder_that_is_gone_are_told_by_the_job_itself() {
    let world = World::new();
    let mark = world.mark("setup");
    let mut spec = world.script(&mark, "echo begun > begun");
    spec.request.setup = vec!["false".to_owned()];
    let handle = world.substrate.ensure(&mark, &spec).unwrap();
    assert_eq!(world.ended(&handle), State::Ended(Some(Exit::Code(73))));
    let seen = world.substrate.observe(&[handle]).remove(0);
    assert_eq!(seen.note.as_deref(), Some("the set-up line `false` failed"));
    let mark = world.mark("gone");
    let mut spec = world.script(&mark, "echo begun > begun");
    spec.cwd = world.folder.path().join("there");
    fs::create_dir(&spec.cwd).unwrap();
    spec.request.options = vec!["--begin=now+2".to_owned()];
    let handle = world.substrate.ensure(&mark, &spec).unwrap();
    fs::rename(&spec.cwd, world.folder.path().join("elsewhere")).unwrap();
    assert_eq!(world.ended(&handle), State::Ended(Some(Exit::Code(72))));
    assert!(!world.folder.path().join("begun").exists());
}

#[test]
fn what_slurm_could_never_serve_is_refused_at_once() {
    let world = World::new();
    for (task, option) in [
        ("mem", "--mem=lots"),
        ("count", "--nodes=abc"),
        ("cpus", "--cpus-per-task=x"),
        ("partition", "--partition=nowhere"),
        ("gres", "--gres=gpu:1"),
        ("feature", "--constraint=purple"),
        ("typo", "--no-such-option"),
        ("owned", "--job-name=mine"),
        ("short", "-n1"),
    ] {
        let mark = world.mark(task);
        let mut spec = world.script(&mark, "true");
        spec.request.options = vec![option.to_owned()];
        let error = world.substrate.ensure(&mark, &spec).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{option}: {error}");
    }
    assert_eq!(world.substrate.discover(&world.run).unwrap(), []);
}

#[test]
fn what_slurm_queues_for_ever_is_stuck_with_its_reason_unless_it_says_no_at_once() {
    let world = World::new();
    for (task, option, hours, reason) in [
        ("time", "--partition=short", 24, "PartitionTimeLimit"),
        ("nodes", "--nodes=99", 1, "Partition"),
        ("cpus", "--cpus-per-task=4000", 1, "Partition"),
    ] {
        let mark = world.mark(task);
        let mut spec = world.script(&mark, "true");
        spec.request.options = vec![option.to_owned()];
        spec.request.wall = Some(std::time::Duration::from_secs(hours * 3600));
        let handle = match world.substrate.ensure(&mark, &spec) {
            Ok(handle) => handle,
            // As 24.11 does, of what no node could ever give; 22.05 and 26.05 don't.
            Err(error) if task != "time" => {
                assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
                assert!(error.to_string().contains("node configuration is not available"), "{error}");
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        let stuck = || matches!(world.state(&handle), State::Stuck(why) if why.contains(reason));
        wait_until("it is stuck", PATIENCE, stuck);
        world.substrate.release(&handle, Urgency::Asked).unwrap();
    }
}

#[test]
fn a_submit_whose_answer_was_lost_is_adopted_and_not_repeated() {
    let world = World::new();
    let handle = started(&world, "lost", "echo begun >> begun; sleep 600");
    // As if its submitter had died between the submit and writing the answer down.
    fs::remove_file(world.folder.path().join("slurm").join(handle.mark.to_string()).join("job")).unwrap();
    let cold = Slurm::new(world.folder.path().join("slurm"), pace());
    assert_eq!(cold.discover(&world.run).unwrap(), [(handle.mark.clone(), handle.clone())]);
    let again = cold.ensure(&handle.mark, &world.script(&handle.mark, "echo begun >> begun")).unwrap();
    assert_eq!(again, handle);
    assert_eq!(world.text("begun"), "begun\n");
}
