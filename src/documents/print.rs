//! Papers as text and as Markdown.

use super::{Paper, Part};

const WIDTH: usize = 80;

/// For a terminal, a letter or a plain mail.
pub fn text(paper: &Paper) -> String {
    let mut out = format!("{}\n{}\n", paper.title, "=".repeat(paper.title.chars().count()));
    for part in &paper.parts {
        out.push('\n');
        match part {
            Part::Heading(heading) => out.push_str(&format!("{heading}\n{}\n", "-".repeat(heading.chars().count()))),
            Part::Text(text) => wrap(&mut out, text, "", ""),
            Part::Quote(words, clause) => {
                wrap(&mut out, words, "    ", "    ");
                out.push_str(&format!("    ({clause})\n"));
            }
            Part::List(items) => items.iter().for_each(|item| wrap(&mut out, item, "- ", "  ")),
            Part::Table(head, rows) => {
                for row in rows {
                    for (name, cell) in head.iter().zip(row) {
                        let named = if name.is_empty() { cell.clone() } else { format!("{name}: {cell}") };
                        wrap(&mut out, &named, "  ", "    ");
                    }
                    out.push('\n');
                }
            }
        }
    }
    out
}

/// For a website, or to be edited further.
pub fn markdown(paper: &Paper) -> String {
    let mut out = format!("# {}\n", escaped(&paper.title));
    for part in &paper.parts {
        out.push('\n');
        match part {
            Part::Heading(heading) => out.push_str(&format!("## {}\n", escaped(heading))),
            Part::Text(text) => out.push_str(&format!("{}\n", escaped(text))),
            Part::Quote(words, clause) => out.push_str(&format!("> {}\n>\n> ({})\n", escaped(words), escaped(clause))),
            Part::List(items) => items.iter().for_each(|item| out.push_str(&format!("- {}\n", escaped(item)))),
            Part::Table(head, rows) => {
                let row = |cells: &[String]| {
                    format!("| {} |\n", cells.iter().map(|c| escaped(c).replace('|', "\\|")).collect::<Vec<_>>().join(" | "))
                };
                out.push_str(&row(head));
                out.push_str(&format!("|{}\n", "---|".repeat(head.len())));
                rows.iter().for_each(|cells| out.push_str(&row(cells)));
            }
        }
    }
    out
}

/// Words of rules and names are words: no mark-up, no second line.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => out.push(' '),
            '*' | '_' | '`' | '<' | '>' | '[' | ']' | '#' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

fn wrap(out: &mut String, text: &str, first: &str, next: &str) {
    let mut line = String::from(first);
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(&line);
            out.push('\n');
            line = String::from(next);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    out.push_str(&line);
    out.push('\n');
}
