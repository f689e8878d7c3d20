//! `Scripted` keeps every promise of the suite, as a session and as a workspace, and
//! does what it is told. Left out: supervisor behaviour that is tested with it.

use ilchul_conformance::{Call, Harness, Hosts, PATIENCE, Scripted, Verb, wait_until};
use ilchul_substrate::{
    Capabilities, ErrorKind, Exit, Facts, Handle, Mark, Observation, State, Substrate, Urgency,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// The spec says how the session ends by itself, if it does.
type Spec = Option<i32>;

struct World {
    hosts: Hosts,
    substrate: Scripted<Spec>,
}

impl World {
    fn of(hosts: Hosts) -> Self {
        let substrate = Scripted::new(hosts);
        substrate.on_ensure(|world: &Scripted<Spec>, mark, spec| {
            if let Some(exit) = spec {
                world.set_state(mark, State::Ended(Some(Exit::Code(*exit))));
            }
        });
        Self { hosts, substrate }
    }

    fn session() -> Self {
        Self::of(Hosts::Session)
    }

    fn workspace() -> Self {
        Self::of(Hosts::Workspace)
    }

    fn with(set: impl Fn(&mut Capabilities)) -> Self {
        let world = Self::session();
        let mut capabilities = world.substrate.capabilities();
        set(&mut capabilities);
        world.substrate.set_capabilities(capabilities);
        world
    }

    fn attachable() -> Self {
        Self::with(|capabilities| capabilities.attach = true)
    }
}

impl Harness for World {
    type S = Scripted<Spec>;

    fn hosts(&self) -> Hosts {
        self.hosts
    }

    fn substrate(&self) -> &Self::S {
        &self.substrate
    }

    fn reopened(&self) -> Self::S {
        self.substrate.clone()
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
        self.substrate.obstruct(mark);
        true
    }

    fn obstructed(&self, mark: &Mark) -> Result<(), String> {
        match self.substrate.state(mark) {
            Some(State::Live(facts)) if facts == Facts::default() => Ok(()),
            other => Err(format!("{other:?}")),
        }
    }

    fn lose(&self, handle: &Handle) {
        self.substrate.lose(&handle.mark);
    }

    fn mistaken(&self, handle: &Handle) -> Handle {
        Scripted::<Spec>::mistaken(handle)
    }

    fn kept(&self, handle: &Handle) -> Result<(), String> {
        self.substrate.spec(&handle.mark).map(drop).ok_or_else(|| "the spec".to_owned())
    }
}

mod session {
    ilchul_conformance::conformance!(super::World::session);
}

mod workspace {
    ilchul_conformance::conformance!(super::World::workspace);
}

mod attachable {
    ilchul_conformance::conformance!(super::World::attachable);
}

fn mark(task: &str) -> Mark {
    ["ilchul.r1.", task, ".1"].concat().parse().unwrap_or_else(|error| panic!("failed to {error}"))
}

fn look(substrate: &Scripted<Spec>, handle: &Handle) -> State {
    substrate.observe(std::slice::from_ref(handle)).remove(0).state
}

#[test]
fn ordered_failures_come_in_order_and_make_nothing() {
    let substrate = Scripted::<Spec>::new(Hosts::Session);
    substrate.fail_next(Verb::Ensure, 2, ErrorKind::Unavailable);
    substrate.fail_next(Verb::Ensure, 1, ErrorKind::Conflict);
    let a = mark("a");
    let kinds: Vec<_> = (0..3).map(|_| substrate.ensure(&a, &None).unwrap_err().kind()).collect();
    assert_eq!(kinds, [ErrorKind::Unavailable, ErrorKind::Unavailable, ErrorKind::Conflict]);
    assert_eq!(substrate.marks(), []);
    substrate.ensure(&a, &None).unwrap();
    assert_eq!(substrate.count(Verb::Ensure, &a), 4);
}

#[test]
fn a_lost_answer_leaves_the_thing_that_was_made() {
    let substrate = Scripted::<Spec>::new(Hosts::Session);
    substrate.fail_next_late(Verb::Ensure, 1, ErrorKind::Io);
    let a = mark("a");
    assert_eq!(substrate.ensure(&a, &None).unwrap_err().kind(), ErrorKind::Io);
    let found = substrate.discover("r1").unwrap();
    assert_eq!(substrate.ensure(&a, &None).unwrap(), found[0].1);

    substrate.fail_next_late(Verb::Release, 1, ErrorKind::Io);
    let handle = &found[0].1;
    assert_eq!(substrate.release(handle, Urgency::AtOnce).unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(look(&substrate, handle), State::Ended(Some(Exit::Signal(9))));
}

#[test]
fn l9_a_failed_look_is_unknown_and_a_failed_discovery_no_empty_list() {
    let substrate = Scripted::<Spec>::new(Hosts::Session);
    let handle = substrate.ensure(&mark("a"), &None).unwrap();
    substrate.fail_next(Verb::Observe, 1, ErrorKind::Io);
    substrate.fail_next(Verb::Discover, 1, ErrorKind::Io);
    assert!(matches!(look(&substrate, &handle), State::Unknown(_)));
    assert!(matches!(look(&substrate, &handle), State::Live(_)));
    assert_eq!(substrate.discover("r1").unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(substrate.discover("r1").unwrap().len(), 1);
}

#[test]
fn healing_takes_back_what_was_ordered() {
    let substrate = Scripted::<Spec>::new(Hosts::Session);
    substrate.fail_next(Verb::Ensure, 100, ErrorKind::Io);
    substrate.ensure(&mark("a"), &None).unwrap_err();
    substrate.heal();
    substrate.ensure(&mark("a"), &None).unwrap();
}

#[test]
fn a_gate_holds_one_mark_and_lets_the_others_pass() {
    let substrate = Scripted::<Spec>::new(Hosts::Session);
    let (held, free) = (mark("held"), mark("free"));
    let gate = substrate.hold_only(Verb::Ensure, &held);
    let waiting = {
        let (substrate, held) = (substrate.clone(), held.clone());
        thread::spawn(move || substrate.ensure(&held, &None))
    };
    gate.wait_for_arrivals(1);
    substrate.ensure(&free, &None).unwrap();
    assert_eq!(substrate.marks(), std::slice::from_ref(&free), "the held one was not made");
    assert!(!waiting.is_finished());
    gate.open();
    waiting.join().unwrap().unwrap();
    assert_eq!(substrate.marks(), [free, held]);
}

#[test]
fn a_dropped_gate_is_open() {
    let substrate = Scripted::<Spec>::new(Hosts::Session);
    let gate = substrate.hold(Verb::Discover);
    let waiting = thread::spawn(move || substrate.discover("r1").map(|found| found.len()));
    gate.wait_for_arrivals(1);
    drop(gate);
    assert_eq!(waiting.join().unwrap().unwrap(), 0);
}

#[test]
fn the_worker_is_played_once_per_thing_made() {
    let substrate = Scripted::<Spec>::new(Hosts::Session);
    let played = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&played);
    substrate.on_ensure(move |world, mark, _| {
        counter.fetch_add(1, Ordering::SeqCst);
        // Every control may be used from here.
        world.set_state(mark, State::Ended(None));
    });
    let handle = substrate.ensure(&mark("a"), &None).unwrap();
    substrate.ensure(&mark("a"), &None).unwrap();
    assert_eq!(played.load(Ordering::SeqCst), 1);
    assert_eq!(look(&substrate, &handle), State::Ended(None));
}

#[test]
fn a_release_is_told_to_the_test() {
    let substrate = Scripted::<Spec>::new(Hosts::Session);
    let told = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&told);
    substrate.on_release(move |_, mark, urgency| record.lock().unwrap().push((mark.clone(), urgency)));
    let handle = substrate.ensure(&mark("a"), &None).unwrap();
    substrate.release(&handle, Urgency::Asked).unwrap();
    assert_eq!(*told.lock().unwrap(), [(mark("a"), Urgency::Asked)]);
}

#[test]
fn every_call_is_recorded_in_order_failed_ones_too() {
    let substrate = Scripted::<Spec>::new(Hosts::Session);
    let a = mark("a");
    substrate.fail_next(Verb::Ensure, 1, ErrorKind::Io);
    substrate.ensure(&a, &None).unwrap_err();
    let handle = substrate.ensure(&a, &None).unwrap();
    look(&substrate, &handle);
    substrate.release(&handle, Urgency::Asked).unwrap();
    substrate.discover("r1").unwrap();
    assert_eq!(substrate.attach(&handle), None);
    let expected = [
        Call::Ensure(a.clone()),
        Call::Ensure(a.clone()),
        Call::Observe(vec![a.clone()]),
        Call::Release(a.clone(), Urgency::Asked),
        Call::Discover("r1".to_owned()),
        Call::Attach(a),
    ];
    assert_eq!(substrate.take_calls(), expected);
    assert_eq!(substrate.calls(), [], "taken is taken");
}

#[test]
fn states_survive_a_restart_and_are_what_the_test_says() {
    let substrate = Scripted::<Spec>::new(Hosts::Session);
    let handle = substrate.ensure(&mark("a"), &None).unwrap();
    let states = [
        State::Queued("behind others".to_owned()),
        State::Ended(Some(Exit::Code(3))),
        State::Unknown("cut off".to_owned()),
        State::Absent,
    ];
    for state in states {
        substrate.set_state(&mark("a"), state.clone());
        let reopened = substrate.clone();
        assert_eq!(reopened.observe(std::slice::from_ref(&handle)), [Observation::now(state.clone())]);
        assert_eq!(reopened.state(&mark("a")), Some(state));
    }
}

#[test]
fn a_queued_thing_starts_when_the_test_says() {
    let world = World::with(|capabilities| capabilities.queued = true);
    let substrate = &world.substrate;
    let handle = substrate.ensure(&mark("a"), &None).unwrap();
    assert!(matches!(look(substrate, &handle), State::Queued(_)));
    let starter = substrate.clone();
    let thread = thread::spawn(move || starter.set_live(&mark("a")));
    wait_until("it starts", PATIENCE, || matches!(look(substrate, &handle), State::Live(_)));
    thread.join().unwrap();
}

#[test]
fn l19_what_took_the_place_is_another_thing() {
    let substrate = Scripted::<Spec>::new(Hosts::Session);
    let a = mark("a");
    let old = substrate.ensure(&a, &None).unwrap();
    substrate.replace(&a);
    assert_eq!(look(&substrate, &old), State::Absent);
    assert_eq!(substrate.release(&old, Urgency::AtOnce).unwrap_err().kind(), ErrorKind::Conflict);
    let new = substrate.ensure(&a, &None).unwrap();
    assert_ne!(new, old);
    assert!(matches!(look(&substrate, &new), State::Live(_)));
}

#[test]
fn what_was_lost_is_made_anew_under_another_identity() {
    let substrate = Scripted::<Spec>::new(Hosts::Session);
    let old = substrate.ensure(&mark("a"), &None).unwrap();
    substrate.lose(&mark("a"));
    assert_eq!(substrate.discover("r1").unwrap(), []);
    let new = substrate.ensure(&mark("a"), &Some(1)).unwrap();
    assert_ne!(new, old);
    assert_eq!(look(&substrate, &old), State::Absent);
    assert_eq!(*substrate.spec(&mark("a")).unwrap(), Some(1));
}
