//! Handing an assignment over: at most once, and a write that fails proves nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ilchul_conformance::{PATIENCE, wait_until};

use super::DONE;
use super::actor::Actor;
use super::life::{Birth, Cut, Life};
use super::stage::Stage;
use crate::engine::effect::Effect;
use crate::engine::state::RunState;
use crate::journal::{Journal, Recorded};
use crate::protocol;
use crate::supervisor::{Listener, Note, Opened, open_old};

/// Listens to nothing.
struct Nobody;

impl Listener for Nobody {
    fn committed(&mut self, _: &RunState, _: &[Recorded]) {}
    fn note(&mut self, _: &Note) {}
    fn tick(&mut self, _: &RunState) {}
}

/// Nothing can be written into this mail while a file stands where half-written ones go.
fn jam(mail: &Path) {
    let tmp = mail.join(protocol::TMP_DIR);
    std::fs::remove_dir_all(&tmp).unwrap();
    std::fs::write(tmp, "in the way").unwrap();
}

fn is_jammed(mail: &Path) -> bool {
    mail.join(protocol::TMP_DIR).is_file()
}

/// Finds its assignment, and then no mail goes through until the test mends that.
fn jams_before_its_ack(actor: &Actor) {
    actor.ready(None);
    let assignment = actor.mail.join(protocol::ASSIGNMENT);
    if !actor.wait(|| assignment.exists()) {
        return;
    }
    jam(&actor.mail);
    if actor.wait(|| !is_jammed(&actor.mail))
        && let Some(assignment) = actor.take()
    {
        actor.finish(&assignment);
    }
}

#[test]
fn l16_j6_a_delivery_that_cant_be_repeated_takes_nothing_from_a_worker_that_has_it() {
    let stage = Stage::new(super::ONE);
    stage.cast("a", jams_before_its_ack);
    let mail: PathBuf = stage.mail("a.1");
    let first = Life::first(&stage);
    wait_until("the assignment to be there", PATIENCE, || is_jammed(&mail));
    first.kill();
    let next = Life::next(&stage);
    // It delivers with its first commit; two looks later that is behind us.
    stage.pass(&next, Duration::from_secs(2));
    std::fs::remove_file(mail.join(protocol::TMP_DIR)).unwrap();
    assert_eq!(next.join(), DONE);
    assert_eq!(stage.ran().into_iter().collect::<Vec<_>>(), [("a.1".to_owned(), 1)]);
}

#[test]
fn j4_a_dispatch_that_fails_is_journaled_with_the_time_it_was_decided_at() {
    let stage = Stage::new(super::ONE);
    stage.cast("a", |actor| {
        actor.ready(None);
        jam(&actor.mail);
        actor.wait(|| false);
    });
    // Cut off before anybody could read that it is ready.
    Life::begin(&stage, Birth { cut: Some(Cut::AfterActing(1)), ..Birth::default() }).join();
    let mail = stage.mail("a.1");
    wait_until("a worker whose mail is jammed", PATIENCE, || is_jammed(&mail));
    assert!(!mail.join(protocol::ASSIGNMENT).exists());

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let journal = Journal::open(&stage.backstage.home).unwrap();
    let opened = Opened {
        world: stage.world(),
        journal,
        clock: stage.clock(),
        listener: Box::new(Nobody),
        unattended: false,
    };
    let mut supervisor = open_old(opened).unwrap();
    supervisor.gather();
    supervisor.commit().unwrap();
    let owed = supervisor.owed().unwrap();
    assert!(matches!(&owed[..], [Effect::Deliver { .. }]), "{owed:?}");
    supervisor.act(owed);
    assert_eq!(supervisor.engine.take_events(), [], "the next turn would give them its own time");
    let kinds: Vec<String> = supervisor.fresh.iter().map(|(_, event)| event.kind()).collect();
    assert_eq!(kinds[0], "claim.revoked", "{kinds:?}");
    supervisor.commit().unwrap();
    assert_eq!(*supervisor.state(), stage.state());
}
