//! The forms that numbers with a unit take in the site file and in rules: durations, sizes, dates, addresses of sockets.
//!
//! Pure: text in, value or a fault in plain words out. RFC 9557 and ISO 8601 periods were left out on purpose: a Clerk writes "30d".

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::settings::Network;

/// What is wrong with a value, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    pub message: String,
    pub help: String,
}

impl Fault {
    pub fn new(message: impl Into<String>, help: impl Into<String>) -> Fault {
        Fault { message: message.into(), help: help.into() }
    }
}

/// A century: what is longer is a slip of the keyboard, and must not overflow a date later.
const LONGEST: u64 = 100 * 366 * 86_400;

/// `30s`, `10min`, `2h`, `90d`.
pub fn duration(text: &str) -> Result<Duration, Fault> {
    let (number, unit) = split(text);
    let wanted = "Write a whole number and a unit, such as \"30s\", \"10min\", \"2h\" or \"90d\".";
    let factor = match unit {
        "s" => 1,
        "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "m" => {
            return Err(Fault::new(
                format!("\"{text}\" could mean minutes or months"),
                format!("Write \"{number}min\" for minutes; months are written in days, such as \"30d\"."),
            ));
        }
        "" if !number.is_empty() => return Err(Fault::new(format!("\"{text}\" has no unit"), wanted)),
        _ => return Err(Fault::new(format!("\"{text}\" is not a length of time"), wanted)),
    };
    let number: u64 = number.parse().map_err(|_| Fault::new(format!("\"{text}\" is not a length of time"), wanted))?;
    match number.checked_mul(factor) {
        Some(seconds) if seconds <= LONGEST => Ok(Duration::from_secs(seconds)),
        _ => Err(Fault::new(format!("\"{text}\" is longer than a hundred years"), wanted)),
    }
}

/// `500kB`, `35MB`, `1GB`: thousands, as mail providers count.
pub fn size(text: &str) -> Result<u64, Fault> {
    let (number, unit) = split(text);
    let wanted = "Write a whole number and a unit, such as \"500kB\", \"35MB\" or \"1GB\".";
    let factor: u64 = match unit {
        "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" | "MiB" | "GiB" => {
            return Err(Fault::new(
                format!("\"{text}\" counts in 1024s, and sizes here count in thousands"),
                "Write \"35MB\" for 35,000,000 bytes.",
            ));
        }
        "" if !number.is_empty() => return Err(Fault::new(format!("\"{text}\" has no unit"), wanted)),
        _ => return Err(Fault::new(format!("\"{text}\" is not a size"), wanted)),
    };
    let number: u64 = number.parse().map_err(|_| Fault::new(format!("\"{text}\" is not a size"), wanted))?;
    number.checked_mul(factor).filter(|&n| n <= 1 << 48).ok_or_else(|| Fault::new(format!("\"{text}\" is too large"), wanted))
}

/// The digits in front and what follows them.
fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// `2026-05-14` in quotes, or a date in another country's order, explained.
pub fn date(text: &str) -> Result<jiff::civil::Date, Fault> {
    text.parse().map_err(|_| {
        Fault::new(format!("\"{text}\" is not a date"), other_order(text).unwrap_or_else(|| "Write the year first: 2026-05-14.".into()))
    })
}

/// `23/03/2027` or `23.3.2027` as the year-first date that was probably meant.
pub fn other_order(text: &str) -> Option<String> {
    let mut parts = text.trim().split(['/', '.', '-']);
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 {
        return None;
    }
    let date = jiff::civil::Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()?;
    Some(format!("Write the year first: {date}."))
}

/// `2027-05`: the last day of that month.
pub fn month(text: &str) -> Result<jiff::civil::Date, Fault> {
    let parts = text.split_once('-').filter(|(year, month)| year.len() == 4 && month.len() == 2);
    let first = parts.and_then(|(year, month)| jiff::civil::Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok());
    first.map(|day| day.last_of_month()).ok_or_else(|| {
        let help = match text.parse::<jiff::civil::Date>() {
            Ok(day) => format!("Write the month alone: \"{}\".", day.strftime("%Y-%m")),
            Err(_) => "Write year and month: \"2027-05\".".into(),
        };
        Fault::new(format!("\"{text}\" is not a month"), help)
    })
}

/// `08:00`, by the council's clock.
pub fn clock(text: &str) -> Result<jiff::civil::Time, Fault> {
    let digits = |t: &str| t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit());
    let parts = text.split_once(':').filter(|(hour, minute)| digits(hour) && digits(minute));
    parts.and_then(|(hour, minute)| jiff::civil::Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()).ok_or_else(|| {
        Fault::new(format!("\"{text}\" is not a time of day"), "Write hours and minutes, from \"00:00\" to \"23:59\": \"08:00\".")
    })
}

/// `127.0.0.1:2525`, `[::1]:25`, `localhost:25`.
pub fn socket(text: &str) -> Result<SocketAddr, Fault> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Some(port) = text.strip_prefix("localhost:").and_then(|p| p.parse().ok()) {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    let help = if text.parse::<IpAddr>().is_ok() {
        format!("Add the port: \"{}\".", if text.contains(':') { format!("[{text}]:25") } else { format!("{text}:25") })
    } else if text.starts_with(':') || text.starts_with("*:") {
        "To listen on every address write \"0.0.0.0:25\" (IPv4) or \"[::]:25\" (IPv6 and IPv4).".into()
    } else {
        "Write a number address and a port, such as \"127.0.0.1:2525\".".into()
    };
    Err(Fault::new(format!("\"{text}\" is not an address to listen on"), help))
}

