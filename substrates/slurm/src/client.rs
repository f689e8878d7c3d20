//! Running Slurm's own commands: a time limit, a short environment, no shell.
//!
//! Whatever they inherit would bend them (`SLURM_*`, `SBATCH_*`) or be copied into the
//! controller's files (secrets), so they inherit a list. It leaves out what answers mean.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// All that a command of Slurm's inherits. `SLURM_CONF` says which cluster, or `SLURM_CONF_SERVER`
/// who has its settings; `SLURM_SACK_SOCKET` is the way to whoever says who we are (from 25.11 on).
const INHERITED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "TZ",
    "SLURM_CONF",
    "SLURM_CONF_SERVER",
    "SLURM_SACK_SOCKET",
];
/// The most that is read of an answer: a million jobs would fit.
const ANSWER_MAX: u64 = 128 << 20;
/// Between two looks at a command that runs.
const PAUSE: Duration = Duration::from_millis(2);

/// What a command said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Its exit code was 0.
    pub(crate) good: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Silence {
    /// It didn't start.
    NotStarted(String),
    /// It was still at it after the limit, and was ended; what it asked for may be done.
    TooLate(Duration),
}

impl std::fmt::Display for Silence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotStarted(why) => f.write_str(why),
            Self::TooLate(limit) => write!(f, "no answer within {} s", limit.as_secs()),
        }
    }
}

/// Runs `argv` with `stdin`, for `limit` at most.
pub(crate) fn run(argv: &[OsString], stdin: &str, limit: Duration) -> Result<Answer, Silence> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(Silence::NotStarted("there is no command".to_owned()));
    };
    let kept = INHERITED.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(kept).current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let failed = |error: std::io::Error| {
        Silence::NotStarted(format!("`{}` can't be started: {error}", program.display()))
    };
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut pipe) = child.stdin.take() {
        // Scripts are short: a pipe takes them whole. One that doesn't read says so by its exit.
        let _ = pipe.write_all(stdin.as_bytes());
    }
    let (out, err) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let deadline = Instant::now() + limit;
    let good = wait(&mut child, deadline).ok_or(Silence::TooLate(limit))?;
    // What it started may hold the pipes open, so these have an end as well.
    let rest = || deadline.saturating_duration_since(Instant::now()).max(PAUSE);
    let out = out.recv_timeout(rest()).map_err(|_| Silence::TooLate(limit))?;
    let err = err.recv_timeout(rest()).map_err(|_| Silence::TooLate(limit))?;
    Ok(Answer { good, out, err })
}

/// Whether it ended with 0; `None` where it had to be ended.
fn wait(child: &mut Child, deadline: Instant) -> Option<bool> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status.success()),
            Ok(None) if Instant::now() < deadline => thread::sleep(PAUSE),
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (send, receive) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            let _ = pipe.take(ANSWER_MAX).read_to_end(&mut bytes);
        }
        // Whoever asked may have gone.
        let _ = send.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receive
}

/// Whether a program of this name is on our `PATH`.
pub(crate) fn is_there(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

/// An argument list from words.
pub(crate) fn argv(words: &[&str]) -> Vec<OsString> {
    words.iter().map(|word| OsStr::new(word).to_owned()).collect()
}

/// The first line that says something, without the command's own prefix.
pub(crate) fn gist(text: &str) -> String {
    let says = |line: &&str| !line.is_empty() && !line.starts_with("Try \"");
    let mut lines = text.lines().map(str::trim).filter(says);
    // The last one is the reason, those before it are what led there.
    let last = lines.next_back().unwrap_or("it said nothing");
    let last = last.rsplit_once("error: ").map_or(last, |(_, words)| words);
    last.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn nothing_but_the_list_is_inherited() {
        let answer = run(&argv(&["env"]), "", LIMIT).unwrap();
        for line in answer.out.lines() {
            let name = line.split('=').next().unwrap();
            assert!(INHERITED.contains(&name), "{line}");
        }
        // cargo's own variables are in our environment, so the test could fail.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    }

    #[test]
    fn a_command_that_hangs_is_ended_and_its_outcome_called_unknown() {
        let began = Instant::now();
        let limit = Duration::from_millis(50);
        assert_eq!(run(&argv(&["sleep", "600"]), "", limit), Err(Silence::TooLate(limit)));
        // A grandchild that holds the pipe is no reason to wait for it.
        let fork = run(&argv(&["sh", "-c", "sleep 5 & exit 0"]), "", limit);
        assert_eq!(fork, Err(Silence::TooLate(limit)));
        assert!(began.elapsed() < LIMIT);
    }

    #[test]
    fn a_program_is_there_if_it_is_on_the_path() {
        assert!(is_there("sh"));
        assert!(!is_there("no-such-program-of-slurms"));
    }

    #[test]
    fn a_large_answer_is_read_whole() {
        let answer = run(&argv(&["seq", "200000"]), "", LIMIT).unwrap();
        assert_eq!(answer.out.lines().count(), 200_000);
    }

    #[test]
    fn the_gist_is_the_last_line_without_its_prefix() {
        let text = "sbatch: error: invalid partition specified: x\nsbatch: error: Batch job submission failed: Invalid partition name specified\n";
        assert_eq!(gist(text), "Batch job submission failed: Invalid partition name specified");
        assert_eq!(gist(""), "it said nothing");
    }
}
