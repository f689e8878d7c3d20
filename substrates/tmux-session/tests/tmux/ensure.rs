//! Making windows: once per mark, with exactly the process, environment and options asked for.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;

use crate::support::{SESSION, World, assert_live, mark, pid_of, state, until, until_ended};
use ilchul_substrate::{ErrorKind, Exit, Handle, Mark, State, Substrate};

#[test]
fn the_first_worker_is_the_first_window_and_there_is_no_other() {
    let world = World::new();
    let session = world.open();
    let first = world.sleeper(&session, "worker-1");
    assert_eq!(
        world.ask(&["list-windows", "-a", "-F", "#{session_name} #{window_id}"]),
        format!("{SESSION} @0")
    );
    let second = world.sleeper(&session, "worker-10");
    assert_eq!(world.ask(&["list-panes", "-s", "-t", SESSION, "-F", "#{pane_id}"]), "%0\n%1");
    assert_eq!((first.id.as_str(), second.id.as_str()), ("%0", "%1"));
    assert_eq!(first.fields["session"], second.fields["session"]);
}

#[test]
fn ensure_twice_is_ensure_once_even_from_a_cold_start() {
    let world = World::new();
    let session = world.open();
    for task in ["worker-10", "worker-1"] {
        let first = world.sleeper(&session, task);
        assert_eq!(world.sleeper(&session, task), first);
        assert_eq!(world.sleeper(&world.open(), task), first);
    }
    assert_eq!(world.ask(&["list-panes", "-a", "-F", "#{pane_id}"]).lines().count(), 2);
}

#[test]
fn a_worker_that_ended_at_once_keeps_its_handle_and_its_exit() {
    let world = World::new();
    let session = world.open();
    for (task, code) in [("a", 0), ("b", 3), ("c", 255)] {
        let spec = world.script(&format!("exit {code}"));
        let handle = world.ensure(&session, task, &spec);
        assert_eq!(until_ended(&session, &handle), State::Ended(Some(Exit::Code(code))));
        assert_eq!(world.ensure(&session, task, &spec), handle);
        assert_eq!(world.ensure(&world.open(), task, &spec), handle);
    }
    let killed = world.ensure(&session, "d", &world.script("kill -9 $$"));
    assert_eq!(until_ended(&session, &killed), State::Ended(Some(Exit::Signal(9))));
}

