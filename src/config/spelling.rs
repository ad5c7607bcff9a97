//! "Did you mean": the known word nearest to one that is not known.

/// The candidate nearest to `word`, if it is near enough to be a slip.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = &word.to_lowercase().replace('_', "-");
    let allowed = (word.chars().count() / 3).clamp(1, 4);
    candidates.into_iter().map(|c| (distance(word, c), c)).filter(|&(d, _)| d <= allowed).min_by_key(|&(d, _)| d).map(|(_, c)| c)
}

/// Letters to insert, drop, change or swap with a neighbour (optimal string alignment). Words are cut at 64 letters.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().take(64).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut current = vec![i + 1];
        for j in 0..b.len() {
            let change = previous[j] + usize::from(a[i] != b[j]);
            let mut best = change.min(previous[j + 1] + 1).min(current[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                best = best.min(before[j - 1] + 1);
            }
            current.push(best);
        }
        before = std::mem::replace(&mut previous, current);
    }
    previous[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_and_nothing_else() {
        let keys = ["name", "role", "bind", "tls", "upstream", "normalise-line-ends"];
        assert_eq!(nearest("upstraem", keys), Some("upstream"));
        assert_eq!(nearest("normalize_line_ends", keys), Some("normalise-line-ends"));
        assert_eq!(nearest("Bind", keys), Some("bind"));
        assert_eq!(nearest("password", keys), None);
        assert_eq!(nearest("", keys), None);
        assert_eq!(nearest(&"x".repeat(100_000), keys), None);
    }
}
