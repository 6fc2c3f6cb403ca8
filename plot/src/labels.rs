//! Placement of names at the ends of lines without overlaps.

/// Minimum distance between two names, baseline to baseline, in px.
const APART: f64 = 17.0;

/// Heights for labels with `wished` heights: all between `top` and `bottom`, in the same order, and without overlaps if there is enough space.
pub(super) fn spread(wished: &[f64], top: f64, bottom: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wished.len()).collect();
    order.sort_by(|one, other| wished[*one].total_cmp(&wished[*other]));
    let gaps = wished.len().saturating_sub(1).max(1) as f64;
    let apart = APART.min((bottom - top) / gaps);

    // Overlapping labels move as one block, centred on the wishes of its members: (first, last, height of the first).
    let mut blocks: Vec<(usize, usize, f64)> = Vec::new();
    for at in 0..order.len() {
        let mut block = (at, at, wished[order[at]]);
        loop {
            let (first, last, _) = block;
            let offset = |member: usize| (member - first) as f64 * apart;
            let sum: f64 = (first..=last)
                .map(|member| wished[order[member]] - offset(member))
                .sum();
            let lowest = (bottom - offset(last)).max(top);
            block.2 = (sum / (last - first + 1) as f64).clamp(top, lowest);
            match blocks.last() {
                Some(above) if above.2 + (above.1 - above.0 + 1) as f64 * apart > block.2 => {
                    block.0 = above.0;
                    blocks.pop();
                }
                _ => break,
            }
        }
        blocks.push(block);
    }
    let mut heights = vec![0.0; wished.len()];
    for (first, last, height) in blocks {
        for member in first..=last {
            heights[order[member]] = height + (member - first) as f64 * apart;
        }
    }
    heights
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn labels_stay_where_they_wish_while_there_is_room() {
        assert_eq!(spread(&[90.0, 10.0, 50.0], 0.0, 100.0), [90.0, 10.0, 50.0]);
        assert_eq!(spread(&[50.0, 50.0], 0.0, 100.0), [41.5, 58.5]);
        assert_eq!(spread(&[100.0, 100.0], 0.0, 100.0), [83.0, 100.0]);
        assert!(spread(&[], 0.0, 100.0).is_empty());
    }

    proptest! {
        #[test]
        fn labels_never_collide(wished in prop::collection::vec(-20.0..220.0_f64, 0..9)) {
            let heights = spread(&wished, 0.0, 200.0);
            let mut sorted = heights.clone();
            sorted.sort_by(f64::total_cmp);
            for pair in sorted.windows(2) {
                prop_assert!(pair[1] - pair[0] > APART - 1e-6, "{:?}", heights);
            }
            prop_assert!(sorted.iter().all(|height| (-1e-6..=200.0 + 1e-6).contains(height)));
            for (one, other) in (0..wished.len()).flat_map(|one| (0..one).map(move |other| (one, other))) {
                prop_assert!(wished[one] >= wished[other] || heights[one] < heights[other]);
            }
        }
    }
}
