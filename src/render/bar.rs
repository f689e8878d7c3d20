//! A bar of letters: how far a run is, for eyes that want no numbers and need no colour.

/// What has no part yet.
const REST: char = '-';

/// `[####x>>---]`: each part as long as its share of `total`, and at least one letter where there
/// is any of it; `columns` counts the brackets.
#[must_use]
pub fn bar(parts: &[(char, usize)], total: usize, columns: usize) -> String {
    let Some(room) = columns.checked_sub(2).filter(|room| *room > 0) else { return String::new() };
    let all: usize = parts.iter().map(|(_, count)| count).sum();
    let total = total.max(all).max(1);
    // What is left is seen as well, however little it is.
    let most = if all < total { room - 1 } else { room };
    let mut lengths: Vec<usize> = parts
        .iter()
        .map(|(_, count)| if *count == 0 { 0 } else { (count.saturating_mul(room) / total).max(1) })
        .collect();
    // Small parts were made visible at the cost of the largest one.
    while lengths.iter().sum::<usize>() > most {
        let Some(longest) = lengths.iter_mut().max() else { break };
        *longest -= 1;
    }
    let used: usize = lengths.iter().sum();
    // Rounding leaves no gap where everything is accounted for.
    if all == total
        && let Some(longest) = lengths.iter_mut().max()
    {
        *longest += room - used;
    }
    let mut out = String::with_capacity(columns);
    out.push('[');
    for ((letter, _), length) in parts.iter().zip(&lengths) {
        out.extend(std::iter::repeat_n(*letter, *length));
    }
    let rest = room - lengths.iter().sum::<usize>();
    out.extend(std::iter::repeat_n(REST, rest));
    out.push(']');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_every_part_and_is_full_only_when_all_is_done() {
        assert_eq!(bar(&[('#', 0), ('x', 0)], 6, 12), "[----------]");
        assert_eq!(bar(&[('#', 3), ('x', 1), ('>', 1)], 10, 12), "[###x>-----]");
        assert_eq!(bar(&[('#', 9_998), ('x', 1)], 10_000, 12), "[########x-]");
        assert_eq!(bar(&[('#', 2), ('x', 1)], 3, 12), "[#######xxx]");
        assert_eq!(bar(&[('#', 7)], 7, 12), "[##########]");
        assert_eq!(bar(&[], 0, 12), "[----------]");
        assert_eq!(bar(&[('#', 1)], 1, 2), "");
    }

    #[test]
    fn whatever_the_numbers_are_it_is_as_wide_as_was_asked() {
        for columns in 3..40 {
            for (done, failed, now, total) in [(0, 0, 0, 0), (1, 1, 1, 3), (5, 0, 9, 9), (1, 1, 1, 10_000)] {
                let text = bar(&[('#', done), ('x', failed), ('>', now)], total, columns);
                assert_eq!(text.chars().count(), columns, "{text}");
            }
        }
    }
}
