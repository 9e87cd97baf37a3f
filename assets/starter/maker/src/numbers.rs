//! Numbers that belong together: what a grammar of words cannot compute.

use anyhow::{Result, bail};

use crate::draw::Draw;

type Bindings = Vec<(&'static str, String)>;

/// Bindings of the numbers called `kind` in the grammar (`{@kind}`).
///
/// # Errors
/// When there is no such kind.
pub fn draw(kind: &str, draw: &mut Draw) -> Result<Bindings> {
    Ok(match kind {
        "add" => add(draw),
        "sub" => subtract(draw),
        "mul" => multiply(draw),
        "compare" => compare(draw),
        "count" => count(draw),
        "next" => next(draw),
        "few" => few(draw),
        _ => bail!("no numbers are called `{kind}`"),
    })
}

fn add(draw: &mut Draw) -> Bindings {
    let top = if draw.below(3) == 0 { 50 } else { 12 };
    let (a, b) = (draw.between(1, top), draw.between(1, top));
    three(a, b, a + b)
}

fn subtract(draw: &mut Draw) -> Bindings {
    let top = if draw.below(3) == 0 { 50 } else { 18 };
    let a = draw.between(2, top);
    let b = draw.between(1, a - 1);
    three(a, b, a - b)
}

fn multiply(draw: &mut Draw) -> Bindings {
    let (a, b) = (draw.between(1, 10), draw.between(1, 10));
    three(a, b, a * b)
}

/// Counts of things for a word problem: `a` and `b` at least 2, so that plurals are right.
fn few(draw: &mut Draw) -> Bindings {
    let b = draw.between(2, 6);
    let a = b + draw.between(2, 6);
    let mut numbers = three(a, b, a + b);
    numbers.extend([("less", (a - b).to_string()), ("lessz", chinese(a - b))]);
    numbers
}

fn compare(draw: &mut Draw) -> Bindings {
    let a = draw.between(1, 99);
    let b = (a + draw.between(1, 98)) % 99 + 1;
    let (a, b) = if a == b { (a, a + 1) } else { (a, b) };
    let mut numbers = three(a, b, a.max(b));
    numbers.push(("small", a.min(b).to_string()));
    numbers
}

fn three(a: usize, b: usize, c: usize) -> Bindings {
    vec![
        ("a", a.to_string()),
        ("b", b.to_string()),
        ("c", c.to_string()),
        ("aw", english(a)),
        ("bw", english(b)),
        ("cw", english(c)),
        ("az", chinese(a)),
        ("bz", chinese(b)),
        ("cz", chinese(c)),
    ]
}

/// A run of numbers from `a` to `b`, up or down.
fn count(draw: &mut Draw) -> Bindings {
    let a = draw.between(1, 20);
    let b = a + draw.between(3, 9);
    let join =
        |numbers: Vec<usize>, mark: &str| numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(mark);
    let (up, down): (Vec<usize>, Vec<usize>) = ((a..=b).collect(), (a..=b).rev().collect());
    vec![
        ("a", a.to_string()),
        ("b", b.to_string()),
        ("up", join(up.clone(), ", ")),
        ("upz", join(up, "、")),
        ("down", join(down.clone(), ", ")),
        ("downz", join(down, "、")),
    ]
}

/// An arithmetic sequence and the number after it.
fn next(draw: &mut Draw) -> Bindings {
    let (start, step) = (draw.between(1, 12), [1, 2, 2, 3, 5, 10][draw.below(6)]);
    let item = |index: usize| (start + index * step).to_string();
    let seen: Vec<String> = (0..4).map(item).collect();
    vec![("seq", seen.join(", ")), ("seqz", seen.join("、")), ("step", step.to_string()), ("c", item(4))]
}

const ONES: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] =
    ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

/// 0 to 100 in words.
fn english(number: usize) -> String {
    match (number / 10, number % 10) {
        (0 | 1, _) => ONES[number].to_owned(),
        (10, _) => "one hundred".to_owned(),
        (tens, 0) => TENS[tens].to_owned(),
        (tens, ones) => format!("{}-{}", TENS[tens], ONES[ones]),
    }
}

const CHINESE: [&str; 10] = ["零", "一", "二", "三", "四", "五", "六", "七", "八", "九"];

/// 0 to 100 in characters.
fn chinese(number: usize) -> String {
    let ones = |digit: usize| if digit == 0 { "" } else { CHINESE[digit] };
    match (number / 10, number % 10) {
        (0, digit) => CHINESE[digit].to_owned(),
        (1, digit) => format!("十{}", ones(digit)),
        (10, _) => "一百".to_owned(),
        (tens, digit) => format!("{}十{}", CHINESE[tens], ones(digit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(bindings: &Bindings, name: &str) -> usize {
        bindings.iter().find(|(known, _)| *known == name).unwrap().1.parse().unwrap()
    }

    #[test]
    fn sums_are_right() {
        let mut stream = Draw::new(3, 0);
        for _ in 0..500 {
            let sum = draw("add", &mut stream).unwrap();
            assert_eq!(bound(&sum, "a") + bound(&sum, "b"), bound(&sum, "c"));
            let less = draw("sub", &mut stream).unwrap();
            assert_eq!(bound(&less, "a"), bound(&less, "b") + bound(&less, "c"));
            let times = draw("mul", &mut stream).unwrap();
            assert_eq!(bound(&times, "a") * bound(&times, "b"), bound(&times, "c"));
            let pair = draw("compare", &mut stream).unwrap();
            assert!(bound(&pair, "small") < bound(&pair, "c"));
        }
    }

    #[test]
    fn words_for_numbers() {
        assert_eq!(
            [english(0), english(14), english(40), english(99), english(100)],
            ["zero", "fourteen", "forty", "ninety-nine", "one hundred"]
        );
        assert_eq!(
            [chinese(7), chinese(10), chinese(15), chinese(20), chinese(36)],
            ["七", "十", "十五", "二十", "三十六"]
        );
    }
}
