//! Submitting one job: the exact line, what an answer means, and a doubtful one.
//!
//! A submit that failed may have succeeded, so it is looked up by name and nonce before
//! anything else; and because a look may come too early, whoever begins second finds the
//! attempt claimed. It leaves out which sessions are wanted.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::{Duration, Instant};

use ilchul_substrate::{Error, ErrorKind, Mark, Request};

use crate::Pace;
use crate::client::{Answer, Silence, gist, run};
use crate::queue::Queue;
use crate::record::{Record, quote};
use crate::said::{self, Said};
use crate::turn::Turns;

const ACTION: &str = "submit job";

/// Long options that say who a job is, where it writes or how it ends: ilchul's own.
pub const OWNED: &[&str] = &[
    "array",
    "chdir",
    "clusters",
    "comment",
    "dependency",
    "error",
    "export",
    "export-file",
    "get-user-env",
    "input",
    "job-name",
    "kill-on-invalid-dep",
    "no-requeue",
    "open-mode",
    "output",
    "parsable",
    "quiet",
    "requeue",
    "signal",
    "test-only",
    "time",
    "uid",
    "wait",
    "wrap",
];

/// The name of the owned option that `option` is, or may be taken for; Slurm's commands take
/// any beginning that is unambiguous.
#[must_use]
pub fn owned(option: &str) -> Option<&'static str> {
    let name = option.strip_prefix("--")?.split('=').next()?;
    OWNED.iter().copied().find(|owned| *owned == name || owned.starts_with(name))
}

/// How often a submit is repeated that is proven not to have happened.
const SUBMITS: u32 = 2;

/// The seconds before the wall time at which a session is told to end by itself.
#[must_use]
pub fn margin(wall: Option<Duration>) -> u64 {
    let wall = wall.unwrap_or(Duration::from_secs(240)).as_secs();
    (wall / 4).clamp(10, 120)
}

/// The seconds from a job's start after which a session that can count ends its work by itself:
/// a little before Slurm's signal, so that one of the two ends it and tells why.
pub(crate) fn allowed(wall: Duration) -> u64 {
    wall.as_secs().saturating_sub(margin(Some(wall)) + 5)
}

/// The line that submits `mark`, whose script comes on standard input.
#[must_use]
pub fn line(mark: &Mark, nonce: &str, folder: &Path, request: &Request) -> Vec<OsString> {
    let mut words: Vec<OsString> =
        ["sbatch", "--parsable", "--no-requeue", "--export=ALL"].map(Into::into).into();
    words.push(format!("--job-name={mark}").into());
    words.push(format!("--comment={mark} {nonce}").into());
    words.push(format!("--signal=B:USR1@{}", margin(request.wall)).into());
    let mut chdir = OsString::from("--chdir=");
    chdir.push(folder);
    words.push(chdir);
    // `%` begins a pattern of Slurm's, and `%%` is one.
    let log = folder.join("slurm.log").into_os_string();
    let log = log.as_bytes().iter().flat_map(|byte| vec![*byte; if *byte == b'%' { 2 } else { 1 }]);
    words.push(OsString::from_vec(b"--output=".iter().copied().chain(log).collect()));
    if let Some(wall) = request.wall {
        // In whole minutes, as Slurm counts.
        words.push(format!("--time={}", wall.as_secs().div_ceil(60).max(1)).into());
    }
    words.extend(request.options.iter().map(OsString::from));
    words
}

/// The batch script: all that the controller gets to see.
pub(crate) fn script(program: &Path, folder: &Path, request: &Request) -> Result<String, Error> {
    // Set-up lines are for what a login shell knows (`module`).
    let shell = if request.setup.is_empty() { "#!/bin/sh" } else { "#!/bin/bash -l" };
    let words =
        [program, folder].map(|path| quote(path.as_os_str()).and_then(|word| word.into_string().ok()));
    let [Some(program), Some(folder)] = words else {
        let detail = format!("`{}` isn't valid UTF-8", folder.display());
        return Err(Error::new(ErrorKind::Refused, ACTION, detail));
    };
    // Read and not started: a shell's functions don't pass to another one.
    Ok(format!("{shell}\nil_script={program}\nset -- job {folder}\n. \"$il_script\"\n"))
}

/// What was learnt about a submit.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Made(u64),
    /// Nothing was made.
    Refused(ErrorKind, String),
    /// Nobody knows.
    Doubtful(String),
}

