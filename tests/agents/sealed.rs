//! Each test in namespaces of its own: a network of nothing but a loopback, its own processes,
//! and an empty folder that nobody else sees.
//!
//! A test starts itself once more inside of `unshare` and answers as that answered. What it
//! leaves running ends with the namespace. It leaves out files besides that folder: a test
//! gets no `HOME` and no variable but those that are named here.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Where the folder is. Short, because the path of tmux's socket may have 107 bytes, and not
/// in `/tmp`, where sandboxes of agents may write.
pub const ROOM: &str = "/mnt";
/// Set inside.
const INSIDE: &str = "ILCHUL_TEST_SEALED";
/// The folder of `scripts/agents`, where it's another than `agents` in the target folder.
const AGENTS: &str = "ILCHUL_AGENTS";
/// How long one test may take in all.
const PATIENCE: Duration = Duration::from_secs(300);
/// What happens inside before the test. The shell stays: somebody has to reap what the test
/// leaves behind.
const ENTER: &str = "PATH=\"$PATH:/usr/sbin:/sbin\"; ip link set lo up && mount -t tmpfs -o mode=755 none \"$ROOM\" && \"$@\"";

/// A test of this target, in namespaces of its own.
#[macro_export]
macro_rules! sealed_test {
    ($($(#[$meta:meta])* fn $name:ident() $body:block)+) => {$(
        $(#[$meta])*
        #[test]
        fn $name() {
            $crate::sealed::run(concat!(module_path!(), "::", stringify!($name)), || $body);
        }
    )+};
}

/// Runs `body` inside, from the test of this path.
pub fn run(path: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        assert_eq!(interfaces(), ["lo"], "nothing but a loopback");
        return body();
    }
    let name = path.split_once("::").map_or(path, |(_, name)| name);
    let mut child = enter(name);
    let (out, err) = (read(child.stdout.take()), read(child.stderr.take()));
    let code = wait(&mut child);
    let (out, err) = (out.join().unwrap(), err.join().unwrap());
    // A name that is none would run nothing, and that would look well.
    let ran = out.contains("1 passed") || out.contains("1 failed");
    assert!(ran && code == Some(0), "inside of {name}, code {code:?}:\n{out}\n{err}");
}

/// The folder with the agents' programs; only a look, so that what isn't there can be said.
pub fn agents() -> PathBuf {
    let named = std::env::var_os(AGENTS).map(PathBuf::from);
    // target/debug/deps/agents-...
    named.unwrap_or_else(|| std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("agents"))
}

fn enter(name: &str) -> Child {
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]);
    if !nix::unistd::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["sh", "-c", ENTER, "sh"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("LANG", "C.UTF-8");
    command.env(INSIDE, "1").env("ROOM", ROOM).env("ILCHUL_TEST_ROOT", ROOM).env(AGENTS, agents());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Its exit code; none where it had to be ended, and all inside with it.
fn wait(child: &mut Child) -> Option<i32> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

fn read(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.unwrap().read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The names of all network interfaces.
fn interfaces() -> Vec<String> {
    let table = fs::read_to_string("/proc/net/dev").unwrap();
    table.lines().skip(2).filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect()
}

sealed_test! {
    fn a_sealed_test_reaches_the_loopback_and_nothing_else() {
        let here = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        std::net::TcpStream::connect(here.local_addr().unwrap()).unwrap();
        let outside = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        let error = outside.connect("192.0.2.1:53").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(nix::libc::ENETUNREACH), "{error}");
        let home = std::env::var_os("HOME");
        assert_eq!(home, None);
    }
}

#[test]
fn a_test_that_did_not_run_inside_has_not_passed() {
    let failed = std::panic::catch_unwind(|| run("agents::no_such_test", || ())).unwrap_err();
    let said = failed.downcast_ref::<String>().unwrap();
    assert!(said.contains("inside of no_such_test") && said.contains("0 passed"), "{said}");
}
