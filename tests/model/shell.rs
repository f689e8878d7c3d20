//! The shell as the model has it: what `src/supervisor` does, one step an action.
//!
//! Each function names its original. Where a planted defect bites stands here, too. It
//! leaves out which actions are possible (`machine.rs`).

use std::sync::Arc;

use ilchul::engine::Engine;
use ilchul::engine::budget::Amounts;
use ilchul::engine::event::{Event, Place, ReportStep, Snapshot};
use ilchul::engine::evidence::{Checked, ChildExit, Verdict};
use ilchul::engine::input::{Beat, Input, Remnant, Request, Seen};
use ilchul::engine::moment::Now;
use ilchul::engine::state::WorkerState;
use ilchul::protocol::{REPORT_SCHEMA, Report, ReportStatus};
use ilchul::workflow::WorkspaceKind;

use crate::canon;
use crate::laws::Law;
use crate::mutants::Mutant;
use crate::plan::{LOST_STEPS, Plan};
use crate::state::{State, Whom, stamp};
use crate::world::{Child, Desk, File, Shim, Worker};

impl State {
    /// Hands in what was seen of a worker.
    fn see(&mut self, plan: &Plan, whom: Whom, seen: Seen) -> Vec<Event> {
        let worker = self.id(whom);
        self.decide(plan, &Input::Worker { worker, seen })
    }

    fn hear(&mut self, whom: Whom) {
        let now = self.now;
        if let Some(worker) = self.worker_mut(whom) {
            worker.heard = now;
        }
    }

    /// `launch.rs`, tree and mail: what stands there already isn't made again.
    pub fn make(&mut self, plan: &Plan, whom: Whom) {
        if self.worker(whom).is_some() {
            let detail = "it is there already".to_owned();
            self.see(plan, whom, Seen::LaunchFailed { step: "mail", detail, host: true });
            return;
        }
        let (id, now) = (self.id(whom), self.now);
        let nonce = self.engine.nonce(&id).unwrap_or_default().to_owned();
        self.world.push(Worker::made(&id, whom.0, whom.1, (&nonce, now)));
        self.world.sort_by_key(|worker| (worker.task, worker.attempt));
    }

    /// `launch.rs`, the session.
    pub fn spawn(&mut self, whom: Whom) {
        if let Some(worker) = self.worker_mut(whom) {
            worker.shim = Shim::Lives;
            worker.sessions += 1;
        }
    }

    /// `run.rs`, the launch's outcome: what it wrote before anybody watched is read at once.
    pub fn launched(&mut self, plan: &Plan, whom: Whom) {
        self.tell_launched(plan, whom);
        self.read(plan, whom, File::Ready);
    }

    fn tell_launched(&mut self, plan: &Plan, whom: Whom) {
        let tree = self.engine.state().planned(whom.0).workspace == WorkspaceKind::Worktree;
        let id = self.id(whom);
        if let Some(worker) = self.worker_mut(whom) {
            worker.desk.launching = false;
        }
        let workspace = tree.then(|| place(&id));
        self.hear(whom);
        self.see(plan, whom, Seen::Launched { workspace, session: place(&id), port: None });
    }

    /// `perform.rs`: the life that granted the claim ended before the launch did.
    pub fn give_up(&mut self, plan: &Plan, whom: Whom) {
        if plan.mutant == Some(Mutant::LaunchAgain) && self.worker(whom).is_some() {
            self.spawn(whom);
            self.tell_launched(plan, whom);
            return;
        }
        let seen = Seen::LaunchFailed { step: "interrupted", detail: String::new(), host: true };
        self.see(plan, whom, seen);
    }

    /// `perform.rs`: the rename that doesn't replace.
    pub fn deliver(&mut self, whom: Whom) {
        let Some(token) = self.row(whom).map(|row| row.token) else { return };
        if let Some(worker) = self.worker_mut(whom) {
            worker.assignment = Some(token);
            worker.deliveries += 1;
        }
        self.highest = self.highest.max(token);
    }

    /// `stop.rs`: asked first; who can't answer is ended without a record.
    pub fn stop(&mut self, plan: &Plan, whom: Whom) {
        let Some(worker) = self.worker_mut(whom) else {
            self.see(plan, whom, Seen::Stopped { trouble: None });
            return;
        };
        if plan.mutant != Some(Mutant::StopUnproven) {
            let record = worker.acts() && worker.assignment.is_some() && !worker.has(File::Exit);
            worker.end(record);
        }
        worker.desk.stopped = true;
    }

    /// The same, its outcome.
    pub fn stopped(&mut self, plan: &Plan, whom: Whom) {
        if let Some(worker) = self.worker_mut(whom) {
            worker.desk.stopped = false;
        }
        if plan.mutant == Some(Mutant::SwallowStop) {
            return;
        }
        self.see(plan, whom, Seen::Stopped { trouble: None });
    }

