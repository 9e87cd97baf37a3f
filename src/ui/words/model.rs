//! Words of the model panel.

use super::words;

words! {}
