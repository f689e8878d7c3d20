//! One life of a supervisor that is killed at a chosen point: how it is started and ended.
//!
//! The points are the syscalls of its main thread, which alone writes the journal; strace
//! counts them and puts the signal in before the call is made. It leaves out child starts,
//! which every thread makes (`tracer.rs`).

use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use super::world::{World, wait_for};

/// Everything by which SQLite changes what is on the disk.
pub const JOURNAL_CALLS: &str = "pwrite64,fsync,fdatasync,ftruncate,unlink";

/// `program` and its own arguments, then the command that it is to run, all in one world.
pub fn wrapped(world: &World, program: &str, own: &[String], args: &[&str]) -> Command {
    let inner = world.ilchul(args);
    let mut command = Command::new(program);
    command.args(own).arg(inner.get_program()).args(inner.get_args()).env_clear();
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(inner.get_current_dir().unwrap()).stdin(Stdio::null());
    let log = || File::options().create(true).append(true).open(world.root().join("said")).unwrap();
    command.stdout(Stdio::from(log())).stderr(Stdio::from(log()));
    command
}

/// Waits for the end of what was started.
#[track_caller]
pub fn end(mut command: Command) -> ExitStatus {
    let mut child = command.spawn().unwrap_or_else(|error| {
        panic!("{:?} couldn't be started ({error}); `scripts/test` installs it", command.get_program())
    });
    wait_for("the end of a life", || child.try_wait().unwrap())
}

/// The options that restrict strace to the journal's files.
pub fn journal_files(world: &World) -> Vec<String> {
    let journal = world.home().journal();
    let file = |suffix: &str| format!("{}{suffix}", journal.display());
    ["", "-wal", "-shm", "-journal"].iter().flat_map(|suffix| ["-P".to_owned(), file(suffix)]).collect()
}

/// Runs `up` and kills it before its `nth` syscall of `calls`; false when it ended before that.
///
/// Without `-f` strace holds the main thread only: no shim, git or tmux is ever hit.
#[track_caller]
pub fn killed_at(world: &World, args: &[&str], (calls, files): (&str, &[String]), nth: u32) -> bool {
    let mut own: Vec<String> = ["-qq", "-o", "/dev/null"].map(str::to_owned).to_vec();
    own.extend_from_slice(files);
    own.extend(["-e".into(), format!("trace={calls}"), "-e".into()]);
    own.push(format!("inject={calls}:signal=SIGKILL:when={nth}"));
    let status = end(wrapped(world, "strace", &own, args));
    judge(world, status)
}

/// Whether the supervisor was killed; anything but that and a good end is an error.
#[track_caller]
pub fn judge(world: &World, status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    let killed = status.signal() == Some(9) || status.code() == Some(137);
    assert!(killed || status.success(), "{status}\n{}", said(world.root()));
    killed
}

/// What all lives in a world have said.
pub fn said(root: &Path) -> String {
    let said = std::fs::read_to_string(root.join("said")).unwrap_or_default();
    if said.contains("ptrace(") && said.contains("not permitted") {
        return format!("ptrace isn't permitted here, and these tests need it:\n{said}");
    }
    said
}

/// A number from the environment, for longer forms of a test.
pub fn setting(name: &str, default: usize) -> usize {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")),
        Err(_) => default,
    }
}
