//! A client for ClamAV's daemon: INSTREAM over a Unix socket or loopback TCP (clamd(8), "Commands").
//!
//! The message goes in chunks, each with its length in front, and an empty one at the end; the answer is one short line. Whatever
//! else comes back, however much of it and however slowly, is a fault, and the message's state is unknown.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;

use crate::config::settings::{Clamd, Scan};

/// Octets in one chunk; clamd takes up to its StreamMaxLength.
const CHUNK: usize = 64 * 1024;
/// Longer than any answer that means something.
const LONGEST_ANSWER: usize = 1024;
/// Scans at once: clamd's own MaxThreads when nobody changed it. More would wait in its queue, with less to be seen of it here.
const AT_ONCE: usize = 10;

/// One daemon.
pub struct Scanner {
    settings: Scan,
    places: Semaphore,
}

/// What the daemon said of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scanned {
    Clean,
    /// By the signature's name, for the log.
    Infected(String),
    /// Something that is no virus: an encrypted archive, a macro, a guess about links. Rules have words of their own for those.
    Remarked(String),
}

/// Why nothing is known.
#[derive(Debug, thiserror::Error)]
pub enum ScanFault {
    #[error("the virus scanner does not answer")]
    Connect(#[source] io::Error),
    #[error("the virus scanner broke off")]
    Broken(#[source] io::Error),
    #[error("the virus scanner took too long")]
    Timeout,
    #[error("the message is larger than the virus scanner takes")]
    TooLarge,
    #[error("the virus scanner could not look at all of it")]
    NotAll,
    #[error("the virus scanner failed: {0}")]
    Failed(String),
    #[error("the virus scanner gave no answer that can be understood")]
    Nonsense,
}

impl ScanFault {
    /// Whether the scanner is to blame, and not this message.
    pub fn is_the_scanners(&self) -> bool {
        !matches!(self, ScanFault::TooLarge | ScanFault::NotAll)
    }
}

impl Scanner {
    pub fn new(settings: Scan) -> Scanner {
        Scanner { settings, places: Semaphore::new(AT_ONCE) }
    }

    /// Has the message scanned. The wait for a place counts, too.
    pub async fn scan(&self, message: &[u8]) -> Result<Scanned, ScanFault> {
        if self.settings.max_size.is_some_and(|most| message.len() as u64 > most) {
            return Err(ScanFault::TooLarge);
        }
        let scan = async {
            // The semaphore is never closed.
            let _place = self.places.acquire().await;
            read_answer(&self.ask(b"zINSTREAM\0", Some(message)).await?)
        };
        tokio::time::timeout(self.settings.timeout, scan).await.unwrap_or(Err(ScanFault::Timeout))
    }

    /// Whether it is there.
    pub async fn ping(&self) -> Result<(), ScanFault> {
        let ping = async {
            match self.ask(b"zPING\0", None).await?.as_slice() {
                b"PONG" => Ok(()),
                _ => Err(ScanFault::Nonsense),
            }
        };
        tokio::time::timeout(self.settings.timeout.min(Duration::from_secs(5)), ping).await.unwrap_or(Err(ScanFault::Timeout))
    }

    async fn ask(&self, command: &[u8], content: Option<&[u8]>) -> Result<Vec<u8>, ScanFault> {
        match &self.settings.clamd {
            Clamd::Unix(path) => exchange(UnixStream::connect(path).await.map_err(ScanFault::Connect)?, command, content).await,
            Clamd::Tcp(address) => {
                let stream = TcpStream::connect(address).await.map_err(ScanFault::Connect)?;
                // Chunk lengths are small, and must not wait for one another.
                let _ = stream.set_nodelay(true);
                exchange(stream, command, content).await
            }
        }
    }
}

/// One command on a connection of its own, and the answer up to its NUL.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, command: &[u8], content: Option<&[u8]>) -> Result<Vec<u8>, ScanFault> {
    let sent = send(&mut stream, command, content).await;
    // A daemon that has had enough says so and closes, while we still write: its words are worth hearing.
    let mut answer = Vec::new();
    let mut heard = Ok(());
    while !answer.contains(&0) {
        let mut some = [0; 256];
        match stream.read(&mut some).await {
            Ok(0) => break,
            Ok(n) => answer.extend_from_slice(&some[..n]),
            Err(error) => {
                heard = Err(error);
                break;
            }
        }
        if answer.len() > LONGEST_ANSWER {
            return Err(ScanFault::Nonsense);
        }
    }
    if answer.is_empty() {
        sent.and(heard).map_err(ScanFault::Broken)?;
        return Err(ScanFault::Broken(io::ErrorKind::UnexpectedEof.into()));
    }
    let end = answer.iter().position(|b| *b == 0).ok_or(ScanFault::Nonsense)?;
    answer.truncate(end);
    Ok(answer)
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), command: &[u8], content: Option<&[u8]>) -> io::Result<()> {
    stream.write_all(command).await?;
    if let Some(content) = content {
        for chunk in content.chunks(CHUNK) {
            // CHUNK fits 32 bits.
            stream.write_all(&(chunk.len() as u32).to_be_bytes()).await?;
            stream.write_all(chunk).await?;
        }
        stream.write_all(&[0; 4]).await?;
    }
    stream.flush().await
}

