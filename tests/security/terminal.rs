//! Bytes of strangers on their way to a terminal, a shell or a terminal server (S4-S6, S8, S9).
//!
//! It leaves out the neutraliser's own table, which is tested beside it.

use std::fs;
use std::os::unix::net::UnixListener;
use std::process::Command;

use super::canary::Canary;
use super::world::{Ran, World, ran};

/// Steers a terminal in every way: title and clipboard, colours, C1, bidi, zero width, return.
const HOSTILE: &str =
    "a\u{1b}]52;c;QUJD\u{7}\u{1b}[2J\u{1b}c\u{9b}31m\u{202e}gpj\u{200b}\u{feff}\u{e0041}\rz";

/// Whether a character steers a terminal, or hides or reorders what stands beside it.
fn steers(c: char) -> bool {
    let hidden = ['\u{61c}', '\u{180e}', '\u{feff}'];
    (c.is_control() && c != '\n' && c != '\t')
        || hidden.contains(&c)
        || ('\u{200b}'..='\u{200f}').contains(&c)
        || ('\u{2028}'..='\u{202e}').contains(&c)
        || ('\u{2060}'..='\u{206f}').contains(&c)
        || ('\u{e0000}'..='\u{e007f}').contains(&c)
}

#[track_caller]
fn harmless(what: &str, shown: &Ran) {
    assert!(shown.code >= 0 && shown.code != 101, "{what}: {shown:?}");
    for text in [&shown.stdout, &shown.stderr] {
        assert!(!text.chars().any(steers), "{what}: {text:?}");
    }
}

/// A worker that writes the hostile text wherever it can.
fn script() -> String {
    let json = serde_json::to_string(HOSTILE).unwrap();
    format!(
        "h='{HOSTILE}'\nprintf '%s\\n\\302\\233bare\\233\\n' \"$h\"\nmkdir -p src\necho x > \"src/$h\"\n\
         echo ignored-$h > .git-ignored; echo x > \"src/$h.log\"\n\
         git -c user.name=w -c user.email=w@localhost commit -q --allow-empty -m \"$h\"\n\
         printf '%s' \"$h\" > plain.txt\n\
         token=$(sed -n 's/.*\"token\" *: *\\([0-9]*\\).*/\\1/p' \"$ILCHUL_MAIL/assignment.json\")\n\
         printf '{{\"note\":%s}}' '{json}' > \"$ILCHUL_MAIL/.tmp/n\"; mv \"$ILCHUL_MAIL/.tmp/n\" \"$ILCHUL_MAIL/note.json\"\n\
         printf '{{\"schema\":\"ilchul.report/1\",\"task\":\"a\",\"attempt\":1,\"token\":%s,\"status\":\"%s\",\
         \"summary\":%s,\"reason\":%s,\"outputs\":{{\"out\":%s}},\"evidence\":[{{\"kind\":\"diff\",\"commit\":%s}}]}}' \
         \"$token\" \"$1\" '{json}' '{json}' '{json}' '{json}' > \"$ILCHUL_MAIL/.tmp/r\"\n\
         mv \"$ILCHUL_MAIL/.tmp/r\" \"$ILCHUL_MAIL/report.json\"\n"
    )
}

