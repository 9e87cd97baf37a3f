//! Widgets that all panels share.

pub mod button;
pub mod card;
pub mod chip;
pub mod columns;
pub mod error;
pub mod fact;
pub mod field;
pub mod form;
pub mod icon;
pub mod input;
pub mod module_tree;
pub mod number;
pub mod progress;

pub use button::{button, icon_button, primary_button, segmented, toggle};
pub use card::{card, empty_state, heading, section};
pub use chip::chip;
pub use columns::{column, section_line, tall_column};
pub use error::{error_box, error_whole, notice};
pub use fact::fact;
pub use field::{field, hint};
pub use icon::Icon;
pub use progress::progress_line;
