//! Words of the method panel.

use super::words;

words! {}
