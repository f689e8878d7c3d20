//! What ilchul does outside of itself, as the kernel sees it: reading a stranger's workflow
//! runs and reaches nothing (S23), a whole run speaks to no network (S24).

use std::collections::BTreeSet;
use std::fs;

use super::world::{Ran, World, ran};

/// Runs a command under strace; what it printed, and the calls.
fn traced(world: &World, args: &[&str], calls: &str) -> (Ran, Vec<String>) {
    let trace = world.root().join("calls");
    let ilchul = world.ilchul(args);
    let mut strace = world.sealed("strace");
    strace.args(["-f", "-qq", "-s", "300", "-e", &format!("trace={calls}"), "-o"]).arg(&trace);
    strace.arg(ilchul.get_program()).args(ilchul.get_args());
    let ended = ran(&strace.output().unwrap());
    let text = fs::read_to_string(&trace).unwrap();
    (ended, text.lines().map(str::to_owned).collect())
}

/// Where nothing of a user's is: the loader's, the C library's and the kernel's own files.
const SYSTEM: [&str; 8] =
    ["/lib", "/usr/lib", "/etc/ld.so", "/proc/self", "/proc/stat", "/sys/", "/dev/null", "/usr/share/locale"];

#[test]
fn s23_a_strangers_workflow_is_read_and_nothing_else_is_opened_run_or_reached() {
    let world = World::new();
    let outside = world.root().join("outside");
    fs::write(&outside, "secret").unwrap();
    let hostile = format!(
        "version: 1\nname: '$(touch fired)'\nbase: 'ext::touch fired'\nsetup: {{ include: ['{0}', '../outside'], run: ['touch fired'] }}\n\
         agents: {{ x: {{ adapter: command, argv: [touch, fired] }} }}\n\
         tasks:\n  a: {{ run: 'touch fired', evidence: [ {{ artifact: '../outside' }}, {{ artifact: '{0}' }}, {{ command: 'touch fired' }}, \
         {{ log: {{ pattern: x, source: '{0}' }} }} ] }}\n  b: {{ worker: ['{0}'], env: {{ LD_PRELOAD: '{0}', GIT_DIR: '{0}' }} }}\n\
         \x20 c: {{ agent: x, prompt: '{{{{ include(\"{0}\") }}}}', evidence: [ {{ exit: 0 }} ] }}\n",
        outside.display()
    );
    fs::write(world.repo().join("ilchul.yaml"), &hostile).unwrap();
    let fine = "version: 1\ntasks: { a: { run: 'touch fired', evidence: [ { command: 'touch fired' } ] } }\n";
    fs::write(world.repo().join("fine.yaml"), fine).unwrap();
    for (args, code) in [(&["validate"][..], 1), (&["validate", "fine.yaml"], 0)] {
        let calls = "execve,execveat,connect,bind,open,openat,openat2,unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat";
        let (ended, calls) = traced(&world, args, calls);
        ended.exits(code);
        let runs = calls.iter().filter(|call| call.contains("exec")).count();
        assert_eq!(runs, 1, "it runs nothing: {calls:#?}");
        for call in &calls {
            assert!(!call.contains("connect(") && !call.contains("bind("), "{call}");
            let opens = call.contains("open");
            assert!(opens || call.contains("exec"), "it changes nothing: {call}");
            let path = call.split('"').nth(1).unwrap_or_default();
            let named = path.starts_with(world.repo().to_str().unwrap()) || !path.starts_with('/');
            let system = SYSTEM.iter().any(|prefix| path.starts_with(prefix));
            let settings = path.starts_with(world.root().join("user").to_str().unwrap());
            assert!(!opens || named || system || settings, "opened: {call}");
            assert!(!path.contains("outside"), "{call}");
            let writes = ["O_WRONLY", "O_RDWR", "O_CREAT"].iter().any(|flag| call.contains(flag));
            assert!(!opens || !writes || path == "/dev/null", "{call}");
        }
        assert!(calls.iter().any(|call| call.contains(".yaml")), "the trace sees what is opened");
    }
    assert!(!world.repo().join("fired").exists());
}

#[test]
fn s24_a_whole_run_and_every_look_speak_to_no_network() {
    let world = World::with(
        "tasks: { a: { run: 'echo x > out', evidence: [ { artifact: out }, { command: 'cat out' }, { diff: {} } ] } }",
    );
    world.git(&["remote", "add", "origin", "https://localhost:9/x.git"]);
    let mut spoken_to = BTreeSet::new();
    // With plain sessions: a trace of a terminal server would last as long as that does.
    let every = "doctor|plan|up --session subprocess|status|workers --close|logs a|evidence a --recheck|release a.1|\
        cleanup --safe|up --new --session subprocess|down";
    for args in every.split('|') {
        let words: Vec<&str> = args.split(' ').collect();
        let (ended, calls) = traced(&world, &words, "connect,bind,accept,accept4,sendto,execve");
        assert!(ended.code >= 0 && ended.code != 101, "{args}: {ended:?}");
        assert!(calls.iter().any(|call| call.contains("execve(")), "the trace sees something");
        let names = ["connect(", "bind(", "sendto(", "accept(", "accept4("];
        let speaks = |call: &&String| names.iter().any(|name| call.contains(name));
        // Whether a block of ports is free is asked where nothing outside of this machine reaches.
        let asks_for_a_port = |call: &&String| {
            call.contains("bind(") && ["\"127.0.0.1\"", "\"::1\""].iter().any(|own| call.contains(own))
        };
        for call in calls.iter().filter(speaks).filter(|call| !asks_for_a_port(call)) {
            assert!(!call.contains("AF_INET") && !call.contains("accept"), "{args}: {call}");
            if call.contains("sendto(") {
                continue;
            }
            spoken_to.insert(call.split('"').nth(1).unwrap_or(call).to_owned());
        }
    }
    // The C library asks a cache for the names of users, where a system has one.
    let tmux = world.root().join("tmux");
    let known = |socket: &String| socket.contains("nscd") || socket.starts_with(tmux.to_str().unwrap());
    spoken_to.retain(|socket| !known(socket));
    assert_eq!(spoken_to, BTreeSet::new());
}