    /// `perform.rs`: a look and its outcome; twice is as good as once.
    pub fn capture(&mut self, plan: &Plan, whom: Whom) {
        let writes = self.worker(whom).is_some_and(Worker::runs);
        if writes {
            self.breaks(Law::KeptTooEarly);
        }
        let takes = plan.mutant != Some(Mutant::NoCapture);
        if let Some(worker) = self.worker_mut(whom) {
            worker.kept |= takes;
        }
        let commit = self.id(whom);
        let snapshot =
            Ok(Snapshot { tip: commit.clone(), commit, uncommitted: Vec::new(), changed: Vec::new() });
        self.see(plan, whom, Seen::Captured { snapshot });
    }

    /// `verify/`: a look at the world, not at the report.
    pub fn verify(&mut self, plan: &Plan, whom: Whom, murky: bool) {
        let Some(worker) = self.worker_mut(whom) else { return };
        worker.murky += u8::from(murky);
        let there = match plan.mutant {
            Some(Mutant::BelieveReport) => worker.has(File::Report),
            _ => worker.artifact,
        };
        let verdict = match (murky, plan.mutant) {
            (true, Some(Mutant::MurkPasses)) => Verdict::Verified,
            (true, Some(Mutant::OneLook)) => Verdict::Refuted,
            (true, _) => Verdict::Unverifiable,
            (false, _) if there => Verdict::Verified,
            (false, _) => Verdict::Refuted,
        };
        let checked = vec![Checked::new("artifact", verdict, "")];
        self.see(plan, whom, Seen::Judged { checked });
    }

    /// `mailbox.rs`: one file that is news; an end brings the report before it.
    pub fn read(&mut self, plan: &Plan, whom: Whom, file: File) {
        if file == File::Exit {
            self.read(plan, whom, File::Report);
        }
        let Some(worker) = self.worker_mut(whom).filter(|worker| worker.is_news(file)) else { return };
        worker.desk.read[file as usize] = true;
        let worker = worker.clone();
        let token = worker.names(file);
        let dead = self.row(whom).is_none_or(|row| !row.token_live || Some(row.token) != token);
        let fenced = dead && token.is_some() && matches!(file, File::Ack | File::Report | File::Beat);
        let before = self.rows();
        let seen = contents(self, whom, &worker, file);
        let seen = if plan.mutant == Some(Mutant::OtherLabel) { other_label(seen) } else { seen };
        let (holder, seen) = self.unfence(plan, whom, seen);
        if matches!(file, File::Ready | File::Beat) && !fenced {
            self.hear(whom);
        }
        let events = self.see(plan, holder, seen);
        if fenced && (events.len() > 1 || !events.iter().all(changes_nothing) || self.rows() != before) {
            self.breaks(Law::DeadTokenSpoke);
        }
    }

    fn rows(&self) -> Vec<u64> {
        let mut rows = Vec::new();
        canon::rows(self.engine.state(), &mut rows);
        rows
    }

    /// [`Mutant::NoFence`]: whoever speaks, speaks for the task's present holder.
    fn unfence(&self, plan: &Plan, whom: Whom, mut seen: Seen) -> (Whom, Seen) {
        let attempt = self.engine.state().tasks[whom.0].attempt;
        let holder = (whom.0, attempt);
        if let (Some(Mutant::NoFence), Seen::Reported { report, .. }, Some(row)) =
            (plan.mutant, &mut seen, self.row(holder))
        {
            (report.token, report.attempt) = (row.token, attempt);
            return (holder, seen);
        }
        (whom, seen)
    }

    /// `mailbox.rs`: everything that is news.
    fn read_all(&mut self, plan: &Plan, whom: Whom) {
        for file in File::ALL {
            self.read(plan, whom, file);
        }
    }

    /// `probe.rs`: a session that isn't there; what it wrote comes first, what it left is ended.
    pub fn probe(&mut self, plan: &Plan, whom: Whom) {
        self.read_all(plan, whom);
        if self.row(whom).is_none_or(|row| !row.at_large && (row.exit.is_some() || !row.phase.is_live())) {
            return;
        }
        if let Some(worker) = self.worker_mut(whom).filter(|worker| worker.shim == Shim::Gone)
            && plan.mutant != Some(Mutant::NoBurial)
            && worker.child == Child::Runs
        {
            worker.child = Child::Ended;
        }
        self.see(plan, whom, Seen::Gone { detail: String::new() });
    }

