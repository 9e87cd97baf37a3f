//! Words of the data panel.

use super::words;

words! {}
