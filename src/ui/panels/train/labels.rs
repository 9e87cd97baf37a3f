//! Numbers in the plots: short at the axes, exact enough beside the titles.

use egui_plot::GridMark;

use super::figures::{Axis, Figure};
use crate::widgets::number;

/// A value as the plots show it.
pub fn format(figure: Figure, value: f64) -> String {
    match figure {
        _ if !value.is_finite() => "–".to_owned(),
        Figure::Loss => format!("{value:.4}"),
        Figure::GradNorm if (0.001..10_000.0).contains(&value) => format!("{value:.3}"),
        Figure::Rate | Figure::GradNorm => number::scientific(value),
        Figure::Speed => number::count(value.max(0.0) as u64),
        Figure::Memory => number::bytes(value.max(0.0) as u64),
    }
}

/// A mark on the axis along.
pub fn axis_label(axis: Axis, mark: GridMark) -> String {
    match axis {
        _ if mark.value < -1e-9 => String::new(),
        Axis::Step if mark.step_size < 1.0 => String::new(),
        Axis::Step if mark.value < 100_000.0 => number::count(mark.value.round() as u64),
        Axis::Step | Axis::Tokens => short(mark.value),
        Axis::Epoch => plain(mark.value, mark.step_size),
        Axis::Time => clock(mark.value),
    }
}

/// A mark on the axis up.
pub fn height_label(figure: Figure, mark: GridMark, log: bool) -> String {
    let value = if log { 10f64.powf(mark.value) } else { mark.value };
    match figure {
        Figure::Memory if value < 0.0 => String::new(),
        Figure::Memory => short_bytes(value),
        Figure::Speed if value < 0.0 => String::new(),
        Figure::Speed => short(value),
        _ if log || figure == Figure::Rate => number::scientific(round_off(value)),
        _ => plain(value, mark.step_size),
    }
}

/// Without what is left of a calculation with powers of ten.
fn round_off(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

/// With as many decimals as the step between two marks has.
fn plain(value: f64, step: f64) -> String {
    let decimals = (-step.log10()).ceil().clamp(0.0, 8.0) as usize;
    format!("{value:.decimals$}")
}

/// `1.5M`
fn short(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        0.0..1e3 => (value, ""),
        1e3..1e6 => (value / 1e3, "k"),
        1e6..1e9 => (value / 1e6, "M"),
        _ => (value / 1e9, "B"),
    };
    let text = format!("{scaled:.2}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

fn short_bytes(value: f64) -> String {
    let (mut scaled, mut unit) = (value, "B");
    for larger in ["K", "M", "G", "T"] {
        if scaled < 1024.0 {
            break;
        }
        (scaled, unit) = (scaled / 1024.0, larger);
    }
    let text = format!("{scaled:.2}");
    format!("{} {unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

/// `1:05:00`, `5:00`, `12 s`
fn clock(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 if seconds.fract().abs() > 0.01 => format!("{seconds:.1} s"),
        0..60 => format!("{whole} s"),
        60..3600 => format!("{}:{:02}", whole / 60, whole % 60),
        _ => format!("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short_and_exact() {
        assert_eq!([short(950.0), short(1500.0), short(2e6)], ["950", "1.5k", "2M"]);
        assert_eq!([clock(12.0), clock(300.0), clock(3900.0)], ["12 s", "5:00", "1:05:00"]);
        assert_eq!(plain(1.25, 0.25), "1.2");
        assert_eq!(plain(1.5, 0.5), "1.5");
        assert_eq!(short_bytes(1536.0 * 1024.0 * 1024.0), "1.5 G");
        assert_eq!(format(Figure::Loss, 1.382_44), "1.3824");
        assert_eq!(format(Figure::Rate, 2e-4), "2e-4");
        assert_eq!(format(Figure::Loss, f64::NAN), "–");
    }
}
