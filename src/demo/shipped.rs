//! The rules that come with Lychgate for a council like Wragby, compiled in, so that the demo and the benchmark run from anywhere.

/// File name and text of each rule file.
pub const RULES: &[(&str, &str)] = &[
    ("00-in-confidence.toml", include_str!("../../rules/wragby/00-in-confidence.toml")),
    ("10-recipients.toml", include_str!("../../rules/wragby/10-recipients.toml")),
    ("20-confidential.toml", include_str!("../../rules/wragby/20-confidential.toml")),
    ("30-personal-accounts.toml", include_str!("../../rules/wragby/30-personal-accounts.toml")),
    ("40-care.toml", include_str!("../../rules/wragby/40-care.toml")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_here() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/wragby");
        let mut names: Vec<String> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        // The clauses are compiled into the reader of rules; the policy's text is for `policy lint`.
        names.retain(|n| n != "clauses.toml" && n != "policy.txt");
        assert_eq!(names, RULES.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }
}
