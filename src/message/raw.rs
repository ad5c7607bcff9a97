//! The octets of a message, dot-stuffing undone, every line ended by CRLF.

/// A whole message as it was received. Immutable once made; cheap to share by reference, never copied.
#[derive(PartialEq, Eq)]
pub struct RawMessage {
    bytes: Vec<u8>,
}

impl RawMessage {
    /// `bytes` must have no bare CR or LF: the data machine (`smtp::data`) refuses or mends those before.
    pub fn new(bytes: Vec<u8>) -> RawMessage {
        RawMessage { bytes }
    }

    /// The buffer, to be used for another message.
    pub fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Shows no content: this is what reaches a log by accident.
impl std::fmt::Debug for RawMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RawMessage({} octets)", self.bytes.len())
    }
}
