//! Masks of dropout: how much they leave out, and that no two places, steps or rows share one.

use engine::nn::{DropoutKey, DropoutPlace, SiteId};

const KEY: DropoutKey = DropoutKey { seed: 7, step: 3, micro: 1, first_row: 0 };
const PLACES: [DropoutPlace; 5] = [
    DropoutPlace::Site(SiteId(0)),
    DropoutPlace::Site(SiteId(1)),
    DropoutPlace::Keys(0),
    DropoutPlace::Values(0),
    DropoutPlace::Keys(1),
];

/// Which elements are left out.
fn left_out(mask: &[f32]) -> Vec<bool> {
    mask.iter().map(|element| *element == 0.0).collect()
}

#[test]
fn a_mask_leaves_out_its_rate_and_keeps_the_mean() {
    let shape = [4, 8, 40, 50];
    let count: usize = shape.iter().product();
    for rate in [0.0, 0.1, 0.5, 0.95] {
        for place in PLACES {
            let mask = KEY.mask(place, rate, &shape);
            assert_eq!(mask.len(), count);
            let kept = (1.0 / (1.0 - rate)) as f32;
            assert!(mask.iter().all(|element| *element == 0.0 || *element == kept));
            let zeros = mask.iter().filter(|element| **element == 0.0).count() as f64;
            // Four deviations of the binomial distribution, twice as many of the mean's.
            let deviation = (rate * (1.0 - rate) / count as f64).sqrt();
            let share = zeros / count as f64;
            assert!((share - rate).abs() <= 4.0 * deviation, "{place:?} at {rate}: {share}");
            let mean = mask.iter().map(|element| f64::from(*element)).sum::<f64>() / count as f64;
            assert!((mean - 1.0).abs() <= 8.0 * deviation / (1.0 - rate), "{place:?} at {rate}: {mean}");
        }
    }
}

#[test]
fn a_row_has_the_same_mask_in_whatever_pieces_the_rows_come() {
    for place in PLACES {
        let whole = KEY.mask(place, 0.3, &[5, 6, 7]);
        let first = KEY.mask(place, 0.3, &[2, 6, 7]);
        let rest = DropoutKey { first_row: 2, ..KEY }.mask(place, 0.3, &[3, 6, 7]);
        assert_eq!([first, rest].concat(), whole, "{place:?}");
        let rows: Vec<_> = whole.chunks(42).collect();
        assert!(rows.iter().enumerate().all(|(at, row)| !rows[..at].contains(row)), "{place:?}: rows alike");
    }
}

/// Two masks of a rate of a half that have nothing to do with each other agree in half of their elements.
#[test]
fn seeds_steps_micro_batches_and_places_have_masks_of_their_own() {
    let keys = [
        KEY,
        DropoutKey { seed: 8, ..KEY },
        DropoutKey { step: 4, ..KEY },
        DropoutKey { micro: 2, ..KEY },
        DropoutKey { step: 0, micro: 0, ..KEY },
    ];
    let masks: Vec<_> = keys
        .iter()
        .flat_map(|key| PLACES.map(|place| (key, place, left_out(&key.mask(place, 0.5, &[2, 5000])))))
        .collect();
    for (at, (key, place, mask)) in masks.iter().enumerate() {
        assert_eq!(left_out(&key.mask(*place, 0.5, &[2, 5000])), *mask);
        for (other_key, other_place, other) in &masks[..at] {
            let same = mask.iter().zip(other).filter(|(a, b)| a == b).count();
            assert!((4750..5250).contains(&same), "{key:?} {place:?}, {other_key:?} {other_place:?}: {same}");
        }
    }
}