#[test]
fn many_threads_make_each_window_once() {
    let world = World::new();
    let session = world.open();
    let spec = world.spec(&["sleep", "600"]);
    let begun = std::time::Instant::now();
    let mut handles: Vec<Handle> = std::thread::scope(|scope| {
        let make = |n: usize| session.ensure(&mark(&format!("t{}", n % 32)), &spec).unwrap();
        let threads: Vec<_> = (0..8)
            .map(|t| scope.spawn(move || (0..8).map(|k| make(t * 8 + k)).collect::<Vec<_>>()))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    world.note_server();
    println!("32 windows, each ensured twice: {:?}", begun.elapsed());
    handles.sort_by(|left, right| left.mark.cmp(&right.mark));
    handles.dedup();
    assert_eq!(handles.len(), 32);
    assert_eq!(world.ask(&["list-panes", "-a", "-F", "#{pane_id}"]).lines().count(), 32);
    let begun = std::time::Instant::now();
    let seen = session.observe(&handles);
    println!("32 observed: {:?}", begun.elapsed());
    seen.iter().for_each(|seen| assert_live(&seen.state));
    let marks: Vec<Mark> = session.discover("r1").unwrap().into_iter().map(|(mark, _)| mark).collect();
    assert_eq!(marks, handles.iter().map(|handle| handle.mark.clone()).collect::<Vec<_>>());
}

#[test]
fn s5_every_byte_arrives_as_it_was_given_and_none_is_expanded() {
    let world = World::new();
    let session = world.open();
    let odd = world.path("#(touch canary) #{pid} it's; $HOME ~ %d");
    fs::create_dir(&odd).unwrap();
    let all: Vec<u8> = (1..=255).collect();
    let words: Vec<Vec<u8>> = vec![
        b"#(touch canary)".to_vec(),
        b"#{pid}#[fg=red]##x#".to_vec(),
        b"it's \"quoted\" \\ $HOME ${HOME} ~ ~/x `id` *".to_vec(),
        b"ends in ;".to_vec(),
        b";".to_vec(),
        b"\\;".to_vec(),
        b"{ a } %if %begin 1 1 1".to_vec(),
        b"two\nlines\n".to_vec(),
        b"".to_vec(),
        b"-x".to_vec(),
        b"A=b".to_vec(),
        all,
    ];
    // Once as the first window (words of a client), once as the second (a line of the connection).
    for task in ["a", "b"] {
        let out = world.path(&format!("out-{task}"));
        let script =
            "{ printf '%s\\0' \"$PWD\" \"$ODD\" \"$TERM\" \"$@\"; echo END; } > \"$0\"; exec sleep 600";
        let mut spec = world.script(script);
        spec.cwd = odd.clone();
        spec.env.push(("ODD".into(), "#(touch canary) it's\n;".into()));
        spec.env.push(("TERM".into(), "xterm-of-another-terminal".into()));
        spec.argv.push(out.clone().into());
        spec.argv.extend(words.iter().map(|word| OsString::from_vec(word.clone())));
        let handle = world.ensure(&session, task, &spec);
        let read =
            until("the words are written", || fs::read(&out).ok().filter(|text| text.ends_with(b"END\n")));
        let mut found: Vec<Vec<u8>> = read.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
        assert_eq!(found.pop().unwrap(), b"END\n");
        assert_eq!(found[0], odd.as_os_str().as_encoded_bytes());
        assert_eq!(found[1], b"#(touch canary) it's\n;");
        assert_eq!(found[2], world.ask(&["show-options", "-sv", "default-terminal"]).as_bytes());
        assert_eq!(&found[3..], &words[..]);
        assert_live(&state(&session, &handle));
        assert!(!odd.join("canary").exists() && !world.path("canary").exists());
    }
}

#[test]
fn s14_a_worker_sees_its_own_environment_and_no_other() {
    let world = World::new();
    world.user_server();
    world.ask(&["set-environment", "-g", "ILCHUL_CANARY_SET", "leaked"]);
    let session = world.open();
    let handle = world.sleeper(&session, "a");
    let environ = until("it runs its program", || {
        let name = fs::read_to_string(format!("/proc/{}/comm", pid_of(&handle))).unwrap();
        (name == "sleep\n").then(|| fs::read(format!("/proc/{}/environ", pid_of(&handle))).unwrap())
    });
    let mut names: Vec<String> = environ
        .split(|byte| *byte == 0)
        .filter(|entry| !entry.is_empty())
        .map(|entry| String::from_utf8_lossy(entry).split('=').next().unwrap().to_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["PATH", "TERM"]);
}

#[test]
fn a_server_that_we_start_holds_none_of_our_environment_beyond_the_list() {
    let world = World::new();
    let session = world.open();
    world.sleeper(&session, "a");
    let global = world.ask(&["show-environment", "-g"]);
    // Set by cargo for every test, so it is surely in ours.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    assert!(global.contains("PATH=") && !global.contains("CARGO"), "{global}");
}

#[test]
fn nothing_of_ours_is_open_in_a_worker() {
    let world = World::new();
    let session = world.open();
    world.sleeper(&session, "a");
    let second = world.sleeper(&session, "b");
    let folder = format!("/proc/{}/fd", pid_of(&second));
    // A program that is starting reads its libraries; what was inherited would stay.
    until("it runs its program with its terminal only", || {
        let name = fs::read_to_string(format!("/proc/{}/comm", pid_of(&second))).unwrap();
        let open: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
            .collect();
        (name == "sleep\n" && open.len() == 3 && open.iter().all(|file| file.starts_with("/dev/pts")))
            .then_some(())
    });
}

#[test]
fn captured_output_goes_to_a_private_log_and_uncaptured_output_to_none() {
    let world = World::new();
    let session = world.open();
    let odd = world.path("log #[x] #(touch canary) %H it's $(id)");
    for task in ["a", "b"] {
        // It ends once its words have arrived: of what a process prints in the very moment of its
        // end, tmux may drop the last piece (see the README).
        let mut spec = world.script("echo hello; echo END; until grep -q END log*; do sleep 0.01; done");
        spec.log = odd.clone();
        spec.capture = task == "a";
        world.ensure(&session, task, &spec);
        let text = until("the log is written", || {
            fs::read_to_string(&odd).ok().filter(|text| text.trim_end().ends_with("END"))
        });
        assert_eq!(text.replace('\r', ""), "hello\nEND\n", "once, by `a`");
        assert_eq!(fs::metadata(&odd).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert!(!world.path("canary").exists());
}

#[test]
fn options_are_set_on_our_own_only() {
    let world = World::new();
    world.user_server();
    let globals = || ["-g", "-gw", "-s"].map(|scope| world.ask(&["show-options", scope]));
    let keys = || world.ask(&["list-keys"]);
    let theirs =
        || world.ask(&["show-options", "-t", "mine"]) + &world.ask(&["show-options", "-w", "-t", "mine"]);
    let before = (globals(), keys(), theirs());
    let session = world.open();
    world.sleeper(&session, "a");
    world.sleeper(&session, "b");
    assert_eq!((globals(), keys(), theirs()), before);
    let ours = world.ask(&["show-options", "-t", SESSION]);
    for part in ["@ilchul_run r1", "destroy-unattached off", "detach-on-destroy on"] {
        assert!(ours.contains(part), "{ours}");
    }
    for pane in ["%0", "%1", "%2"].iter().skip(1) {
        let ours = world.ask(&["show-options", "-w", "-t", pane]);
        for part in ["remain-on-exit on", "allow-rename off", "automatic-rename off"] {
            assert!(ours.contains(part), "{ours}");
        }
    }
}

#[test]
fn a_session_of_that_name_that_isn_t_ours_is_a_conflict_and_stays_as_it_was() {
    let world = World::new();
    world.user_server();
    world.ask(&["new-session", "-d", "-s", SESSION, "sleep 600"]);
    let error = world.open().ensure(&mark("a"), &world.spec(&["true"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains(SESSION), "{error}");
    assert_eq!(world.ask(&["list-panes", "-s", "-t", SESSION]).lines().count(), 1);
}

#[test]
fn what_is_half_made_is_shown_and_never_retried_in_place() {
    let world = World::new();
    let session = world.open();
    let handle = world.sleeper(&session, "a");
    world.ask(&["set-option", "-p", "-u", "-t", &handle.id, "@ilchul_made"]);
    let error = session.ensure(&mark("a"), &world.spec(&["true"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let found = session.discover("r1").unwrap();
    assert_eq!(found.iter().map(|(mark, _)| mark.to_string()).collect::<Vec<_>>(), ["ilchul.r1.a.1"]);
    world.ask(&["set-option", "-p", "-t", &handle.id, "@ilchul_made", "1"]);
    world.sleeper(&session, "b");
    world.ask(&["set-option", "-p", "-t", "%1", "@ilchul_mark", "ilchul.r1.a.1"]);
    let error = session.ensure(&mark("a"), &world.spec(&["true"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "two with one mark");
}

#[test]
fn a_refused_spec_makes_nothing() {
    let world = World::new();
    let session = world.open();
    let mut spec = world.spec(&["true"]);
    spec.title = "#(touch canary)".to_owned();
    assert_eq!(session.ensure(&mark("a"), &spec).unwrap_err().kind(), ErrorKind::Refused);
    let long = world.spec(&["true", &"x".repeat(20_000)]);
    assert_eq!(session.ensure(&mark("a"), &long).unwrap_err().kind(), ErrorKind::Refused);
    assert!(!world.socket().exists(), "no server was started");
    assert_eq!(session.discover("r1").unwrap(), []);
}

#[test]
fn discover_tells_one_run_from_another() {
    let world = World::new();
    let session = world.open();
    world.sleeper(&session, "worker-10");
    world.sleeper(&session, "worker-1");
    let marks = |run: &str| -> Vec<String> {
        session.discover(run).unwrap().iter().map(|(mark, _)| mark.to_string()).collect()
    };
    assert_eq!(marks("r1"), ["ilchul.r1.worker-1.1", "ilchul.r1.worker-10.1"]);
    assert_eq!(marks("r"), [""; 0]);
    assert_eq!(marks("r10"), [""; 0]);
}
