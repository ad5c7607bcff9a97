//! Earlier messages within a text, as mail programs put them there in the languages that councils meet.

/// What a line says of what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// "Begin forwarded message:" and its kind: only forwarding writes it.
    Forwarded,
    /// "-----Original Message-----" and its kind: replies have it too.
    Original,
}

const FORWARDED: &[&str] = &[
    "forwarded message",
    "begin forwarded message",
    "weitergeleitete nachricht",
    "anfang der weitergeleiteten nachricht",
    "message transféré",
    "message transmis",
    "début du message transféré",
    "début du message réexpédié",
    "mensaje reenviado",
    "inicio del mensaje reenviado",
    "messaggio inoltrato",
    "inizio messaggio inoltrato",
    "doorgestuurd bericht",
    "begin doorgestuurd bericht",
    "mensagem encaminhada",
    "início da mensagem reencaminhada",
    "início da mensagem encaminhada",
    "vidarebefordrat meddelande",
    "videresendt meddelelse",
    "videresendt melding",
    "välitetty viesti",
    "przekazana wiadomość",
    "wiadomość przekazana dalej",
    "początek przekazywanej wiadomości",
    "początek przekazanej wiadomości",
    "neges a anfonwyd ymlaen",
    "neges wedi'i hanfon ymlaen",
    "neges ymlaen",
];
const ORIGINAL: &[&str] = &[
    "original message",
    "original appointment",
    "ursprüngliche nachricht",
    "originalnachricht",
    "message d'origine",
    "message original",
    "mensaje original",
    "messaggio originale",
    "oorspronkelijk bericht",
    "mensagem original",
    "ursprungligt meddelande",
    "oprindelig meddelelse",
    "alkuperäinen viesti",
    "wiadomość oryginalna",
    "oryginalna wiadomość",
    "pôvodná správa",
    "původní zpráva",
    "eredeti üzenet",
    "neges wreiddiol",
];

const FROM: &[&str] = &["from", "von", "de", "da", "van", "från", "fra", "lähettäjä", "od", "oddi wrth", "o"];
const SENT: &[&str] = &[
    "sent",
    "date",
    "gesendet",
    "datum",
    "envoyé",
    "enviado",
    "fecha",
    "inviato",
    "data",
    "verzonden",
    "skickat",
    "sendt",
    "dato",
    "lähetetty",
    "wysłano",
    "wysłane",
    "enviada",
    "enviada em",
    "enviado em",
    "enviado el",
    "anfonwyd",
    "dyddiad",
];
const TO: &[&str] = &[
    "to",
    "subject",
    "an",
    "betreff",
    "à",
    "a",
    "objet",
    "para",
    "assunto",
    "asunto",
    "oggetto",
    "aan",
    "onderwerp",
    "till",
    "ämne",
    "til",
    "emne",
    "vastaanottaja",
    "aihe",
    "do",
    "temat",
    "at",
    "i",
    "pwnc",
];

/// What this line opens, if anything.
pub(super) fn opening(line: &str) -> Option<Opening> {
    let bare = bare(line);
    let dashed = bare.starts_with("---") || bare.starts_with("___") || bare.starts_with("===");
    let words = bare.trim_matches(['-', '_', '=', ' ', '\u{a0}']).trim_end_matches([':', ' ', '\u{a0}']);
    // A sentence that only speaks of such a message is longer.
    if words.len() > 60 || words.is_empty() {
        return None;
    }
    let words = words.to_lowercase().replace('\u{2019}', "'");
    let is = |list: &[&str]| list.contains(&words.as_str());
    // Without dashes only the forms that end with a colon are a mail program's.
    let alone = bare.ends_with(':') && words.split_whitespace().count() >= 3;
    if (dashed || alone) && is(FORWARDED) || dashed && words.starts_with("forwarded by ") {
        return Some(Opening::Forwarded);
    }
    (dashed && is(ORIGINAL)).then_some(Opening::Original)
}

/// The address in the From line of the first earlier message: below a divider, or in a block of fields that stands for itself.
pub(super) fn first_sender(text: &str) -> Option<String> {
    const LOOKED_AT: usize = 5_000;
    let lines: Vec<&str> = text.lines().take(LOOKED_AT).collect();
    let start = (0..lines.len()).find(|&i| opening(lines[i]) == Some(Opening::Original) || is_block(&lines, i))?;
    lines[start..].iter().take(9).find_map(|line| value(line, FROM)).and_then(address)
}

