//! Widgets that all panels share.

pub mod button;
pub mod card;
pub mod chip;
pub mod code_edit;
pub mod columns;
pub mod diff;
pub mod error;
pub mod fact;
pub mod field;
pub mod form;
pub mod histogram;
pub mod icon;
pub mod input;
pub mod jinja;
pub mod mix;
pub mod module_tree;
pub mod number;
pub mod plot;
pub mod progress;
pub mod prose;
pub mod rendered;
pub mod run_menu;
pub mod token_view;

pub use button::{button, icon_button, primary_button, segmented, toggle};
pub use card::{card, empty_state, heading, section};
pub use chip::chip;
pub use columns::{column, section_line, tall_column};
pub use error::{error_box, error_whole, notice, washed};
pub use fact::fact;
pub use field::{field, hint};
pub use icon::Icon;
pub use progress::progress_line;
pub use run_menu::{menu_choice, run_menu};
