//! Transfer encodings, read leniently (RFC 2045 §6).
