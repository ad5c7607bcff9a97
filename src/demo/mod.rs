//! A whole council on loopback.

pub mod shipped;
