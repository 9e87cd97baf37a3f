//! Widgets that all panels share.

pub mod button;
pub mod card;
pub mod code_edit;
pub mod error;
pub mod field;
pub mod histogram;
pub mod icon;
pub mod jinja;
pub mod number;
pub mod progress;
pub mod rendered;
pub mod token_view;

pub use button::{button, icon_button, primary_button, segmented, toggle};
pub use card::{card, empty_state, heading, section};
pub use error::{error_box, notice};
pub use field::{field, hint};
pub use icon::Icon;
pub use progress::progress_line;
