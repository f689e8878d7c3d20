//! What a substrate's tests hand to the suite: a world, and hands to disturb it with.
//!
//! It leaves out defaults: whoever adds a substrate decides each answer.

use ilchul_substrate::{Handle, Mark, Substrate};

/// Which half of a worker a substrate hosts; it decides what `release` promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hosts {
    /// Files: after `release` still live, and retained.
    Workspace,
    /// A process: after `release` ended or absent.
    Session,
}

/// One world of a substrate: made anew for every promise, and cleaned up by its `Drop`.
///
/// Harnesses live in tests, so their methods may panic when the world can't be set up.
pub trait Harness: Sync {
    /// The substrate under test.
    type S: Substrate;

    /// Which promises of `release` and of exits apply.
    fn hosts(&self) -> Hosts;

    /// The substrate; the same object at every call.
    fn substrate(&self) -> &Self::S;

    /// A new object over the same world that knows nothing of the first: a cold start.
    fn reopened(&self) -> Self::S;

    /// The run under which the suite makes its marks; the suite also uses `<run>0`
    /// (a longer name, to find prefix matches) as another run.
    fn run(&self) -> &str;

    /// What makes a thing that lives until it is released; for any run's mark.
    fn lasting(&self, mark: &Mark) -> <Self::S as Substrate>::Spec;

    /// What makes a session that ends by itself, soon, with this exit code.
    /// Sessions must answer, workspaces can't: the suite asserts both.
    fn ending(&self, mark: &Mark, exit: i32) -> Option<<Self::S as Substrate>::Spec>;

    /// Puts something that isn't the substrate's in the way of `mark`, before any
    /// `ensure` of it; false where nothing could ever be in the way.
    fn obstruct(&self, mark: &Mark) -> bool;

    /// Whether what `obstruct` put there is as it was.
    ///
    /// # Errors
    /// What changed.
    fn obstructed(&self, mark: &Mark) -> Result<(), String>;

    /// Makes the thing vanish from outside, behind the substrate's back.
    fn lose(&self, handle: &Handle);

    /// The same place under another identity: what the handle would say if the pid,
    /// pane id or path had been reused since it was written.
    fn mistaken(&self, handle: &Handle) -> Handle;

    /// Whether all is there that must outlive `release`: the tree and its lock, the
    /// log, the pane.
    ///
    /// # Errors
    /// What is missing.
    fn kept(&self, handle: &Handle) -> Result<(), String>;
}
