//! A seed is a bug report: the smallest run that still breaks the same law, in lines.
//!
//! Choices are made calm, whole sites first, then halves, then one by one, as long as
//! the law still breaks. It leaves out playing (`sim.rs`).

use crate::chance::{Key, Quiet};
use crate::sim::{Order, Outcome, play};

/// Most runs that shrinking a real report may cost.
pub const RUNS_MAX: usize = 1_500;

/// What is left of a failing run.
pub struct Shrunk {
    pub order: Order,
    pub outcome: Outcome,
    pub runs: usize,
}

/// Shrinks a run that breaks `law`, in at most `most` runs.
pub fn shrink(order: &Order, law: &'static str, most: usize) -> Shrunk {
    let mut order = Order { verbose: false, ..order.clone() };
    let mut runs = 0;
    // Healing hides nothing here: a calm run that never ends is a smaller report, too.
    loop {
        let before = play(&order).deviations;
        let mut left = before.len();
        let sites = before.iter().map(|key| key.site).collect::<std::collections::BTreeSet<_>>();
        for site in sites {
            let mut quiet = order.quiet.clone();
            quiet.sites.insert(site);
            keep_if_broken(&mut order, quiet, law, (&mut runs, &mut left, most));
        }
        let mut size = play(&order).deviations.len().div_ceil(2);
        while size > 0 && runs < most {
            let keys: Vec<Key> = play(&order).deviations;
            for part in keys.chunks(size) {
                let mut quiet = order.quiet.clone();
                quiet.keys.extend(part.iter().copied());
                keep_if_broken(&mut order, quiet, law, (&mut runs, &mut left, most));
            }
            size /= 2;
        }
        let outcome = play(&Order { verbose: true, ..order.clone() });
        if outcome.deviations.len() >= before.len() || runs >= most {
            return Shrunk { order, outcome, runs };
        }
    }
}

fn keep_if_broken(
    order: &mut Order,
    quiet: Quiet,
    law: &'static str,
    (runs, left, most): (&mut usize, &mut usize, usize),
) {
    if *runs >= most {
        return;
    }
    *runs += 1;
    let tried = Order { quiet, ..order.clone() };
    let outcome = play(&tried);
    // A calmer choice may lead to more of others: that isn't a smaller report.
    let smaller = outcome.deviations.len() <= *left;
    if smaller && outcome.broken.is_some_and(|broken| broken.law == law) {
        *left = outcome.deviations.len();
        *order = tried;
    }
}

/// What a person reads.
pub fn words(shrunk: &Shrunk) -> String {
    let broken = shrunk.outcome.broken.as_ref().map(ToString::to_string).unwrap_or_default();
    let left: Vec<String> =
        shrunk.outcome.deviations.iter().map(|key| format!("{} {}.{}", key.site, key.who, key.n)).collect();
    format!(
        "{broken}\nseed {}: ILCHUL_SIM_SEED={} cargo test --test simulation -- --nocapture\n\
         shrunk in {} runs to {} choices: {}\n{}\n",
        shrunk.order.seed,
        shrunk.order.seed,
        shrunk.runs,
        left.len(),
        left.join(", "),
        shrunk.outcome.trace.join("\n"),
    )
}