/// The answer to INSTREAM, without its NUL.
fn read_answer(answer: &[u8]) -> Result<Scanned, ScanFault> {
    let text = std::str::from_utf8(answer).map_err(|_| ScanFault::Nonsense)?.trim();
    if let Some(fault) = text.strip_suffix("ERROR") {
        return Err(if fault.contains("size limit exceeded") { ScanFault::TooLarge } else { ScanFault::Failed(shown(fault)) });
    }
    match text.strip_prefix("stream: ").ok_or(ScanFault::Nonsense)? {
        "OK" => Ok(Scanned::Clean),
        found => {
            let name = found.strip_suffix(" FOUND").map(shown).filter(|name| !name.is_empty()).ok_or(ScanFault::Nonsense)?;
            judge_name(name)
        }
    }
}

/// Not everything that clamd reports is a virus. What its heuristics say of encrypted files, macros, links and account numbers is
/// asked by conditions of their own, and would refuse much good mail here; and what stopped at a limit was not seen to its end.
fn judge_name(name: String) -> Result<Scanned, ScanFault> {
    const REMARKS: [&str; 7] = [
        "Heuristics.Encrypted.",
        "Heuristics.OLE2.ContainsMacros",
        "Heuristics.Phishing.",
        "Heuristics.Safebrowsing.",
        "Heuristics.Structured.",
        "Heuristics.Broken.",
        "Heuristics.PNG.",
    ];
    if name.starts_with("Heuristics.Limits.") {
        Err(ScanFault::NotAll)
    } else if REMARKS.iter().any(|remark| name.starts_with(remark)) {
        Ok(Scanned::Remarked(name))
    } else {
        Ok(Scanned::Infected(name))
    }
}

