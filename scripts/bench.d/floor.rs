//! The floors that `scripts/bench` holds ilchul against, with nothing on top.
//!
//! `loop DIR TASKS JOBS` is the main job laid bare: a shell per task that writes its
//! report, a raw watch, one durable commit, the next shell. `wake SCRATCH MAIL WAL
//! COUNT` takes turns: a file renamed in front of a raw watch, and a report renamed
//! into a worker's mail in front of a supervisor. `scan DIR` reads and parses every file
//! of a folder once. Each prints one JSON object. It leaves out statistics and ilchul
//! itself: nothing here names its library.

use std::collections::VecDeque;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use rusqlite::{Connection, params};
use serde_json::{Value, json};

type Fallible<T> = Result<T, Box<dyn Error>>;

/// Between two renames: what the last one led to is over by then.
const PAUSE: Duration = Duration::from_millis(10);
/// How long an answer to a rename may take.
const PATIENCE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done =
        match words.as_slice() {
            ["loop", dir, tasks, jobs] => task_loop(Path::new(dir), tasks, jobs),
            ["wake", scratch, mail, wal, count] => {
                wake(Path::new(scratch), Path::new(mail), Path::new(wal), count)
            }
            ["scan", dir] => scan(Path::new(dir)),
            _ => Err("usage: floor loop DIR TASKS JOBS | floor wake SCRATCH MAIL WAL COUNT | floor scan DIR"
                .into()),
        };
    match done {
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs `tasks` tasks, `jobs` at once: wall time, and the CPU of this process alone.
fn task_loop(dir: &Path, tasks: &str, jobs: &str) -> Fallible<Value> {
    let (tasks, jobs): (usize, usize) = (tasks.parse()?, jobs.parse()?);
    let reports = dir.join("reports");
    fs::create_dir_all(&reports)?;
    let mut journal = journal(&dir.join("floor.db"), tasks)?;
    let bell = Inotify::init(InitFlags::IN_CLOEXEC)?;
    bell.add_watch(&reports, AddWatchFlags::IN_MOVED_TO)?;
    let cpu_before = cpu_us()?;
    let begun = Instant::now();
    let mut waiting: VecDeque<usize> = (0..tasks).collect();
    let mut children = Vec::with_capacity(jobs);
    for slot in 0..jobs {
        if let Some(task) = waiting.pop_front() {
            children.push(dispatch(dir, &reports, slot, task)?);
        }
    }
    let mut done = 0;
    while done < tasks {
        for event in bell.read_events()? {
            let Some(name) = event.name else { continue };
            let body = fs::read_to_string(reports.join(name))?;
            let report: Value = serde_json::from_str(&body)?;
            let task = report["task"].as_i64().ok_or("a report without its task")?;
            let slot = usize::try_from(report["slot"].as_i64().unwrap_or_default())?;
            record(&mut journal, task, &body)?;
            done += 1;
            if let Some(next) = waiting.pop_front() {
                children.push(dispatch(dir, &reports, slot, next)?);
            }
        }
        // Reaped as they end: what can't be asked has ended too.
        children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    }
    let wall = begun.elapsed();
    let cpu = cpu_us()? - cpu_before;
    for mut child in children {
        child.wait()?;
    }
    Ok(json!({"wall_s": wall.as_secs_f64(), "cpu_us": cpu}))
}

/// One shell that runs `true` and renames its report into the watched folder.
fn dispatch(dir: &Path, reports: &Path, slot: usize, task: usize) -> Fallible<Child> {
    let half = dir.join(format!("half-{slot}"));
    let (half, report) = (half.display(), reports.join(format!("{slot}-{task}.json")));
    let body = json!({"task": task, "slot": slot, "status": "done", "summary": "did it"});
    let line = format!("/bin/true && printf '%s' '{body}' >{half} && mv {half} {}", report.display());
    Ok(Command::new("/bin/sh").args(["-c", &line]).stdin(Stdio::null()).spawn()?)
}

fn journal(path: &Path, tasks: usize) -> Fallible<Connection> {
    let mut connection = Connection::open(path)?;
    let _mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(
        "CREATE TABLE task (id INTEGER PRIMARY KEY, state TEXT NOT NULL);
         CREATE TABLE event (seq INTEGER PRIMARY KEY, task INTEGER NOT NULL, body TEXT NOT NULL);",
    )?;
    for task in 0..tasks {
        transaction.execute("INSERT INTO task VALUES (?, 'pending')", [i64::try_from(task)?])?;
    }
    transaction.commit()?;
    Ok(connection)
}

/// One transaction per report: state and event together.
fn record(journal: &mut Connection, task: i64, body: &str) -> Fallible<()> {
    let transaction = journal.transaction()?;
    transaction.prepare_cached("UPDATE task SET state = 'done' WHERE id = ?")?.execute([task])?;
    transaction
        .prepare_cached("INSERT INTO event (task, body) VALUES (?, ?)")?
        .execute(params![task, body])?;
    Ok(transaction.commit()?)
}

/// Takes turns between a raw watch and a supervisor, in microseconds from the rename.
///
/// The supervisor's answer is the first write to its write-ahead log, seen by a raw
/// watch of the same kind: it holds one more wake-up than the supervisor needed.
fn wake(scratch: &Path, mail: &Path, wal: &Path, count: &str) -> Fallible<Value> {
    let count: u32 = count.parse()?;
    let (folder, half) = (scratch.join("watched"), scratch.join("half"));
    fs::create_dir_all(&folder)?;
    let raw = receiver(&folder, AddWatchFlags::IN_MOVED_TO)?;
    let journal = receiver(wal, AddWatchFlags::IN_MODIFY)?;
    let assignment: Value = serde_json::from_str(&fs::read_to_string(mail.join("assignment.json"))?)?;
    let (mut raw_us, mut journal_us) = (Vec::new(), Vec::new());
    for number in 0..count {
        let body = report(&assignment, number);
        fs::write(&half, &body)?;
        raw_us.push(answer(&raw, &half, &folder.join("report.json"))?);
        let half: PathBuf = mail.join(".tmp").join("floor");
        fs::write(&half, &body)?;
        journal_us.push(answer(&journal, &half, &mail.join("report.json"))?);
    }
    Ok(json!({"raw_us": raw_us, "journal_us": journal_us}))
}

/// A report that settles nothing, so that the same worker may write the next one.
fn report(assignment: &Value, number: u32) -> String {
    json!({
        "schema": "ilchul.report/1",
        "task": assignment["task"],
        "attempt": assignment["attempt"],
        "token": assignment["token"],
        "status": if number.is_multiple_of(2) { "blocked" } else { "needs_input" },
        "summary": format!("report {number}"),
        "reason": "it is measured",
    })
    .to_string()
}

/// Renames, and waits until that was noticed.
fn answer(noticed: &Receiver<Instant>, half: &Path, to: &Path) -> Fallible<f64> {
    std::thread::sleep(PAUSE);
    while noticed.try_recv().is_ok() {}
    let begun = Instant::now();
    fs::rename(half, to)?;
    match noticed.recv_timeout(PATIENCE) {
        Ok(at) => Ok(at.saturating_duration_since(begun).as_secs_f64() * 1e6),
        Err(RecvTimeoutError::Timeout) => Err(format!("nobody noticed `{}`", to.display()).into()),
        Err(error) => Err(error.into()),
    }
}

/// Every report of a folder, read and parsed, with nothing else to do.
fn scan(dir: &Path) -> Fallible<Value> {
    let begun = Instant::now();
    let mut reports = 0;
    for entry in fs::read_dir(dir)? {
        let report: Value = serde_json::from_slice(&fs::read(entry?.path())?)?;
        reports += usize::from(report["token"].is_u64());
    }
    Ok(json!({"reports": reports, "wall_s": begun.elapsed().as_secs_f64()}))
}

/// A thread that blocks in a raw watch and tells when it woke.
fn receiver(path: &Path, events: AddWatchFlags) -> Fallible<Receiver<Instant>> {
    let bell = Inotify::init(InitFlags::IN_CLOEXEC)?;
    bell.add_watch(path, events)?;
    let (send, noticed) = channel();
    std::thread::spawn(move || {
        // It ends with the process, or when nobody listens any more.
        while bell.read_events().is_ok() {
            if send.send(Instant::now()).is_err() {
                break;
            }
        }
    });
    Ok(noticed)
}

/// User and system time of this process without its children.
fn cpu_us() -> Fallible<i64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok(usage.user_time().num_microseconds() + usage.system_time().num_microseconds())
}
