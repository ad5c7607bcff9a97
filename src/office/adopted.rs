//! What the council adopted, and whether the gateway still does just that.
//!
//! The desk keeps each paper as it was adopted, with what of it hangs on the configuration (`papers.toml` and `papers/` in
//! `[console] folder`). Where the live configuration makes another text, the paper is stale: somebody has to read what changed, and the
//! council to adopt it again. Figures and dates that change by themselves do not count.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use similar::{Algorithm, ChangeTag};

use super::atomic;
use super::roles::Right;
use super::{Doer, Fault, papers};
use crate::config::Settings;
use crate::documents::{self, Kind, Paper};
use crate::records::Options;
use crate::records::trace::Question;

/// Adoptions that are kept: a council has a dozen in a year.
const MOST: usize = 1_000;
/// Octets of a file of the desk's that is read.
const LARGEST: u64 = 8 * 1024 * 1024;
/// Lines around a change.
const AROUND: usize = 1;
/// For finding what has changed; after that the rest is shown as changed.
const PATIENCE: Duration = Duration::from_secs(1);

/// One at a time: each reads the list, adds to it and writes it.
static TURN: Mutex<()> = Mutex::new(());

/// A paper that the council adopted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adoption {
    /// From 1, over all papers; names its file.
    pub number: usize,
    /// [`Kind::word`].
    pub paper: String,
    /// The day on which the council adopted it, or it was issued.
    pub adopted: Date,
    /// The minute.
    pub reference: String,
    /// When that was noted.
    pub noted: Timestamp,
    /// [`Paper::digest`] of what hung on the configuration.
    pub digest: String,
    /// BLAKE3 of its file, in hexadecimal.
    pub file: String,
    /// The version of the program, whose words a paper has.
    pub program: String,
}

/// What a file in `papers/` holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// As it was read and printed on that day.
    pub paper: Paper,
    /// What of it hung on the configuration.
    pub basis: Paper,
}

/// How a paper stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody has noted that it was adopted.
    Never,
    Fresh(Adoption),
    /// The live configuration makes another text.
    Stale(Adoption),
}

/// A line of what has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Unchanged lines were left out here.
    Gap,
    Same(String),
    Was(String),
    Now(String),
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(default)]
    paper: Vec<Adoption>,
}

/// How each paper stands.
pub fn standings(settings: &Settings) -> Result<Vec<(Kind, Standing)>, Fault> {
    let all = match folder(settings) {
        Ok(folder) => read(folder)?,
        Err(_) => Vec::new(),
    };
    Ok(Kind::ALL.map(|kind| (kind, standing(settings, kind, &all))).to_vec())
}

/// How many papers are stale.
pub fn stale(settings: &Settings) -> Result<usize, Fault> {
    Ok(standings(settings)?.iter().filter(|(_, s)| matches!(s, Standing::Stale(_))).count())
}

/// How one stands, and all its adoptions, the latest first.
pub fn of(settings: &Settings, kind: Kind) -> Result<(Standing, Vec<Adoption>), Fault> {
    let Ok(folder) = folder(settings) else { return Ok((Standing::Never, Vec::new())) };
    let mut all = read(folder)?;
    let standing = standing(settings, kind, &all);
    all.retain(|one| one.paper == kind.word());
    all.reverse();
    Ok((standing, all))
}

