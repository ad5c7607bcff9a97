//! Faults of the site file and the rules, gathered so that all are told at once, each with a caret and help.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{LabeledSpan, MietteDiagnostic, NamedSource};

/// A file that was read, for the caret.
#[derive(Clone, Debug)]
pub struct Source {
    pub name: String,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The program does not start, or keeps what it had.
    Error,
    /// The program runs; the operator should know.
    Warning,
}

/// One fault: what is wrong, where, and what to write instead.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    pub level: Level,
    pub message: String,
    pub help: Option<String>,
    /// The file and the octets in it that are at fault.
    pub at: Option<(Arc<Source>, Range<usize>)>,
}

/// All faults found so far.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    pub fn new() -> Diagnostics {
        Diagnostics::default()
    }

    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    pub fn error(&mut self, source: &Arc<Source>, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.add(Level::Error, Some((source.clone(), span)), message.into(), help.into());
    }

    pub fn warning(&mut self, source: &Arc<Source>, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.add(Level::Warning, Some((source.clone(), span)), message.into(), help.into());
    }

    /// A fault of no place in a file, such as a file that cannot be read.
    pub fn error_without_place(&mut self, message: impl Into<String>, help: impl Into<String>) {
        self.add(Level::Error, None, message.into(), help.into());
    }

    /// What the operator should know of no place in a file.
    pub fn warning_without_place(&mut self, message: impl Into<String>, help: impl Into<String>) {
        self.add(Level::Warning, None, message.into(), help.into());
    }

    fn add(&mut self, level: Level, at: Option<(Arc<Source>, Range<usize>)>, message: String, help: String) {
        self.list.push(Diagnostic { level, message, help: (!help.is_empty()).then_some(help), at });
    }

    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|d| d.level == Level::Error)
    }

    pub fn count_errors(&self) -> usize {
        self.list.iter().filter(|d| d.level == Level::Error).count()
    }

    pub fn count_warnings(&self) -> usize {
        self.list.len() - self.count_errors()
    }

    /// Puts the faults of each file in the order of their places; those of no place come first, and files keep their order.
    pub fn sort(&mut self) {
        let mut files: Vec<String> = Vec::new();
        for (source, _) in self.list.iter().filter_map(|d| d.at.as_ref()) {
            if !files.contains(&source.name) {
                files.push(source.name.clone());
            }
        }
        self.list.sort_by_key(|d| d.at.as_ref().map(|(source, span)| (files.iter().position(|f| *f == source.name), span.start)));
    }

    /// Shows another text of the same length in place of `old`'s.
    pub fn replace_source(&mut self, old: &Arc<Source>, new: &Arc<Source>) {
        for (source, _) in self.list.iter_mut().filter_map(|d| d.at.as_mut()) {
            if Arc::ptr_eq(source, old) {
                *source = new.clone();
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    pub fn extend(&mut self, other: Diagnostics) {
        self.list.extend(other.list);
    }

    /// Every fault as text with carets, without colour.
    pub fn render(&self) -> String {
        let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor()).with_width(100);
        let mut out = String::new();
        for diagnostic in &self.list {
            let mut shown = MietteDiagnostic::new(diagnostic.message.clone());
            shown.severity = Some(match diagnostic.level {
                Level::Error => miette::Severity::Error,
                Level::Warning => miette::Severity::Warning,
            });
            shown.help = diagnostic.help.clone();
            let report = match &diagnostic.at {
                Some((source, span)) => {
                    shown.labels = Some(vec![LabeledSpan::new_with_span(None, span.clone())]);
                    miette::Report::new(shown).with_source_code(NamedSource::new(&source.name, source.text.clone()))
                }
                None => miette::Report::new(shown),
            };
            // The handler writes to a String, which cannot fail; a fault in a span must not hide the message.
            if handler.render_report(&mut out, report.as_ref()).is_err() {
                out.push_str(&diagnostic.message);
                out.push('\n');
            }
        }
        out
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render())
    }
}
