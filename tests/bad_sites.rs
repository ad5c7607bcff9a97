//! A site file a fault, with the exact diagnostics beside it; and the examples in `deploy/`, which must be good.
//!
//! `LYCHGATE_BLESS=1 cargo test bad_sites` writes what is said now: read the difference before it is committed.

use std::path::{Path, PathBuf};

use lychgate::config::{self, Diagnostics};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder of the test's own, with the files that site files name.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("lychgate-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a temporary folder");
        Folder(path)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().expect("in the folder")).expect("a folder");
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("its mode");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A certificate and its key, PEM.
fn identity() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// What an identity provider says of itself.
fn provider(certificate: &str) -> String {
    let certificate: String = certificate.lines().filter(|l| !l.starts_with("-----")).collect();
    format!(
        "<EntityDescriptor xmlns=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"https://idp.example/\"><IDPSSODescriptor \
         protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\"><KeyDescriptor use=\"signing\"><KeyInfo \
         xmlns=\"http://www.w3.org/2000/09/xmldsig#\"><X509Data><X509Certificate>{certificate}</X509Certificate></X509Data></KeyInfo>\
         </KeyDescriptor><SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" Location=\"https://idp.example/in\"/>\
         </IDPSSODescriptor></EntityDescriptor>"
    )
}

#[test]
fn every_fault_is_told_in_its_words() {
    let folder = Folder::new("bad-sites");
    let (certificate, key) = identity();
    folder.write("good.pem", &certificate, 0o644);
    folder.write("other.key", &identity().1, 0o600);
    folder.write("open.key", &key, 0o644);
    folder.write("empty.pem", "", 0o644);
    folder.write("damaged.pem", &certificate.replace("MII", "M!!"), 0o644);
    folder.write("short-header", "X-Tenant: abc\n", 0o600);
    folder.write("stamp.key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=\n", 0o600);
    folder.write("two-lines", "one\ntwo\n", 0o600);
    let provider = provider(&certificate);
    let (start, end) = (provider.find("<KeyDescriptor").expect("a key"), provider.find("<SingleSignOn").expect("a page"));
    folder.write("idp-no-certificate.xml", &format!("{}{}", &provider[..start], &provider[end..]), 0o644);
    folder.write("idp-in-the-clear.xml", &provider.replace("https://idp.example/in", "http://idp.example/in"), 0o644);
    folder.write("idp-document-type.xml", &format!("<!DOCTYPE x>{provider}"), 0o644);

    let cases = root().join("tests/bad-sites");
    let mut names: Vec<PathBuf> = std::fs::read_dir(&cases)
        .expect("the cases")
        .filter_map(|e| e.ok().map(|e| e.path()))
        .filter(|p| p.extension().is_some_and(|x| x == "toml"))
        .collect();
    names.sort();
    assert!(names.len() > 10, "the cases are there");
    let mut wrong = String::new();
    for path in names {
        let name = path.file_name().and_then(|n| n.to_str()).expect("a name").to_owned();
        // What is said of SAML hangs on whether this build has it.
        if name.starts_with(if cfg!(feature = "saml") { "without-saml" } else { "saml" }) {
            continue;
        }
        let mut diagnostics = Diagnostics::new();
        let text = std::fs::read_to_string(&path).expect("the case");
        let settings = config::load_with(&name, text, &folder.0, &|_| None, &mut diagnostics);
        assert_eq!(settings.is_none(), diagnostics.has_errors(), "{name}: there is nothing to run on exactly where there are errors");
        let said = format!("{diagnostics}{}\n", lychgate::cli::check::tally(&diagnostics));
        assert!(!said.contains(&folder.0.display().to_string()), "{name} names a path as it is written in the file:\n{said}");
        let expected = path.with_extension("txt");
        if std::env::var_os("LYCHGATE_BLESS").is_some() {
            std::fs::write(&expected, &said).expect("the expectation");
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != said {
            wrong.push_str(&format!("== {name}\n{said}\n"));
        }
    }
    assert!(wrong.is_empty(), "other words than expected:\n{wrong}");
}

#[test]
fn the_examples_are_good() {
    let folder = Folder::new("examples");
    let (certificate, key) = identity();
    folder.write("certs/gateway.pem", &certificate, 0o644);
    folder.write("certs/gateway.key", &key, 0o600);
    folder.write("secrets/outbox-password", "correct horse\n", 0o600);
    folder.write("secrets/tenant-header", "X-Council-Tenant: 0123456789abcdef0123456789abcdef\n", 0o600);
    folder.write("secrets/stamp.key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=\n", 0o600);
    std::os::unix::fs::symlink(root().join("rules"), folder.0.join("rules")).expect("the rules");
    for name in ["submission", "connector", "mx"] {
        let path = folder.0.join(format!("{name}.toml"));
        std::fs::copy(root().join(format!("deploy/{name}.toml")), &path).expect("the example");
        let (report, good) = lychgate::cli::check::report(&path);
        assert!(good, "{name}\n{report}");
        assert!(report.starts_with("The site file and "), "{name} is good without a warning:\n{report}");
    }
    let left: Vec<_> =
        std::fs::read_dir(&folder.0).expect("the folder").filter_map(|e| e.ok().map(|e| e.file_name())).filter(|n| n == "data").collect();
    assert!(left.is_empty(), "check creates nothing");
}
