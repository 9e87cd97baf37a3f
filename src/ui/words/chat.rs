//! Words of the chat panel.

use super::words;

words! {}
