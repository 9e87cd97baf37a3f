//! Curves of any length, and what plots need besides egui_plot: extremes by bucket, smoothing, grids, sparklines.

pub mod curve;
pub mod grid;
pub mod pyramid;
pub mod smooth;
pub mod sparkline;

pub use curve::{Curve, View as CurveView};
pub use pyramid::Pyramid;
pub use smooth::Smooth;
pub use sparkline::sparkline;
