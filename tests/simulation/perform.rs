//! Effects, done on the simulated world: each step of a thread is a place to die at.
//!
//! It mirrors `src/supervisor/perform.rs`, `launch.rs`, `stop.rs` and the checks. It
//! leaves out what is owed: the engine says.

use ilchul::engine::effect::Effect;
use ilchul::engine::event::Snapshot;
use ilchul::engine::evidence::{Checked, Verdict, judge_choice, judge_output};
use ilchul::engine::input::Seen;
use ilchul::workflow::{Item, WorkspaceKind};
use serde_json::{Map, Value};

use crate::disk::Folder;
use crate::laws::Broken;
use crate::mutants::Defect;
use crate::shell::{Shell, Stage, about, launched_at, lives};
use crate::worker::{self, Deed};
use crate::world::{Happening, Job, Launch, Message, Observed, Session, World, who};

/// How often a stopping session is looked at; coarser than the real one.
const STOP_LOOK_MS: u64 = 250;
/// How much longer than its grace a shim may take to record the end.
const MARGIN_MS: u64 = 2_000;

impl Shell {
    pub fn perform(&mut self, effect: Effect, stage: &mut Stage<'_>) -> Result<(), Broken> {
        let about = about(self, effect.worker());
        match &effect {
            Effect::Provision { worker } => {
                let lost = (self.defect == Some(Defect::RetriesInPlace)).then(|| "another nonce".to_owned());
                let Some(nonce) = self.engine.nonce(worker).map(str::to_owned).or(lost) else {
                    let detail = "the supervisor ended while it was being made".to_owned();
                    let seen = Seen::LaunchFailed { step: "interrupted", detail, host: true };
                    stage.world.after(0, Happening::Message(self.life, Message::Done(effect, seen)));
                    return Ok(());
                };
                self.mailboxes.entry(worker.clone()).or_default();
                let start = self.state().workers.get(worker).map(|known| known.start.clone());
                stage.world.ledger.starts.extend(start.map(|start| (worker.clone(), start)));
                let ms = stage.world.chance.span("tree takes", about, (1, 700));
                self.thread(stage.world, ms, Job::Tree(Launch { effect, nonce }));
                Ok(())
            }
            Effect::Deliver { worker, token } => self.deliver(worker, *token, stage),
            Effect::Stop { .. } => {
                self.stop(effect, stage.world);
                Ok(())
            }
            Effect::Capture { .. } => {
                let ms = stage.world.chance.span("capture takes", about, (1, 900));
                self.thread(stage.world, ms, Job::Capture(effect));
                Ok(())
            }
            // Nobody submits anything here.
            Effect::Reply { .. } => Ok(()),
            Effect::Answer { worker, n } => {
                self.answer(worker, *n, stage.world);
                Ok(())
            }
            Effect::Verify { .. } if self.defect == Some(Defect::NeverVerifies) => Ok(()),
            Effect::Verify { .. } => {
                let ms = stage.world.chance.span("verify takes", about, (1, 4_000));
                // What the report itself answers is known before anybody looks.
                let worker = self.state().workers.get(effect.worker());
                let report = worker.and_then(|worker| worker.report.as_ref());
                let outputs = report.map(|report| report.outputs.clone()).unwrap_or_default();
                self.thread(stage.world, ms, Job::Verify(effect, outputs));
                Ok(())
            }
        }
    }

    fn thread(&self, world: &mut World, ms: u64, job: Job) {
        world.after(ms, Happening::Thread(self.life, job));
    }

    /// The rename of the assignment is the delivery; one that is there already isn't repeated.
    fn deliver(&mut self, id: &str, token: u64, stage: &mut Stage<'_>) -> Result<(), Broken> {
        let world = &mut *stage.world;
        // A write that fails says nothing of an assignment that is there already.
        let there = world.disk.mail.get(id).is_some_and(|folder| folder.assignment.is_some());
        if !there && world.chance.rarely("delivery fails", about(self, id), 10) {
            let seen = Seen::LaunchFailed { step: "dispatch", detail: "no space".to_owned(), host: true };
            return self.see(id, seen, stage);
        }
        let resends = self.defect == Some(Defect::ResendsAfterACrash);
        let Some(folder) = world.disk.mail.get_mut(id) else { return Ok(()) };
        if folder.assignment.is_none() || resends {
            folder.assignment = Some(token);
            *world.ledger.deliveries.entry((id.to_owned(), token)).or_default() += 1;
            let ms = world.chance.span("assignment read after", (who(id), 0), (1, 500));
            world.after(ms, Happening::Worker(id.to_owned(), Deed::Take));
        }
        if self.defect == Some(Defect::AcknowledgesForIt) {
            return self.see(id, Seen::Acknowledged { token }, stage);
        }
        Ok(())
    }

