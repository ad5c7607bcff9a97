//! A tiny mail client: one message, one connection, every reply waited for.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The last reply that a client heard, every line of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub code: u16,
    pub text: String,
}

impl Heard {
    /// The connection failed.
    pub fn nothing(error: io::Error) -> Heard {
        Heard { code: 0, text: format!("(no reply: {error})") }
    }
}

const TIMEOUT: Duration = Duration::from_secs(60);
const LINE_LIMIT: u64 = 64 * 1024;

/// Sends one message, its lines ended by CRLF. The first refusal ends it and is what was heard.
pub fn send(to: SocketAddr, login: Option<(&str, &str)>, reverse_path: &str, recipients: &[String], octets: &[u8]) -> io::Result<Heard> {
    let socket = TcpStream::connect(to)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    let mut talk = Talk { reader: BufReader::new(socket.try_clone()?), socket };
    let mut commands = vec!["EHLO laptop.demo\r\n".to_owned()];
    if let Some((user, password)) = login {
        commands.push(format!("AUTH PLAIN {}\r\n", STANDARD.encode(format!("\0{user}\0{password}"))));
    }
    commands.push(format!("MAIL FROM:<{reverse_path}>\r\n"));
    commands.extend(recipients.iter().map(|r| format!("RCPT TO:<{r}>\r\n")));
    commands.push("DATA\r\n".into());
    let mut heard = talk.hear()?;
    for command in &commands {
        if !matches!(heard.code / 100, 2 | 3) {
            return Ok(heard);
        }
        heard = talk.say(command.as_bytes())?;
    }
    if heard.code == 354 {
        heard = talk.say(&stuffed(octets))?;
    }
    let _ = talk.say(b"QUIT\r\n");
    Ok(heard)
}

struct Talk {
    socket: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Talk {
    fn say(&mut self, octets: &[u8]) -> io::Result<Heard> {
        self.socket.write_all(octets)?;
        self.hear()
    }

    fn hear(&mut self) -> io::Result<Heard> {
        let mut text = String::new();
        loop {
            let mut line = Vec::new();
            io::Read::take(&mut self.reader, LINE_LIMIT).read_until(b'\n', &mut line)?;
            if line.last() != Some(&b'\n') {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let more = line.as_bytes().get(3) == Some(&b'-');
            text.push_str(&line);
            if !more {
                let code = line.get(..3).and_then(|c| c.parse().ok()).unwrap_or(0);
                return Ok(Heard { code, text });
            }
            text.push('\n');
            if text.len() as u64 > LINE_LIMIT {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a reply without end"));
            }
        }
    }
}

/// RFC 5321 §4.5.2, and the dot that ends it.
fn stuffed(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len() + 8);
    for line in octets.split_inclusive(|&b| b == b'\n') {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    if !out.is_empty() && !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_stuffed() {
        assert_eq!(stuffed(b".a\r\nb.\r\n..\r\n"), b"..a\r\nb.\r\n...\r\n.\r\n");
        assert_eq!(stuffed(b""), b".\r\n");
        assert_eq!(stuffed(b"a"), b"a\r\n.\r\n");
    }
}