/// Notes that the council adopted a paper as it is now, for which the purpose names the minute. `seen` is the digest of what was read:
/// if the configuration has changed since, nothing is noted.
pub fn adopt(settings: &Settings, kind: Kind, seen: &str, adopted: Date, now: Timestamp, doer: &Doer) -> Result<Adoption, Fault> {
    doer.may(Right::Rules)?;
    let folder = folder(settings)?;
    if doer.purpose.trim().is_empty() {
        return Err(Fault::Purpose);
    }
    if adopted > now.to_zoned(settings.time_zone.clone()).date() {
        return Err(Fault::AdoptedLater);
    }
    let basis = documents::basis(kind, settings);
    let digest = basis.digest();
    if digest != seen {
        return Err(Fault::PaperChanged);
    }
    let text = Text { paper: documents::make(kind, settings, &papers::live(settings, now)?), basis };
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut list = List { paper: read(folder)? };
    if list.paper.len() >= MOST {
        return Err(Fault::DeskFull(MOST));
    }
    let octets = serde_json::to_vec_pretty(&text).expect("a paper is JSON");
    let adoption = Adoption {
        number: list.paper.len() + 1,
        paper: kind.word().into(),
        adopted,
        reference: doer.purpose.trim().into(),
        noted: now,
        digest,
        file: blake3::hash(&octets).to_hex().to_string(),
        program: env!("CARGO_PKG_VERSION").into(),
    };
    let act = format!("noted that the council adopted its {} on {adopted}", kind.title().to_lowercase());
    doer.log(&Options::of(settings), Right::Rules, &act, Question::default())?;
    let file = file(folder, &adoption);
    // First the paper, then the list that names it: after a crash between them the next one of this number replaces it.
    write(&file, &octets)?;
    list.paper.push(adoption.clone());
    let text = toml::to_string(&list).expect("words and dates are TOML");
    write(&folder.join(LIST), text.as_bytes())?;
    Ok(adoption)
}

fn write(path: &Path, octets: &[u8]) -> Result<(), Fault> {
    let (folder, name) = (path.parent().unwrap_or(path), path.file_name().unwrap_or_default().to_string_lossy());
    atomic::write(folder, &name, octets).map_err(|source| Fault::Io { path: path.into(), source })
}

/// What was adopted, as it was written then.
pub fn text(settings: &Settings, kind: Kind, number: usize) -> Result<(Adoption, Text), Fault> {
    let folder = folder(settings)?;
    let found = read(folder)?.into_iter().find(|one| one.paper == kind.word() && one.number == number);
    let adoption = found.ok_or(Fault::NoAdoption)?;
    let path = file(folder, &adoption);
    let octets = bounded(&path)?.ok_or_else(|| Fault::Altered(path.clone()))?;
    let text: Option<Text> = serde_json::from_slice(&octets).ok();
    match text.filter(|text| text.basis.digest() == adoption.digest && blake3::hash(&octets).to_hex().as_str() == adoption.file) {
        Some(text) => Ok((adoption, text)),
        None => Err(Fault::Altered(path)),
    }
}

/// What has changed since, with a line around each change.
pub fn changes(was: &Paper, now: &Paper) -> Vec<Change> {
    let (was, now) = (was.lines(), now.lines());
    let ops = similar::capture_diff_slices_deadline(Algorithm::Patience, &was, &now, Some(Instant::now() + PATIENCE));
    let mut out = Vec::new();
    for group in similar::group_diff_ops(ops, AROUND) {
        if !out.is_empty() {
            out.push(Change::Gap);
        }
        for change in group.iter().flat_map(|op| op.iter_changes(&was, &now)) {
            let line = change.value().clone();
            out.push(match change.tag() {
                ChangeTag::Equal => Change::Same(line),
                ChangeTag::Delete => Change::Was(line),
                ChangeTag::Insert => Change::Now(line),
            });
        }
    }
    out
}

/// All papers in plain words, for the command line.
pub fn words(settings: &Settings) -> Result<String, Fault> {
    let day = |date: Date| date.strftime("%-d %B %Y").to_string();
    let mut out = String::new();
    for (kind, standing) in standings(settings)? {
        let said = match standing {
            Standing::Never => "nobody has noted that it was adopted".into(),
            Standing::Fresh(one) => format!("as it was adopted on {} ({})", day(one.adopted), one.reference),
            Standing::Stale(one) => format!("STALE: the configuration has changed since it was adopted on {}", day(one.adopted)),
        };
        out.push_str(&format!("{:<14}{}\n", kind.word(), super::held::escaped(said.replace('\n', " ").as_bytes())));
    }
    Ok(out)
}

const LIST: &str = "papers.toml";