    /// A person's answer appears once; one that is there isn't written again.
    fn answer(&mut self, id: &str, n: u32, world: &mut World) {
        let Some(token) = self.state().workers.get(id).map(|worker| worker.token) else { return };
        let rewrites = self.defect == Some(Defect::AnswersAgain);
        let Some(folder) = world.disk.mail.get_mut(id) else { return };
        if folder.answers.contains_key(&n) && !rewrites {
            return;
        }
        folder.answers.insert(n, token);
        *world.ledger.given.entry((id.to_owned(), n)).or_default() += 1;
        let ms = world.chance.span("answer read after", (who(id), u64::from(n)), (1, 800));
        world.after(ms, Happening::Worker(id.to_owned(), Deed::Hear));
    }

    fn stop(&mut self, effect: Effect, world: &mut World) {
        let Effect::Stop { worker: id, force } = &effect else { return };
        if self.doing.contains(&Effect::Provision { worker: id.clone() }) {
            // It is being made right now: the launch's outcome tells what is to be ended.
            self.doing.remove(&effect);
            return;
        }
        let known = self.state().workers.get(id).is_some_and(|worker| worker.session.is_some());
        let Some(worker) = self.state().workers.get(id) else { return };
        let blindly = self.defect == Some(Defect::CallsItStopped);
        if blindly || (!known && !world.sessions.contains_key(id)) {
            let seen = Seen::Stopped { trouble: None };
            return world.after(1, Happening::Message(self.life, Message::Done(effect, seen)));
        }
        let mut until = world.now;
        if !force {
            let token = worker.token;
            if let Some(folder) = world.disk.mail.get_mut(id) {
                folder.stop = Some(token);
            }
            let ms = world.chance.span("order read after", about(self, id), (1, 500));
            world.after(ms, Happening::Worker(id.clone(), Deed::Obey));
            let grace = world.started.workflow.limits.grace;
            until += u64::try_from(grace.as_millis()).unwrap_or_default() + MARGIN_MS;
        }
        self.thread(world, 1, Job::Await(effect, until));
    }
}

/// One step of a thread of life `life`.
pub fn step(life: u64, job: Job, defect: Option<Defect>, stage: &mut Stage<'_>) -> Result<(), Broken> {
    let world = &mut *stage.world;
    match job {
        Job::Tree(launch) => make_tree(life, launch, world),
        Job::Mail(launch) => {
            let id = launch.effect.worker();
            if world.disk.mail.contains_key(id) {
                let detail = format!("the launch of `{id}` is tried twice in place");
                return Err(Broken::new("r4b_a_half_made_provision_is_never_retried_in_place", detail));
            }
            make_mail(life, launch, world);
        }
        Job::Session(launch) => make_session(life, launch.effect, world),
        Job::Await(effect, until) => await_end(life, effect, until, world),
        Job::Capture(effect) => {
            let snapshot = capture(world, life, effect.worker());
            done(life, effect, Seen::Captured { snapshot }, world);
        }
        Job::Verify(effect, outputs) => {
            let checked = verify(world, life, (effect.worker(), &outputs), defect);
            done(life, effect, Seen::Judged { checked }, world);
        }
        Job::Probe(whose) => {
            let observed = whose.into_iter().map(|id| (observe(world, life, &id), id));
            let observed = observed.map(|(seen, id)| (id, seen)).collect();
            world.after(1, Happening::Message(life, Message::Probed(observed)));
        }
        Job::Bury(id, detail) => {
            if !lives(world, &id) && world.actors.get(&id).is_some_and(|actor| actor.child_told) {
                let left = world.sessions.get(&id).copied();
                world.kill(&id, left);
            }
            world.after(1, Happening::Message(life, Message::Seen(id, Seen::Gone { detail })));
        }
    }
    Ok(())
}

fn done(life: u64, effect: Effect, seen: Seen, world: &mut World) {
    let ms = world.chance.span("outcome told after", (who(effect.worker()), life), (1, 150));
    world.after(ms, Happening::Message(life, Message::Done(effect, seen)));
}

/// A step of a launch fails: the host's trouble, or the task's.
fn fails(life: u64, effect: &Effect, step: &'static str, world: &mut World) -> bool {
    let about = (who(effect.worker()), life);
    let (site, which) = match step {
        "workspace" => ("tree fails", "tree fails for the host"),
        "mail" => ("mail fails", "mail fails for the host"),
        _ => ("session fails", "session fails for the host"),
    };
    if !world.chance.rarely(site, about, 15) {
        return false;
    }
    let host = world.chance.pick(which, about, 2) == 0;
    let detail = "the simulator says so".to_owned();
    done(life, effect.clone(), Seen::LaunchFailed { step, detail, host }, world);
    true
}

