//! The shim from outside: a real process in a temporary mail folder and tree.
//!
//! Everything is waited for by condition with a deadline. It leaves out the
//! supervisor's half of the protocol, which these tests play by hand.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

#[path = "shim/agent.rs"]
mod agent;
#[path = "shim/checkout.rs"]
mod checkout;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The one place that knows which program is tested.
fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_ilchul")
}

/// Polls until `found` answers, for at most half a minute.
fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// One worker's folders, and its shim.
struct Stage {
    dir: tempfile::TempDir,
    shim: Option<Child>,
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["mail", "mail/.tmp", "tree"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let stage = Self { dir, shim: None };
        stage.write_launch();
        stage
    }

    /// With a shim that waits for its assignment.
    fn ready() -> Self {
        let mut stage = Self::new();
        stage.start();
        stage.mail("ready.json");
        stage
    }

    /// With a shim that was given `argv`.
    fn running(argv: &[&str]) -> Self {
        let stage = Self::ready();
        stage.assign(argv, json!({}));
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write_launch(&self) {
        let launch = json!({"schema": "ilchul.worker/1", "worker": "fix.1", "nonce": "nonce-1",
            "mail": self.path("mail"), "tree": self.path("tree")});
        fs::write(self.path("launch.json"), launch.to_string()).unwrap();
    }

    fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command.arg("shim").current_dir(self.path("tree")).env_clear();
        command.envs([("PATH", "/usr/local/bin:/usr/bin:/bin"), ("TMUX", "leak"), ("GIT_DIR", "leak")]);
        command.env("ILCHUL_LAUNCH", self.path("launch.json")).env("ILCHUL_LOG", self.path("log"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    fn start(&mut self) {
        self.shim = Some(self.command().spawn().unwrap());
    }

    fn put(&self, name: &str, value: &Value) {
        let half = self.path("mail/.tmp").join(name);
        fs::write(&half, value.to_string()).unwrap();
        fs::rename(half, self.path("mail").join(name)).unwrap();
    }

    fn assign(&self, argv: &[&str], more: Value) {
        let mut assignment = json!({"schema": "ilchul.worker/1", "run": "r", "task": "fix", "attempt": 1,
            "token": 7, "argv": argv, "beat_ms": 50, "grace_ms": 300});
        let Value::Object(more) = more else { panic!("an object") };
        assignment.as_object_mut().unwrap().extend(more);
        self.put("assignment.json", &assignment);
    }

    fn try_mail(&self, name: &str) -> Option<Value> {
        serde_json::from_slice(&fs::read(self.path("mail").join(name)).ok()?).ok()
    }

    fn mail(&self, name: &str) -> Value {
        wait_for(name, || self.try_mail(name))
    }

    /// The latest heartbeat that `is` accepts.
    fn beat(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, || self.try_mail("heartbeat.json").filter(&is))
    }

    /// Waits for a file that the child makes, and answers its content.
    fn file(&self, name: &str) -> String {
        wait_for(name, || {
            fs::read_to_string(self.path("tree").join(name)).ok().filter(|text| text.ends_with('\n'))
        })
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.shim.as_ref().unwrap().id()).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    fn ended(&mut self) -> ExitStatus {
        wait_for("the shim's end", || self.shim.as_mut().unwrap().try_wait().unwrap())
    }

    /// The exit record, once the shim has ended well.
    fn exit(&mut self) -> Value {
        assert_eq!(self.ended().code(), Some(0));
        self.mail("exit.json")
    }

    fn complaint(&mut self) -> String {
        let mut text = String::new();
        self.shim.as_mut().unwrap().stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("log")).unwrap_or_default()).into_owned()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // TERM, so that it takes its tree with it; a test that failed leaves nothing running.
        let Some(shim) = &mut self.shim else { return };
        if let Ok(None) = shim.try_wait() {
            let _ = kill(Pid::from_raw(i32::try_from(shim.id()).unwrap()), Signal::SIGTERM);
            let _ = shim.wait();
        }
    }
}

