//! Words of the settings panel.

use super::words;

words! {}
