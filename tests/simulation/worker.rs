//! Workers: processes of their own that live across supervisors and write mail.
//!
//! Each has one manner, chosen once: honest, or one of the ways in which workers go
//! wrong. A worker knows its assignment and nothing else (law L14). It leaves out
//! sessions and files (`world.rs`, `disk.rs`).

use ilchul::engine::evidence::ChildExit;
use ilchul::engine::input::Beat;
use ilchul::protocol::{REPORT_SCHEMA, Report, ReportStatus, SETUP_FAILED, Usage};
use ilchul::workflow::TaskKind;
use serde_json::{Map, Value, json};

use crate::disk::{Body, File};
use crate::faults::Fault;
use crate::world::{Happening, Session, World, who};

/// How often a worker beats.
const BEAT_MS: u64 = 2_000;
/// How long a worker that hangs goes on when nobody ends it.
const FOR_EVER_MS: u64 = 600_000;

/// How a worker behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Honest,
    /// Works longer than most limits, and beats.
    Slow,
    /// Says nothing for a while, and then goes on.
    Silent,
    /// Never beats once it works; finishes some day.
    Mute,
    /// Says that it is done, and isn't.
    Liar,
    /// Takes another's tokens, then behaves.
    Forger,
    /// Can't be asked to end, and goes on talking after its end.
    Zombie,
    /// Ready, or taken, only after the limits.
    Late,
    /// Its child is ended by a signal.
    Crasher,
    /// Its child ends with another code.
    Failing,
    /// Ends without a word.
    NoReport,
    /// Waits for something, and says so.
    Blocked,
    /// Asks a person, waits for each answer, and goes on.
    Asks,
    /// Its provider refuses it, which it says.
    Limited,
    /// Does a part.
    Partial,
    /// Finds nothing to do.
    NoChange,
    /// Its child dies while its shim lives on.
    ChildDies,
    NeverReady,
    /// What its tree needs can't be made: it ends before it is ready, and says why.
    SetupFails,
    WrongNonce,
    WrongTree,
    /// Its shim dies alone: nobody records the end.
    ShimDies,
    /// Everything is gone at once.
    Vanishes,
    /// Beats, and never takes its assignment.
    NoAck,
    /// Writes what can't be read, then behaves.
    Garbler,
}

const MANNERS: [Manner; 25] = [
    Manner::Honest,
    Manner::Slow,
    Manner::Silent,
    Manner::Mute,
    Manner::Liar,
    Manner::Forger,
    Manner::Zombie,
    Manner::Late,
    Manner::Crasher,
    Manner::Failing,
    Manner::NoReport,
    Manner::Blocked,
    Manner::Partial,
    Manner::NoChange,
    Manner::ChildDies,
    Manner::NeverReady,
    Manner::SetupFails,
    Manner::WrongNonce,
    Manner::WrongTree,
    Manner::ShimDies,
    Manner::Vanishes,
    Manner::NoAck,
    Manner::Garbler,
    Manner::Asks,
    Manner::Limited,
];

/// What a worker does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Echoes its nonce.
    Echo,
    /// Looks for its assignment, and starts on it.
    Take,
    Ack,
    Beat,
    /// Says something on the way: that it waits, or what it forges.
    Murmur,
    /// Looks for the answer to what it asked.
    Hear,
    /// Its body is over.
    Finish,
    /// Its shim records the end.
    Record,
    /// Looks for an order to end.
    Obey,
    /// Ends as its manner says.
    Die,
    /// Says something although it is over.
    Haunt(u64),
}

