//! Following a run on the other machine through what ends links, supervisors and patience.

use nix::sys::signal::Signal;

use crate::remote::{Remote, end};
use crate::world::{Up, wait_until};

/// Two tasks that leave a line each time they are begun; the second waits for a word.
const WAITS: &str = "tasks:\n  first: { run: 'echo first >> $W/ledger' }\n  second: { needs: [first], run: 'echo second >> $W/ledger; while [ ! -e $W/go ]; do sleep 0.05; done' }\n";

/// How many processes there read rows for somebody here.
fn followers(remote: &Remote) -> usize {
    remote.processes("\0events\0--rows\0")
}

fn begun(remote: &Remote) -> Up {
    let up = remote.start_up();
    wait_until("the second task", || remote.world.ledger().len() == 2);
    // Tasks run there before anybody here reads of it.
    wait_until("following", || followers(remote) == 1);
    up
}

#[test]
fn ctrl_c_ends_following_only_and_up_follows_on() {
    let remote = Remote::with(WAITS);
    let up = begun(&remote);
    up.signal_group(Signal::SIGINT);
    let ran = up.wait().exits(4);
    assert!(ran.stderr.contains("Following has ended; the run"), "{}", ran.stderr);
    assert!(ran.stderr.contains("`ilchul --host there down`"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("broke"), "the signal ended ssh as well: {}", ran.stderr);
    wait_until("no reader to be left there", || followers(&remote) == 0);
    let up = remote.start_up();
    // Whoever follows reads the journal there.
    wait_until("following", || followers(&remote) == 1);
    remote.world.touch("go");
    let ran = up.wait().exits(0);
    assert!(ran.stderr.contains("Following the run") && ran.stderr.contains("ok second"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("first  started"), "what is past isn't news: {}", ran.stderr);
    assert!(!remote.ok(&["events"]).contains("run.resumed"), "the supervisor was disturbed by nobody");
    assert_eq!(remote.world.ledger(), ["first", "second"]);
}

/// The supervisor there is ended by a signal while somebody follows, and the run goes on.
fn survives(signal: Signal) {
    let remote = Remote::with(WAITS);
    let up = begun(&remote);
    let first = remote.supervisor();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(first).unwrap()), signal).unwrap();
    wait_until("another supervisor", || remote.supervisor() != first);
    remote.world.touch("go");
    let ran = up.wait().exits(0);
    assert!(ran.stderr.contains("the supervisor on there is gone"), "{}", ran.stderr);
    assert_eq!(remote.world.ledger(), ["first", "second"], "no work is done twice");
}

#[test]
fn a_supervisor_that_is_killed_there_is_started_again_and_adopts_what_lives() {
    survives(Signal::SIGKILL);
}

#[test]
fn a_supervisor_that_a_site_asks_to_end_is_started_again_too() {
    survives(Signal::SIGTERM);
}

#[test]
fn a_supervisor_that_a_person_ends_there_stays_ended() {
    let remote = Remote::with(WAITS);
    let up = begun(&remote);
    remote.run(&["down"]).exits(0);
    let ran = up.wait().exits(4);
    assert!(ran.stderr.contains("On there: Interrupted (down)"), "{}", ran.stderr);
    assert_eq!(remote.world.ledger(), ["first", "second"]);
}

#[test]
fn a_link_that_is_cut_is_made_again_and_nothing_is_told_twice() {
    let mut remote = Remote::with(WAITS);
    let up = begun(&remote);
    remote.cut();
    remote.world.touch("go");
    // While nobody listens, the run ends there.
    let home = ilchul::home::Home::at(remote.home().join("ilchul/repo.ilchul"));
    wait_until("the end of the run there", || {
        ilchul::journal::lock::held(&home.lock()).is_ok_and(|holder| holder.is_none())
    });
    remote.serve();
    let ran = up.wait().exits(0);
    assert_eq!(ran.stderr.matches("the link to there broke").count(), 1, "{}", ran.stderr);
    assert!(!ran.stderr.contains("ilchul.host"), "our own mark is no reason: {}", ran.stderr);
    for line in ["> first  started", "ok first  completed", "> second  started", "ok second  completed"] {
        assert_eq!(ran.stderr.matches(line).count(), 1, "{line}: {}", ran.stderr);
    }
}

