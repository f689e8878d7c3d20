//! Rate limits: telling one from another failure, and for how long.
//!
//! Substrings and no patterns: an adapter can be read, and no text takes long. It leaves out
//! what a limit leads to.

use super::record::{pick, words};
use crate::protocol::{LimitRules, RETRY_AFTER_MAX_S};
use serde_json::Value;

/// Whether an error says that its provider refuses work for now.
pub(super) fn is_limit(rules: &LimitRules, error: &str) -> bool {
    let error = error.to_lowercase();
    rules.phrases.iter().any(|phrase| !phrase.is_empty() && error.contains(phrase))
}

/// Seconds that one record says; `now` is the second since 1970.
pub(super) fn seconds_of(rules: &LimitRules, (name, value): (&str, &Value), now: i64) -> Option<u64> {
    let whole = |found: &Value| found.as_u64().or_else(|| words(found).trim().parse().ok());
    if let Some(seconds) = pick(&rules.seconds, name, value).and_then(whole) {
        return Some(bounded(seconds));
    }
    let until = pick(&rules.until, name, value).and_then(whole)?;
    // Some count in milliseconds.
    let until = if until > 100_000_000_000 { until / 1_000 } else { until };
    Some(bounded(until.saturating_sub(u64::try_from(now).unwrap_or(0))))
}

/// Seconds that an error's text says: `try again in 5m12s`, `retry-after: 30`.
pub(super) fn seconds_in(rules: &LimitRules, error: &str) -> Option<u64> {
    let error = error.to_lowercase();
    rules.wait.iter().filter(|phrase| !phrase.is_empty()).find_map(|phrase| {
        let (_, rest) = error.split_once(phrase.as_str())?;
        duration(rest)
    })
}

/// Seconds to wait where nothing says how long.
pub(super) fn default_seconds(rules: &LimitRules) -> u64 {
    bounded(rules.default_ms.div_ceil(1_000))
}

fn bounded(seconds: u64) -> u64 {
    seconds.clamp(1, RETRY_AFTER_MAX_S)
}

/// The duration at the beginning of `text`; a number without a unit is seconds.
fn duration(text: &str) -> Option<u64> {
    let mut rest = text.trim_start_matches(|c: char| c.is_whitespace() || ":=\"'".contains(c));
    let mut millis: Option<u64> = None;
    loop {
        let digits = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let number = rest[..digits].trim_end_matches('.');
        let Ok(number) = number.parse::<f64>() else { break };
        let after = rest[digits..].trim_start();
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let Some(unit) = unit(&after[..letters]).or(if millis.is_none() { Some(1_000.0) } else { None })
        else {
            break;
        };
        millis = Some(millis.unwrap_or(0).saturating_add(whole(number * unit)));
        rest = after[letters..].trim_start_matches([' ', ',']);
    }
    Some(bounded(millis?.div_ceil(1_000)))
}

/// Milliseconds in a unit.
fn unit(word: &str) -> Option<f64> {
    match word {
        "ms" => Some(1.0),
        "s" | "sec" | "secs" | "second" | "seconds" => Some(1_000.0),
        "m" | "min" | "mins" | "minute" | "minutes" => Some(60_000.0),
        "h" | "hr" | "hrs" | "hour" | "hours" => Some(3_600_000.0),
        "d" | "day" | "days" => Some(86_400_000.0),
        _ => None,
    }
}

fn whole(millis: f64) -> u64 {
    // By way of its decimal text, because a cast would take anything.
    format!("{millis:.0}").parse().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules() -> LimitRules {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        LimitRules {
            phrases: texts(&["429", "usage limit"]),
            wait: texts(&["try again in", "retry-after"]),
            seconds: texts(&["e:wait"]),
            until: texts(&["limit:resets"]),
            default_ms: 90_500,
        }
    }

    #[test]
    fn only_a_limit_is_taken_for_one() {
        let rules = rules();
        assert!(is_limit(&rules, "exceeded retry limit, last status: 429 Too Many Requests"));
        assert!(is_limit(&rules, "You\u{2019}ve hit your USAGE LIMIT."));
        assert!(!is_limit(&rules, "401 Unauthorized"));
        assert!(!is_limit(&LimitRules { phrases: vec![String::new()], ..LimitRules::default() }, "x"));
        assert_eq!(default_seconds(&rules), 91);
    }

    #[test]
    fn a_wait_is_read_as_people_and_headers_write_it() {
        for (text, seconds) in [
            ("Please try again in 5m12s.", Some(312)),
            ("try again in 20 seconds", Some(20)),
            ("Try again in 1 hour 30 minutes", Some(5_400)),
            ("try again in 2 hours, 5 min", Some(7_500)),
            ("Retry-After: 30", Some(30)),
            ("{\"retry-after\":\"7\"}", Some(7)),
            ("try again in 3.5s", Some(4)),
            ("try again in 900ms", Some(1)),
            ("try again in 0", Some(1)),
            ("try again in 99999999999999999999 days", Some(RETRY_AFTER_MAX_S)),
            ("try again in 12 5", Some(12)),
            ("try again in ...", None),
            ("try again in a while", None),
            ("try again later", None),
            ("", None),
        ] {
            assert_eq!(seconds_in(&rules(), text), seconds, "{text}");
        }
    }

    #[test]
    fn a_record_may_say_for_how_long_or_until_when() {
        let rules = rules();
        let of = |name: &str, value: Value| seconds_of(&rules, (name, &value), 1_000_000);
        assert_eq!(of("e/x", json!({"wait": 12})), Some(12));
        assert_eq!(of("e", json!({"wait": "13"})), Some(13));
        assert_eq!(of("limit", json!({"resets": 1_000_060})), Some(60));
        assert_eq!(of("limit", json!({"resets": 7})), Some(1));
        let late = seconds_of(&rules, ("limit", &json!({"resets": 1_700_000_060_000_u64})), 1_700_000_000);
        assert_eq!(late, Some(60), "milliseconds");
        assert_eq!(of("limit", json!({"resets": "soon"})), None);
        assert_eq!(of("other", json!({"wait": 12})), None);
    }
}
