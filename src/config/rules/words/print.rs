//! The vocabulary as a page: for the terminal, as Markdown, as a manual page, and for scripts.

use super::{Section, Word, all, file_of};

const INTRODUCTION: &str = "Every word that a rule file may hold. Rules are judged all together and order never decides. Sizes are \"15MB\", durations \"30s\" \"10min\" \"2h\" \"7d\", days 2027-03-22, times \"19:00\" in the council's time. A value is one, or a list of several of which any fits. `lychgate check` names every fault at once; `lychgate explain` says what would happen to a message and why.";

/// For reading on a terminal. With `only`, those words and nothing else.
pub fn text(only: &[String]) -> String {
    let mut out = String::new();
    if only.is_empty() {
        fill(&mut out, 0, INTRODUCTION);
    }
    each_section(only, |section, words| {
        out.push_str(&format!("\n{}\n", section.heading().to_uppercase()));
        if only.is_empty() && !section.about().is_empty() {
            fill(&mut out, 2, section.about());
        }
        for word in words {
            out.push_str(&format!("\n  {}\n", word.word));
            if !word.form.is_empty() {
                fill(&mut out, 6, &format!("Form: {}", word.form));
            }
            fill(&mut out, 6, word.doc);
            out.push_str("      Example:\n");
            lines(&mut out, 8, word.example);
            if !word.slip.0.is_empty() {
                out.push_str("      Not:\n");
                lines(&mut out, 8, word.slip.0);
                fill(&mut out, 8, &format!("({})", word.slip.1));
            }
        }
    });
    out
}

/// For the repository and the web.
pub fn markdown(only: &[String]) -> String {
    let mut out = String::new();
    if only.is_empty() {
        out.push_str("# The words of a rule\n\n");
        out.push_str("<!-- Made by `lychgate policy words --format markdown`; a test holds it against the program. -->\n\n");
        out.push_str(&escape(INTRODUCTION));
        out.push('\n');
    }
    each_section(only, |section, words| {
        out.push_str(&format!("\n## {}\n", section.heading()));
        if only.is_empty() && !section.about().is_empty() {
            out.push_str(&format!("\n{}\n", escape(section.about())));
        }
        for word in words {
            out.push_str(&format!("\n### `{}`\n\n{}\n", word.word, escape(word.doc)));
            if !word.form.is_empty() {
                out.push_str(&format!("\nForm: {}\n", code(word.form)));
            }
            out.push_str(&format!("\n```toml\n{}\n```\n", word.example));
            if !word.slip.0.is_empty() {
                out.push_str(&format!("\nNot so (`check` says: {}):\n\n```toml\n{}\n```\n", code(word.slip.1), word.slip.0));
            }
        }
    });
    out
}

/// The manual page, `man 7 lychgate-rules`.
pub fn man(only: &[String]) -> String {
    let mut out = String::from(
        ".\\\" Made by `lychgate policy words --format man`; a test holds it against the program.\n\
         .TH LYCHGATE-RULES 7 \"\" Lychgate \"Rules of a council\"\n.SH NAME\nlychgate-rules \\- the words of a rule file\n.SH DESCRIPTION\n",
    );
    out.push_str(&roff(INTRODUCTION));
    out.push('\n');
    each_section(only, |section, words| {
        out.push_str(&format!(".SH {}\n", roff(&section.heading().to_uppercase())));
        if !section.about().is_empty() {
            out.push_str(&format!("{}\n", roff(section.about())));
        }
        for word in words {
            out.push_str(&format!(".TP\n.B {}\n{}\n", roff(word.word), roff(word.doc)));
            if !word.form.is_empty() {
                out.push_str(&format!(".br\nForm: {}\n", roff(word.form)));
            }
            out.push_str(".IP\n.EX\n");
            word.example.lines().for_each(|l| lines(&mut out, 0, &roff(l)));
            out.push_str(".EE\n");
            if !word.slip.0.is_empty() {
                out.push_str(&format!(".IP\nNot so ({}):\n.IP\n.EX\n", roff(word.slip.1)));
                word.slip.0.lines().for_each(|l| lines(&mut out, 0, &roff(l)));
                out.push_str(".EE\n");
            }
        }
    });
    out.push_str(".SH SEE ALSO\n.BR lychgate (1)\n");
    out
}

/// One object a line.
pub fn json(only: &[String]) -> String {
    let mut out = String::new();
    each_section(only, |section, words| {
        for word in words {
            let value = serde_json::json!({
                "section": section.heading(),
                "word": word.word,
                "form": word.form,
                "meaning": word.doc,
                "example": file_of(word, word.example),
            });
            out.push_str(&format!("{value}\n"));
        }
    });
    out
}

fn each_section(only: &[String], mut show: impl FnMut(Section, &[&Word])) {
    for section in Section::ALL {
        let words: Vec<&Word> = all().filter(|w| w.section == *section && (only.is_empty() || asked(w, only))).collect();
        if !words.is_empty() {
            show(*section, &words);
        }
    }
}

/// `direction`, `when.direction`, `[[list]]` and `list` all ask for the same word.
fn asked(word: &Word, only: &[String]) -> bool {
    let bare = |text: &str| text.trim_matches(['[', ']', '{', '}', '"', '.', ' ']).to_lowercase();
    only.iter().any(|o| {
        let o = bare(o);
        let o = o.strip_prefix("when.").or_else(|| o.strip_prefix("then.")).or_else(|| o.strip_prefix("unless.")).unwrap_or(&o);
        bare(word.word) == o || (word.word == "header" && o.starts_with("header."))
    })
}

fn lines(out: &mut String, indent: usize, text: &str) {
    for line in text.lines() {
        out.push_str(format!("{}{line}", " ".repeat(indent)).trim_end());
        out.push('\n');
    }
}

fn fill(out: &mut String, indent: usize, text: &str) {
    let mut column = 0;
    for word in text.split_whitespace() {
        if column > 0 && column + 1 + word.chars().count() > 96 {
            out.push('\n');
            column = 0;
        }
        if column == 0 {
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += word.chars().count();
    }
    out.push('\n');
}

/// Plain text as Markdown: what would be markup is not.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '_' | '<' | '[') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A code span that may hold backticks.
fn code(text: &str) -> String {
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

/// Plain text as roff: backslashes doubled, no line that begins with a control character.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    match text.chars().next() {
        Some('.' | '\'') => format!("\\&{text}"),
        _ => text,
    }
}
