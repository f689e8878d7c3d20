//! The workers of `fixtures/workers` do what their names say, read with ilchul's own parsers.
//!
//! They speak the protocol without the shim, so this also proves that a shell
//! script can. It leaves out what a supervisor makes of each.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

use ilchul::protocol::{Ack, Heartbeat, Ready, Report, ReportStatus, Wire, parse};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::json;
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

struct Worker {
    dir: tempfile::TempDir,
    process: Child,
}

impl Worker {
    /// Starts the fixture `name` and gives it token 7.
    fn start(name: &str, args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("mail")).unwrap();
        fs::create_dir(dir.path().join("tree")).unwrap();
        let launch = json!({"schema": "ilchul.worker/1", "worker": "fix.2", "nonce": "nonce-1",
            "mail": dir.path().join("mail"), "tree": dir.path().join("tree")});
        fs::write(dir.path().join("launch.json"), launch.to_string()).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/workers").join(name);
        let mut command = Command::new(script);
        command.args(args).current_dir(dir.path().join("tree")).env("BEAT", "0.05");
        command.env("ILCHUL_LAUNCH", dir.path().join("launch.json")).process_group(0);
        let process = command.stdin(Stdio::null()).spawn().unwrap();
        let worker = Self { dir, process };
        let assignment = json!({"schema": "ilchul.worker/1", "run": "r", "task": "fix", "attempt": 2, "token": 7,
            "argv": [], "env": {}});
        let half = worker.dir.path().join("assignment.json");
        fs::write(&half, assignment.to_string()).unwrap();
        fs::rename(half, worker.mail("assignment.json")).unwrap();
        worker
    }

    fn mail(&self, name: &str) -> PathBuf {
        self.dir.path().join("mail").join(name)
    }

    fn read<T: Wire>(&self, name: &str) -> T {
        wait_for(name, || parse(&fs::read(self.mail(name)).ok()?).ok())
    }

    fn ended(&mut self) -> ExitStatus {
        wait_for("its end", || self.process.try_wait().unwrap())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let group = Pid::from_raw(i32::try_from(self.process.id()).unwrap());
        assert!(group.as_raw() > 1);
        // The whole group, because some of them leave a stubborn child; ESRCH is the usual answer.
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.process.wait();
    }
}

#[test]
fn a_shell_script_can_be_a_whole_worker() {
    let script = "while [ ! -e go ]; do sleep 0.02; done; echo work > done";
    let mut worker = Worker::start("honest.sh", &["sh", "-c", script]);
    let ready: Ready = worker.read("ready.json");
    assert_eq!((ready.nonce.as_str(), ready.worker.as_str()), ("nonce-1", "fix.2"));
    assert_eq!(ready.pid, worker.process.id());
    assert!(!worker.dir.path().join("launch.json").exists());
    assert_eq!(worker.read::<Ack>("ack.json").token, 7);
    wait_for("three beats", || Some(()).filter(|()| worker.read::<Heartbeat>("heartbeat.json").seq > 3));
    fs::write(worker.dir.path().join("tree/go"), "").unwrap();
    assert!(worker.ended().success());
    let report: Report = worker.read("report.json");
    assert_eq!((report.token, report.attempt, report.status), (7, 2, ReportStatus::Done));
    assert_eq!(fs::read_to_string(worker.dir.path().join("tree/done")).unwrap(), "work\n");
}

#[test]
fn the_honest_worker_says_when_it_failed() {
    let mut worker = Worker::start("honest.sh", &["false"]);
    assert!(worker.ended().success());
    assert_eq!(worker.read::<Report>("report.json").status, ReportStatus::Failed);
}

#[test]
fn the_liar_has_done_nothing_and_claims_a_hash() {
    let mut worker = Worker::start("liar.sh", &[]);
    assert!(worker.ended().success());
    let report: Report = worker.read("report.json");
    assert_eq!((report.token, report.status), (7, ReportStatus::Done));
    assert!(report.evidence[0].sha256.is_some());
    assert_eq!(fs::read_dir(worker.dir.path().join("tree")).unwrap().count(), 0);
}

#[test]
fn the_stale_one_reports_under_the_token_before() {
    let mut worker = Worker::start("stale.sh", &[]);
    assert!(worker.ended().success());
    assert_eq!(worker.read::<Report>("report.json").token, 6);
}

#[test]
fn the_torn_one_shows_half_a_report_first() {
    let mut worker = Worker::start("torn.sh", &[]);
    let half = wait_for("half a report", || {
        fs::read(worker.mail("report.json")).ok().filter(|half| half.len() == 40)
    });
    assert_eq!(Report::check(&half).unwrap_err()[0].code, "not_json");
    fs::write(worker.dir.path().join("tree/go"), "").unwrap();
    assert!(worker.ended().success());
    assert_eq!(worker.read::<Report>("report.json").summary, "Whole now.");
}

#[test]
fn the_crasher_dies_of_a_signal_without_a_word() {
    let mut worker = Worker::start("crasher.sh", &[]);
    assert_eq!(worker.ended().signal(), Some(9));
    assert!(worker.mail("ack.json").exists() && !worker.mail("report.json").exists());
}

#[test]
fn the_silent_one_lives_and_never_beats() {
    let mut worker = Worker::start("silent.sh", &[]);
    assert_eq!(worker.read::<Ack>("ack.json").token, 7);
    assert!(worker.process.try_wait().unwrap().is_none());
    assert!(!worker.mail("heartbeat.json").exists());
}

#[test]
fn the_stubborn_one_outlives_a_term() {
    let mut worker = Worker::start("stubborn.sh", &[]);
    wait_for("its child", || {
        fs::read_to_string(worker.dir.path().join("tree/stubborn.pid")).ok().filter(|p| !p.is_empty())
    });
    let pid = worker.process.id();
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGTERM).unwrap();
    // Ignored: the signal was accepted, and nothing is pending or delivered.
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim().to_owned();
    assert_ne!(u64::from_str_radix(&ignored, 16).unwrap() & (1 << 14), 0, "TERM is ignored");
    assert!(worker.process.try_wait().unwrap().is_none());
}

#[test]
fn the_impostor_echoes_another_nonce() {
    let worker = Worker::start("wrong-nonce.sh", &[]);
    assert_eq!(worker.read::<Ready>("ready.json").nonce, "not-the-nonce");
    assert!(!worker.mail("ack.json").exists());
}