    /// Time goes by. `looks`: we were awake, and read each beat when it was written.
    pub fn wait(&mut self, plan: &Plan, looks: bool) {
        if self.up && looks {
            self.look(plan);
        }
        self.now += 1;
        let beating: Vec<Whom> =
            self.world.iter().filter(|worker| worker.acts()).map(|w| (w.task, w.attempt)).collect();
        for whom in &beating {
            if let Some(worker) = self.worker_mut(*whom) {
                worker.beats();
            }
        }
        if !self.up {
            return;
        }
        if looks {
            for whom in beating {
                if !self.is_watched(whom) {
                    continue;
                }
                self.read(plan, whom, File::Beat);
                self.trust_the_worker(plan, whom);
            }
        } else {
            // `run.rs`, `awake`: nobody may be judged by what we didn't see.
            self.grace();
            if plan.mutant != Some(Mutant::NoGrace) {
                self.decide(plan, &Input::Blind);
            }
        }
        self.decide(plan, &Input::Tick);
        if plan.mutant == Some(Mutant::SilenceIsDeath) {
            let silent = |worker: &&Worker| worker.heard + LOST_STEPS <= self.now;
            let silent: Vec<Whom> =
                self.world.iter().filter(silent).map(|worker| (worker.task, worker.attempt)).collect();
            for whom in silent {
                self.see(plan, whom, Seen::Gone { detail: String::new() });
            }
        }
    }

    /// `run.rs`: the look at everything that comes each second, far more often than a step.
    fn look(&mut self, plan: &Plan) {
        let all: Vec<Whom> = self.world.iter().map(|worker| (worker.task, worker.attempt)).collect();
        for whom in all {
            if self.is_watched(whom) {
                self.read_all(plan, whom);
            }
            if self.is_absent(plan, whom) {
                self.probe(plan, whom);
            }
        }
    }

    /// `probe.rs`: whose session would be looked at, and not found.
    pub fn is_absent(&self, plan: &Plan, whom: Whom) -> bool {
        let open = |row: &WorkerState| row.phase.is_live() && row.exit.is_none() && !row.stopped;
        let gone = self.worker(whom).is_some_and(|worker| worker.shim == Shim::Gone);
        let at_large = self.row(whom).is_some_and(|row| row.at_large);
        at_large && gone
            || self.is_watched(whom)
                && self.row(whom).is_some_and(open)
                && (gone || plan.mutant == Some(Mutant::ErrorIsAbsence))
    }

    /// The ledger's side of a whole fresh grace.
    fn grace(&mut self) {
        let now = self.now;
        self.world.iter_mut().for_each(|worker| worker.heard = now);
    }

    /// [`Mutant::WorkerClock`]: its clock is fast, and ages by it.
    fn trust_the_worker(&mut self, plan: &Plan, _: Whom) {
        if plan.mutant == Some(Mutant::WorkerClock) {
            let now = Now { stamp: stamp(self.now + LOST_STEPS), ..self.clock() };
            self.decide_at(plan, now, &Input::Tick);
        }
    }

    /// Whether its mail is read: its place is journaled, and something may still follow.
    pub fn is_watched(&self, whom: Whom) -> bool {
        self.row(whom).is_some_and(|row| row.session.is_some())
            && self.engine.state().active.contains(&self.id(whom))
    }

    /// The end of the supervisor, as by `kill -9`: its threads and its memory go with it.
    pub fn crash(&mut self) {
        (self.up, self.undiscovered) = (false, false);
        if let Some((saved, _)) = self.behind.take() {
            self.engine = saved;
        }
        self.world.iter_mut().for_each(|worker| worker.desk = Desk::default());
    }

    /// `resume.rs`: fold, adopt, read what was written meanwhile. `blind`: the look at the
    /// sessions failed, and found nothing.
    pub fn resume(&mut self, plan: &Plan, blind: bool) {
        let Ok(mut engine) = Engine::replay(self.journal.read()) else {
            self.breaks(Law::FoldDiffers);
            return;
        };
        if engine.state() != self.engine.state() {
            self.breaks(Law::FoldDiffers);
        }
        (self.up, self.undiscovered, self.life) = (true, blind, self.life + 1);
        if self.go_on(&mut engine).is_err() {
            self.breaks(Law::FoldDiffers);
        }
        let events = engine.take_events();
        self.journal.append(events.into_iter().map(|event| (stamp(self.now), event)).collect());
        self.engine = Arc::new(engine);
        self.grace();
        self.adopt(plan, blind);
        self.decide(plan, &Input::Tick);
    }

    /// `resume.rs`: who is where, what they wrote, and what the journal doesn't know of.
    fn adopt(&mut self, plan: &Plan, blind: bool) {
        // Before anything else is handed in: any input may lead to a claim.
        if !matches!(plan.mutant, Some(Mutant::TokenReset | Mutant::MarksLate)) {
            self.take_found(plan, blind);
        }
        let active: Vec<String> = self.engine.state().active.iter().cloned().collect();
        for id in active {
            let Some(row) = self.engine.state().workers.get(&id) else { continue };
            let (whom, known) = ((row.task, row.attempt), row.session.is_some());
            let found = self.worker(whom).is_some_and(|worker| worker.shim != Shim::None);
            if found && !known && !blind && plan.mutant != Some(Mutant::LaunchAgain) {
                self.tell_launched(plan, whom);
            }
            if self.is_watched(whom) {
                self.read_all(plan, whom);
            }
            if self.is_absent(plan, whom) {
                self.probe(plan, whom);
            }
        }
        if plan.mutant == Some(Mutant::MarksLate) {
            self.take_found(plan, blind);
        }
    }

