//! The suite itself can fail: for each promise there is a substrate that breaks it
//! and a test that the suite notices. Left out: promises broken in several ways.

use ilchul_conformance::{Harness, Hosts, Scripted, promise};
use ilchul_substrate::{
    Capabilities, Error, ErrorKind, Exit, Facts, Handle, Mark, Observation, State, Substrate, Urgency,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// How the liar lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    /// None: the suite must be content.
    Honest,
    /// `ensure` starts another one at each call.
    StartsAnother,
    /// A cold start answers with another handle.
    ForgetsAfterRestart,
    /// Attempts share one name.
    SharesAttempts,
    /// What is in the way is overwritten.
    Overwrites,
    /// What is in the way is an error of another kind.
    MisnamesConflict,
    /// An ended session is given a second life.
    Resurrects,
    /// The answers come in another order.
    Reverses,
    /// A handle that it can't read is absent.
    CallsUnreadableAbsent,
    /// A handle that it can't read is an I/O error on release.
    MisnamesRefusal,
    /// It looks at the mark only, never at the identity.
    IgnoresIdentity,
    /// The exit is lost.
    LosesExits,
    /// What vanished is gone at the first look only.
    ForgetsLoss,
    /// What was never made is live.
    InventsLife,
    /// A new object can't read what the old one wrote.
    CannotReadText,
    /// A new object lists things under other names.
    RenamesAfterRestart,
    /// A look makes something.
    LooksByMaking,
    /// The second release fails.
    ReleasesOnce,
    /// A release does nothing.
    NeverReleases,
    /// A release takes all that starts with the mark's text.
    ReleasesByPrefix,
    /// A release removes what was to be kept.
    Deletes,
    /// The list comes in the order of text.
    ListsAsText,
    /// The list holds other runs whose id starts with this one's.
    ListsByPrefix,
    /// It says that it can be attached to, and can't.
    BoastsAttach,
}

struct Liar {
    lie: Lie,
    world: Scripted<Spec>,
    cold: bool,
    asked: AtomicU32,
}

type Spec = Option<i32>;

impl Liar {
    fn count(&self) -> u32 {
        self.asked.fetch_add(1, Ordering::SeqCst)
    }

    fn alias(&self, mark: &Mark) -> Mark {
        let attempt = if self.lie == Lie::SharesAttempts { 1 } else { mark.attempt() };
        Mark::new(mark.run(), mark.task(), attempt).unwrap_or_else(|_| mark.clone())
    }

    fn misname(&self, lie: Lie, error: Error) -> Error {
        if self.lie == lie { Error::new(ErrorKind::Io, "lie", error.to_string()) } else { error }
    }

    fn bend(&self, handle: &Handle, state: State) -> State {
        let there = self.world.state(&handle.mark);
        match (self.lie, state) {
            (Lie::CallsUnreadableAbsent, State::Unknown(_)) => State::Absent,
            (Lie::IgnoresIdentity, State::Absent) => there.unwrap_or(State::Absent),
            (Lie::LosesExits, State::Ended(Some(_))) => State::Ended(None),
            (Lie::ForgetsLoss, State::Absent) if self.count() > 0 => State::Live(Facts::default()),
            (Lie::InventsLife, State::Absent) => State::Live(Facts::default()),
            (Lie::CannotReadText, State::Live(_)) if self.cold => State::Unknown("text".to_owned()),
            (_, state) => state,
        }
    }
}

impl Substrate for Liar {
    type Spec = Spec;

