//! What texts are compared by: units, shingles of a few units, and n-grams.
//!
//! A unit is a word in lower case, or one character of a script that puts no spaces between words. Punctuation and
//! spaces are none, so that they make no difference.

/// Weights that a shingle reaches with as few units as it can.
const SHINGLE: u32 = 15;
/// Three words make a shingle.
const WORD: u8 = 5;
/// Five characters make a shingle.
const CHARACTER: u8 = 3;
/// Odd, with bits everywhere: the golden ratio.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// A word or a character, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    pub hash: u64,
    weight: u8,
    /// Bytes in its text.
    pub start: usize,
    pub end: usize,
}

/// The units of a text, in order.
pub fn units(text: &str) -> Vec<Unit> {
    let mut units = Vec::with_capacity(text.len() / 5 + 1);
    let mut word: Option<Unit> = None;
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        if stands_alone(c) {
            units.extend(word.take());
            units.push(Unit { hash: spread(u64::from(c)), weight: CHARACTER, start: at, end });
        } else if c.is_alphanumeric() {
            let word = word.get_or_insert(Unit { hash: FNV, weight: WORD, start: at, end });
            word.hash = c.to_lowercase().fold(word.hash, fed);
            word.end = end;
        } else {
            units.extend(word.take());
        }
    }
    units.extend(word);
    units
}

/// FNV-1a's offset.
const FNV: u64 = 0xCBF2_9CE4_8422_2325;

/// FNV-1a over characters instead of bytes.
fn fed(hash: u64, c: char) -> u64 {
    (hash ^ u64::from(c)).wrapping_mul(0x0000_0100_0000_01B3)
}

/// The finaliser of splitmix64: every bit of the result depends on every bit of the number.
pub fn spread(number: u64) -> u64 {
    let mixed = number.wrapping_add(GOLDEN);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Han, kana, Thai, Lao, Myanmar and Khmer characters.
pub fn stands_alone(c: char) -> bool {
    match c {
        '\0'..='\u{0DFF}' => false,
        '\u{0E01}'..='\u{0EDF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17B3}' => c.is_alphabetic(),
        _ => is_han(c) || matches!(c, '\u{3041}'..='\u{3096}' | '\u{30A1}'..='\u{30FA}'),
    }
}

/// A Chinese character.
pub fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{323AF}' | '〇' | '々')
}

/// The hash of some units in their order.
fn joined(hashes: impl Iterator<Item = u64>) -> u64 {
    spread(hashes.fold(0, |sum: u64, hash| (sum.rotate_left(23) ^ hash).wrapping_mul(GOLDEN)))
}

/// Adds the shingles of a text: from every unit on, as many units as make three words, five characters, or a mixture
/// of the same weight. A text too short for one is a shingle as a whole.
pub fn add_shingles(units: &[Unit], to: &mut Vec<u64>) {
    let before = to.len();
    let (mut end, mut weight) = (0, 0u32);
    for start in 0..units.len() {
        while weight < SHINGLE && end < units.len() {
            weight += u32::from(units[end].weight);
            end += 1;
        }
        if weight < SHINGLE && to.len() > before {
            break;
        }
        to.push(joined(units[start..end].iter().map(|unit| unit.hash)));
        weight -= u32::from(units[start].weight);
    }
}

/// The shingles of a row of token ids: five of them at a time.
pub fn add_id_shingles(ids: &[u32], to: &mut Vec<u64>) {
    const IDS: usize = 5;
    let hash = |ids: &[u32]| joined(ids.iter().map(|id| spread(u64::from(*id) << 32)));
    match ids.len() {
        0 => {}
        1..=IDS => to.push(hash(ids)),
        _ => to.extend(ids.windows(IDS).map(hash)),
    }
}

/// Hashes of every `n` units that follow each other.
pub fn grams(units: &[Unit], n: usize) -> impl Iterator<Item = u64> {
    units.windows(n.max(1)).map(|gram| joined(gram.iter().map(|unit| unit.hash)))
}

/// The units at the beginning of a text that make a shingle, as they stand there.
pub fn opening<'a>(text: &'a str, units: &[Unit]) -> Option<&'a str> {
    text.get(units.first()?.start..span(units.iter())?.end)
}

/// The units at the end of a text that make a shingle, with what stands behind them.
pub fn ending<'a>(text: &'a str, units: &[Unit]) -> Option<&'a str> {
    text.get(span(units.iter().rev())?.start..)
}

/// The last of the units that a shingle takes.
fn span<'a>(units: impl Iterator<Item = &'a Unit>) -> Option<&'a Unit> {
    let mut weight = 0;
    let mut last = None;
    for unit in units {
        last = Some(unit);
        weight += u32::from(unit.weight);
        if weight >= SHINGLE {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        units(text).iter().map(|unit| &text[unit.start..unit.end]).collect()
    }

    fn shingles(text: &str) -> Vec<u64> {
        let mut found = Vec::new();
        add_shingles(&units(text), &mut found);
        found
    }

    #[test]
    fn words_and_characters_are_units_and_punctuation_is_none() {
        assert_eq!(
            words("The cat's 2nd life… 你好，GPT4世界!"),
            ["The", "cat", "s", "2nd", "life", "你", "好", "GPT4", "世", "界"]
        );
        assert_eq!(words(" \n…—"), [""; 0]);
        assert_eq!(units("Straße")[0].hash, units("STRAßE")[0].hash);
        assert_ne!(units("ab")[0].hash, units("ba")[0].hash);
    }

    #[test]
    fn a_shingle_is_three_words_or_five_characters() {
        assert_eq!(shingles("a b c d e").len(), 3);
        assert_eq!(shingles("我们今天去公园").len(), 3);
        // One word and four characters: 5 + 4 × 3 reach the weight; from the second unit on nothing does.
        assert_eq!(shingles("GPT 今天很好").len(), 1);
        assert_eq!((shingles("yes").len(), shingles("").len()), (1, 0));
        assert_eq!(shingles("one TWO, three"), shingles("One two three!"));
        assert_ne!(shingles("one two"), shingles("two one"));
    }

    #[test]
    fn what_repeats_has_the_same_shingles() {
        let all = shingles("x y z x y z");
        assert_eq!((all.len(), all[0]), (4, all[3]));
        let mut ids = Vec::new();
        add_id_shingles(&[1, 2, 3, 4, 5, 6], &mut ids);
        add_id_shingles(&[7], &mut ids);
        assert_eq!(ids.len(), 3);
    }

    #[test]
    fn beginnings_and_ends_are_as_they_stand() {
        let text = "Sure! Here is the list: one, two, and three.";
        let units = units(text);
        assert_eq!(opening(text, &units), Some("Sure! Here is"));
        assert_eq!(ending(text, &units), Some("two, and three."));
        let chinese = "好的，以下是答案：今天天气不错。";
        let units = super::units(chinese);
        assert_eq!(
            (opening(chinese, &units), ending(chinese, &units)),
            (Some("好的，以下是"), Some("天天气不错。"))
        );
        assert_eq!(opening("", &[]), None);
    }
}
