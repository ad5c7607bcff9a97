//! The wire: listeners, TLS, connections to upstreams and their reuse, limits on who may connect.
//!
//! Nothing here knows a rule or a message's fields. It moves octets between sockets and the machines of `smtp`, and never waits
//! without a deadline.

pub mod connection;
pub mod limits;
pub mod listen;
pub mod pool;
pub mod stream;
pub mod timer;
pub mod tls;

pub use connection::{Connection, UpstreamError};
pub use pool::Pool;
pub use stream::Stream;
pub use timer::Timer;
