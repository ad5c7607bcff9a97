//! All integration tests in one binary: linking twenty costs more than running them.

mod bad_sites;
mod demo;
mod rule_cases;
