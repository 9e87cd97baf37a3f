//! Widgets that all panels share.

pub mod button;
pub mod card;
pub mod diff;
pub mod error;
pub mod field;
pub mod icon;
pub mod number;
pub mod plot;
pub mod progress;
pub mod prose;

pub use button::{button, icon_button, primary_button, segmented, toggle};
pub use card::{card, empty_state, heading, section};
pub use error::{error_box, notice};
pub use field::{field, hint};
pub use icon::Icon;
pub use progress::progress_line;