fn standing(settings: &Settings, kind: Kind, all: &[Adoption]) -> Standing {
    match all.iter().rev().find(|one| one.paper == kind.word()).cloned() {
        None => Standing::Never,
        Some(one) if one.digest == documents::basis(kind, settings).digest() => Standing::Fresh(one),
        Some(one) => Standing::Stale(one),
    }
}

fn folder(settings: &Settings) -> Result<&Path, Fault> {
    settings.console.as_ref().map(|console| console.folder.as_path()).ok_or(Fault::NoDesk)
}

fn file(folder: &Path, adoption: &Adoption) -> PathBuf {
    folder.join("papers").join(format!("{}.json", adoption.number))
}

/// All that is noted, oldest first; nothing where nothing was noted yet.
fn read(folder: &Path) -> Result<Vec<Adoption>, Fault> {
    let path = folder.join(LIST);
    let Some(octets) = bounded(&path)? else { return Ok(Vec::new()) };
    let list: Option<List> = std::str::from_utf8(&octets).ok().and_then(|text| toml::from_str(text).ok());
    list.map(|list| list.paper).ok_or(Fault::Altered(path))
}

/// A file of the desk's; none if it is not there.
fn bounded(path: &Path) -> Result<Option<Vec<u8>>, Fault> {
    let fault = |source| Fault::Io { path: path.into(), source };
    match fs::metadata(path) {
        Ok(there) if there.len() > LARGEST => Err(Fault::Altered(path.into())),
        Ok(_) => fs::read(path).map(Some).map_err(fault),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fault(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::Part;

    fn paper(lines: &[&str]) -> Paper {
        Paper { title: "T".into(), parts: lines.iter().map(|l| Part::Text((*l).into())).collect() }
    }

    #[test]
    fn what_has_changed_is_shown_with_a_line_around_it() {
        let was = paper(&["a", "b", "c", "d", "e", "f", "g"]);
        assert_eq!(changes(&was, &was), []);
        let (same, gone, new) = (|s: &str| Change::Same(s.into()), |s: &str| Change::Was(s.into()), |s: &str| Change::Now(s.into()));
        assert_eq!(
            changes(&was, &paper(&["a", "B", "c", "d", "e", "f", "g", "h"])),
            [same("a"), gone("b"), new("B"), same("c"), Change::Gap, same("g"), new("h")]
        );
        let table = |cell: &str| Paper {
            title: "T".into(),
            parts: vec![Part::Table(vec!["What".into(), "How long".into()], vec![vec!["Ordinary mail".into(), cell.into()]])],
        };
        assert_eq!(
            changes(&table("90 days"), &table("37 days")),
            [same("T"), gone("Ordinary mail; 90 days"), new("Ordinary mail; 37 days")]
        );
    }

    #[test]
    fn the_list_is_read_as_it_was_written_and_no_other_way() {
        let folder = crate::records::tests::Folder::new();
        let path = folder.path(LIST);
        let desk = path.parent().unwrap();
        assert_eq!(read(desk).unwrap(), []);
        let one = Adoption {
            number: 1,
            paper: "notice".into(),
            adopted: jiff::civil::date(2026, 5, 14),
            reference: "Minute \"2026/41\"\nsecond line".into(),
            noted: "2026-05-15T09:00:00Z".parse().unwrap(),
            digest: "ab".into(),
            file: "cd".into(),
            program: "0.1.0".into(),
        };
        let written = toml::to_string(&List { paper: vec![one.clone()] }).unwrap();
        fs::write(&path, &written).unwrap();
        assert_eq!(read(desk).unwrap(), [one]);
        for altered in [written.replace("number", "nummer"), "\u{0}".into(), format!("{written}more = 1\n")] {
            fs::write(&path, altered).unwrap();
            assert!(matches!(read(desk), Err(Fault::Altered(_))));
        }
        fs::write(&path, vec![b'#'; LARGEST as usize + 1]).unwrap();
        assert!(matches!(read(desk), Err(Fault::Altered(_))));
    }
}
