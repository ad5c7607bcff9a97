//! The sample mail: a week of a parish council's post, and what should become of each.

use super::letter;

/// One message to send.
pub struct Sample {
    pub title: &'static str,
    /// The sender's address in the envelope, and the account that logs in.
    pub sender: &'static str,
    text: &'static str,
    pub expected: Expected,
    /// The rule that one would think of first.
    pub rule: &'static str,
    /// Whether the sender should get a notice from the gateway.
    pub notice: bool,
}

/// What should become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Delivered to everybody, the outsiders' addresses in no header field, the body untouched.
    Hidden,
    /// 550 5.7.1, and nothing reaches the mailbox.
    Refused,
    /// Delivered byte for byte, with one Received field in front.
    Untouched,
}

const CLERK: &str = "clerk@wragbyparishcouncil.gov.uk";

const HIDE: &str = "hide-recipients";
const ENCRYPT: &str = "confidential-must-be-encrypted";
const FORWARD: &str = "forward-to-own-account";

pub const ALL: &[Sample] = &[
    Sample {
        title: "The agenda goes to seventeen residents, all named in To",
        sender: CLERK,
        text: include_str!("samples/agenda-to-residents.eml"),
        expected: Expected::Hidden,
        rule: HIDE,
        notice: true,
    },
    Sample {
        title: "A grievance, marked confidential, is sent in the clear",
        sender: CLERK,
        text: include_str!("samples/confidential-in-clear.eml"),
        expected: Expected::Refused,
        rule: ENCRYPT,
        notice: true,
    },
    Sample {
        title: "The same again, the notes in a ZIP with a password (AES)",
        sender: CLERK,
        text: include_str!("samples/confidential-in-zip.eml"),
        expected: Expected::Untouched,
        rule: ENCRYPT,
        notice: false,
    },
    Sample {
        title: "Confidential, and encrypted with S/MIME",
        sender: CLERK,
        text: include_str!("samples/confidential-in-smime.eml"),
        expected: Expected::Untouched,
        rule: ENCRYPT,
        notice: false,
    },
    Sample {
        title: "A councillor forwards a quotation to his own Gmail",
        sender: "peter.elm@wragbyparishcouncil.gov.uk",
        text: include_str!("samples/forward-to-own-gmail.eml"),
        expected: Expected::Untouched,
        rule: FORWARD,
        notice: true,
    },
    Sample {
        title: "Nine councillors and four county officers, who work together",
        sender: CLERK,
        text: include_str!("samples/county-officers.eml"),
        expected: Expected::Untouched,
        rule: HIDE,
        notice: false,
    },
    Sample {
        title: "An ordinary reply to a resident at Gmail",
        sender: CLERK,
        text: include_str!("samples/reply-to-resident.eml"),
        expected: Expected::Untouched,
        rule: FORWARD,
        notice: false,
    },
    Sample {
        title: "The word \"confidential\" only in the legal footer",
        sender: "alice.thorn@wragbyparishcouncil.gov.uk",
        text: include_str!("samples/legal-footer.eml"),
        expected: Expected::Untouched,
        rule: ENCRYPT,
        notice: false,
    },
];

impl Sample {
    /// The message with CRLF line ends, whatever the file has.
    pub fn octets(&self) -> Vec<u8> {
        self.text.lines().flat_map(|line| [line.as_bytes(), b"\r\n"].concat()).collect()
    }

    /// Everybody in To and Cc.
    pub fn recipients(&self, octets: &[u8]) -> Vec<String> {
        ["To", "Cc"].iter().filter_map(|name| letter::field(octets, name)).flat_map(|value| letter::bracketed(&value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_whole() {
        for sample in ALL {
            let octets = sample.octets();
            assert!(letter::message_id(&octets).is_some() && letter::field(&octets, "Date").is_some(), "{}", sample.title);
            assert!(letter::field(&octets, "From").unwrap().contains(sample.sender), "{}", sample.title);
            assert!(!sample.recipients(&octets).is_empty() && !letter::split(&octets).1.is_empty(), "{}", sample.title);
            assert_eq!(memchr::memchr_iter(b'\n', &octets).count(), memchr::memmem::find_iter(&octets, b"\r\n").count());
        }
        assert_eq!(ALL[0].recipients(&ALL[0].octets()).len(), 18);
        assert_eq!(ALL[5].recipients(&ALL[5].octets()).len(), 13);
    }
}