    fn kind(&self) -> &'static str {
        self.world.kind()
    }

    fn capabilities(&self) -> Capabilities {
        let attach = self.lie == Lie::BoastsAttach;
        Capabilities { attach, ..self.world.capabilities() }
    }

    fn ensure(&self, mark: &Mark, spec: &Spec) -> Result<Handle, Error> {
        // A lie about what is there is told one caller after the other: two at once would both
        // find nothing to lie about.
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.world.state(mark);
        let live = matches!(known, Some(State::Live(_)));
        let foreign = live && self.world.spec(mark).is_none();
        let forgets = self.lie == Lie::ForgetsAfterRestart && self.cold;
        if (live && (self.lie == Lie::StartsAnother || forgets)) || (foreign && self.lie == Lie::Overwrites) {
            self.world.replace(mark);
        }
        if self.lie == Lie::Resurrects && matches!(known, Some(State::Ended(_))) {
            self.world.set_live(mark);
        }
        let made = self.world.ensure(&self.alias(mark), spec);
        let made = made.map_err(|error| self.misname(Lie::MisnamesConflict, error))?;
        Ok(Handle { mark: mark.clone(), ..made })
    }

    fn observe(&self, handles: &[Handle]) -> Vec<Observation> {
        if self.lie == Lie::LooksByMaking {
            for handle in handles {
                assert!(self.world.ensure(&handle.mark, &None).is_ok());
            }
        }
        let real: Vec<Handle> = handles
            .iter()
            .map(|handle| Handle { mark: self.alias(&handle.mark), ..handle.clone() })
            .collect();
        let seen = self.world.observe(&real).into_iter().zip(handles);
        let mut seen: Vec<Observation> =
            seen.map(|(seen, handle)| Observation::now(self.bend(handle, seen.state))).collect();
        if self.lie == Lie::Reverses {
            seen.rotate_left(1.min(handles.len()));
        }
        seen
    }

    fn release(&self, handle: &Handle, urgency: Urgency) -> Result<(), Error> {
        let over = State::Ended(Some(Exit::Signal(15)));
        if self.lie == Lie::NeverReleases {
            return Ok(());
        }
        if self.lie == Lie::ReleasesOnce && self.count() > 0 {
            return Err(Error::new(ErrorKind::Io, "release", "again"));
        }
        if matches!(self.lie, Lie::IgnoresIdentity | Lie::Deletes) {
            if self.lie == Lie::Deletes {
                self.world.obstruct(&handle.mark);
            }
            self.world.set_state(&handle.mark, over);
            return Ok(());
        }
        if self.lie == Lie::ReleasesByPrefix {
            let name = handle.mark.to_string();
            for mark in self.world.marks().iter().filter(|mark| mark.to_string().starts_with(&name)) {
                self.world.set_state(mark, over.clone());
            }
        }
        self.world.release(handle, urgency).map_err(|error| self.misname(Lie::MisnamesRefusal, error))
    }

    fn discover(&self, run: &str) -> Result<Vec<(Mark, Handle)>, Error> {
        let mut found = self.world.discover(run)?;
        if self.lie == Lie::ListsAsText {
            found.sort_by_key(|(mark, _)| mark.to_string());
        }
        if self.lie == Lie::ListsByPrefix {
            found.extend(self.world.discover(&format!("{run}0"))?);
        }
        if self.lie == Lie::RenamesAfterRestart && self.cold {
            found.iter_mut().for_each(|(_, handle)| handle.id.push('x'));
        }
        Ok(found)
    }

    fn attach(&self, handle: &Handle) -> Option<Vec<OsString>> {
        self.world.attach(handle)
    }
}

struct World {
    hosts: Hosts,
    liar: Liar,
}

impl World {
    fn new(hosts: Hosts, lie: Lie) -> Self {
        let world = Scripted::new(hosts);
        world.on_ensure(|world: &Scripted<Spec>, mark, spec| {
            if let Some(exit) = spec {
                world.set_state(mark, State::Ended(Some(Exit::Code(*exit))));
            }
        });
        Self { hosts, liar: Liar { lie, world, cold: false, asked: AtomicU32::new(0) } }
    }
}

impl Harness for World {
    type S = Liar;

    fn hosts(&self) -> Hosts {
        self.hosts
    }

    fn substrate(&self) -> &Liar {
        &self.liar
    }

    fn reopened(&self) -> Liar {
        Liar { lie: self.liar.lie, world: self.liar.world.clone(), cold: true, asked: AtomicU32::new(0) }
    }

    fn run(&self) -> &str {
        "r1"
    }

    fn lasting(&self, _: &Mark) -> Spec {
        None
    }

    fn ending(&self, _: &Mark, exit: i32) -> Option<Spec> {
        (self.hosts == Hosts::Session).then_some(Some(exit))
    }

    fn obstruct(&self, mark: &Mark) -> bool {
        self.liar.world.obstruct(mark);
        true
    }

    fn obstructed(&self, mark: &Mark) -> Result<(), String> {
        match self.liar.world.state(mark) {
            Some(State::Live(facts)) if facts == Facts::default() => Ok(()),
            other => Err(format!("{other:?}")),
        }
    }

    fn lose(&self, handle: &Handle) {
        self.liar.world.lose(&handle.mark);
    }

    fn mistaken(&self, handle: &Handle) -> Handle {
        Scripted::<Spec>::mistaken(handle)
    }

    fn kept(&self, handle: &Handle) -> Result<(), String> {
        self.liar.world.spec(&handle.mark).map(drop).ok_or_else(|| "the spec".to_owned())
    }
}

type Promise = fn(&World);

