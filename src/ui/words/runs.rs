//! Words of the runs panel.

use super::words;

words! {}
