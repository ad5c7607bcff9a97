//! Event names, metrics, redaction.