#[test]
fn s8_s9_nothing_that_a_worker_or_a_repository_wrote_reaches_a_terminal_raw() {
    for (status, evidence) in [
        ("done", "{ exit: 0 }, { log: { pattern: '(?s).*' } }, { command: 'cat plain.txt; exit 1' }"),
        ("done", "{ exit: 0 }, { diff: { paths: [other] } }"),
        ("failed", "{ exit: 0 }"),
        ("partial", "{ exit: 0 }"),
        ("nonsense", "{ exit: 0 }"),
    ] {
        let world = World::with(&format!(
            "tasks: {{ a: {{ run: 'sh $W/hostile.sh {status}', evidence: [ {evidence} ] }} }}"
        ));
        fs::write(world.root().join("hostile.sh"), script()).unwrap();
        fs::write(world.repo().join(HOSTILE), "untracked\n").unwrap();
        world.git(&["checkout", "-q", "-b", "x\u{202e}y\u{200b}z"]);
        harmless("up", &world.up());
        fs::write(world.repo().join(".git/info/exclude"), "*.log\n").unwrap();
        let every = "status|why a|evidence a|evidence a --recheck|workers|workers --close|events|runs|plan|doctor|\
            release a.1|cleanup --safe|logs a|logs a -f|up|graph";
        for args in every.split('|') {
            let words: Vec<&str> = args.split(' ').collect();
            harmless(args, &world.run(&words));
            if args != "logs a -f" {
                harmless(args, &world.run(&[&words[..], &["--json"]].concat()));
            }
        }
        let events = world.ok(&["events", "--json"]);
        let kept = events.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let told = kept.map(|event| event.to_string()).collect::<String>();
        assert!(status == "nonsense" || told.contains("52;c;QUJD"), "the record has it whole: {told}");
        for args in [
            &["why", HOSTILE][..],
            &["logs", HOSTILE],
            &["validate", HOSTILE],
            &["plan", HOSTILE],
            &["attach", HOSTILE],
            &["status", "--run", HOSTILE],
            &["release", HOSTILE],
            &[HOSTILE],
        ] {
            harmless(&format!("{args:?}"), &world.run(args));
        }
        let workflow = format!(
            "version: 1\n{}: 1\ntasks: {{ a: {{ run: 'true' }} }}\n",
            serde_json::to_string(HOSTILE).unwrap()
        );
        fs::write(world.repo().join("ilchul.yaml"), workflow).unwrap();
        for args in [&["validate"][..], &["plan"], &["up"]] {
            harmless(&format!("{args:?}"), &world.run(args));
        }
        let moved = world.run(&["validate", "--home", HOSTILE]);
        harmless("a hostile home", &moved);
    }
}

/// The server of a world whose home its own end doesn't find.
struct Server<'a>(&'a World);

impl Drop for Server<'_> {
    fn drop(&mut self) {
        // Only this world's own server has its socket there; often there is none.
        self.0.tmux(&["kill-server"]);
    }
}

/// What a shell and a terminal server would run, each in its own spelling.
const RUNS: &str = "x#(canary)$(canary)`canary`;canary|canary&#{pid}#{E:x}%H";

