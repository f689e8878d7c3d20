//! A block of ten ports for each live worker, and a name that fits where names are few.
//!
//! Reserved among this supervisor's workers, and looked at once whether anybody listens
//! there; nothing keeps another program from taking one later. It leaves out the journal,
//! which has each block from the launch on.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::mail;

/// The first port of the first block. Below it are ports that services have by name.
const FIRST: u16 = 15_000;
/// Ports in a block.
const BLOCK: u16 = 10;
/// Blocks: they end before 32768, where the kernel begins to give out ports by itself.
const BLOCKS: u16 = 1_776;
/// Characters of a task's id in a slug.
const SLUG_TASK: usize = 40;
/// The file that names a worker's block, for a life that finds it launched and unjournaled.
pub(super) const FILE: &str = "ports.json";

/// The file's content.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reserved {
    /// The first port of the block.
    pub(super) base: u16,
}

/// The blocks of this supervisor's live workers, by worker.
#[derive(Debug, Default)]
pub struct Ports(Mutex<BTreeMap<String, u16>>);

impl Ports {
    /// Forgets the blocks of all but these workers, and learns those that the journal knows.
    pub(super) fn keep<'w>(&self, live: impl Iterator<Item = (&'w String, Option<u16>)>) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *held);
        let known = live.filter_map(|(worker, port)| {
            Some((worker.clone(), port.or_else(|| before.get(worker).copied())?))
        });
        held.extend(known);
    }

    /// A block that no live worker has and where nobody listens; looked for from the `start`th
    /// on, round and round once. `None`: there is none.
    pub(super) fn reserve(&self, worker: &str, start: u64) -> Option<u16> {
        self.reserve_where(worker, start, is_free)
    }

    fn reserve_where(&self, worker: &str, start: u64, is_free: impl Fn(u16) -> bool) -> Option<u16> {
        // Held while ports are looked at: two launches at once would find the same ones free.
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let start = u16::try_from(start % u64::from(BLOCKS)).unwrap_or_default();
        let blocks = (start..BLOCKS).chain(0..start).map(|block| FIRST + block * BLOCK);
        let mut blocks = blocks.filter(|base| !held.values().any(|other| other == base));
        let base = blocks.find(|base| (*base..base + BLOCK).all(&is_free))?;
        held.insert(worker.to_owned(), base);
        Some(base)
    }
}

/// Whether nobody listens on a port of this machine, as far as can be known: only a port that
/// is in use is known not to be free.
fn is_free(port: u16) -> bool {
    let first = (AddressFamily::INET, SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let second = (AddressFamily::INET6, SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
    [first, second].into_iter().all(|(family, address)| take(family, &address) != Err(Errno::ADDRINUSE))
}

/// Takes a port for a moment, without listening: nothing could reach it. A connection that has
/// just ended is nobody who listens.
fn take(family: AddressFamily, address: &SocketAddr) -> Result<(), Errno> {
    let socket = net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    net::sockopt::set_socket_reuseaddr(&socket, true)?;
    net::bind(&socket, address)
}

/// The block that a launch wrote down before its session began, if it came that far.
pub(super) fn reserved(mail: &Path) -> Option<u16> {
    let bytes = mail::read_bounded(mail, FILE).ok()??;
    serde_json::from_slice::<Reserved>(&bytes).ok().map(|reserved| reserved.base)
}

/// Where the search for a worker's block begins: repositories side by side begin far apart.
pub(super) fn start(home: &Path, token: u64) -> u64 {
    let digest = Sha256::digest(home.as_os_str().as_encoded_bytes());
    u64::from(u16::from_be_bytes([digest[0], digest[1]])).wrapping_add(token)
}

/// A name of the worker of this home and run that is a host name, the name of a database, a
/// container or a bucket: lowercase letters and digits, a letter first, at most 63.
pub(super) fn slug(home: &Path, run: &str, worker: &str) -> String {
    let digest = Sha256::digest(format!("{}\0{run}\0{worker}", home.display()).as_bytes());
    let hash: String = digest.iter().take(5).map(|byte| format!("{byte:02x}")).collect();
    let name: String = worker.chars().filter(char::is_ascii_alphanumeric).take(SLUG_TASK).collect();
    format!("w{name}x{hash}")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn live_workers_never_share_a_block_and_a_dead_ones_is_given_again() {
        let ports = Ports::default();
        let free = |_| true;
        assert_eq!(ports.reserve_where("a.1", 7, free), Some(15_070));
        assert_eq!(ports.reserve_where("b.1", 7, free), Some(15_080));
        assert_eq!(ports.reserve_where("c.1", 7 + 1_776, free), Some(15_090));
        let live = ["b.1".to_owned(), "d.1".to_owned()];
        // One was launched by this life, one is known from the journal alone.
        ports.keep([(&live[0], None), (&live[1], Some(15_070))].into_iter());
        assert_eq!(ports.reserve_where("e.1", 7, free), Some(15_090));
    }

    #[test]
    fn a_block_with_a_port_in_use_is_passed_over_and_a_full_machine_is_an_answer() {
        let ports = Ports::default();
        assert_eq!(ports.reserve_where("a.1", 0, |port| port != 15_009), Some(15_010));
        assert_eq!(ports.reserve_where("b.1", 1_775, |port| port < 32_755), Some(15_000));
        assert_eq!(ports.reserve_where("c.1", 0, |_| false), None);
        assert!(FIRST.checked_add(BLOCKS * BLOCK).is_some_and(|end| end <= 32_768));
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_not_free() {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"].map(TcpListener::bind) {
            // A machine without the second protocol has nobody who listens there.
            let Ok(listener) = address else { continue };
            let port = listener.local_addr().unwrap().port();
            assert!(!is_free(port), "{listener:?}");
            drop(listener);
        }
    }

    #[test]
    fn a_slug_fits_a_host_name_and_a_database_and_tells_workers_apart() {
        let long = format!("{}.12", "fix-the_parser-".repeat(4));
        let home = Path::new("/x/repo.ilchul");
        for worker in ["fix-the_parser.2", "9lives.1", long.as_str()] {
            let slug = slug(home, "r1", worker);
            assert!(slug.len() <= 63 && slug.starts_with('w'), "{slug}");
            assert!(slug.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()), "{slug}");
        }
        assert!(slug(home, "r1", "a.11") != slug(home, "r1", "a1.1"));
        assert!(slug(home, "r1", "a.1") != slug(home, "r2", "a.1"));
        assert!(slug(home, "r1", "a.1") != slug(Path::new("/y/repo.ilchul"), "r1", "a.1"));
    }
}