/// `host:port` of an upstream; the host is a name, an IPv4 address, or an IPv6 address in brackets.
pub fn host_port(text: &str) -> Result<(String, u16), Fault> {
    let wrong = |help: &str| Fault::new(format!("\"{text}\" is not a host and port"), help);
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(wrong(&format!("Put the IPv6 address in brackets and add the port: \"[{text}]:25\".")));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(wrong(&format!(
            "Add the port: \"{text}:587\" for STARTTLS, \"{text}:465\" for implicit TLS, \"{text}:25\" between servers."
        )));
    };
    let port: u16 = match port.parse() {
        Ok(port) if port != 0 => port,
        _ => return Err(wrong("The port is a number from 1 to 65535.")),
    };
    let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let host = match inner {
        Some(inner) if inner.parse::<Ipv6Addr>().is_ok() => inner,
        Some(_) => return Err(wrong("Only an IPv6 address goes in brackets.")),
        None if is_host_name(host) => host,
        None => return Err(wrong("Write a name or a number address, such as \"smtp.provider.example:587\".")),
    };
    Ok((host.to_owned(), port))
}

/// Whether a host reaches this machine only.
pub fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|a| a.to_canonical().is_loopback())
}

/// A name as it may stand in DNS (RFC 1123 §2.1), or an IPv4 address.
pub fn is_host_name(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    !text.is_empty()
        && text.len() <= 253
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

/// `192.0.2.0/24`, or one address.
pub fn network(text: &str) -> Result<Network, Fault> {
    let wanted = "Write an address and how many of its bits count, such as \"192.0.2.0/24\", or one address.";
    let wrong = || Fault::new(format!("\"{text}\" is not a network"), wanted);
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u8>().map_err(|_| wrong())?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    match prefix {
        Some(prefix) if prefix > bits => Err(wrong()),
        Some(0) => Err(Fault::new(format!("\"{text}\" is the whole internet"), "Name the networks of the provider that connects here.")),
        prefix => Ok(Network { address, prefix: prefix.unwrap_or(bits) }),
    }
}

/// 32 octets in base64 (RFC 4648 §4), with or without padding.
pub fn base64_32(text: &str) -> Option<[u8; 32]> {
    let text = text.trim().trim_end_matches('=');
    let mut out = Vec::with_capacity(32);
    let (mut bits, mut count) = (0u32, 0u32);
    for c in text.bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
        if out.len() > 32 {
            return None;
        }
    }
    out.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [("2s", 2), ("10min", 600), ("2h", 7_200), ("90d", 7_776_000), ("0s", 0)] {
            assert_eq!(duration(text).unwrap().as_secs(), seconds);
        }
        for text in ["", "d", "30", "-1d", "1.5h", "30 d", "99999999999999999999d", "40000d", "5w", "10M"] {
            assert!(duration(text).is_err(), "{text}");
        }
        let fault = duration("30m").unwrap_err();
        assert_eq!(fault.message, "\"30m\" could mean minutes or months");
        assert_eq!(fault.help, "Write \"30min\" for minutes; months are written in days, such as \"30d\".");
    }

    #[test]
    fn sizes() {
        assert_eq!(size("35MB").unwrap(), 35_000_000);
        assert_eq!(size("500kB").unwrap(), 500_000);
        for text in ["", "35", "35MiB", "35mb", "-1MB", "99999999GB", "18446744073709551615GB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn dates() {
        assert_eq!(date("2026-05-14").unwrap().to_string(), "2026-05-14");
        assert_eq!(date("23/03/2027").unwrap_err().help, "Write the year first: 2027-03-23.");
        assert_eq!(other_order("31/02/2027"), None);
    }

    #[test]
    fn hosts_and_networks() {
        assert_eq!(host_port("smtp.x.example:587").unwrap(), ("smtp.x.example".into(), 587));
        assert_eq!(host_port("[::1]:25").unwrap(), ("::1".into(), 25));
        for text in ["smtp.x.example", "::1", "[x]:25", "x:0", "x:99999", "a b:25", ":25", ""] {
            assert!(host_port(text).is_err(), "{text}");
        }
        assert!(is_loopback("127.9.9.9") && is_loopback("localhost") && is_loopback("::1") && !is_loopback("192.0.2.1"));
        assert!(network("192.0.2.0/24").unwrap().contains("192.0.2.77".parse().unwrap()));
        assert!(!network("192.0.2.1").unwrap().contains("192.0.2.2".parse().unwrap()));
        for text in ["192.0.2.0/33", "x", "0.0.0.0/0", "::/0", "1.2.3.4/"] {
            assert!(network(text).is_err(), "{text}");
        }
        assert_eq!(socket("localhost:25").unwrap().to_string(), "127.0.0.1:25");
        for text in [":25", "25", "0.0.0.0", "smtp.x.example:25", "::1:70000"] {
            assert!(socket(text).is_err(), "{text}");
        }
    }

    #[test]
    fn keys() {
        assert_eq!(base64_32("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=\n").unwrap()[31], 1);
        assert_eq!(base64_32("AAAA"), None);
        assert_eq!(base64_32(&"A".repeat(10_000)), None);
        assert_eq!(base64_32("not base64!"), None);
    }
}
