//! The operator's input: what a file may say (`options`), what the program runs on (`settings`), and every fault at once
//! (`diagnostics`), each with its file, line and a word of help. `rules` turns rule files into a `policy::Policy`.

pub mod diagnostics;
pub mod settings;

pub use diagnostics::{Diagnostic, Diagnostics, Level, Source};
pub use settings::Settings;