/// A From line with a date and a recipient or subject soon below.
fn is_block(lines: &[&str], i: usize) -> bool {
    value(lines[i], FROM).is_some()
        && lines[i + 1..].iter().take(4).any(|l| value(l, SENT).is_some())
        && lines[i + 1..].iter().take(7).any(|l| value(l, TO).is_some())
}

/// What stands behind one of these labels and its colon.
fn value<'l>(line: &'l str, labels: &[&str]) -> Option<&'l str> {
    let bare = bare(line);
    // No label is longer, in octets.
    let colon = bare.as_bytes().iter().take(24).position(|b| *b == b':')?;
    let label = bare[..colon].trim_matches(|c: char| c.is_whitespace() || c == '*').to_lowercase();
    labels.contains(&label.as_str()).then(|| bare[colon + 1..].trim_matches(|c: char| c.is_whitespace() || c == '*'))
}

/// The line without quote marks and emphasis.
fn bare(line: &str) -> &str {
    line.trim_matches(|c: char| c.is_whitespace() || matches!(c, '>' | '*' | '|'))
}

/// The first address in the rest of a From line, in normal form.
fn address(rest: &str) -> Option<String> {
    let token = rest
        .split(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '[' | ']' | '(' | ')' | '"' | '\'' | ',' | ';' | '*' | '|'))
        .find(|t| t.contains('@'))?;
    let token = token.strip_prefix("mailto:").unwrap_or(token);
    let (local, domain) = token.rsplit_once('@')?;
    (!local.is_empty() && domain.contains('.')).then(|| crate::smtp::address::normal(local, domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openings() {
        for line in [
            "---------- Forwarded message ---------",
            "---------- Forwarded message ----------",
            "-------- Forwarded Message --------",
            "Begin forwarded message:",
            "> Begin forwarded message:",
            "Anfang der weitergeleiteten Nachricht:",
            "Début du message réexpédié :",
            "-------- Message transféré --------",
            "---------- Neges a anfonwyd ymlaen ----------",
            "> Początek przekazywanej wiadomości:",
            "Início da mensagem reencaminhada:",
            "----- Forwarded by Jo Elm/Wragby on 03/05/2026 -----",
        ] {
            assert_eq!(opening(line), Some(Opening::Forwarded), "{line}");
        }
        for line in
            ["-----Original Message-----", "-----Ursprüngliche Nachricht-----", "-----Message d’origine-----", "-----Neges Wreiddiol-----"]
        {
            assert_eq!(opening(line), Some(Opening::Original), "{line}");
        }
        for line in [
            "The forwarded message says so.",
            "Forwarded message",
            "forwarded message:",
            "Original message",
            "-----",
            "",
            "--- our original message to residents was clear ---",
        ] {
            assert_eq!(opening(line), None, "{line}");
        }
    }

    #[test]
    fn senders() {
        for (text, sender) in [
            ("-----Original Message-----\nFrom: Bob <bob@aol.com>\nTo: us", Some("bob@aol.com")),
            ("See below.\n\nFrom: Bob <Bob@AOL.com>\nSent: 3 May 2026\nTo: us\nSubject: x\n", Some("bob@aol.com")),
            ("Von: Bob [mailto:bob@aol.com]\nGesendet: Montag\nAn: wir\nBetreff: x", Some("bob@aol.com")),
            ("De : Bob <bob@aol.com>\nEnvoyé : lundi\nÀ : nous\nObjet : x", Some("bob@aol.com")),
            ("Oddi wrth: Bob <bob@aol.com>\nAnfonwyd: dydd Llun\nAt: ni\nPwnc: x", Some("bob@aol.com")),
            ("*From:* Bob <bob@aol.com>\n*Sent:* 3 May\n*To:* us\n*Subject:* x", Some("bob@aol.com")),
            ("> From: bob@aol.com\n> Date: 3 May\n> To: us\n", Some("bob@aol.com")),
            ("From: Bob Smith\nSent: 3 May\nTo: us", None),
            ("From: 7 pm we meet\nSee you", None),
            ("From: bob@aol.com (his new address)\nPlease note it.", None),
            ("Date: 3 May\nFrom: bob@aol.com", None),
        ] {
            assert_eq!(first_sender(text).as_deref(), sender, "{text:?}");
        }
    }
}