/// A daemon's words, fit for a log.
fn shown(text: &str) -> String {
    text.trim().chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(100).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn answers() {
        let infected = |name: &str| Some(Scanned::Infected(name.into()));
        let remarked = |name: &str| Some(Scanned::Remarked(name.into()));
        for (answer, said) in [
            ("stream: OK", Some(Scanned::Clean)),
            ("stream: Win.Test.EICAR_HDB-1 FOUND", infected("Win.Test.EICAR_HDB-1")),
            ("stream: Heuristics.Encrypted.Zip FOUND", remarked("Heuristics.Encrypted.Zip")),
            ("stream: Heuristics.Encrypted.PDF FOUND", remarked("Heuristics.Encrypted.PDF")),
            ("stream: Heuristics.OLE2.ContainsMacros.VBA FOUND", remarked("Heuristics.OLE2.ContainsMacros.VBA")),
            ("stream: Heuristics.Phishing.Email.SpoofedDomain FOUND", remarked("Heuristics.Phishing.Email.SpoofedDomain")),
            ("stream: Heuristics.W32.Parite.B FOUND", infected("Heuristics.W32.Parite.B")),
            ("stream:  FOUND", None),
            ("stream: FOUND", None),
            ("stream: OK FOUND ", infected("OK")),
            ("stream: maybe", None),
            ("OK", None),
            ("", None),
            ("INSTREAM size limit exceeded. ERROR", None),
            ("stream: Can't allocate memory ERROR", None),
            ("UNKNOWN COMMAND", None),
        ] {
            assert_eq!(read_answer(answer.as_bytes()).ok(), said, "{answer}");
        }
        assert!(matches!(read_answer(b"INSTREAM size limit exceeded. ERROR"), Err(ScanFault::TooLarge)));
        assert!(matches!(read_answer(b"stream: Heuristics.Limits.Exceeded.MaxFiles FOUND"), Err(ScanFault::NotAll)));
        assert!(matches!(read_answer(b"Can't open stream ERROR"), Err(ScanFault::Failed(why)) if why == "Can't open stream"));
    }

    proptest! {
        /// Clean is said in one way only; nothing that a daemon says gets into a log raw.
        #[test]
        fn only_ok_is_clean(answer in proptest::collection::vec(any::<u8>(), 0..200), frame in any::<bool>()) {
            let mut whole = answer.clone();
            if frame {
                whole = [b"stream: ", &answer[..], b" FOUND"].concat();
            }
            match read_answer(&whole) {
                Ok(Scanned::Clean) => prop_assert_eq!(whole.trim_ascii(), b"stream: OK"),
                Ok(Scanned::Infected(name) | Scanned::Remarked(name)) => {
                    prop_assert!(!name.is_empty() && name.len() <= 100 && name.bytes().all(|b| (b' '..=b'~').contains(&b)));
                }
                Err(ScanFault::Failed(why)) => prop_assert!(why.len() <= 100 && why.bytes().all(|b| (b' '..=b'~').contains(&b))),
                Err(_) => {}
            }
        }
    }

    /// A daemon that does with each connection what `behave` says.
    async fn daemon<F: Future<Output = ()> + Send>(behave: impl Fn(TcpStream) -> F + Send + 'static, timeout: u64) -> Scanner {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                behave(stream).await;
            }
        });
        Scanner::new(Scan { clamd: Clamd::Tcp(address), timeout: Duration::from_millis(timeout), max_size: Some(1 << 20) })
    }

    /// Reads a whole INSTREAM; the content as it came.
    async fn receive(stream: &mut TcpStream) -> Vec<u8> {
        let mut command = [0; 10];
        stream.read_exact(&mut command).await.unwrap();
        assert_eq!(&command, b"zINSTREAM\0");
        let mut content = Vec::new();
        loop {
            let length = stream.read_u32().await.unwrap() as usize;
            if length == 0 {
                return content;
            }
            let from = content.len();
            content.resize(from + length, 0);
            stream.read_exact(&mut content[from..]).await.unwrap();
        }
    }

    #[tokio::test]
    async fn the_message_arrives_whole() {
        for size in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let sent: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
            let expected = sent.clone();
            let scanner = daemon(
                move |mut stream| {
                    let expected = expected.clone();
                    async move {
                        let answer: &[u8] =
                            if receive(&mut stream).await == expected { b"stream: OK\0" } else { b"stream: Changed FOUND\0" };
                        // Byte by byte, as a slow daemon may.
                        for byte in answer {
                            let _ = stream.write_all(std::slice::from_ref(byte)).await;
                        }
                    }
                },
                5_000,
            )
            .await;
            assert_eq!(scanner.scan(&sent).await.unwrap(), Scanned::Clean, "{size}");
        }
    }

    #[tokio::test]
    async fn hostile_daemons() {
        // Endless words.
        let scanner = daemon(|mut s| async move { while s.write_all(&[b'x'; 4096]).await.is_ok() {} }, 5_000).await;
        assert!(matches!(scanner.scan(b"x").await, Err(ScanFault::Nonsense)));
        // Silence.
        let scanner = daemon(|s| async move { std::mem::forget(s) }, 100).await;
        assert!(matches!(scanner.scan(b"x").await, Err(ScanFault::Timeout)));
        // Nothing, and the end.
        let scanner = daemon(|mut s| async move { drop(receive(&mut s).await) }, 5_000).await;
        assert!(matches!(scanner.scan(b"x").await, Err(ScanFault::Broken(_))));
        // An answer without its end.
        let scanner = daemon(
            |mut s| async move {
                receive(&mut s).await;
                let _ = s.write_all(b"stream: OK").await;
            },
            5_000,
        )
        .await;
        assert!(matches!(scanner.scan(b"x").await, Err(ScanFault::Nonsense)));
        // A message beyond the limit is not sent at all.
        assert!(matches!(scanner.scan(&vec![0; (1 << 20) + 1]).await, Err(ScanFault::TooLarge)));
        // Nobody there.
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let scanner = Scanner::new(Scan { clamd: Clamd::Tcp(gone), timeout: Duration::from_secs(5), max_size: None });
        assert!(matches!(scanner.scan(b"x").await, Err(ScanFault::Connect(_))));
        assert!(matches!(scanner.ping().await, Err(ScanFault::Connect(_))));
        let scanner =
            Scanner::new(Scan { clamd: Clamd::Unix("/nonexistent/clamd.ctl".into()), timeout: Duration::from_secs(5), max_size: None });
        assert!(matches!(scanner.scan(b"x").await, Err(ScanFault::Connect(_))));
    }
}
