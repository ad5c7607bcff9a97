//! A secret that was written into the site file against the rules must not go on from there into a log: diagnostics show the
//! lines around a fault, and `serve` prints diagnostics where the journal keeps them.

/// Keys whose value is a secret, wherever they stand. `header` only if it holds a value too.
const KEYS: [&str; 7] = ["password", "passwd", "pass", "secret", "token", "key", "header"];

/// The same text, octet for octet as long, with stars in place of secrets.
pub fn masked(text: &str) -> String {
    text.split_inclusive('\n').map(mask_line).collect()
}

/// Masks what follows each `KEY =`, up to the end of its quotes, or of the line where they are not closed.
fn mask_line(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((at, key)) = first_key(rest) {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
        let end = match quote {
            Some(quote) => after[1..].find(quote).map_or(after.len(), |i| i + 2),
            None => after.find([',', '}', '#']).unwrap_or(after.len()),
        };
        let (value, tail) = after.split_at(end);
        if key == "header" && !value.contains(':') {
            out.push_str(value);
        } else {
            out.extend(value.chars().map(|c| if matches!(c, '"' | '\'' | '\r' | '\n') { c.to_string() } else { "*".repeat(c.len_utf8()) }));
        }
        rest = tail;
    }
    out.push_str(rest);
    mask_url(out)
}

/// Masks the password of `scheme://user:password@host`.
fn mask_url(line: String) -> String {
    let Some((front, rest)) = line.split_once("://") else { return line };
    let authority = rest.find(['/', '"', '\'', ' ', '?', '#']).map_or(rest, |end| &rest[..end]);
    let Some((user, _)) = authority.rsplit_once('@') else { return line };
    let Some((name, password)) = user.split_once(':') else { return line };
    let stars: String = password.chars().map(|c| "*".repeat(c.len_utf8())).collect();
    format!("{front}://{name}:{stars}{}", &rest[user.len()..])
}

/// Where the value of the first secret key begins.
fn first_key(text: &str) -> Option<(usize, &'static str)> {
    text.match_indices('=').find_map(|(at, _)| {
        let word = text[..at].trim_end().trim_matches(['"', '\'']);
        let key = KEYS.into_iter().find(|key| {
            word.to_ascii_lowercase().strip_suffix(key).is_some_and(|front| !front.ends_with(|c: char| c.is_ascii_alphanumeric()))
        })?;
        let value = &text[at + 1..];
        Some((at + 1 + (value.len() - value.trim_start().len()), key))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_and_places_stay() {
        let cases = [
            ("password = \"hunter2\" # x\n", "password = \"*******\" # x\n"),
            ("outbox-password='é2'", "outbox-password='***'"),
            ("database = \"postgres://gate:hunter2@db/x\"\n", "database = \"postgres://gate:*******@db/x\"\n"),
            ("database = \"postgres://gate@db/x\" # at 10:00@noon\n", "database = \"postgres://gate@db/x\" # at 10:00@noon\n"),
            ("password = hunter2\n", "password = *******\n"),
            ("password = \"hunter2\n", "password = \"*******\n"),
            ("trust = { header = \"X-T: abc\", key = 5 }", "trust = { header = \"********\", key = **}"),
            ("header = \"X-Council\"", "header = \"X-Council\""),
            ("password-file = \"secrets/p\"\n", "password-file = \"secrets/p\"\n"),
            ("monkey = \"x\"", "monkey = \"x\""),
            ("", ""),
            ("=", "="),
        ];
        for (text, shown) in cases {
            assert_eq!(masked(text), shown);
            assert_eq!(masked(text).len(), text.len());
        }
    }
}