fn outcome(answer: &Result<Answer, Silence>) -> Outcome {
    match answer {
        // `id`, or `id;cluster`; a site's wrapper may have said something before.
        Ok(answer) if answer.good => {
            let id = |line: &str| line.trim().split(';').next()?.parse().ok();
            let made = answer.out.lines().rev().find_map(id).map(Outcome::Made);
            made.unwrap_or_else(|| Outcome::Doubtful(format!("sbatch answered `{}`", gist(&answer.out))))
        }
        Ok(answer) => {
            let why = gist(&answer.err);
            match said::read(&answer.err) {
                Said::Never(Some(limit)) => Outcome::Refused(ErrorKind::Refused, format!("{limit}: {why}")),
                Said::Never(None) => Outcome::Refused(ErrorKind::Refused, why),
                Said::Limited => Outcome::Refused(ErrorKind::Limited, why),
                Said::NotNow => Outcome::Refused(ErrorKind::Unavailable, why),
                Said::Trouble | Said::Strange => Outcome::Doubtful(why),
            }
        }
        Err(Silence::NotStarted(why)) => Outcome::Refused(ErrorKind::Unavailable, why.clone()),
        Err(late @ Silence::TooLate(_)) => Outcome::Doubtful(format!("sbatch: {late}")),
    }
}

/// The job of `record`, submitted now.
pub(crate) fn submit(
    turns: &Turns,
    mark: &Mark,
    record: &Record,
    (script, request): (&str, &Request),
    (queue, pace): (&Queue, &Pace),
) -> Result<u64, Error> {
    let command = line(mark, &record.nonce, &record.folder, request);
    let (mut last, mut proven) = (String::new(), 0);
    for _ in 0..SUBMITS {
        turns.wait();
        match outcome(&run(&command, script, pace.limit)) {
            Outcome::Made(id) => return Ok(id),
            Outcome::Refused(kind, why) => {
                // Nothing of it may ever begin, whatever else is still on its way; what has begun,
                // by an earlier submit that was doubtful, is ours.
                if !record.call_off()?
                    && let Some(id) = record.claim()?.and_then(|claim| claim.job)
                {
                    return Ok(id);
                }
                return Err(Error::new(kind, ACTION, format!("`{mark}`: {why}")));
            }
            Outcome::Doubtful(why) => last = why,
        }
        match adopt(mark, record, (queue, pace))? {
            Adopted::Found(id) => return Ok(id),
            Adopted::Nothing => proven += 1,
            Adopted::Unknown(why) => {
                last = why;
                break;
            }
        }
    }
    // From here on it is as if nothing had been made: a job that turns up finds itself called off.
    if !record.call_off()?
        && let Some(id) = record.claim()?.and_then(|claim| claim.job)
    {
        return Ok(id);
    }
    if proven == SUBMITS && !is_trouble(&last) {
        return Err(Error::new(ErrorKind::Refused, ACTION, format!("`{mark}`: {last}")));
    }
    let detail = format!("`{mark}`: nobody knows whether it was taken ({last}); it is called off");
    Err(Error::new(ErrorKind::Unavailable, ACTION, detail))
}

/// Whether what a submit said is about the controller. What isn't, and led to no job each time,
/// is a no in words that aren't on the list: tried again it would be one for ever.
fn is_trouble(why: &str) -> bool {
    said::read(why) == Said::Trouble || why.starts_with("sbatch answered")
}

/// What a look for a doubtful job found.
pub(crate) enum Adopted {
    Found(u64),
    /// The controller answered, often enough, and knows nothing of it.
    Nothing,
    /// It didn't answer.
    Unknown(String),
}

