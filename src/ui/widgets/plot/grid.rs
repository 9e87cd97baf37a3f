//! Where grid lines lie: at round numbers, about as many as there is room for.

use egui_plot::{GridInput, GridMark};

/// What the numbers of an axis are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Linear,
    /// The axis shows powers of ten.
    Log,
    /// In powers of 1024.
    Bytes,
    Seconds,
}

/// Points between two lines, over egui_plot's least distance.
const LEAST: f64 = 8.0;

/// Marks at least `distance` points apart.
pub fn marks(scale: Scale, distance: f64) -> impl Fn(GridInput) -> Vec<GridMark> {
    move |input| {
        let least = input.base_step_size * distance / LEAST;
        let (low, high) = input.bounds;
        if !(least.is_finite() && least > 0.0 && low.is_finite() && high.is_finite() && low < high) {
            return Vec::new();
        }
        match scale {
            Scale::Linear => multiples(round_up(least), low, high),
            Scale::Bytes => multiples(round_bytes(least, high), low, high),
            Scale::Seconds => multiples(round_seconds(least), low, high),
            Scale::Log => log_marks(least, low, high),
        }
    }
}

fn multiples(step: f64, low: f64, high: f64) -> Vec<GridMark> {
    let (first, last) = ((low / step).ceil(), (high / step).floor());
    if !(last - first).is_finite() || last - first > 1000.0 {
        return Vec::new();
    }
    let count = (last - first).max(-1.0) as i64;
    (0..=count).map(|index| GridMark { value: (first + index as f64) * step, step_size: step }).collect()
}

/// The next of 1, 2, 5, 10, … that is not smaller.
pub fn round_up(value: f64) -> f64 {
    let ten = 10f64.powf(value.log10().floor());
    let times = [1.0, 2.0, 5.0].into_iter().find(|times| times * ten >= value * (1.0 - 1e-9));
    times.unwrap_or(10.0) * ten
}

/// A round part of the unit in which `high` is read: 0.2 GB, not 200 MB.
fn round_bytes(value: f64, high: f64) -> f64 {
    let unit = 1024f64.powf(high.max(1.0).log(1024.0).floor());
    round_up(value / unit) * unit
}

fn round_seconds(value: f64) -> f64 {
    const STEPS: [f64; 13] =
        [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0];
    match STEPS.into_iter().find(|step| *step >= value) {
        Some(step) if value > 0.5 => step,
        Some(_) => round_up(value),
        None => round_up(value / 3600.0) * 3600.0,
    }
}

/// Decades and what lies between, where a decade is wide; round numbers in a part of a decade.
fn log_marks(least: f64, low: f64, high: f64) -> Vec<GridMark> {
    if least >= 1.0 {
        return multiples(least.ceil(), low, high);
    }
    if high - low < 1.0 {
        let (from, to) = (10f64.powf(low), 10f64.powf(high));
        // Lines are closest at the upper end.
        let step = round_up(to * (1.0 - 10f64.powf(-least)));
        let values = multiples(step, from, to).into_iter();
        return values
            .filter(|mark| mark.value > 0.0)
            .map(|mark| GridMark { value: mark.value.log10(), step_size: least })
            .collect();
    }
    let between: &[f64] = if least < 0.17 {
        &[1.0, 2.0, 5.0]
    } else if least < 0.4 {
        &[1.0, 3.0]
    } else {
        &[1.0]
    };
    let decades = low.floor() as i64..=high.ceil() as i64;
    let values = decades.flat_map(|decade| between.iter().map(move |times| decade as f64 + times.log10()));
    values
        .filter(|value| (low..=high).contains(value))
        .map(|value| GridMark { value, step_size: least })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(scale: Scale, low: f64, high: f64) -> Vec<f64> {
        // A plot of 200 points.
        let input = GridInput { bounds: (low, high), base_step_size: (high - low) / 200.0 * LEAST };
        marks(scale, 40.0)(input).into_iter().map(|mark| mark.value).collect()
    }

    #[test]
    fn lines_lie_at_round_numbers() {
        assert_eq!(values(Scale::Linear, 0.3, 4.1), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(values(Scale::Seconds, 0.0, 250.0), [0.0, 60.0, 120.0, 180.0, 240.0]);
        let gigabyte = 1024f64.powi(3);
        assert_eq!(
            values(Scale::Bytes, 0.0, 8.0 * gigabyte),
            [0.0, 2.0, 4.0, 6.0, 8.0].map(|x| x * gigabyte)
        );
        let log: Vec<f64> = values(Scale::Log, -4.2, -1.9).into_iter().map(|x| 10f64.powf(x)).collect();
        assert!(log.iter().any(|value| (value - 1e-3).abs() < 1e-9), "{log:?}");
        let narrow: Vec<f64> = values(Scale::Log, 0.0, 0.3).into_iter().map(|x| 10f64.powf(x)).collect();
        assert!(narrow.len() >= 2 && narrow.iter().any(|value| (value - 1.5).abs() < 1e-9), "{narrow:?}");
    }

    #[test]
    fn nothing_impossible_is_drawn() {
        for (low, high) in [(f64::NAN, 1.0), (1.0, 1.0), (0.0, f64::INFINITY), (2.0, 1.0)] {
            for scale in [Scale::Linear, Scale::Log, Scale::Bytes, Scale::Seconds] {
                assert!(values(scale, low, high).is_empty());
            }
        }
    }
}
