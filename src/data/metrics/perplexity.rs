//! Perplexities from a sum of log-likelihoods, as lm-evaluation-harness has them.

/// Words of a text: pieces between runs of blanks, also empty ones at its ends (`len(re.split(r"\s+", text))`).
pub fn count_words(text: &str) -> u64 {
    let mut blank = false;
    let mut words = 1;
    for c in text.chars() {
        let is_blank = super::words::is_blank(c);
        words += u64::from(is_blank && !blank);
        blank = is_blank;
    }
    words
}

/// exp(−Σ log-likelihood / units), units being tokens, words or bytes.
pub fn perplexity(log_likelihood: f64, units: f64) -> f64 {
    (-log_likelihood / units).exp()
}

/// −Σ log-likelihood / (bytes · ln 2).
pub fn bits_per_byte(log_likelihood: f64, bytes: f64) -> f64 {
    -log_likelihood / bytes / std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_as_re_split_counts_them() {
        let counts = ["", "a", " a", "a  b\n", " "].map(count_words);
        assert_eq!(counts, [1, 1, 2, 3, 2]);
    }

    #[test]
    fn figures() {
        let nats = -(8f64.ln()) * 3.0;
        assert!((perplexity(nats, 3.0) - 8.0).abs() < 1e-12);
        assert!((bits_per_byte(nats, 3.0) - 3.0).abs() < 1e-12);
    }
}