#[test]
fn following_ends_with_its_reader_here_though_nothing_happens_there() {
    let remote = Remote::with(WAITS);
    remote.run(&["up", "--session", "subprocess", "--detach"]).exits(0);
    wait_until("the second task", || remote.world.ledger().len() == 2);
    let mut command = remote.ilchul(&["events", "-f"]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut reader = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
    assert!(line.contains("run.started"), "{line}");
    drop(reader);
    wait_until("the end of following", || child.try_wait().unwrap().is_some());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    wait_until("no reader to be left there", || remote.processes("\0events\0-f\0") == 0);
    // What acts there isn't cut, whoever reads.
    let mut child = remote.ilchul(&["down"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    wait_until("the end of `down`", || child.try_wait().unwrap().is_some());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(remote.holder(), None);
}

#[test]
fn a_signal_ends_what_waits_there_and_its_exit_code_says_so_here() {
    let remote = Remote::with(WAITS);
    remote.run(&["up", "--session", "subprocess", "--detach"]).exits(0);
    wait_until("the second task", || remote.world.ledger().len() == 2);
    let waits = || remote.processes("\0wait\0");
    // The front's end, by a signal to its whole group, ends what it ran there.
    let front = remote.world.spawn(remote.ilchul(&["wait"]));
    wait_until("waiting there", || waits() == 1);
    front.signal_group(Signal::SIGTERM);
    assert_eq!(front.wait().code, -1);
    wait_until("nobody to wait there", || waits() == 0);
    // Ctrl-C in a terminal does the same, and isn't told as a broken link.
    let mut child = remote.on_terminal("trap : INT; $I --host there wait; echo code $?").spawn().unwrap();
    wait_until("waiting there", || waits() == 1);
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"\x03").unwrap();
    let said = String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).into_owned();
    assert!(said.contains("code 130") && !said.contains("failed"), "{said}");
    wait_until("nobody to wait there", || waits() == 0);
}

#[test]
fn a_front_that_alone_is_killed_leaves_nobody_there_and_the_link_for_others() {
    let remote = Remote::with(WAITS);
    remote.run(&["up", "--session", "subprocess", "--detach"]).exits(0);
    wait_until("the second task", || remote.world.ledger().len() == 2);
    for (words, seen) in [(&["wait"][..], "\0wait\0"), (&["up"], "\0events\0--rows\0")] {
        // This one makes the link, too, which is there for whoever comes next.
        remote.end_master();
        let front = remote.world.spawn(remote.ilchul(words));
        wait_until("somebody there", || remote.processes(seen) == 1);
        assert!(remote.has_master());
        front.kill();
        wait_until("nobody there", || remote.processes(seen) == 0);
        assert!(remote.has_master(), "the link stays");
    }
    assert!(remote.holder().is_some(), "and so does the run");
    remote.world.touch("go");
    remote.run(&["wait"]).exits(0);
}

#[test]
fn branches_come_back_by_the_next_up_where_nobody_followed_to_the_end() {
    let remote = Remote::with(WAITS);
    remote.world.touch("go");
    remote.run(&["up", "--session", "subprocess", "--detach"]).exits(0);
    remote.run(&["wait"]).exits(0);
    let there = ["for-each-ref", "--format=%(refname)", "refs/remotes/there/"];
    assert_eq!(remote.world.git(&there), "");
    let ran = remote.up().exits(0);
    assert!(ran.stderr.contains("The branches of 2 workers are fetched to"), "{}", ran.stderr);
    assert_eq!(remote.world.git(&there).lines().count(), 2);
    assert!(!remote.up().exits(0).stderr.contains("fetched"));
}

#[test]
fn branches_of_later_attempts_come_back_too() {
    let remote = Remote::with(
        "tasks: { a: { run: 'git -c user.name=t -c user.email=t@localhost commit -q --allow-empty -m x; test -e $W/go' } }\n",
    );
    remote.up().exits(3);
    let there = ["for-each-ref", "--format=%(refname:lstrip=5)", "refs/remotes/there/"];
    assert_eq!(remote.world.git(&there), "a.1\n");
    remote.world.touch("go");
    remote.run(&["retry", "a"]).exits(0);
    remote.run(&["up", "--session", "subprocess", "--detach"]).exits(0);
    remote.run(&["wait"]).exits(0);
    let ran = remote.up().exits(0);
    assert!(ran.stderr.contains("The branches of 1 worker are fetched to"), "{}", ran.stderr);
    assert_eq!(remote.world.git(&there), "a.1\na.2\n");
}

#[test]
fn branches_that_stand_at_commits_known_here_come_back_as_well() {
    let remote = Remote::with(
        "tasks: { a: { base: old, run: 'true' }, b: { run: 'while [ ! -e $W/go ]; do sleep 0.05; done' } }\n",
    );
    remote.world.git(&["branch", "old"]);
    remote.commit("more", "x");
    let up = remote.start_up();
    remote.supervisor();
    // By the end of the run, another commit is checked out here.
    remote.commit("later", "x");
    remote.world.touch("go");
    let ran = up.wait().exits(0);
    assert!(ran.stderr.contains("The branches of 2 workers are fetched to"), "{}", ran.stderr);
}

#[test]
fn a_run_under_way_is_left_alone_by_a_detached_up() {
    let remote = Remote::with(WAITS);
    remote.run(&["up", "--session", "subprocess", "--detach"]).exits(0);
    wait_until("the second task", || remote.world.ledger().len() == 2);
    let held = remote.run(&["up", "--detach"]).exits(5);
    assert!(held.stderr.contains("has driven the run"), "{}", held.stderr);
    remote.world.touch("go");
    remote.run(&["wait"]).exits(0);
}

#[test]
fn nothing_is_sent_to_a_run_that_is_under_way() {
    let remote = Remote::with(WAITS);
    let up = begun(&remote);
    let before = remote.git_there(&["rev-parse", "HEAD"]);
    remote.commit("ilchul.yaml", "version: 1\ntasks: { other: { run: 'true' } }\n");
    let held = remote.run(&["up", "--detach"]).exits(5);
    assert!(held.stderr.contains("A run is under way on there: nothing is sent."), "{}", held.stderr);
    let second = remote.start_up();
    wait_until("a second follower", || followers(&remote) == 2);
    assert_eq!(remote.git_there(&["rev-parse", "HEAD"]), before);
    // Whoever drives it can be followed by another one.
    let first = remote.supervisor();
    end(first);
    wait_until("another supervisor", || remote.supervisor() != first);
    remote.world.touch("go");
    up.wait().exits(0);
    second.wait().exits(0);
    assert!(!remote.ok(&["events"]).contains("run.drifted"), "nothing there was changed");
    assert_eq!(remote.world.ledger(), ["first", "second"]);
}

#[test]
fn a_supervisor_that_is_refused_there_is_told_so_at_once() {
    let remote = Remote::with(WAITS);
    let up = begun(&remote);
    let file = remote.checkout().join("ilchul.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}  third: {{ run: 'true' }}\n")).unwrap();
    end(remote.supervisor());
    let ran = up.wait().exits(1);
    assert_eq!(ran.stderr.matches("another one is started").count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("--adopt"), "{}", ran.stderr);
    std::fs::write(&file, text).unwrap();
    remote.world.touch("go");
    remote.up().exits(0);
    assert_eq!(remote.world.ledger(), ["first", "second"]);
}

#[test]
fn supervisors_that_die_one_after_the_other_are_an_end_and_no_loop() {
    let remote = Remote::with(WAITS);
    let mut up = begun(&remote);
    // What is written of the second task from here on would be progress.
    wait_until("the second task's last word", || {
        remote.ok(&["events"]).matches("task.in_progress").count() == 2
    });
    let mut last = 0;
    let mut killed = 0;
    while !up.has_ended() {
        if let Some(pid) = remote.holder().filter(|pid| *pid != last) {
            end(pid);
            (last, killed) = (pid, killed + 1);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let ran = up.wait().exits(4);
    assert!(ran.stderr.contains("it died 3 times in a row, and nothing went on"), "{}", ran.stderr);
    assert_eq!(killed, 4, "the first one, and three that were started for it");
    // A person goes on with it, and no work was done twice.
    remote.world.touch("go");
    remote.up().exits(0);
    assert_eq!(remote.world.ledger(), ["first", "second"]);
}
