//! The look: roles of colours and sizes, for dark and light, and the fonts.

mod fonts;
mod style;
mod tokens;

pub use fonts::{install as install_fonts, semibold};
pub use style::apply;
pub use tokens::{Tokens, UiTokens};