#[test]
fn a_command_is_run_once_and_everything_is_recorded() {
    let mut stage = Stage::ready();
    let ready = stage.mail("ready.json");
    assert_eq!(ready["nonce"], "nonce-1");
    assert_eq!(ready["worker"], "fix.1");
    assert_eq!(ready["pid"], stage.pid());
    assert!(!stage.path("launch.json").exists(), "the nonce is read once");
    let script = "echo out; echo err >&2; echo x >> ran; pwd > here; env > env; sleep 0.1";
    stage.assign(&["sh", "-c", script], json!({"env": {"EXTRA": "a b"}}));
    let exit = stage.exit();
    assert_eq!((&exit["code"], &exit["signal"], &exit["token"]), (&json!(0), &json!(null), &json!(7)));
    assert_eq!(exit["survivors"], json!([]));
    let report = stage.mail("report.json");
    assert_eq!((&report["status"], &report["token"]), (&json!("done"), &json!(7)));
    assert_eq!(report["summary"], "exited with code 0");
    assert_eq!(stage.mail("ack.json")["token"], 7);
    assert_eq!(stage.log(), "out\nerr\n");
    assert_eq!(stage.file("ran"), "x\n");
    assert_eq!(Path::new(stage.file("here").trim()), stage.path("tree").canonicalize().unwrap());
    let env = stage.file("env");
    assert!(env.contains("EXTRA=a b\n"), "{env}");
    assert!(!env.contains("leak") && !env.contains("ILCHUL_LAUNCH"), "{env}");
    for name in ["mail/ready.json", "mail/report.json", "mail/exit.json", "log"] {
        assert_eq!(stage.path(name).metadata().unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    assert_eq!(fs::read_dir(stage.path("mail/.tmp")).unwrap().count(), 0);
}

#[test]
fn any_exit_code_is_a_normal_end() {
    let mut stage = Stage::running(&["sh", "-c", "exit 3"]);
    assert_eq!(stage.exit()["code"], 3);
    let report = stage.mail("report.json");
    assert_eq!((&report["status"], &report["summary"]), (&json!("done"), &json!("exited with code 3")));
}

#[test]
fn a_signal_is_a_failure_with_its_name() {
    let mut stage = Stage::running(&["sh", "-c", "kill -9 $$"]);
    let exit = stage.exit();
    assert_eq!((&exit["code"], &exit["signal"]), (&json!(null), &json!(9)));
    let report = stage.mail("report.json");
    assert_eq!(report["status"], "failed");
    assert!(report["reason"].as_str().unwrap().contains("SIGKILL"), "{report}");
}

#[test]
fn a_program_that_cannot_be_started_is_a_failure_with_a_reason() {
    for argv in [&["/nowhere/program"][..], &["no-such-program-here"], &["/etc/passwd"], &[]] {
        let mut pane = Pane::open();
        pane.stage.assign(argv, json!({}));
        let exit = pane.stage.exit();
        assert!(exit["error"].as_str().unwrap().starts_with("failed to start the program"), "{exit}");

        let mut stage = Stage::running(argv);
        let exit = stage.exit();
        assert_eq!((&exit["code"], &exit["signal"]), (&json!(null), &json!(null)), "{argv:?}");
        assert!(exit["error"].as_str().unwrap().starts_with("failed to "), "{exit}");
        assert_eq!(stage.mail("report.json")["status"], "failed");
    }
}

#[test]
fn a_script_without_a_first_line_is_run_by_sh() {
    let mut stage = Stage::ready();
    let script = stage.path("tree/script");
    fs::write(&script, "echo ran $1\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    stage.assign(&["./script", "it"], json!({}));
    assert_eq!(stage.exit()["code"], 0);
    assert_eq!(stage.log(), "ran it\n");
}

#[test]
fn the_child_begins_with_default_signals_and_none_blocked() {
    let mut stage = Stage::running(&["sh", "-c", "grep -E '^Sig(Blk|Ign)' /proc/self/status"]);
    assert_eq!(stage.exit()["code"], 0);
    for line in stage.log().lines() {
        let mask = u64::from_str_radix(line.rsplit('\t').next().unwrap(), 16).unwrap();
        // 32 and 33 belong to the C library, which ignores them in whatever it spawns.
        assert_eq!(mask & !(0b11 << 31), 0, "{line}");
    }
    assert_eq!(stage.log().lines().count(), 2);
}

#[test]
fn an_agent_without_a_report_gets_none() {
    let mut stage = Stage::ready();
    stage.assign(&["true"], json!({"prompt_file": "/nowhere/prompt"}));
    assert_eq!(stage.exit()["code"], 0);
    assert_eq!(stage.mail("ack.json")["token"], 7);
    assert!(stage.try_mail("report.json").is_none());
}

fn report(token: u64, status: &str, summary: &str) -> Value {
    json!({"schema": "ilchul.report/1", "task": "fix", "attempt": 1, "token": token, "status": status,
        "summary": summary})
}

#[test]
fn a_report_that_the_child_wrote_is_kept() {
    let mut stage = Stage::ready();
    stage.put("mine.json", &report(7, "partial", "half of it"));
    let script = format!("mv {0}/mine.json {0}/report.json", stage.path("mail").display());
    stage.assign(&["sh", "-c", &script], json!({}));
    assert_eq!(stage.exit()["code"], 0);
    assert_eq!(stage.mail("report.json")["summary"], "half of it");
}

#[test]
fn beats_say_who_lives_and_what_has_happened() {
    let stage = Stage::ready();
    let idle = stage.beat("an idle beat", |beat| beat["seq"].as_u64() >= Some(1));
    assert_eq!((&idle["token"], &idle["child"]), (&json!(null), &json!(null)));
    stage.assign(&["sh", "-c", "echo $$ > pid; printf 12345; while :; do :; done"], json!({}));
    let beat = stage.beat("progress", |beat| {
        beat["progress"]["output_bytes"] == 5 && beat["progress"]["cpu_ms"].as_u64() > Some(50)
    });
    let pid = stage.file("pid").trim().to_owned();
    assert_eq!((&beat["token"], &beat["child"]["alive"]), (&json!(7), &json!(true)));
    assert_eq!(beat["child"]["pid"].to_string(), pid);
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let ticks = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().nth(19).unwrap().to_owned();
    assert_eq!(beat["child"]["start_ticks"].to_string(), ticks);
    let later = stage.beat("a later beat", |later| later["seq"].as_u64() > beat["seq"].as_u64());
    assert!(later["progress"]["cpu_ms"].as_u64() >= beat["progress"]["cpu_ms"].as_u64());
}

#[test]
fn a_workers_note_is_in_the_next_beat() {
    let stage = Stage::running(&["sleep", "300"]);
    fs::create_dir(stage.path("tree/.ilchul")).unwrap();
    fs::write(stage.path("tree/.ilchul/note.json"), r#"{"schema":"ilchul.worker/1","note":"from the tree"}"#)
        .unwrap();
    stage.beat("the note of the drop box", |beat| beat["note"] == "from the tree");
    stage.put("note.json", &json!({"schema": "ilchul.worker/1", "note": "from mail"}));
    stage.beat("the note in mail", |beat| beat["note"] == "from mail");
}

#[test]
fn nothing_runs_before_a_real_assignment() {
    let mut stage = Stage::ready();
    fs::write(stage.path("elsewhere"), "{}").unwrap();
    let assignment = stage.path("mail/assignment.json");
    symlink(stage.path("elsewhere"), &assignment).unwrap();
    stage.beat("a refused link", |beat| {
        beat["note"].as_str().is_some_and(|note| note.contains("regular file"))
    });
    stage.put("assignment.json", &json!({"schema": "ilchul.worker/1", "run": "r"}));
    stage.beat("a refused document", |beat| {
        beat["note"].as_str().is_some_and(|note| note.contains("missing"))
    });
    stage.assign(&["touch", "ran"], json!({"task": "other"}));
    stage.beat("work for another", |beat| beat["note"].as_str().is_some_and(|note| note.contains("other.1")));
    assert!(!stage.path("tree/ran").exists() && stage.try_mail("ack.json").is_none());
    stage.assign(&["touch", "ran"], json!({}));
    assert_eq!(stage.exit()["code"], 0);
    assert!(stage.path("tree/ran").exists());
}

#[test]
fn l7_a_stop_for_another_token_changes_nothing() {
    let mut stage = Stage::running(&["sh", "-c", "echo > started; sleep 300"]);
    stage.file("started");
    stage.put("stop.json", &json!({"schema": "ilchul.worker/1", "token": 6, "grace_ms": 0}));
    let seen = stage.mail("heartbeat.json")["seq"].as_u64().unwrap();
    let beat = stage.beat("twenty more beats", |beat| beat["seq"].as_u64() > Some(seen + 20));
    assert_eq!(beat["child"]["alive"], true);
    stage.put("stop.json", &json!({"schema": "ilchul.worker/1", "token": 7, "grace_ms": 5000}));
    assert_eq!(stage.exit()["signal"], 15);
    let report = stage.mail("report.json");
    assert_eq!(report["status"], "failed");
    assert_eq!(report["reason"], "it was stopped by the supervisor");
}

#[test]
fn a_command_that_tidies_up_when_stopped_has_not_done_its_work() {
    let mut stage =
        Stage::running(&["sh", "-c", "trap 'exit 0' TERM; echo > started; while :; do sleep 0.05; done"]);
    stage.file("started");
    stage.put("stop.json", &json!({"schema": "ilchul.worker/1", "token": 7, "grace_ms": 20_000}));
    assert_eq!(stage.exit()["code"], 0);
    assert_eq!(stage.mail("report.json")["status"], "failed");
}

#[test]
fn a_tree_that_ignores_term_is_ended_after_the_grace() {
    let script = "trap '' TERM; (trap '' TERM; echo $$ > started; while :; do sleep 1; done) & wait";
    let mut stage = Stage::running(&["sh", "-c", script]);
    stage.file("started");
    stage.signal(Signal::SIGTERM);
    let exit = stage.exit();
    assert_eq!((&exit["signal"], &exit["survivors"]), (&json!(9), &json!([])));
    assert_eq!(stage.mail("report.json")["reason"], "its shim was told to end (SIGTERM)");
}

#[test]
fn what_outlives_the_child_is_ended_wherever_it_went() {
    let script = "setsid sh -c 'echo $$ > far; exec sleep 300' & (sh -c 'echo $$ > near; exec sleep 300' &) ; \
        while [ ! -s far ] || [ ! -s near ]; do sleep 0.02; done; exit 4";
    let mut stage = Stage::running(&["sh", "-c", script]);
    let exit = stage.exit();
    assert_eq!((&exit["code"], &exit["survivors"]), (&json!(4), &json!([])));
    for name in ["far", "near"] {
        let pid: i32 = stage.file(name).trim().parse().unwrap();
        assert!(!is_alive(pid), "{name} {pid}");
    }
}

#[test]
fn a_stopped_descendant_is_woken_to_end() {
    let mut stage = Stage::ready();
    let script = "sleep 300 & echo $! > pid; kill -STOP $!; exit 0";
    stage.assign(&["sh", "-c", script], json!({"grace_ms": 20_000}));
    assert_eq!(stage.exit()["code"], 0);
    let pid: i32 = stage.file("pid").trim().parse().unwrap();
    assert!(!is_alive(pid));
}

#[test]
fn a_hangup_ends_no_work() {
    let mut stage = Stage::running(&["sh", "-c", "echo > started; while [ ! -e go ]; do sleep 0.02; done"]);
    stage.file("started");
    for signal in [Signal::SIGHUP, Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU] {
        stage.signal(signal);
    }
    let seen = stage.mail("heartbeat.json")["seq"].as_u64().unwrap();
    stage.beat("more beats", |beat| beat["seq"].as_u64() > Some(seen + 2));
    fs::write(stage.path("tree/go"), "").unwrap();
    assert_eq!(stage.exit()["code"], 0);
}

#[test]
fn an_interrupt_without_a_terminal_is_passed_on() {
    let mut stage =
        Stage::running(&["sh", "-c", "trap 'exit 5' INT; echo > started; while :; do sleep 0.02; done"]);
    stage.file("started");
    stage.signal(Signal::SIGINT);
    assert_eq!(stage.exit()["code"], 5);
}

#[test]
fn a_stop_or_a_term_before_the_assignment_ends_the_waiting() {
    let mut stage = Stage::ready();
    stage.put("stop.json", &json!({"schema": "ilchul.worker/1", "token": null}));
    let exit = stage.exit();
    assert_eq!((&exit["token"], &exit["code"]), (&json!(null), &json!(null)));
    assert!(exit["error"].as_str().unwrap().contains("stopped"));

    let mut stage = Stage::ready();
    stage.signal(Signal::SIGTERM);
    assert!(stage.exit()["error"].as_str().unwrap().contains("SIGTERM"));
}

#[test]
fn a_vanished_mail_folder_ends_the_waiting() {
    let mut stage = Stage::ready();
    fs::rename(stage.path("mail"), stage.path("moved")).unwrap();
    assert_eq!(stage.ended().code(), Some(0));
    assert!(!stage.path("mail").exists(), "a folder that is gone stays gone");
}

#[test]
fn l20_nothing_is_handed_to_a_session_that_stands_elsewhere() {
    let mut stage = Stage::new();
    let mut command = stage.command();
    command.current_dir(stage.path("mail"));
    stage.shim = Some(command.spawn().unwrap());
    assert_eq!(stage.ended().code(), Some(1));
    let text = stage.complaint();
    assert!(text.contains("the session stands in"), "{text}");
    assert!(stage.try_mail("ready.json").is_none());
}

#[test]
fn l16_a_second_incarnation_does_not_run_it_again() {
    let mut stage = Stage::running(&["sh", "-c", "echo x >> ran"]);
    stage.exit();
    stage.write_launch();
    stage.start();
    assert_eq!(stage.ended().code(), Some(1));
    assert!(stage.complaint().contains("it was taken before"));
    assert_ne!(stage.mail("ready.json")["pid"], stage.pid(), "it doesn't even say that it is ready");
    assert_eq!(stage.file("ran"), "x\n");
}

#[test]
fn a_launch_file_that_is_a_link_or_missing_is_refused() {
    let mut stage = Stage::new();
    fs::rename(stage.path("launch.json"), stage.path("real.json")).unwrap();
    stage.start();
    assert_eq!(stage.ended().code(), Some(1));
    symlink("real.json", stage.path("launch.json")).unwrap();
    stage.start();
    assert_eq!(stage.ended().code(), Some(1));
    assert!(stage.path("real.json").exists());
    assert!(stage.try_mail("ready.json").is_none());
}

#[test]
fn a_flood_fills_neither_memory_nor_disk() {
    let stage = Stage::running(&["sh", "-c", "head -c 150000000 /dev/zero; echo > flooded; sleep 300"]);
    stage.file("flooded");
    stage.beat("all of it counted", |beat| beat["progress"]["output_bytes"] == 150_000_000);
    let size = stage.path("log").metadata().unwrap().len();
    assert!((64 << 20..(64 << 20) + 100).contains(&size), "{size}");
    let status = fs::read_to_string(format!("/proc/{}/status", stage.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kibibytes: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kibibytes < 64 << 10, "{kibibytes} KiB");
}

#[test]
fn a_full_disk_for_the_log_costs_only_the_log() {
    let mut stage = Stage::new();
    let mut command = stage.command();
    command.env("ILCHUL_LOG", "/nowhere/log");
    stage.shim = Some(command.spawn().unwrap());
    stage.assign(&["sh", "-c", "printf abc; while [ ! -e go ]; do sleep 0.02; done"], json!({}));
    let beat = stage.beat("a beat", |beat| beat["progress"]["output_bytes"] == 3);
    assert!(beat["note"].as_str().unwrap().contains("the log couldn't be opened"), "{beat}");
    fs::write(stage.path("tree/go"), "").unwrap();
    assert_eq!(stage.exit()["code"], 0);
}

#[test]
fn a_valid_report_in_the_drop_box_is_relayed_while_the_agent_lives() {
    let mut stage = Stage::ready();
    stage.assign(&["sleep", "300"], json!({"prompt_file": "p"}));
    let drop_box = stage.path("tree/.ilchul");
    fs::create_dir(&drop_box).unwrap();
    let say = |value: &Value| fs::write(drop_box.join("report.json"), value.to_string()).unwrap();
    say(&report(6, "done", "stale"));
    let seen = stage.beat("a beat", |_| true)["seq"].as_u64().unwrap();
    stage.beat("twenty more beats", |beat| beat["seq"].as_u64() > Some(seen + 20));
    assert!(stage.try_mail("report.json").is_none(), "a stale one isn't relayed meanwhile");
    say(&report(7, "needs_input", "which one?"));
    assert_eq!(stage.mail("report.json")["summary"], "which one?");
    say(&report(7, "done", "the first"));
    wait_for("the report after the question", || {
        stage.try_mail("report.json").filter(|report| report["summary"] == "the first")
    });
    stage.signal(Signal::SIGTERM);
    stage.exit();
    assert_eq!(stage.mail("report.json")["summary"], "the first");
}

#[test]
fn what_lies_in_the_drop_box_at_the_end_is_relayed_for_refusal() {
    let mut stage = Stage::running(&["sh", "-c", "mkdir .ilchul; echo '{ half' > .ilchul/report.json"]);
    assert_eq!(stage.exit()["code"], 0);
    assert_eq!(fs::read_to_string(stage.path("mail/report.json")).unwrap(), "{ half\n");
}

#[test]
fn links_in_the_drop_box_are_not_followed() {
    let mut stage = Stage::ready();
    fs::create_dir(stage.path("secret")).unwrap();
    fs::write(stage.path("secret/report.json"), report(7, "done", "secret").to_string()).unwrap();
    let script = "ln -s ../secret .ilchul; echo > linked; while [ ! -e go ]; do sleep 0.02; done; rm .ilchul; \
        mkdir .ilchul; ln -s ../../secret/report.json .ilchul/report.json; ls .ilchul";
    stage.assign(&["sh", "-c", script], json!({}));
    stage.file("linked");
    let seen = stage.mail("heartbeat.json")["seq"].as_u64().unwrap();
    stage.beat("twenty more beats", |beat| beat["seq"].as_u64() > Some(seen + 20));
    fs::write(stage.path("tree/go"), "").unwrap();
    assert_eq!(stage.exit()["code"], 0);
    assert_eq!(stage.log(), "report.json\n");
    assert_eq!(stage.mail("report.json")["summary"], "exited with code 0");
}

/// A shim at a terminal of its own, as in a pane: the outer end is ours.
struct Pane {
    stage: Stage,
    outer: Option<File>,
    inner: OwnedFd,
    seen: String,
}

impl Pane {
    fn open() -> Self {
        let pair = nix::pty::openpty(None, None).unwrap();
        let inner = pair.slave;
        let size = Winsize { ws_row: 33, ws_col: 77, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&inner, size).unwrap();
        rustix::io::fcntl_setfd(&pair.master, rustix::io::FdFlags::CLOEXEC).unwrap();
        rustix::io::fcntl_setfd(&inner, rustix::io::FdFlags::CLOEXEC).unwrap();
        rustix::io::ioctl_fionbio(&pair.master, true).unwrap();
        let mut stage = Stage::new();
        let mut command = stage.command();
        let name = nix::unistd::ttyname(&inner).unwrap();
        // The trampoline makes the pane: a session of its own with that controlling terminal.
        command.args(["--exec", "--tty"]).arg(name).args(["--", binary(), "shim"]);
        stage.shim = Some(command.spawn().unwrap());
        stage.mail("ready.json");
        Self { stage, outer: Some(File::from(pair.master)), inner, seen: String::new() }
    }

    fn shows(&mut self, what: &str) {
        wait_for(what, || {
            let mut bytes = [0; 4096];
            if let Ok(count) = self.outer.as_mut().unwrap().read(&mut bytes) {
                self.seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
            self.seen.contains(what).then_some(())
        });
    }

    fn types(&mut self, keys: &str) {
        self.outer.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(&self.inner).unwrap().local_modes.contains(LocalModes::ICANON)
    }
}

#[test]
fn at_a_terminal_the_child_has_one_of_its_own_and_the_pane_shows_it() {
    let mut pane = Pane::open();
    let script = "stty size; tty -s && echo terminal; trap 'stty size; echo resized' WINCH; read line; \
        echo got $line; while [ ! -e go ]; do sleep 0.02; done; exit 6";
    pane.stage.assign(&["sh", "-c", script], json!({}));
    pane.shows("33 77");
    pane.shows("terminal");
    assert!(pane.is_raw(), "keys go through untouched");
    pane.types("hello\r");
    pane.shows("got hello");
    tcsetwinsize(&pane.inner, Winsize { ws_row: 20, ws_col: 50, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    pane.shows("resized");
    pane.shows("20 50");
    fs::write(pane.stage.path("tree/go"), "").unwrap();
    assert_eq!(pane.stage.exit()["code"], 6);
    assert!(!pane.is_raw(), "the terminal is as it was");
    let log = pane.stage.log();
    assert!(log.contains("33 77") && log.contains("got hello") && log.contains("20 50"), "{log}");
    assert_eq!(pane.stage.path("log").metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn an_interrupt_typed_by_a_person_reaches_the_child_and_not_the_shim() {
    let mut pane = Pane::open();
    pane.stage.assign(&["sh", "-c", "echo begun; sleep 300; echo never"], json!({}));
    pane.shows("begun");
    pane.types("\x03");
    let exit = pane.stage.exit();
    assert_eq!(exit["signal"], 2, "{exit}");
    assert!(!pane.stage.log().contains("never"));
}

#[test]
fn a_dead_pane_ends_no_work() {
    let mut pane = Pane::open();
    let script =
        "echo begun; while [ ! -e go ]; do sleep 0.02; done; echo after; seq 20000; echo last; exit 7";
    pane.stage.assign(&["sh", "-c", script], json!({}));
    pane.shows("begun");
    pane.outer = None;
    fs::write(pane.stage.path("tree/go"), "").unwrap();
    assert_eq!(pane.stage.exit()["code"], 7);
    let log = pane.stage.log();
    assert!(log.contains("after") && log.contains("19999") && log.contains("last"), "all of it is kept");
}

#[test]
fn a_pane_that_nobody_reads_stops_no_beat() {
    let mut pane = Pane::open();
    pane.stage.assign(&["sh", "-c", "echo begun; yes"], json!({}));
    pane.shows("begun");
    let seen = pane.stage.mail("heartbeat.json")["seq"].as_u64().unwrap();
    pane.stage.beat("more beats", |beat| beat["seq"].as_u64() > Some(seen + 10));
    pane.stage.signal(Signal::SIGTERM);
    assert_eq!(pane.stage.exit()["signal"], 15);
}

#[test]
fn the_last_words_are_kept_even_when_the_pane_is_stuck() {
    let mut pane = Pane::open();
    pane.stage.assign(&["sh", "-c", "echo begun; seq 1000; echo last words"], json!({}));
    pane.shows("begun");
    assert_eq!(pane.stage.exit()["code"], 0);
    assert!(pane.stage.log().contains("last words"));
}

/// Runs one check and answers its result and its output.
fn check(script: &str, more: Value) -> (Value, String) {
    let stage = Stage::new();
    let mut spec = json!({"argv": ["sh", "-c", script], "cwd": stage.path("tree"),
        "env": {"PATH": "/usr/bin:/bin", "ONLY": "this"}, "timeout_ms": 20_000, "grace_ms": 200,
        "output": stage.path("output"), "output_cap": 100, "result": stage.path("mail/result.json")});
    let Value::Object(more) = more else { panic!("an object") };
    spec.as_object_mut().unwrap().extend(more);
    fs::write(stage.path("spec.json"), spec.to_string()).unwrap();
    let status = Command::new(binary())
        .args(["shim", "--check"])
        .arg(stage.path("spec.json"))
        .env("LEAK", "leak")
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
    (stage.mail("result.json"), fs::read_to_string(stage.path("output")).unwrap_or_default())
}

#[test]
fn e2_a_check_runs_in_its_own_environment_and_says_how_it_ended() {
    let (result, output) = check("echo $ONLY-$LEAK; pwd; exit 9", json!({}));
    assert_eq!((&result["code"], &result["timed_out"]), (&json!(9), &json!(false)));
    assert!(output.starts_with("this-\n") && output.trim_end().ends_with("/tree"), "{output}");
    assert_eq!(result["output_bytes"], output.len());
    assert_eq!((&result["survivors"], &result["truncated"]), (&json!([]), &json!(false)));
}

#[test]
fn e5_a_check_that_takes_too_long_is_ended_with_its_tree() {
    let begun = Instant::now();
    let script = "trap '' TERM; setsid sleep 300 & echo $!; sleep 300";
    let (result, output) = check(script, json!({"timeout_ms": 2_000}));
    assert_eq!((&result["timed_out"], &result["signal"]), (&json!(true), &json!(9)));
    assert!(!is_alive(output.trim().parse().unwrap()));
    assert!(begun.elapsed() < Duration::from_secs(120));
}

#[test]
fn the_output_of_a_check_is_bounded() {
    let (result, output) = check("seq 100000", json!({}));
    assert_eq!((&result["truncated"], &result["code"]), (&json!(true), &json!(0)));
    assert_eq!(result["output_bytes"], 588_895);
    assert!(output.len() < 200, "{}", output.len());
}

#[test]
fn a_check_that_cannot_be_started_is_an_answer() {
    let (result, _) = check("", json!({"argv": ["/nowhere/x"]}));
    assert_eq!((&result["code"], &result["signal"]), (&json!(null), &json!(null)));
    assert!(result["error"].as_str().unwrap().starts_with("failed to start the program"), "{result}");
}

#[test]
fn e2_one_check_is_never_run_twice_at_once() {
    let stage = Stage::new();
    let script = "echo x >> ran; while [ ! -e go ]; do sleep 0.02; done";
    let spec = json!({"argv": ["sh", "-c", script], "cwd": stage.path("tree"), "env": {"PATH": "/usr/bin:/bin"},
        "timeout_ms": 60_000, "grace_ms": 200, "output": stage.path("output"), "output_cap": 100,
        "result": stage.path("mail/result.json")});
    fs::write(stage.path("spec.json"), spec.to_string()).unwrap();
    let run = || {
        let mut command = Command::new(binary());
        command.args(["shim", "--check"]).arg(stage.path("spec.json")).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut first = run();
    stage.file("ran");
    let holder: Value = serde_json::from_slice(&fs::read(stage.path("spec.json.lock")).unwrap()).unwrap();
    assert_eq!(holder["pid"], first.id());
    assert!(holder["start_ticks"].as_u64() > Some(0));
    assert_eq!(run().wait().unwrap().code(), Some(1));
    fs::write(stage.path("tree/go"), "").unwrap();
    assert_eq!(first.wait().unwrap().code(), Some(0));
    assert_eq!(stage.file("ran"), "x\n");
    assert_eq!(stage.mail("result.json")["code"], 0);
}

#[test]
fn the_trampoline_takes_variables_from_a_file_once() {
    let stage = Stage::new();
    fs::write(stage.path("env.json"), r#"{"SECRET":"a b"}"#).unwrap();
    let run = |words: &[&str]| {
        let mut command = Command::new(binary());
        command.args(["shim", "--exec", "--env"]).arg(stage.path("env.json")).arg("--").args(words);
        command.output().unwrap()
    };
    let output = run(&["sh", "-c", "echo $SECRET"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "a b\n");
    assert!(!stage.path("env.json").exists());
    assert_eq!(run(&["true"]).status.code(), Some(1), "it isn't there a second time");
}

/// A shim whose job began `ago` seconds ago and may take `allowed`.
fn walled(allowed: u64, ago: u64) -> Stage {
    let mut stage = Stage::new();
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    let uptime: u64 = uptime.split('.').next().unwrap().parse().unwrap();
    let mut command = stage.command();
    command.env("ILCHUL_WALL", allowed.to_string()).env("ILCHUL_JOB_BEGAN", format!("{}.25", uptime - ago));
    command.env("ILCHUL_WALL_SIGN", stage.path("sign"));
    stage.shim = Some(command.spawn().unwrap());
    stage.mail("ready.json");
    stage
}

const JOB_TERMED: &str =
    "its job was told to end from outside (SIGTERM): by `scancel`, by preemption or by an administrator";
const WALL_TIME: &str = "wall_time: its wall time is nearly over, so it was told to end";

#[test]
fn work_is_told_to_end_before_its_wall_time_and_why_is_told_once() {
    let mut stage = walled(106, 100);
    stage.assign(&["sh", "-c", "trap 'echo bye; exit 4' TERM; env > env; sleep 600 & wait"], json!({}));
    let env = stage.file("env");
    assert!(!env.contains("ILCHUL_WALL") && !env.contains("ILCHUL_JOB_BEGAN"), "{env}");
    assert_eq!(stage.exit()["code"], 4);
    let report = stage.mail("report.json");
    assert_eq!((&report["status"], &report["reason"]), (&json!("failed"), &json!(WALL_TIME)));
    assert_eq!(stage.log(), "[ilchul: its wall time is nearly over, so it was told to end]\nbye\n");
}

#[test]
fn a_warning_of_the_host_that_comes_first_is_its_wall_time_too() {
    for (announced, reason) in [(true, WALL_TIME), (false, JOB_TERMED)] {
        let mut stage = walled(1_000, 100);
        stage.assign(&["sh", "-c", "trap 'exit 4' TERM; echo > on; sleep 600 & wait"], json!({}));
        stage.file("on");
        if announced {
            fs::write(stage.path("sign"), "").unwrap();
        }
        stage.signal(Signal::SIGTERM);
        assert_eq!(stage.exit()["code"], 4);
        assert_eq!(stage.mail("report.json")["reason"], reason);
        assert_eq!(stage.log(), "", "whoever warned has told it");
    }
}

#[test]
fn what_a_command_starts_to_tidy_up_is_not_asked_to_end_itself() {
    let script = "trap 'sleep 0.4 && sh -c \"sleep 0.2 && echo kept > kept\"; exit 4' TERM; echo > on; sleep 600 & wait";
    let mut stage = Stage::running(&["sh", "-c", script]);
    stage.file("on");
    stage.put("stop.json", &json!({"schema": "ilchul.worker/1", "token": 7, "grace_ms": 10_000}));
    assert_eq!(stage.exit()["code"], 4);
    assert_eq!(stage.file("kept"), "kept\n");
}

#[test]
fn what_was_done_by_then_keeps_its_own_word() {
    let mut stage = walled(106, 100);
    let said =
        r#"{"schema":"ilchul.report/1","task":"fix","attempt":1,"token":7,"status":"done","summary":"all"}"#;
    let script = format!(
        "trap 'cp said $ILCHUL_MAIL/report.json; exit 0' TERM; echo '{said}' > said; sleep 600 & wait"
    );
    let mail = stage.path("mail").display().to_string();
    stage.assign(&["sh", "-c", &script], json!({"env": {"ILCHUL_MAIL": mail}}));
    assert_eq!(stage.exit()["code"], 0);
    assert_eq!(stage.mail("report.json")["status"], "done");
}

#[test]
fn a_shim_whose_wall_time_is_over_before_its_assignment_says_so() {
    let mut stage = walled(102, 100);
    assert_eq!(stage.exit()["error"], WALL_TIME);
    assert_eq!(stage.try_mail("report.json"), None);
}

#[test]
fn the_trampoline_answers_like_a_shell() {
    let code = |words: &[&str]| {
        let run = Command::new(binary()).args(["shim", "--exec"]).args(words).stderr(Stdio::null()).status();
        run.unwrap().code()
    };
    assert_eq!(code(&["--", "/nowhere/x"]), Some(127));
    assert_eq!(code(&["--", "/etc/passwd"]), Some(126));
    assert_eq!(code(&["--"]), Some(2));
    assert_eq!(code(&["--", "sh", "-c", "exit 5"]), Some(5));
}

/// A shim that sets up its tree first, by these commands.
fn setting_up(stage: &mut Stage, commands: &[&str]) {
    let spec = json!({"commands": commands, "timeout_ms": 30_000, "grace_ms": 300, "env": {"ADDED": "yes"},
        "log": stage.path("setup.log"), "log_cap": 1_000_000, "show": true});
    fs::write(stage.path("setup.json"), spec.to_string()).unwrap();
    let mut command = stage.command();
    command.arg("--setup").arg(stage.path("setup.json"));
    stage.shim = Some(command.spawn().unwrap());
}

#[test]
fn a_shim_is_ready_only_once_its_tree_is_set_up() {
    let mut stage = Stage::new();
    setting_up(
        &mut stage,
        &["echo $ADDED $TMUX > first; until test -e go; do sleep 0.01; done", "cat first > second"],
    );
    assert_eq!(stage.file("first"), "yes\n");
    let beat = stage.beat("the child of the setup", |beat| beat["child"]["start_ticks"].is_u64());
    assert_eq!((&beat["seq"], &beat["token"]), (&json!(0), &Value::Null));
    assert_eq!(stage.try_mail("ready.json"), None);
    assert!(!stage.path("setup.json").exists(), "it may hold secrets");
    fs::write(stage.path("tree/go"), "").unwrap();
    stage.mail("ready.json");
    assert_eq!(stage.file("second"), "yes\n");
    stage.assign(&["sh", "-c", "echo task"], json!({}));
    assert_eq!(stage.exit()["code"], 0);
    assert_eq!(stage.log(), "task\n", "a setup prints elsewhere");
    assert!(fs::read_to_string(stage.path("setup.log")).unwrap().ends_with("$ cat first > second\n"));
}

#[test]
fn a_shim_whose_setup_failed_is_never_ready_and_says_why() {
    let mut stage = Stage::new();
    setting_up(&mut stage, &["echo broken; exit 3", "touch never"]);
    assert_eq!(stage.exit()["error"], "launch_setup: `echo broken; exit 3` ended with exit code 3: broken");
    assert_eq!(stage.try_mail("ready.json"), None);
    assert!(!stage.path("tree/never").exists());
    let mut stage = Stage::new();
    setting_up(&mut stage, &["kill -KILL $$"]);
    assert_eq!(stage.exit()["error"], "launch_setup: `kill -KILL $$` was ended by signal 9");
}

#[test]
fn an_order_to_end_is_heard_before_and_during_a_setup() {
    let mut stage = Stage::new();
    stage.put("stop.json", &json!({"schema": "ilchul.worker/1", "token": 7, "grace_ms": 100}));
    setting_up(&mut stage, &["touch never"]);
    assert_eq!(stage.exit()["error"], "it was stopped while its tree was set up");
    assert!(!stage.path("tree/never").exists());
    for by_signal in [false, true] {
        let mut stage = Stage::new();
        setting_up(&mut stage, &["echo $$ > pid; exec sleep 600"]);
        let pid = stage.file("pid");
        if by_signal {
            stage.signal(Signal::SIGTERM);
        } else {
            stage.put("stop.json", &json!({"schema": "ilchul.worker/1", "token": 7, "grace_ms": 100}));
        }
        let said = stage.exit()["error"].as_str().unwrap().to_owned();
        assert!(
            said.ends_with("while its tree was set up") && said.contains("SIGTERM") == by_signal,
            "{said}"
        );
        assert!(!Path::new("/proc").join(pid.trim()).exists());
    }
}