/// Looks for the job of a submit whose outcome is unknown, by its name and nonce.
pub(crate) fn adopt(mark: &Mark, record: &Record, (queue, pace): (&Queue, &Pace)) -> Result<Adopted, Error> {
    let name = mark.to_string();
    let deadline = Instant::now() + pace.doubt;
    let mut answered = 0;
    loop {
        // A job that has begun said so itself.
        if let Some(id) = record.claim()?.and_then(|claim| claim.job) {
            return Ok(Adopted::Found(id));
        }
        let looked = queue.fresh();
        if let Ok(snapshot) = &looked {
            answered += 1;
            if let Some(job) = snapshot.find(&name, &record.nonce, None) {
                return Ok(Adopted::Found(job.id));
            }
        }
        // A controller that was frozen works off what it was sent after it answers again.
        match looked {
            Ok(_) if answered >= 3 => return Ok(Adopted::Nothing),
            Err(why) if Instant::now() >= deadline => return Ok(Adopted::Unknown(why)),
            Ok(_) | Err(_) => std::thread::sleep(pace.doubt / 20),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(err: &str) -> Outcome {
        outcome(&Ok(Answer { good: false, out: String::new(), err: err.to_owned() }))
    }

    #[test]
    fn only_a_plain_no_is_a_no_and_everything_else_is_doubtful() {
        let invalid = "sbatch: error: Batch job submission failed: Invalid partition name specified\n";
        assert!(matches!(says(invalid), Outcome::Refused(ErrorKind::Refused, _)));
        let full = "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)";
        assert!(matches!(says(full), Outcome::Refused(ErrorKind::Limited, _)));
        for limit in ["AssocMaxSubmitJobLimit", "QOSMaxSubmitJobPerUserLimit"] {
            let submits = says(&format!("sbatch: error: {limit}\n{full}"));
            assert!(matches!(submits, Outcome::Refused(ErrorKind::Unavailable, _)), "{submits:?}");
        }
        // Sites that deny at once what is beyond a limit of the job's own account name that limit.
        let denied = says(&format!("sbatch: error: QOSMaxCpuPerUserLimit\n{full}"));
        assert!(matches!(denied, Outcome::Refused(ErrorKind::Refused, _)), "{denied:?}");
        let never = format!("sbatch: error: QOSMaxWallDurationPerJobLimit\n{full}");
        let Outcome::Refused(ErrorKind::Refused, why) = says(&never) else { panic!("{never}") };
        assert!(why.starts_with("QOSMaxWallDurationPerJobLimit: "), "{why}");
        for doubt in [
            "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
            "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)",
            "sbatch: error: Batch job submission failed: Zero Bytes were transmitted or received",
            "",
        ] {
            assert!(matches!(says(doubt), Outcome::Doubtful(_)), "{doubt}");
        }
        let late = outcome(&Err(Silence::TooLate(Duration::from_secs(30))));
        assert_eq!(late, Outcome::Doubtful("sbatch: no answer within 30 s".to_owned()));
    }

    #[test]
    fn words_of_sbatchs_own_are_a_no_at_once_and_unknown_ones_are_no_trouble_of_the_controllers() {
        // As 22.05 says them.
        for no in [
            "sbatch: error: Invalid --mem specification\n",
            "sbatch: error: \"abc\" is not a valid node count\n",
            "sbatch: error: Invalid numeric value \"x\" for --cpus-per-task.\n",
            "sbatch: error: Batch job submission failed: Invalid feature specification\n",
            "sbatch: unrecognized option '--foo=bar'\nTry \"sbatch --help\" for more information\n",
        ] {
            let Outcome::Refused(ErrorKind::Refused, why) = says(no) else { panic!("{no}") };
            assert!(!why.starts_with("Try"), "{why}");
        }
        assert!(!is_trouble("Unspecified error"), "as a plugin of a site says it");
        assert!(is_trouble("Socket timed out on send/recv operation"));
        assert!(is_trouble("sbatch answered ``"));
        assert!(is_trouble("sbatch: no answer within 30 s"));
    }

    #[test]
    fn an_answer_may_name_the_cluster_and_nonsense_is_doubtful() {
        let good = |out: &str| outcome(&Ok(Answer { good: true, out: out.to_owned(), err: String::new() }));
        assert_eq!(good("42\n"), Outcome::Made(42));
        assert_eq!(good("42;west\n"), Outcome::Made(42));
        assert_eq!(good("Welcome to west!\nYou have 7 hours left\n42\n"), Outcome::Made(42));
        assert!(matches!(good("Submitted"), Outcome::Doubtful(_)));
    }

    #[test]
    fn owned_options_are_known_by_any_beginning_that_slurm_would_take() {
        for option in
            ["--job-name=x", "--job", "--comment", "--no-req", "--wait", "--exp=ALL", "--dep=afterok:1"]
        {
            assert!(owned(option).is_some(), "{option}");
        }
        for option in ["--exclusive", "--nodes=2", "--wait-all-nodes=1", "--mail-type=END", "--nice=5", "-n"]
        {
            assert_eq!(owned(option), None, "{option}");
        }
    }

    #[test]
    fn the_line_has_the_mark_as_name_and_comment_and_never_a_requeue() {
        let mark = Mark::new("r", "a", 2).unwrap();
        let request = Request {
            options: vec!["--partition=main".to_owned()],
            wall: Some(Duration::from_secs(601)),
            ..Request::default()
        };
        let words = line(&mark, "n", Path::new("/s/x"), &request);
        let shown: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
        assert_eq!(
            shown.join(" "),
            "sbatch --parsable --no-requeue --export=ALL --job-name=ilchul.r.a.2 --comment=ilchul.r.a.2 n \
             --signal=B:USR1@120 --chdir=/s/x --output=/s/x/slurm.log --time=11 --partition=main"
        );
    }

    #[test]
    fn the_margin_leaves_most_of_a_short_wall_time() {
        assert_eq!(margin(Some(Duration::from_secs(60))), 15);
        assert_eq!(margin(Some(Duration::from_secs(86_400))), 120);
        assert_eq!(margin(None), 60);
        assert_eq!(allowed(Duration::from_secs(60)), 40);
        assert_eq!(allowed(Duration::from_secs(86_400)), 86_275);
    }
}
