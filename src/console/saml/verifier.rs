//! Who looks at signatures. The console hands over a document and certificates, and gets back the octets that were signed; it reads
//! these and nothing else, whoever verified them.
//!
//! The one there is is xmlsec, a C library that takes documents apart before it knows who wrote them. It runs in a process of its own,
//! which ends with the answer, holds no key of the gateway's, and has bounds on its memory and its time. What it says on its standard
//! error goes to the log.

use std::future::Future;
use std::io::{Read as _, Write as _};
use std::pin::Pin;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Resource, Rlimit, setrlimit};
use samael::crypto::{AllowedSignatureAlgorithm as Allowed, CertificateDer, Crypto, CryptoProvider as _, ReduceMode};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Semaphore;

use super::refused::Refused;

/// Octets that are verified, and come back.
const LARGEST: u64 = 1024 * 1024;
/// Octets of its standard error that are kept.
const SAID: u64 = 2 * 1024;
/// Processes at one time, and how long one may take, waiting included.
const TOGETHER: usize = 2;
const PATIENCE: Duration = Duration::from_secs(10);
/// Of the process: octets of memory, seconds of a processor.
const MEMORY: u64 = 1024 * 1024 * 1024;
const SECONDS: u64 = 5;

pub(super) type Verifying<'a> = Pin<Box<dyn Future<Output = Result<String, Refused>> + Send + 'a>>;

/// Looks at all signatures of a document, of which one of the keys must have made every one, by [`super::names::SIGNATURES`]. The answer is
/// the canonical form of the outermost signed element, as it was digested.
pub(super) trait Verifier: Send + Sync {
    fn verify<'a>(&'a self, document: &'a str, certificates: &'a [Vec<u8>]) -> Verifying<'a>;
}

/// xmlsec, in a process of its own.
pub(super) struct Xmlsec {
    places: Semaphore,
}

impl Default for Xmlsec {
    fn default() -> Xmlsec {
        Xmlsec { places: Semaphore::new(TOGETHER) }
    }
}

impl Verifier for Xmlsec {
    fn verify<'a>(&'a self, document: &'a str, certificates: &'a [Vec<u8>]) -> Verifying<'a> {
        Box::pin(async move {
            let work = async {
                let _place = self.places.acquire().await.map_err(|_| Refused::Verifier)?;
                ask(document, certificates).await
            };
            tokio::time::timeout(PATIENCE, work).await.unwrap_or(Err(Refused::Busy))
        })
    }
}

async fn ask(document: &str, certificates: &[Vec<u8>]) -> Result<String, Refused> {
    let broken = |error: std::io::Error| {
        tracing::error!(event = "saml_verifier_failed", %error);
        Refused::Verifier
    };
    // This very program, even where its file was replaced meanwhile.
    let mut child = tokio::process::Command::new("/proc/self/exe")
        .arg(COMMAND)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(broken)?;
    let (Some(mut stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
        return Err(Refused::Verifier);
    };
    let mut question = String::new();
    for certificate in certificates {
        question.push_str(&STANDARD.encode(certificate));
        question.push('\n');
    }
    question.push('\n');
    question.push_str(document);
    let asked = async {
        let written = stdin.write_all(question.as_bytes()).await;
        drop(stdin);
        written
    };
    let (written, verified, said) = tokio::join!(asked, all(stdout, LARGEST), all(stderr, SAID));
    let status = child.wait().await.map_err(broken)?;
    if status.success() {
        written.map_err(broken)?;
        return String::from_utf8(verified).map_err(|_| Refused::Verifier);
    }
    if !said.is_empty() {
        tracing::info!(event = "saml_verifier", said = %String::from_utf8_lossy(&said).escape_debug());
    }
    // What ended by itself said no.
    Err(if status.code() == Some(1) { Refused::Signature } else { Refused::Verifier })
}

/// The first octets of a stream, read to its end, so that nobody waits for a reader.
async fn all(mut stream: impl AsyncRead + Unpin, most: u64) -> Vec<u8> {
    let mut kept = Vec::new();
    let _ = (&mut stream).take(most).read_to_end(&mut kept).await;
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    kept
}

/// How the process is asked for on the command line.
pub const COMMAND: &str = "verify-saml";

/// The process: certificates, an empty line and the document on its standard input; what was signed on its standard output.
pub fn process() -> ExitCode {
    let bounds = [(Resource::As, MEMORY), (Resource::Cpu, SECONDS), (Resource::Fsize, 0), (Resource::Core, 0)];
    for (resource, most) in bounds {
        // A hardened system may not let a process bound itself: then its own bounds hold.
        let _ = setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    }
    let mut question = String::new();
    if std::io::stdin().take(2 * LARGEST).read_to_string(&mut question).is_err() {
        return ExitCode::from(2);
    }
    match question.split_once("\n\n").map(|(certificates, document)| verified(certificates, document)) {
        Some(Some(verified)) => match std::io::stdout().write_all(verified.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(2),
        },
        Some(None) => ExitCode::FAILURE,
        None => ExitCode::from(2),
    }
}

/// One key after another: a document is signed by one of them.
fn verified(certificates: &str, document: &str) -> Option<String> {
    let allowed =
        [Allowed::RsaSha256, Allowed::RsaSha384, Allowed::RsaSha512, Allowed::EcdsaSha256, Allowed::EcdsaSha384, Allowed::EcdsaSha512];
    certificates.lines().filter_map(|line| STANDARD.decode(line).ok()).find_map(|der| {
        let certificate = CertificateDer::from(der);
        // The octets that were digested, not the document with something taken out.
        Crypto::reduce_xml_to_signed_with_allowed_algorithms(document, &[certificate], ReduceMode::PreDigest, Some(&allowed)).ok()
    })
}
