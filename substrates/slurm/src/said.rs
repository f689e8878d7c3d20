//! What a failed submit's words mean, by list: a no, no room now, or trouble on the way.
//!
//! The words are those of versions 22.05 to 26.05 alike; where they differ, both are here. Words
//! that aren't on a list decide nothing. It leaves out what follows; that is `submit.rs`.

use crate::words;

/// What is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said<'a> {
    /// Nothing was made, and trying again changes nothing; the limit, where one is named.
    Never(Option<&'a str>),
    /// Nothing was made, for a limit of the account that isn't named: it may pass, or never.
    Limited,
    /// Nothing was made, and later it may be.
    NotNow,
    /// The controller, or the way to it, is to blame, and nobody knows what was made.
    Trouble,
    /// A site's own words, or another version's.
    Strange,
}

const NEVER: &[&str] = &[
    "nvalid partition",
    "nvalid account",
    "nvalid or unknown association",
    "nvalid qos",
    "nvalid QOS",
    "nvalid wckey",
    "nvalid generic resource",
    "nvalid GRES",
    "nvalid Trackable",
    "nvalid feature",
    "nvalid preferred feature",
    "nvalid time",
    "nvalid --",
    "nvalid numeric value",
    "nvalid node name",
    "nvalid node list",
    "nvalid license",
    "is not a valid",
    "eservation is invalid",
    "Access denied to requested reservation",
    "specification\n",
    "specification invalid",
    "equested node configuration is not available",
    "equested topology configuration is not available",
    "equested nodes not in this partition",
    "equested time limit is invalid",
    "equested GRES option unsupported",
    "equested operation not supported",
    "Memory required by task is not available",
    "Memory specification can not be satisfied",
    "CPU count per node can not be satisfied",
    "More processors requested than permitted",
    "No partition specified",
    "ser's group not permitted",
    "ccess/permission denied",
    "nrecognized option",
    "invalid option",
    "allow an argument",
    "requires an argument",
    "--batch option is invalid",
    "nable to open file",
    "request is invalid",
    "request invalid",
];

/// One message of Slurm's for all limits of an account, of how many jobs there may be as of how
/// large one may be. The limit stands before it, where a site lets it.
const ANY_LIMIT: &str = "violates accounting/QOS policy";

/// In the name of each limit on how many may be submitted.
const SUBMITS: &str = "SubmitJob";

const NOT_NOW: &[&str] = &[
    SUBMITS,
    "job submit limit",
    "MaxJobCount limit",
    "try again",
    "emporarily una",
    "system-wide limit",
    "ate limit",
    // Maintenance: partitions that take nothing, submits that are switched off.
    "ubmissions disabled",
    "is presently disabled",
    "partition not available (inactive or drain)",
    // The controller's own disk is full, mostly.
    "I/O error writing script",
];

const TROUBLE: &[&str] = &[
    "ocket timed out",
    "onnection timed out",
    "onnection rejected",
    "onnection forced closed",
    "onnection refused",
    "onnection reset",
    "onnect failure",
    "onnect to",
    "nable to contact",
    "nable to resolve",
    "Can't find an address",
    "Zero Bytes were transmitted",
    "Message send failure",
    "Message receive failure",
    "Insane message length",
    "delayed socket error",
    "would block",
    "shutting down",
    "ommunication",
    "nexpected message",
    "Incompatible versions",
    "lurmctld",
    "ontroller",
    "rotocol",
    "uthentication",
    "job credential",
    "munge",
    "TLS",
    // Settings that are kept elsewhere, or on a disk that is away for a moment.
    "onfiguration source",
    "process configuration file",
    "no answer within",
];

/// What `text`, all that the command said, means.
pub(crate) fn read(text: &str) -> Said<'_> {
    let says = |list: &[&str]| list.iter().any(|words| text.contains(words));
    if let Some(limit) = words::hopeless_in(text) {
        Said::Never(Some(limit))
    } else if text.contains(ANY_LIMIT) && !text.contains(SUBMITS) {
        Said::Limited
    } else if says(NOT_NOW) {
        Said::NotNow
    } else if says(NEVER) {
        Said::Never(None)
    } else if says(TROUBLE) {
        Said::Trouble
    } else {
        Said::Strange
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(words: &str) -> String {
        format!("sbatch: error: Batch job submission failed: {words}\n")
    }

    #[test]
    fn what_newer_versions_say_on_their_way_to_the_controller_is_trouble_and_no_refusal() {
        for words in [
            // As 26.05 has them in place of `Socket timed out on send/recv operation`.
            "Connection timed out establishing",
            "Connection timed out reading",
            "Connection timed out writing",
            "Connection rejected by handler",
            "Process is shutting down and closing all communications",
            "Unable to contact slurm controller (connect failure)",
            "Protocol authentication error",
            "Incompatible versions of client and server code",
            "Error generating job credential",
        ] {
            assert_eq!(read(&failed(words)), Said::Trouble, "{words}");
        }
        // As 24.11 says it where its settings can't be had.
        for words in [
            "sbatch: error: fetch_config: DNS SRV lookup failed\nsbatch: fatal: Could not establish a configuration source\n",
            "sbatch: error: ClusterName needs to be specified\nsbatch: fatal: Unable to process configuration file\n",
            "sbatch: error: failed to connect to any sack sockets\n",
        ] {
            assert_eq!(read(words), Said::Trouble, "{words}");
        }
    }

    #[test]
    fn a_site_that_takes_nothing_just_now_may_take_it_later() {
        for words in [
            "Rate limit exceeded, please retry later",
            "Required partition not available (inactive or drain)",
            "System submissions disabled",
            "Requested operation is presently disabled",
            "MaxJobCount limit reached",
            "Resource temporarily unavailable",
            "I/O error writing script/environment to file",
        ] {
            assert_eq!(read(&failed(words)), Said::NotNow, "{words}");
        }
    }

    #[test]
    fn what_24_11_refuses_is_a_no_at_once() {
        for words in [
            "Invalid partition name specified",
            "Invalid feature specification",
            "Invalid preferred feature specification",
            "Invalid node name specified",
            "Invalid license specification",
            "Requested reservation is invalid",
            "Requested node configuration is not available",
            "Invalid account or account/partition combination specified",
            "Invalid qos specification",
        ] {
            assert_eq!(read(&failed(words)), Said::Never(None), "{words}");
        }
        for text in [
            "sbatch: error: Invalid generic resource (gres) specification\n",
            "Invalid time specification (pos=0): yesterday\nsbatch: error: Invalid --begin specification\n",
            "sbatch: error: Memory specification can not be satisfied\n",
            "sbatch: option '--requeue' doesn't allow an argument\nTry \"sbatch --help\" for more information\n",
        ] {
            assert_eq!(read(text), Said::Never(None), "{text}");
        }
        let limit = "sbatch: error: QOSMaxGRESPerJob\nsbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)\n";
        assert_eq!(read(limit), Said::Never(Some("QOSMaxGRESPerJob")));
    }

    #[test]
    fn unknown_words_decide_nothing() {
        for words in ["", "Unspecified error", "Your group has no hours left"] {
            assert_eq!(read(&failed(words)), Said::Strange, "{words}");
        }
    }
}