/// Every promise, by name.
fn promises() -> BTreeMap<&'static str, Promise> {
    macro_rules! named {
        ($($name:ident)+) => { [$((stringify!($name), promise::$name::<World> as Promise)),+] };
    }
    BTreeMap::from(named! {
        ensured_twice_is_there_once
        ensured_by_two_threads_at_once_is_there_once
        ensured_after_a_cold_start_is_found
        attempts_of_one_task_are_apart
        what_is_in_the_way_is_a_conflict_and_left_as_it_was
        an_ended_session_is_not_started_again
        a_handle_survives_a_round_trip_as_text
        observations_come_in_bulk_and_in_order
        a_handle_of_another_kind_is_unknown_and_refused
        a_handle_without_its_fields_is_unknown_and_refused
        a_handle_that_names_nothing_is_never_live
        what_vanished_is_gone
        looking_changes_nothing
        an_ended_session_reports_its_exit
        another_identity_is_not_touched
        released_twice_is_ok
        released_after_a_cold_start_is_released
        released_after_it_vanished_is_ok
        release_keeps_what_must_be_kept
        release_touches_no_other_mark
        discover_lists_the_runs_marks_in_order
        discover_after_a_cold_start_finds_the_same
        attach_agrees_with_the_capabilities
    })
}

/// Held by the liar that is asked to ensure.
static TURN: Mutex<()> = Mutex::new(());

/// Which promises each lie breaks.
const LIES: [(Lie, &[&str]); 22] = [
    (Lie::StartsAnother, &["ensured_twice_is_there_once", "ensured_by_two_threads_at_once_is_there_once"]),
    (Lie::ForgetsAfterRestart, &["ensured_after_a_cold_start_is_found"]),
    (Lie::SharesAttempts, &["attempts_of_one_task_are_apart"]),
    (Lie::Overwrites, &["what_is_in_the_way_is_a_conflict_and_left_as_it_was"]),
    (Lie::MisnamesConflict, &["what_is_in_the_way_is_a_conflict_and_left_as_it_was"]),
    (Lie::Resurrects, &["an_ended_session_is_not_started_again"]),
    (Lie::CannotReadText, &["a_handle_survives_a_round_trip_as_text"]),
    (Lie::Reverses, &["observations_come_in_bulk_and_in_order"]),
    (
        Lie::CallsUnreadableAbsent,
        &[
            "a_handle_of_another_kind_is_unknown_and_refused",
            "a_handle_without_its_fields_is_unknown_and_refused",
        ],
    ),
    (
        Lie::MisnamesRefusal,
        &[
            "a_handle_of_another_kind_is_unknown_and_refused",
            "a_handle_without_its_fields_is_unknown_and_refused",
        ],
    ),
    (Lie::InventsLife, &["a_handle_that_names_nothing_is_never_live"]),
    (Lie::ForgetsLoss, &["what_vanished_is_gone"]),
    (Lie::LooksByMaking, &["looking_changes_nothing"]),
    (Lie::LosesExits, &["an_ended_session_reports_its_exit"]),
    (Lie::IgnoresIdentity, &["another_identity_is_not_touched"]),
    (Lie::ReleasesOnce, &["released_twice_is_ok", "released_after_it_vanished_is_ok"]),
    (Lie::NeverReleases, &["released_twice_is_ok", "released_after_a_cold_start_is_released"]),
    (Lie::ReleasesByPrefix, &["release_touches_no_other_mark"]),
    (Lie::Deletes, &["release_keeps_what_must_be_kept"]),
    (Lie::ListsAsText, &["discover_lists_the_runs_marks_in_order"]),
    (Lie::ListsByPrefix, &["discover_lists_the_runs_marks_in_order"]),
    (Lie::RenamesAfterRestart, &["discover_after_a_cold_start_finds_the_same"]),
];

fn is_kept(promise: Promise, lie: Lie) -> bool {
    catch_unwind(AssertUnwindSafe(|| promise(&World::new(Hosts::Session, lie)))).is_ok()
}

#[test]
fn an_honest_substrate_keeps_every_promise() {
    for (name, promise) in promises() {
        assert!(is_kept(promise, Lie::Honest), "{name}");
    }
}

#[test]
fn every_lie_is_noticed() {
    let promises = promises();
    for (lie, broken) in LIES {
        for name in broken {
            assert!(!is_kept(promises[name], lie), "{lie:?} breaks `{name}` and was not noticed");
        }
    }
}

#[test]
fn a_boast_about_attach_is_noticed() {
    assert!(!is_kept(promise::attach_agrees_with_the_capabilities, Lie::BoastsAttach));
}

#[test]
fn every_promise_is_broken_by_a_lie() {
    let broken: BTreeSet<&str> = LIES.iter().flat_map(|(_, broken)| broken.iter().copied()).collect();
    let unbroken: Vec<_> = promises().into_keys().filter(|name| !broken.contains(name)).collect();
    assert_eq!(unbroken, ["attach_agrees_with_the_capabilities"], "that one has its own test");
}

#[test]
fn the_macro_runs_every_promise() {
    let source = include_str!("../src/lib.rs");
    let list = source.split("@each $make;").nth(1).unwrap().split('}').next().unwrap();
    let lines = list.lines().map(str::trim);
    let listed: BTreeSet<&str> = lines.filter(|line| !line.is_empty() && !line.starts_with("//")).collect();
    assert_eq!(listed, promises().into_keys().collect());
}
