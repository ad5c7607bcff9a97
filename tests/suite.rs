//! All integration tests in one binary.

mod rule_cases;
