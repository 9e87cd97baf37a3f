//! Words as the Python packages cut them whose figures ours are held against.

use std::sync::OnceLock;

use jieba_rs::Jieba;

/// Words of a text, as `jieba.cut` (precise mode, with its hidden Markov model) cuts them. Blanks and punctuation are
/// words, too; joined, the words are the text.
pub fn jieba(text: &str) -> Vec<&str> {
    static DICTIONARY: OnceLock<Jieba> = OnceLock::new();
    let dictionary = DICTIONARY.get_or_init(Jieba::new);
    let latin = |word: &str| word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_graphic());
    let cut = |word: &&str| latin(word) && !dictionary.has_word(word);
    let words = dictionary.cut(text, true).into_iter().map(|token| token.word);
    words.flat_map(|word| if cut(&word) { runs(word) } else { vec![word] }).collect()
}

/// Latin text that no dictionary has, as `jieba.finalseg` cuts it: runs of `[a-zA-Z0-9]+(?:\.\d+)?%?` and what lies between.
/// The crate takes any character where the package has the point.
fn runs(word: &str) -> Vec<&str> {
    let (mut found, mut rest) = (Vec::new(), word);
    while !rest.is_empty() {
        let length = match run(rest) {
            0 => rest.find(|c: char| c.is_ascii_alphanumeric()).unwrap_or(rest.len()),
            length => length,
        };
        let (piece, behind) = rest.split_at(length);
        found.push(piece);
        rest = behind;
    }
    found
}

/// Bytes of the run at the beginning of ASCII text; 0 where there is none.
fn run(text: &str) -> usize {
    let count = |from: usize, is: fn(&u8) -> bool| text.bytes().skip(from).take_while(is).count();
    let word = count(0, u8::is_ascii_alphanumeric);
    if word == 0 {
        return 0;
    }
    let digits = if text[word..].starts_with('.') { count(word + 1, u8::is_ascii_digit) } else { 0 };
    let end = if digits > 0 { word + 1 + digits } else { word };
    end + usize::from(text[end..].starts_with('%'))
}

/// What `str.isspace` and `str.split` take for a blank: beside Unicode's, the four separators of ASCII.
pub(crate) fn is_blank(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// `str.split()`.
pub(super) fn split_blank(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_blank).filter(|word| !word.is_empty())
}

/// `rouge_score.tokenize`: lower-cased runs of a–z and 0–9, without stemming.
pub(super) fn latin(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit());
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// sacreBLEU's tokenizer `13a`, that of mteval-v13a: Western punctuation apart from words.
pub fn mteval(line: &str) -> Vec<String> {
    let line = line.trim_end_matches(is_blank).replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    let line = ["&quot;\"", "&amp;&", "&lt;<", "&gt;>"].iter().fold(line, |line, entity| {
        let (entity, character) = entity.split_at(entity.len() - 1);
        line.replace(entity, character)
    });
    western(&format!(" {line} "))
}

/// sacreBLEU's tokenizer `zh`: each Chinese character by itself, the rest as mteval-v13a.
pub fn chinese(line: &str) -> Vec<String> {
    let mut spread = String::with_capacity(line.len() * 2);
    for c in line.trim_matches(is_blank).chars() {
        match is_chinese(c) {
            true => spread.extend([' ', c, ' ']),
            false => spread.push(c),
        }
    }
    western(&spread)
}

/// The ranges of sacreBLEU's `tokenizer_zh`. Two of its ranges are written with four hexadecimal digits too few, so
/// that they stand for strings from U+2000 followed by "0", and from U+2F80 followed by "0": a single character lies
/// between such bounds from the next code point to the second bound.
const CHINESE: [(char, char); 22] = [
    ('\u{3400}', '\u{4db5}'),
    ('\u{4e00}', '\u{9fa5}'),
    ('\u{9fa6}', '\u{9fbb}'),
    ('\u{f900}', '\u{fa2d}'),
    ('\u{fa30}', '\u{fa6a}'),
    ('\u{fa70}', '\u{fad9}'),
    ('\u{2001}', '\u{2a6d}'),
    ('\u{2f81}', '\u{2fa1}'),
    ('\u{ff00}', '\u{ffef}'),
    ('\u{2e80}', '\u{2eff}'),
    ('\u{3000}', '\u{303f}'),
    ('\u{31c0}', '\u{31ef}'),
    ('\u{2f00}', '\u{2fdf}'),
    ('\u{2ff0}', '\u{2fff}'),
    ('\u{3100}', '\u{312f}'),
    ('\u{31a0}', '\u{31bf}'),
    ('\u{fe10}', '\u{fe1f}'),
    ('\u{fe30}', '\u{fe4f}'),
    ('\u{2600}', '\u{26ff}'),
    ('\u{2700}', '\u{27bf}'),
    ('\u{3200}', '\u{32ff}'),
    ('\u{3300}', '\u{33ff}'),
];

fn is_chinese(c: char) -> bool {
    CHINESE.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

/// The four replacements of sacreBLEU's `tokenizer_re`, then words between blanks.
fn western(line: &str) -> Vec<String> {
    let mut spread = String::with_capacity(line.len() * 2);
    for c in line.chars() {
        match is_mark(c) {
            true => spread.extend([' ', c, ' ']),
            false => spread.push(c),
        }
    }
    let point = |c: char| c == '.' || c == ',';
    let behind = pairs(&spread, |a, b| !a.is_ascii_digit() && point(b), |a, b| [a, ' ', b, ' ']);
    let before = pairs(&behind, |a, b| point(a) && !b.is_ascii_digit(), |a, b| [' ', a, ' ', b]);
    let dashes = pairs(&before, |a, b| a.is_ascii_digit() && b == '-', |a, b| [a, ' ', b, ' ']);
    split_blank(&dashes).map(str::to_owned).collect()
}

/// `[\{-\~\[-\` -\&\(-\+\:-\@\/]`
fn is_mark(c: char) -> bool {
    matches!(c, '{'..='~' | '['..='`' | ' '..='&' | '('..='+' | ':'..='@' | '/')
}

/// Replaces pairs of neighbours from left to right; what was replaced is not looked at again, as in `re.sub`.
fn pairs(text: &str, found: impl Fn(char, char) -> bool, made: impl Fn(char, char) -> [char; 4]) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut rest = text.chars().peekable();
    while let Some(a) = rest.next() {
        match rest.peek() {
            Some(b) if found(a, *b) => {
                out.extend(made(a, *b));
                rest.next();
            }
            _ => out.push(a),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_packages() {
        // By jieba 0.42.1 and sacrebleu 2.6.0.
        assert_eq!(jieba("今天天气很好。"), ["今天天气", "很", "好", "。"]);
        assert_eq!(
            mteval("It's 3.5, \"not\" 1-2 &amp; so."),
            ["It's", "3.5", ",", "\"", "not", "\"", "1", "-", "2", "&", "so", "."]
        );
        assert_eq!(chinese("今天 GPT-2好。"), ["今", "天", "GPT-2", "好", "。"]);
        assert_eq!(latin("It's 3 o'clock—ÄB"), ["it", "s", "3", "o", "clock", "b"]);
    }

    #[test]
    fn hostile_texts_are_cut() {
        for text in ["", "\u{1c}", "\0", "\u{10ffff}.", "...,,,---", &"-".repeat(5000)] {
            let joined: String = jieba(text).concat();
            assert_eq!(joined, text);
            mteval(text);
            chinese(text);
        }
    }
}