/// In a repository whose folder and branch are called so, a workflow in which every text is.
fn everywhere(world: &World) -> std::path::PathBuf {
    let repo = world.root().join(RUNS);
    fs::rename(world.repo(), &repo).unwrap();
    // The world's own commands stand there; they need no repository.
    fs::create_dir(world.repo()).unwrap();
    let name = serde_json::to_string(RUNS).unwrap();
    let text = serde_json::to_string(&format!("{RUNS}\n' \" \\ {RUNS}")).unwrap();
    let found = serde_json::to_string(&regex::escape(RUNS)).unwrap();
    let workflow = format!(
        "version: 1\nname: {name}\ndefaults: {{ env: {{ SAID: {text} }} }}\n\
         agents: {{ mine: {{ adapter: command, argv: [sh, -c, 'cat \"$ILCHUL_PROMPT_FILE\"', {text}] }} }}\n\
         tasks:\n  p: {{ agent: mine, prompt: {text}, evidence: [ {{ exit: 0 }} ] }}\n  a:\n\
         \x20   argv: [sh, -c, 'printf %s \"$1\" > got; test \"$1\" = \"$SAID\" && cat got', {text}, {text}]\n\
         \x20   evidence: [ {{ artifact: got }}, {{ log: {{ pattern: {found} }} }}, \
         {{ diff: {{ paths: [{text}, got] }} }}, {{ command: 'cat got', match: {found} }}, {{ approval: {{ message: {text} }} }} ]\n"
    );
    let git = |args: &[&str]| {
        let output = world.sealed("git").current_dir(&repo).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    git(&["checkout", "-q", "-b", "x#(canary)$(canary)`canary`;canary|canary&"]);
    fs::write(repo.join("ilchul.yaml"), workflow).unwrap();
    git(&["add", "-A"]);
    git(&["-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", RUNS]);
    repo
}

#[test]
fn s5_s6_no_text_is_expanded_by_a_shell_or_a_terminal_server() {
    for session in ["tmux", "subprocess"] {
        let mut world = World::new();
        let canary = Canary::new(&world);
        let tools = world.root().join("bin");
        canary.at(&tools.join("canary"));
        let path = world.path.clone();
        world.path =
            std::env::join_paths(std::iter::once(tools).chain(std::env::split_paths(&path))).unwrap();
        let repo = everywhere(&world);
        let _server = Server(&world);
        let run = |args: &str| {
            let words: Vec<&str> = args.split(' ').collect();
            let shown = ran(&world.ilchul(&words).current_dir(&repo).output().unwrap());
            canary.silent(args);
            assert!(shown.code >= 0 && shown.code != 101, "{args}: {shown:?}");
            shown
        };
        let up = run(&format!("up --unattended --session {session}"));
        assert!([0, 3, 4].contains(&up.code), "{up:?}");
        "status|status --json|why a|logs a|evidence a|workers --close|attach a --print|events|plan|release a.1|cleanup --safe|down"
            .split('|')
            .for_each(|args| drop(run(args)));
        let shown: serde_json::Value = serde_json::from_str(&run("evidence a --json").stdout).unwrap();
        let items = shown["data"]["items"].as_array().unwrap();
        assert!(items.len() >= 4, "{items:?}");
        if session == "tmux" {
            // The trap is real: the same server, told to expand it, does.
            let told = world.tmux(&["list-windows", "-a", "-F", "#{window_name} #(canary)"]);
            super::world::wait_until("the trap", || {
                world.tmux(&["display-message", "-p", "#(canary)"]);
                world.root().join("fired").exists()
            });
            assert_eq!(told.code, 0);
        }
    }
}

#[test]
fn s4_a_poisoned_tmux_variable_never_leads_to_a_strangers_server() {
    let world = World::with("tasks: { a: { run: 'true' } }");
    let stranger = world.root().join("stranger");
    fs::create_dir(&stranger).unwrap();
    let socket = stranger.join("default");
    let listener = UnixListener::bind(&socket).unwrap();
    listener.set_nonblocking(true).unwrap();
    let other = nix::unistd::Uid::from_raw(12345);
    // Only root can give files away; elsewhere the socket of one's own that is no server stands for it.
    for path in [&socket, &stranger] {
        let _ = nix::unistd::chown(path, Some(other), None);
    }
    let text = socket.to_str().unwrap();
    let long = format!("/tmp/{}", "x".repeat(120));
    let poisons: [&[(&str, &str)]; 5] = [
        &[("TMUX", &format!("{text},1,0")), ("TMUX_PANE", "%0")],
        &[("TMUX", &format!("{}/none,1,0", stranger.display()))],
        &[("TMUX_TMPDIR", &long)],
        &[("TMUX_TMPDIR", "/nonexistent")],
        &[("TMUX", "#(touch fired),$(touch fired),0"), ("TMUX_PANE", "#(touch fired)")],
    ];
    for poison in poisons {
        let mut command: Command = world.ilchul(&["up", "--session", "tmux", "--new"]);
        command.envs(poison.iter().copied());
        let shown = ran(&command.output().unwrap());
        assert!(shown.code == 1 || shown.code == 0, "{poison:?}: {shown:?}");
        let spoke = listener.accept();
        if nix::unistd::geteuid().is_root() {
            assert!(spoke.is_err(), "{poison:?}: it spoke to a stranger");
        }
        if shown.code == 1 {
            assert!(
                shown.stderr.contains("tmux") || shown.stderr.contains("socket"),
                "{poison:?}: {shown:?}"
            );
        }
        assert!(!world.repo().join("fired").exists());
    }
}
