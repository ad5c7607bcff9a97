//! Field text: unfolding, encoded words, charsets (RFC 5322 §2.2.3, RFC 2047).