    /// `resume.rs`: the look at the sessions that a resume couldn't take.
    pub fn discover(&mut self, plan: &Plan) {
        self.undiscovered = false;
        self.take_found(plan, false);
        let unplaced = |worker: &&Worker| {
            let row = self.row((worker.task, worker.attempt));
            worker.shim != Shim::None && row.is_some_and(|row| row.session.is_none())
        };
        let found: Vec<Whom> =
            self.world.iter().filter(unplaced).map(|worker| (worker.task, worker.attempt)).collect();
        found.into_iter().for_each(|whom| self.tell_launched(plan, whom));
    }

    /// A journal that was put back is older than what is on the disk: the marks there push
    /// tokens and ordinals up.
    fn take_found(&mut self, plan: &Plan, blind: bool) {
        let run = self.engine.state();
        let news = |worker: &&Worker| run.workers.get(&*worker.id).is_none_or(|row| row.at_large);
        let remnant = |worker: &Worker| Remnant {
            worker: worker.id.to_string(),
            token: worker.assignment,
            workspace: None,
            session: (worker.shim != Shim::None && !blind).then(|| place(&worker.id)),
            lives: blind || worker.shim == Shim::Lives,
        };
        let found: Vec<Remnant> = self.world.iter().filter(news).map(remnant).collect();
        if !found.is_empty() {
            self.decide(plan, &Input::Remnants(found));
        }
    }

    /// What a resume asks the engine for.
    fn go_on(&self, engine: &mut Engine) -> Result<(), ilchul::engine::Corrupt> {
        engine.resume(self.clock(), (2, String::new(), 0))
    }

    /// A person's word.
    pub fn ask(&mut self, plan: &Plan, request: Request) {
        self.decide(plan, &Input::Request(request));
    }
}

fn changes_nothing(event: &Event) -> bool {
    match event {
        Event::Ignored(_) => true,
        Event::Report(event) => matches!(event.step, ReportStep::Refused { .. }),
        Event::Run(_) | Event::Task(_) | Event::Worker(_) | Event::Claim(_) | Event::Evidence(_) => false,
    }
}

/// What a file says.
fn contents(state: &State, (task, attempt): Whom, worker: &Worker, file: File) -> Seen {
    let token = worker.names(file);
    match file {
        File::Ready => {
            let (nonce, started_at) = (worker.nonce.to_string(), String::new());
            Seen::Ready { nonce, pid: 2, started_at, in_tree: true }
        }
        File::Ack => Seen::Acknowledged { token: token.unwrap_or_default() },
        File::Beat => {
            let (seq, token, alive) = worker.beat;
            Seen::Beat(Beat { token, seq, alive, progress: 0, asks: None })
        }
        File::Report => {
            let report = Report {
                schema: REPORT_SCHEMA.to_owned(),
                task: state.engine.state().planned(task).id.clone(),
                attempt,
                token: token.unwrap_or_default(),
                status: ReportStatus::Done,
                summary: String::new(),
                reason: None,
                evidence: Vec::new(),
                outputs: outputs(state, task, worker),
                usage: None,
                retry_after: None,
                question: None,
                by: None,
            };
            Seen::Reported { report: Box::new(report), sha256: worker.id.to_string() }
        }
        File::Exit => {
            let exit = if worker.has(File::Report) { ChildExit::Code(0) } else { ChildExit::Code(1) };
            Seen::Ended { token, exit, survivors: Vec::new(), error: None, usage: Amounts::default() }
        }
    }
}

fn other_label(mut seen: Seen) -> Seen {
    if let Seen::Reported { report, .. } = &mut seen
        && let Some(label) = report.outputs.get_mut("label")
    {
        *label = if *label == "x" { "y".into() } else { "x".into() };
    }
    seen
}

/// A classifier's label: who did the work says `x`.
fn outputs(state: &State, task: usize, worker: &Worker) -> serde_json::Map<String, serde_json::Value> {
    let asked = !state.engine.state().planned(task).branches.is_empty();
    let label = if worker.artifact { "x" } else { "y" };
    asked.then(|| ("label".to_owned(), label.into())).into_iter().collect()
}

fn place(id: &str) -> Place {
    Place { kind: "model".to_owned(), id: id.to_owned(), fields: Default::default() }
}
