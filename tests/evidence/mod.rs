//! Look-ups at a name server that can be as hostile as the real world's: directly, and through the running gateway. A real virus
//! scanner is among the peers.

mod authentication;
mod signing;
mod through_the_gateway;

pub use through_the_gateway::{health, send_to};
