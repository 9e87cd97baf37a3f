//! Whether two SQL queries are the same, in three degrees.

/// From the strictest to the most lenient; what holds in one holds in the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SqlMatch {
    /// The same text up to blanks.
    pub exact: bool,
    /// The same tokens: letter case (outside of quotes), blanks, the kind of quotes and a last semicolon do not count.
    pub tokens: bool,
    /// The same clauses with the same parts: as Spider's exact set match (Yu et al. 2018) the order of selected
    /// columns, of tables and of conditions joined by AND does not count. Unlike Spider's, values count, and no schema
    /// is asked: a nested query is compared by its tokens.
    pub clauses: bool,
}

/// Compares an answer with the right query.
pub fn match_sql(answer: &str, reference: &str) -> SqlMatch {
    let (ours, theirs) = (tokens(answer), tokens(reference));
    let exact = super::exact_match(answer, reference);
    let tokens = exact || ours == theirs;
    SqlMatch { exact, tokens, clauses: tokens || clauses(&ours) == clauses(&theirs) }
}

/// Words in lower case, marks by themselves, texts in single quotes.
fn tokens(query: &str) -> Vec<String> {
    let query = query.trim().trim_end_matches(';');
    let mut tokens = Vec::new();
    let mut word = String::new();
    let mut rest = query.chars().peekable();
    while let Some(c) = rest.next() {
        let pair: String = [Some(c), rest.peek().copied()].into_iter().flatten().collect();
        if c.is_whitespace() {
            end_word(&mut word, &mut tokens);
        } else if matches!(c, '\'' | '"' | '`') && word.is_empty() {
            tokens.push(quoted(c, &mut rest));
        } else if matches!(pair.as_str(), "<=" | ">=" | "!=" | "<>") {
            end_word(&mut word, &mut tokens);
            rest.next();
            tokens.push(if pair == "<>" { "!=".to_owned() } else { pair });
        } else if matches!(c, '(' | ')' | ',' | '=' | '<' | '>') {
            end_word(&mut word, &mut tokens);
            tokens.push(c.to_string());
        } else {
            word.extend(c.to_lowercase());
        }
    }
    end_word(&mut word, &mut tokens);
    tokens
}

fn end_word(word: &mut String, tokens: &mut Vec<String>) {
    if !word.is_empty() {
        tokens.push(std::mem::take(word));
    }
}

/// The text up to the closing quote (a doubled one stands for itself), or to the end. Names in backquotes are words.
fn quoted(quote: char, rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut text = String::new();
    while let Some(c) = rest.next() {
        if c == quote && rest.next_if_eq(&quote).is_none() {
            break;
        }
        text.push(c);
    }
    if quote == '`' { text.to_lowercase() } else { format!("'{text}'") }
}

/// Words that begin a clause, and by which parts of it its order does not count.
const CLAUSES: [(&str, Option<&str>); 11] = [
    ("select", Some(",")),
    ("from", Some(",")),
    ("where", Some("and")),
    ("having", Some("and")),
    ("group", None),
    ("order", None),
    ("limit", None),
    ("union", None),
    ("intersect", None),
    ("except", None),
    ("join", None),
];

type Clause = (Vec<String>, Vec<Vec<String>>);

/// Clauses in their order, each with its parts, sorted where their order does not count.
fn clauses(tokens: &[String]) -> Vec<Clause> {
    let mut clauses: Vec<Clause> = Vec::new();
    let (mut depth, mut between, mut separator) = (0usize, false, None);
    for token in tokens {
        depth = match token.as_str() {
            "(" => depth + 1,
            ")" => depth.saturating_sub(1),
            _ => depth,
        };
        let begins = CLAUSES.iter().find(|(word, _)| depth == 0 && word == token);
        if let Some((_, splits_at)) = begins {
            separator = *splits_at;
            clauses.push((vec![token.clone()], vec![Vec::new()]));
        } else if depth == 0 && Some(token.as_str()) == separator && !between {
            if let Some((_, parts)) = clauses.last_mut() {
                parts.push(Vec::new());
            }
        } else {
            // The AND of BETWEEN … AND joins no conditions.
            between = token == "between" || (between && token != "and");
            match clauses.last_mut().map(|(_, parts)| parts) {
                Some(parts) => parts.last_mut().into_iter().for_each(|part| part.push(token.clone())),
                None => clauses.push((Vec::new(), vec![vec![token.clone()]])),
            }
        }
    }
    let sorted = |(word, parts): &mut Clause| {
        let any_or = parts.iter().flatten().any(|token| token == "or");
        let free =
            CLAUSES.iter().any(|(name, splits)| splits.is_some() && word.first().is_some_and(|w| w == name));
        if free && !any_or {
            parts.sort_unstable();
        }
    };
    clauses.iter_mut().for_each(sorted);
    clauses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn degrees(answer: &str, reference: &str) -> [bool; 3] {
        let SqlMatch { exact, tokens, clauses } = match_sql(answer, reference);
        [exact, tokens, clauses]
    }

    #[test]
    fn each_degree_forgives_more() {
        let right = "SELECT Name, Age FROM people WHERE City = 'Rome' AND Age >= 30";
        assert_eq!(degrees(&format!(" {right}\n"), right), [true; 3]);
        assert_eq!(
            degrees("select name,age from people where city=\"Rome\" and age>=30;", right),
            [false, true, true]
        );
        assert_eq!(
            degrees("SELECT age, name FROM people WHERE age >= 30 AND city = 'Rome'", right),
            [false, false, true]
        );
        for wrong in [
            "SELECT name FROM people WHERE city = 'Rome' AND age >= 30",
            "SELECT name, age FROM people WHERE city = 'rome' AND age >= 30",
            "SELECT name, age FROM people WHERE city = 'Rome' OR age >= 30",
            "",
        ] {
            assert_eq!(degrees(wrong, right), [false; 3], "{wrong}");
        }
    }

    #[test]
    fn order_counts_where_it_means_something() {
        let by = |order: &str| format!("SELECT a FROM t ORDER BY {order}");
        assert!(!match_sql(&by("a, b"), &by("b, a")).clauses);
        let range = "SELECT a FROM t WHERE x BETWEEN 1 AND 2 AND y = 3";
        assert!(match_sql("SELECT a FROM t WHERE y = 3 AND x BETWEEN 1 AND 2", range).clauses);
        assert!(!match_sql("SELECT a FROM t WHERE x BETWEEN 2 AND 1 AND y = 3", range).clauses);
        let mixed = "SELECT a FROM t WHERE a = 1 AND b = 2 OR c = 3";
        assert!(!match_sql("SELECT a FROM t WHERE b = 2 OR c = 3 AND a = 1", mixed).clauses);
        let nested = "SELECT a FROM t WHERE x IN (SELECT b, c FROM u) AND y = 1";
        assert!(match_sql("SELECT a FROM t WHERE y = 1 AND x IN (SELECT b, c FROM u)", nested).clauses);
    }

    #[test]
    fn quotes_and_broken_queries() {
        assert_eq!(tokens("a='it''s' `Tab Le`"), ["a", "=", "'it's'", "tab le"]);
        for broken in ["'", "((((", "select", "and and", ")", "\u{0}"] {
            match_sql(broken, broken);
        }
    }
}
