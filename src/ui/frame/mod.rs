//! Everything around the panels: bars, navigation, summary, palette, toasts, questions.

pub mod browse;
mod forecast;
pub mod hub;
pub mod modal;
pub mod navigation;
pub mod palette;
pub mod status;
pub mod summary;
pub mod toasts;
pub mod top;
