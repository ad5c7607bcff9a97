//! The rules that come with Lychgate, compiled in, so that the demo and the benchmark run from anywhere.

/// File name and text of each rule file.
pub const RULES: &[(&str, &str)] = &[("rules.toml", include_str!("shipped.toml"))];