fn make_tree(life: u64, launch: Launch, world: &mut World) {
    if fails(life, &launch.effect, "workspace", world) {
        return;
    }
    let id = launch.effect.worker().to_owned();
    let worktree = world.planned(&id).is_some_and(|task| task.workspace == WorkspaceKind::Worktree);
    if worktree {
        world.disk.trees.insert(id.clone());
    }
    let ms = world.chance.span("mail takes", (who(&id), life), (1, 30));
    world.after(ms, Happening::Thread(life, Job::Mail(launch)));
}

fn make_mail(life: u64, launch: Launch, world: &mut World) {
    let id = launch.effect.worker().to_owned();
    world.disk.mail.insert(id.clone(), Folder { nonce: launch.nonce.clone(), ..Folder::default() });
    if fails(life, &launch.effect, "mail", world) {
        return;
    }
    let ms = world.chance.span("session takes", (who(&id), life), (1, 200));
    world.after(ms, Happening::Thread(life, Job::Session(launch)));
}

fn make_session(life: u64, effect: Effect, world: &mut World) {
    if fails(life, &effect, "session", world) {
        return;
    }
    let id = effect.worker().to_owned();
    worker::spawn(world, &id);
    let seen = launched_at(world, &id);
    done(life, effect, seen, world);
}

/// Waits for the end that was asked for, and brings it about where it doesn't come.
fn await_end(life: u64, effect: Effect, until: u64, world: &mut World) {
    let id = effect.worker().to_owned();
    if lives(world, &id) && world.now < until {
        return world.after(STOP_LOOK_MS, Happening::Thread(life, Job::Await(effect, until)));
    }
    let stuck = lives(world, &id) && world.chance.rarely("can't be ended", (who(&id), life), 30);
    let trouble = stuck.then(|| "stop: it can't be ended".to_owned());
    if !stuck {
        let left = world.sessions.get(&id).copied();
        let left = left.map(|left| if left == Session::Live { Session::Ended(None) } else { left });
        world.kill(&id, left);
        worker::was_killed(world, &id);
    }
    done(life, effect, Seen::Stopped { trouble }, world);
}

fn capture(world: &mut World, life: u64, id: &str) -> Result<Snapshot, String> {
    if world.chance.rarely("capture fails", (who(id), life), 20) {
        return Err("no space".to_owned());
    }
    // Mostly, whoever reviews leaves the head as it was.
    let start = world.ledger.starts.get(id).cloned();
    let honest = reviews(world, id) && !world.chance.rarely("reviewer commits", (who(id), life), 60);
    if let (Some(commit), true) = (start, honest) {
        return Ok(Snapshot { tip: commit.clone(), commit, uncommitted: Vec::new(), changed: Vec::new() });
    }
    let unchanged = world.ledger.works.get(id).is_some_and(|work| work.unchanged);
    let commit = if unchanged { "base".to_owned() } else { format!("head of {id}") };
    world.ledger.heads.insert(id.to_owned(), commit.clone());
    Ok(Snapshot { tip: commit.clone(), commit, uncommitted: Vec::new(), changed: Vec::new() })
}

fn reviews(world: &World, id: &str) -> bool {
    let task = id.rsplit_once('.').map_or(id, |(task, _)| task);
    world.started.workflow.tasks.iter().any(|planned| planned.reviewers().any(|by| by == task))
}

/// What our own checks find: the truth, where they can see it.
fn verify(
    world: &mut World,
    life: u64,
    (id, outputs): (&str, &Map<String, Value>),
    defect: Option<Defect>,
) -> Vec<Checked> {
    let items: Vec<Item> = world.planned(id).map(|task| task.evidence.items().to_vec()).unwrap_or_default();
    let about = (who(id), life);
    if world.chance.rarely("check answers in part", about, 15) {
        return Vec::new();
    }
    let blind = world.chance.rarely("check can't see", about, 80);
    let look = |item: &Item| match item {
        Item::Exit(_) => world.ledger.look(id, item),
        Item::Choice { name, among } => judge_choice(name, among, outputs),
        Item::Output { name, equals } => judge_output(name, equals, outputs),
        _ if defect == Some(Defect::BelievesReports) => {
            Checked::new(item.kind(), Verdict::Verified, "it said so")
        }
        _ if blind => Checked::new(item.kind(), Verdict::Unverifiable, "no permission"),
        _ => world.ledger.look(id, item),
    };
    items.iter().map(look).collect()
}

fn observe(world: &mut World, life: u64, id: &str) -> Observed {
    let about = (who(id) * 1_000 + life, world.now);
    if world.chance.rarely("probe fails", about, 30) { Observed::Unknown } else { world.observe(id) }
}
