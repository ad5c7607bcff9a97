//! The one integration-test binary.

mod bad_sites;
mod rule_cases;
