//! In which order a call tries its targets, and who keeps a caller's state.

/// The targets' places in the order in which a call tries them: as written, but where some have a weight, the first is
/// drawn among those. Equal `turn`s draw equally; over many turns in a row every target gets its share.
pub fn target_order(weights: &[Option<u32>], sequence: u32) -> Vec<usize> {
    let mut order: Vec<usize> = (0..weights.len()).collect();
    let total: u64 = weights
        .iter()
        .flatten()
        .map(|weight| u64::from(*weight))
        .sum();
    if total == 0 {
        return order;
    }
    // Turns come one after the other; multiplied so (Weyl's sequence with the golden ratio), they spread evenly over
    // the whole range however few of them an instance sees.
    let spread = u64::from(sequence.wrapping_mul(0x9E37_79B9));
    let mut drawn = spread.saturating_mul(total) >> 32;
    for (index, weight) in weights.iter().enumerate() {
        let weight = u64::from(weight.unwrap_or(0));
        if drawn < weight {
            order.retain(|other| *other != index);
            order.insert(0, index);
            return order;
        }
        drawn = drawn.saturating_sub(weight);
    }
    order
}

/// How well `name` suits `whom`: of several names the one of the highest score keeps what is `whom`'s, and goes on doing
/// so when other names come or go (rendezvous hashing, over FNV-1a).
pub(crate) fn rendezvous_score(whom: &str, name: &str) -> u64 {
    let bytes = whom.bytes().chain([0]).chain(name.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    // FNV leaves the highest bits to the last bytes: mixed once more (MurmurHash3's finaliser).
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_weights_the_order_is_as_written() {
        assert_eq!(target_order(&[None, None, None], 7), [0, 1, 2]);
        assert_eq!(target_order(&[Some(0), None], 7), [0, 1]);
        assert!(target_order(&[], 7).is_empty());
    }

    #[test]
    fn a_canary_gets_its_share_and_the_rest_stay_in_order() {
        let weights = [Some(95), None, Some(5)];
        let firsts: Vec<Vec<usize>> = (0..1000)
            .map(|sequence| target_order(&weights, sequence))
            .collect();
        let canaries = firsts
            .iter()
            .filter(|order| order.first() == Some(&2))
            .count();
        assert!((45..=55).contains(&canaries), "{canaries} of 1000");
        assert!(
            firsts
                .iter()
                .all(|order| *order == [0, 1, 2] || *order == [2, 0, 1])
        );
    }
}
