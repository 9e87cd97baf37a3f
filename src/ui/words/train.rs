//! Words of the train panel.

use super::words;

words! {}