/// One worker's process.
#[derive(Debug)]
pub struct Actor {
    pub manner: Manner,
    kind: Kind,
    /// The process that speaks lives.
    alive: bool,
    /// It echoed, so that it looks for an assignment.
    ready: bool,
    /// What it works under.
    token: Option<u64>,
    child: Child,
    exit: ChildExit,
    beats: u64,
    /// How many questions it has asked.
    asked: u32,
    /// Says nothing before then.
    quiet_until: u64,
    /// A beat told of its child: only then anybody could end an orphan.
    pub child_told: bool,
    /// It was told to end, and its child didn't end by itself.
    stopped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A plain command: its shim writes the report.
    Command,
    /// An agent: it writes its own.
    Agent,
    /// A program that speaks the protocol itself: nobody records its exit but the session.
    Own,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Child {
    None,
    Runs,
    Over,
}

impl Actor {
    /// Every process of it is gone.
    pub fn dies(&mut self) {
        self.alive = false;
        if self.child == Child::Runs {
            self.child = Child::Over;
        }
    }
}

/// A session was made: its process starts, and proves that it is ready.
pub fn spawn(world: &mut World, id: &str) {
    let about = (who(id), 0);
    // Four of ten are honest whatever the seed says.
    let manner = MANNERS
        .get(usize::try_from(world.chance.pick("manner", about, 37)).unwrap_or_default())
        .copied()
        .unwrap_or(Manner::Honest);
    let kind = match world.planned(id).map(|planned| &planned.kind) {
        Some(TaskKind::Agent { .. }) => Kind::Agent,
        Some(TaskKind::Worker(_)) => Kind::Own,
        Some(
            TaskKind::Run(_)
            | TaskKind::Argv(_)
            | TaskKind::Reduce(_)
            | TaskKind::Approve(_)
            | TaskKind::Loop(_)
            | TaskKind::Map(_)
            | TaskKind::Tournament(_),
        )
        | None => Kind::Command,
    };
    world.say(|| format!("{id} starts as {manner:?} ({kind:?})"));
    world.sessions.insert(id.to_owned(), Session::Live);
    world.actors.insert(
        id.to_owned(),
        Actor {
            manner,
            kind,
            alive: true,
            ready: false,
            token: None,
            child: Child::None,
            exit: ChildExit::Unknown,
            beats: 0,
            asked: 0,
            quiet_until: 0,
            child_told: false,
            stopped: false,
        },
    );
    let late = manner == Manner::Late && world.chance.pick("late where", about, 2) == 0;
    let limits = if late { (7_000, 20_000) } else { (5, 900) };
    let ms = world.chance.span("ready after", about, limits);
    plan(world, id, ms, Deed::Echo);
}

/// One deed of one worker.
pub fn act(world: &mut World, id: &str, deed: Deed) {
    let Some(actor) = world.actors.get(id) else { return };
    if let Deed::Haunt(n) = deed {
        return haunt(world, id, n);
    }
    if !actor.alive {
        return;
    }
    match deed {
        Deed::Echo => echo(world, id),
        Deed::Take => take(world, id),
        Deed::Ack => ack(world, id),
        Deed::Beat => beat(world, id),
        Deed::Murmur => murmur(world, id),
        Deed::Hear => hear(world, id),
        Deed::Finish => finish(world, id),
        Deed::Record => record(world, id),
        Deed::Obey => obey(world, id),
        Deed::Die => die(world, id),
        Deed::Haunt(_) => {}
    }
}

/// From here on it does what it was asked, as far as it still can.
pub fn heal(world: &mut World) {
    let ids: Vec<String> = world.actors.keys().cloned().collect();
    for id in ids {
        let Some(actor) = world.actors.get_mut(&id) else { continue };
        if !actor.alive {
            continue;
        }
        actor.manner = Manner::Honest;
        actor.quiet_until = 0;
        let (child, ready) = (actor.child, actor.ready);
        world.forget(|planned| matches!(planned, Happening::Worker(whose, deed) if *whose == id && *deed != Deed::Record));
        match (ready, child) {
            (false, _) => plan(world, &id, 10, Deed::Echo),
            (true, Child::None) => {
                plan(world, &id, 10, Deed::Take);
                plan(world, &id, 5, Deed::Beat);
            }
            (true, Child::Runs) => {
                plan(world, &id, 5, Deed::Beat);
                plan(world, &id, 10, Deed::Ack);
                plan(world, &id, 1_000, Deed::Finish);
            }
            (true, Child::Over) => plan(world, &id, 10, Deed::Record),
        }
        // An order that it was given stays one.
        plan(world, &id, 20, Deed::Obey);
    }
}

fn plan(world: &mut World, id: &str, ms: u64, deed: Deed) {
    world.after(ms, Happening::Worker(id.to_owned(), deed));
}

fn echo(world: &mut World, id: &str) {
    let Some(actor) = world.actors.get_mut(id) else { return };
    let manner = actor.manner;
    if manner == Manner::NeverReady {
        return plan(world, id, BEAT_MS, Deed::Beat);
    }
    if manner == Manner::SetupFails {
        if !actor.stopped {
            let error = format!("{SETUP_FAILED}`make` ended with exit code 2");
            end_unassigned(world, id, error);
        }
        return;
    }
    actor.ready = true;
    let nonce = world.disk.mail.get(id).map(|folder| folder.nonce.clone()).unwrap_or_default();
    let nonce = if manner == Manner::WrongNonce { "a guess".to_owned() } else { nonce };
    let in_tree = manner != Manner::WrongTree;
    if in_tree && manner != Manner::WrongNonce {
        world.ledger.proven.insert(id.to_owned());
    }
    world.deposit(id, Body::Ready { nonce, in_tree });
    plan(world, id, BEAT_MS, Deed::Beat);
    plan(world, id, 1, Deed::Take);
}

/// Starts on the assignment, if it is there; whoever delivers it wakes us again.
fn take(world: &mut World, id: &str) {
    let assigned = world.disk.mail.get(id).and_then(|folder| folder.assignment);
    let Some(actor) = world.actors.get_mut(id) else { return };
    let (true, Child::None, Some(token)) = (actor.ready, actor.child, assigned) else { return };
    if actor.stopped {
        return;
    }
    actor.child = Child::Runs;
    actor.token = Some(token);
    let manner = actor.manner;
    let now = world.now;
    world.ledger.starts(id, token);
    world.say(|| format!("{id} runs its body under token {token}"));
    let about = (who(id), 0);
    let late = manner == Manner::Late;
    let (low, high) = if late { (5_000, 12_000) } else { (20, 400) };
    let ack = world.chance.span("ack after", about, (low, high));
    let slow = matches!(manner, Manner::Slow | Manner::Mute);
    let (low, high) = if slow { (15_000, 70_000) } else { (40, 9_000) };
    let work = world.chance.span("work", about, (low, high));
    if manner == Manner::Silent {
        let span = world.chance.span("silence", about, (5_000, 40_000));
        world.actors.entry(id.to_owned()).and_modify(|actor| actor.quiet_until = now + span);
    }
    if manner == Manner::Mute {
        world.actors.entry(id.to_owned()).and_modify(|actor| actor.quiet_until = now + FOR_EVER_MS);
    }
    if manner != Manner::NoAck {
        plan(world, id, ack, Deed::Ack);
    }
    match manner {
        // A child that nobody has told of yet can't be found when its shim dies: nobody
        // could keep this promise before the first beat.
        Manner::ShimDies => plan(world, id, ack + work, Deed::Die),
        Manner::ChildDies | Manner::Vanishes => plan(world, id, work, Deed::Die),
        Manner::NoAck => plan(world, id, FOR_EVER_MS, Deed::Finish),
        Manner::Silent => {
            let pause = world.actors.get(id).map_or(0, |actor| actor.quiet_until - now);
            plan(world, id, pause + work, Deed::Finish);
        }
        Manner::Asks | Manner::Blocked | Manner::Forger | Manner::Garbler => {
            plan(world, id, ack + work, Deed::Murmur);
        }
        Manner::Honest
        | Manner::Slow
        | Manner::Mute
        | Manner::Liar
        | Manner::Zombie
        | Manner::Late
        | Manner::Crasher
        | Manner::Failing
        | Manner::NoReport
        | Manner::Limited
        | Manner::Partial
        | Manner::NoChange
        | Manner::NeverReady
        | Manner::SetupFails
        | Manner::WrongNonce
        | Manner::WrongTree => plan(world, id, work, Deed::Finish),
    }
}

fn ack(world: &mut World, id: &str) {
    let Some(actor) = world.actors.get(id) else { return };
    let Some(token) = actor.token else { return };
    world.deposit(id, Body::Ack { token });
    // The first beat comes with the ack: both say that it began.
    say_beat(world, id);
}

fn beat(world: &mut World, id: &str) {
    say_beat(world, id);
    plan(world, id, BEAT_MS, Deed::Beat);
}

fn say_beat(world: &mut World, id: &str) {
    let now = world.now;
    let Some(actor) = world.actors.get_mut(id) else { return };
    if now < actor.quiet_until {
        return;
    }
    actor.beats += 1;
    actor.child_told |= actor.child == Child::Runs;
    let alive = match actor.child {
        Child::None => None,
        Child::Runs => Some(true),
        Child::Over => Some(false),
    };
    let beat = Beat { token: actor.token, seq: actor.beats, alive, progress: actor.beats, asks: None };
    world.deposit(id, Body::Beat(beat));
}

/// What it says before its end.
fn murmur(world: &mut World, id: &str) {
    let about = (who(id), 1);
    let Some(actor) = world.actors.get(id) else { return };
    let (manner, token, beats) = (actor.manner, actor.token.unwrap_or_default(), actor.beats);
    let foreign = token + 1 + world.chance.pick("forged token", about, 3);
    match manner {
        Manner::Asks => return ask(world, id),
        Manner::Blocked => {
            let asks = world.chance.pick("asks", about, 2) == 0;
            let status = if asks { ReportStatus::NeedsInput } else { ReportStatus::Blocked };
            report(world, id, token, status);
        }
        Manner::Forger => {
            world.deposit(id, Body::Ack { token: foreign });
            let beat =
                Beat { token: Some(foreign), seq: beats + 50, alive: Some(true), progress: 0, asks: None };
            world.deposit(id, Body::Beat(beat));
            report(world, id, foreign, ReportStatus::Done);
        }
        Manner::Garbler => world.deposit(id, Body::Garbled(format!("garbage of {id}"))),
        _ => {}
    }
    let work = world.chance.span("work", about, (500, 30_000));
    plan(world, id, work, Deed::Finish);
}

/// It asks, and stands still until it is answered; somebody may see that.
fn ask(world: &mut World, id: &str) {
    let Some(actor) = world.actors.get_mut(id) else { return };
    actor.asked += 1;
    let (asked, token) = (actor.asked, actor.token.unwrap_or_default());
    report(world, id, token, ReportStatus::NeedsInput);
    let about = (who(id), u64::from(asked));
    if world.chance.pick("somebody sees the question", about, 4) != 1 {
        let ms = world.chance.span("answered after", about, (50, 9_000));
        world.after(ms, Happening::Fault(Fault::Respond));
    }
}

/// It looks for the answer to its last question: with it, it asks once more or goes on.
fn hear(world: &mut World, id: &str) {
    let Some(actor) = world.actors.get(id) else { return };
    let (asked, manner, token) = (actor.asked, actor.manner, actor.token);
    let given = world.disk.mail.get(id).and_then(|folder| folder.answers.get(&asked).copied());
    if manner != Manner::Asks || given.is_none() || given != token {
        return;
    }
    let about = (who(id), u64::from(asked));
    let deed = if world.chance.pick("asks again", about, 3) == 1 { Deed::Murmur } else { Deed::Finish };
    let ms = world.chance.span("work after an answer", about, (20, 6_000));
    plan(world, id, ms, deed);
}

/// What it answers: words, winners and lists; wrong ones, too. It never says two things.
fn answers(world: &mut World, id: &str) -> Map<String, Value> {
    if let Some(known) = world.ledger.answers.get(id) {
        return known.clone();
    }
    let mut answers = Map::new();
    let words = |words: [&str; 5]| words.map(Value::from);
    let lists = [json!([1]), json!([1, {"n": 2}]), json!([]), json!("no list"), json!([1, 2, 3])];
    let done = [true, false, false, true, false].map(Value::from);
    let all = [
        ("label", words(["a", "b", "b", "a", "stranger"])),
        ("winner", words(["left", "right", "right", "left", "both"])),
        ("files", lists),
        ("done", done),
    ];
    for (site, values) in all {
        let n = world.chance.pick(site, (who(id), 0), 12);
        let chosen = usize::try_from(n).unwrap_or_default();
        // One in twelve says nothing at all.
        if chosen < 11 {
            answers.insert(site.to_owned(), values[chosen % values.len()].clone());
        }
    }
    world.ledger.answers.insert(id.to_owned(), answers.clone());
    answers
}

fn report(world: &mut World, id: &str, token: u64, status: ReportStatus) {
    let (task, attempt) = id.rsplit_once('.').unwrap_or((id, "1"));
    let reason = world.chance.pick("reason given", (who(id), token), 4) != 1;
    let answer = ["pass", "pass", "pass", "fail", "well"]
        [usize::try_from(world.chance.pick("answer", (who(id), token), 5)).unwrap_or_default()];
    // Said under its own token it is its word, whatever becomes of it.
    if answer == "pass" {
        world.ledger.passed.insert(id.to_owned());
    }
    let asked = world.actors.get(id).map_or(0, |actor| actor.asked);
    let is_limited = world.actors.get(id).is_some_and(|actor| actor.manner == Manner::Limited);
    let wait = world.chance.span("limited for", (who(id), token), (0, 60));
    let limit = (is_limited && status == ReportStatus::Failed).then_some(wait);
    let mut outputs = answers(world, id);
    outputs.insert("verdict".to_owned(), answer.into());
    let report = Report {
        schema: REPORT_SCHEMA.to_owned(),
        task: task.to_owned(),
        attempt: attempt.parse().unwrap_or(1),
        token,
        status,
        summary: "as asked".to_owned(),
        reason: reason.then(|| "because".to_owned()),
        evidence: Vec::new(),
        outputs,
        usage: usage(world, id, token),
        retry_after: limit,
        question: (asked > 0 && status.is_open()).then_some(asked),
        by: None,
    };
    let sha256 = format!("{id} under {token}: {} {asked}", status.as_str());
    world.deposit(id, Body::Report(Box::new(report), sha256));
}

/// What it says that it used: mostly something, now and then nothing, or only a part of it.
fn usage(world: &mut World, id: &str, token: u64) -> Option<Usage> {
    let tokens = world.chance.pick("tokens used", (who(id), token), 60);
    let part = world.chance.pick("usage told", (who(id), token), 6);
    let usd = f64::from(u32::try_from(tokens).unwrap_or(0)) / 50.0;
    match part {
        1 => None,
        2 => Some(Usage { tokens: Some(tokens), usd: None }),
        _ => Some(Usage { tokens: Some(tokens), usd: Some(usd) }),
    }
}

/// The body is over: what it leaves behind is settled here, what is said of it may lie.
fn finish(world: &mut World, id: &str) {
    let now = world.now;
    let Some(actor) = world.actors.get_mut(id) else { return };
    if actor.child != Child::Runs {
        return;
    }
    actor.child = Child::Over;
    let (manner, kind, stopped, asked) = (actor.manner, actor.kind, actor.stopped, actor.asked);
    let token = actor.token.unwrap_or_default();
    let exit = match manner {
        Manner::Crasher => ChildExit::Signal(11),
        Manner::Failing => ChildExit::Code(3),
        _ if stopped => ChildExit::Signal(15),
        _ => ChildExit::Code(0),
    };
    actor.exit = exit;
    world.ledger.ends(id, now);
    let work = world.ledger.works.entry(id.to_owned()).or_default();
    work.exit = Some(exit);
    work.good = exit == ChildExit::Code(0) && manner != Manner::Liar && manner != Manner::Partial;
    work.unchanged = manner == Manner::NoChange;
    world.say(|| format!("{id} ends its body: {}", exit.words()));
    let plain = matches!(exit, ChildExit::Code(_));
    let status = match (kind, manner) {
        (Kind::Command, _) if plain && !stopped => Some(ReportStatus::Done),
        (Kind::Command, _) => Some(ReportStatus::Failed),
        (Kind::Agent | Kind::Own, Manner::NoReport | Manner::Crasher) => None,
        (Kind::Agent | Kind::Own, _) if stopped => None,
        (Kind::Agent | Kind::Own, Manner::Partial) => Some(ReportStatus::Partial),
        (Kind::Agent | Kind::Own, Manner::NoChange) => Some(ReportStatus::NoChange),
        (Kind::Agent | Kind::Own, Manner::Failing | Manner::Limited) => Some(ReportStatus::Failed),
        (Kind::Agent | Kind::Own, _) => Some(ReportStatus::Done),
    };
    // A shim never replaces what its child wrote, but for a question that was answered.
    let heard =
        world.disk.mail.get(id).is_some_and(|folder| asked > 0 && folder.answers.contains_key(&asked));
    let written =
        !heard && world.disk.mail.get(id).is_some_and(|folder| folder.files.contains_key(&File::Report));
    let silent = manner == Manner::Blocked && world.chance.pick("gives up", (who(id), 0), 3) == 1;
    if let Some(status) = status.filter(|_| !(silent || kind == Kind::Command && written)) {
        report(world, id, token, status);
    }
    let ms = world.chance.span("record after", (who(id), 0), (1, 300));
    plan(world, id, ms, Deed::Record);
}

/// The exit is always the last word; then the process ends.
fn record(world: &mut World, id: &str) {
    let Some(actor) = world.actors.get_mut(id) else { return };
    if actor.child != Child::Over {
        return;
    }
    actor.alive = false;
    let (token, exit, kind) = (actor.token, actor.exit, actor.kind);
    let code = match exit {
        ChildExit::Code(code) => Some(code),
        ChildExit::Signal(_) | ChildExit::Unknown => None,
    };
    if kind == Kind::Own {
        world.sessions.insert(id.to_owned(), Session::Ended(code));
    } else {
        world.deposit(id, Body::Exit { token, exit, error: None });
        world.sessions.insert(id.to_owned(), Session::Ended(Some(0)));
    }
    haunts(world, id);
}

/// Its shim ends without ever having had anything to do, and says why.
fn end_unassigned(world: &mut World, id: &str, error: String) {
    if let Some(actor) = world.actors.get_mut(id) {
        actor.stopped = true;
        actor.alive = false;
    }
    world.deposit(id, Body::Exit { token: None, exit: ChildExit::Unknown, error: Some(error) });
    world.sessions.insert(id.to_owned(), Session::Ended(Some(0)));
}

/// It looks for an order to end.
fn obey(world: &mut World, id: &str) {
    let order = world.disk.mail.get(id).and_then(|folder| folder.stop);
    let Some(actor) = world.actors.get_mut(id) else { return };
    if order.is_none() || actor.manner == Manner::Zombie || actor.stopped {
        return;
    }
    match actor.child {
        // An order for another token isn't its own.
        Child::Runs if order == actor.token => {
            actor.stopped = true;
            let ms = world.chance.span("ends after", (who(id), 0), (1, 3_500));
            plan(world, id, ms, Deed::Finish);
        }
        Child::None => {
            end_unassigned(world, id, "it ended before it was given anything to do".to_owned());
        }
        Child::Runs | Child::Over => {}
    }
}

fn die(world: &mut World, id: &str) {
    let now = world.now;
    let Some(actor) = world.actors.get_mut(id) else { return };
    let manner = actor.manner;
    world.say(|| format!("{id} dies as {manner:?}"));
    match manner {
        Manner::ChildDies => {
            let Some(actor) = world.actors.get_mut(id) else { return };
            actor.child = Child::Over;
            actor.exit = ChildExit::Signal(9);
            world.ledger.ends(id, now);
            let ms = world.chance.span("noticed after", (who(id), 0), (3_000, 90_000));
            plan(world, id, ms, Deed::Record);
        }
        Manner::ShimDies => shim_dies(world, id),
        _ => {
            world.kill(id, None);
            haunts(world, id);
        }
    }
}

/// Nobody records the end any more; the child lives on as an orphan until somebody ends it.
pub fn shim_dies(world: &mut World, id: &str) {
    let Some(actor) = world.actors.get_mut(id) else { return };
    actor.alive = false;
    world.sessions.insert(id.to_owned(), Session::Ended(None));
}

/// What may still be said under its name.
fn haunts(world: &mut World, id: &str) {
    for n in 0..3 {
        if world.chance.rarely("haunts", (who(id), n), 150) {
            let ms = world.chance.span("haunts after", (who(id), n), (1, 20_000));
            plan(world, id, ms, Deed::Haunt(n));
        }
    }
}

/// A process that somebody forgot says something under a token that may be dead.
fn haunt(world: &mut World, id: &str, n: u64) {
    let Some(actor) = world.actors.get_mut(id) else { return };
    let Some(token) = actor.token else { return };
    actor.beats += 1;
    let seq = actor.beats;
    match n {
        0 => world.deposit(id, Body::Ack { token }),
        1 => {
            world.deposit(
                id,
                Body::Beat(Beat { token: Some(token), seq, alive: Some(true), progress: seq, asks: None }),
            );
        }
        _ => report(world, id, token, ReportStatus::Partial),
    }
}

/// After its session was ended on somebody's wish.
pub fn was_killed(world: &mut World, id: &str) {
    haunts(world, id);
}
