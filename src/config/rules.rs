//! Rule files: TOML text to a compiled [`Policy`], every fault told at once with its place and what to write instead.
//!
//! A file is read as far as it can be, whatever is wrong in it; a policy comes out only if nothing is. What a condition or an
//! action means is in `policy`; here is only how it is written (DESIGN "Contract: a rule").

mod clauses;
mod expect;
mod from_desk;
mod lint;
mod lists;
mod reader;
mod routes;
mod then;
mod when;
pub mod words;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use self::lists::Lists;
use self::reader::{Reader, Value};
use self::when::Patterns;
use super::settings::{Council, Markings, People};
use super::{Diagnostics, Source, syntax};
use crate::policy::condition::{Condition, Number, Rate, Span};
use crate::policy::detect::encryption::EncryptionSettings;
use crate::policy::detect::marking::MarkingSettings;
use crate::policy::remembers::Remembers;
use crate::policy::rule::{CouncilFacts, Exempt, ExemptFrom, IfUnknown, Malformed, Member, Policy, Rule, Said, SaidBy};
use crate::policy::say::{Fill, Template, TemplateFault};
use crate::policy::unreadable::heeding;
use crate::policy::{Mode, Role, Sources, Wants};

/// The largest rule file that is read: a Clerk's longest is a hundredth of it.
pub(super) const LARGEST: u64 = 4 << 20;
const MOST_FILES: usize = 1_000;

/// What rules need to know of the site.
pub struct Site<'a> {
    pub council: &'a Council,
    pub people: &'a People,
    pub markings: &'a Markings,
    pub encryption: &'a EncryptionSettings,
    /// The ceiling for every rule.
    pub mode: Mode,
    pub malformed: Malformed,
    /// The council's own: fourteen digits each, sort code and account.
    pub bank_accounts: &'a [String],
    /// Listeners by name; empty where they are not known.
    pub listeners: &'a [(Arc<str>, Role)],
    /// The site file, for `tune`.
    pub source: Option<&'a Arc<Source>>,
    /// `[rules.tune.ID]`, as it stands in the site file.
    pub tune: &'a [(Spanned<String>, &'a DeTable<'a>)],
    /// What was changed at the desk.
    pub desk: Desk<'a>,
    /// Where facts from outside come from.
    pub sources: Sources,
}

/// What was changed at the desk.
#[derive(Clone, Copy, Default)]
pub struct Desk<'a> {
    /// They win over the rule's own mode and over the site file's.
    pub modes: Option<&'a BTreeMap<String, Mode>>,
    /// Files whose text was written there, with the operator's that they were made from: they may do less ([`from_desk`], [`Doc::beside`]).
    pub files: &'a [(Arc<Source>, Option<String>)],
}

/// The rule files at `paths`: files as they are, folders with every `*.toml` in them in the order of the names.
pub fn find(paths: &[PathBuf], diagnostics: &mut Diagnostics) -> Vec<Arc<Source>> {
    self::paths(paths, diagnostics).iter().filter_map(|f| read(f, diagnostics)).collect()
}

/// The paths of those files.
pub fn paths(paths: &[PathBuf], diagnostics: &mut Diagnostics) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    for path in paths {
        if path.is_dir() {
            let mut inside: Vec<PathBuf> = match std::fs::read_dir(path) {
                Ok(entries) => entries
                    .filter_map(|e| e.ok().map(|e| e.path()))
                    .filter(|p| p.extension().is_some_and(|x| x == "toml") && !is_hidden(p))
                    .collect(),
                Err(error) => {
                    diagnostics.error_without_place(format!("the folder {} cannot be read: {error}", path.display()), "");
                    continue;
                }
            };
            inside.sort();
            files.extend(inside);
        } else {
            files.push(path.clone());
        }
    }
    let mut seen = std::collections::HashSet::new();
    files.retain(|f| seen.insert(f.clone()));
    if files.len() > MOST_FILES {
        diagnostics.error_without_place(
            format!("there are {} rule files", files.len()),
            format!("At most {MOST_FILES} are read: name the right folder in [rules] paths."),
        );
        return Vec::new();
    }
    files
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"."))
}

/// One rule file.
pub fn read(path: &Path, diagnostics: &mut Diagnostics) -> Option<Arc<Source>> {
    use std::io::Read as _;
    let shown = path.display();
    let mut bytes = Vec::new();
    if let Err(error) = std::fs::File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)) {
        diagnostics.error_without_place(format!("the rule file {shown} cannot be read: {error}"), "Paths are relative to the site file.");
        return None;
    }
    if bytes.len() as u64 > LARGEST {
        diagnostics.error_without_place(format!("{shown} is too large for a rule file"), "At most 4 MB are read.");
        return None;
    }
    match String::from_utf8(bytes) {
        Ok(text) => Some(Arc::new(Source { name: shown.to_string(), text })),
        Err(error) => {
            let line = memchr::memchr_iter(b'\n', &error.as_bytes()[..error.utf8_error().valid_up_to()]).count() + 1;
            diagnostics.error_without_place(format!("{shown} is not UTF-8 text: see line {line}"), "Save it as UTF-8.");
            None
        }
    }
}

/// Reads the rules. None where anything is wrong; all of it is in `diagnostics`, warnings too.
pub fn load(files: &[Arc<Source>], site: &Site<'_>, diagnostics: &mut Diagnostics) -> Option<Policy> {
    let mut found = Diagnostics::new();
    let parsed: Vec<_> = files.iter().map(|source| (source, syntax::parse(source, &mut found))).collect();
    let desk = |source: &Arc<Source>| site.desk.files.iter().find(|(f, _)| Arc::ptr_eq(f, source)).map(|(_, original)| original.as_deref());
    let docs: Vec<Doc<'_>> =
        parsed.iter().map(|(source, p)| Doc { source, root: p.root.get_ref(), faults: &p.faults, desk: desk(source) }).collect();
    from_desk::look(&docs, &mut found);
    let mut loading = Loading::new(site, &docs, &mut found);
    loading.rules();
    let policy = loading.finish();
    if let Some(policy) = &policy {
        expect::run(&docs, site, policy, &mut found);
    }
    let refused = found.has_errors();
    diagnostics.extend(found);
    policy.filter(|_| !refused)
}

/// One rule file as far as it could be read.
struct Doc<'a> {
    source: &'a Arc<Source>,
    root: &'a DeTable<'a>,
    faults: &'a [std::ops::Range<usize>],
    /// Its text was written at the desk, in place of the operator's of this text, if it is a copy.
    desk: Option<Option<&'a str>>,
}

impl Doc<'_> {
    /// The file that this one names, relative to itself. What was written at the desk names files of the right kind beside it only:
    /// what stands in others would come out in diagnostics, bit by bit.
    fn beside(&self, name: &str, ending: &str) -> std::io::Result<PathBuf> {
        let path = Path::new(&self.source.name).parent().unwrap_or(Path::new(".")).join(name);
        if self.desk.is_none() {
            return Ok(path);
        }
        let plain = Path::new(name).components().all(|part| matches!(part, std::path::Component::Normal(_)));
        if !plain || !name.ends_with(ending) {
            return Err(std::io::Error::other(format!("what is written at the desk names only {ending} files beside the rule file")));
        }
        if path.exists() && !path.is_file() { Err(std::io::Error::other("it is no file")) } else { Ok(path) }
    }
}

/// What a file may hold at its top.
const TOP: &[&str] = &["rule", "list", "condition", "exempt", "expect", "policy", "clause"];

/// Keys of `[[rule]]`.
/// How long it is remembered that somebody was told.
const LONGEST_EVERY: std::time::Duration = std::time::Duration::from_secs(7 * 86_400);

const RULE: &[&str] = &["id", "title", "clauses", "mode", "say", "override", "if-unknown", "when", "unless", "then"];

struct Loading<'a, 'd> {
    site: &'a Site<'a>,
    docs: &'a [Doc<'a>],
    d: &'d mut Diagnostics,
    lists: Lists,
    patterns: Patterns,
    rates: Vec<Rate>,
    conditions: BTreeMap<String, Named<'a>>,
    clauses: BTreeMap<Arc<str>, crate::policy::rule::Clause>,
    adopted: Vec<crate::policy::adopted::Adopted>,
    rules: Vec<Rule>,
    /// Where each rule's id stands.
    ids: BTreeMap<Arc<str>, (Arc<Source>, std::ops::Range<usize>)>,
    exempts: Vec<Exempt>,
    /// Numbers that the site file tunes for the rule being read, with whether they were used.
    tuned: Vec<(Number, Span, bool)>,
}

/// A `[[condition]]`: read when first asked for.
enum Named<'a> {
    Unread(&'a Arc<Source>, &'a [std::ops::Range<usize>], &'a DeTable<'a>),
    Reading,
    Read(Arc<Condition>),
    Broken,
}

impl<'a, 'd> Loading<'a, 'd> {
    fn new(site: &'a Site<'a>, docs: &'a [Doc<'a>], d: &'d mut Diagnostics) -> Self {
        let lists = Lists::read(site, docs, d);
        let (clauses, adopted) = clauses::known(docs, d);
        let mut conditions = BTreeMap::new();
        for doc in docs {
            let reader = Reader::new(doc.source, doc.faults);
            reader.only(doc.root, TOP, "a rule file", d);
            for (span, table) in reader.tables(doc.root, "condition", d) {
                let Some(name) = reader.text(table, "name", d) else {
                    if reader.value(table, "name").is_none() {
                        reader.error(span, "this [[condition]] has no name", "Add: name = \"…\"; rules use it as is = \"…\".", d);
                    }
                    continue;
                };
                if conditions.insert(name.get_ref().clone(), Named::Unread(doc.source, doc.faults, table)).is_some() {
                    reader.error(name.span(), format!("there are two conditions named \"{}\"", name.get_ref()), "Rename one of them.", d);
                }
            }
        }
        Loading {
            site,
            docs,
            d,
            lists,
            patterns: Patterns::default(),
            rates: Vec::new(),
            conditions,
            clauses,
            adopted,
            rules: Vec::new(),
            ids: BTreeMap::new(),
            exempts: Vec::new(),
            tuned: Vec::new(),
        }
    }

    fn rules(&mut self) {
        for doc in self.docs {
            let reader = Reader::new(doc.source, doc.faults);
            for (span, table) in reader.tables(doc.root, "rule", self.d) {
                if let Some(rule) = self.rule(reader, span, table) {
                    self.rules.push(rule);
                }
            }
        }
        for doc in self.docs {
            let reader = Reader::new(doc.source, doc.faults);
            for (span, table) in reader.tables(doc.root, "exempt", self.d) {
                self.exempt(reader, span, table);
            }
        }
        lint::always_refused_first(&self.rules, |rule| self.ids.get(&rule.id).cloned(), self.d);
        routes::check(&self.rules, &self.ids, self.site.sources, self.d);
        // A condition that no rule names still has its faults told.
        let names: Vec<String> = self.conditions.keys().cloned().collect();
        for name in names {
            self.named(&name);
        }
        for id in self.site.desk.modes.into_iter().flat_map(|m| m.keys()).filter(|id| !self.ids.contains_key(id.as_str())) {
            let message = format!("the desk has a mode for the rule \"{id}\", which is not there any more");
            self.d.warning_without_place(message, "It goes with the next change at the desk.");
        }
        if let Some(source) = self.site.source {
            for (id, _) in self.site.tune {
                if !self.ids.contains_key(id.get_ref().as_str()) {
                    let known = super::spelling::nearest(id.get_ref(), self.ids.keys().map(|k| k.as_ref()));
                    let help = known.map_or("It must be the id of a rule in the files of [rules] paths.".to_string(), |k| {
                        format!("Did you mean [rules.tune.{k}]?")
                    });
                    self.d.error(source, id.span(), format!("there is no rule \"{}\"", id.get_ref()), help);
                }
            }
        }
    }

    fn rule(&mut self, reader: Reader<'a>, span: std::ops::Range<usize>, table: &'a DeTable<'a>) -> Option<Rule> {
        reader.only(table, RULE, "a rule", self.d);
        let before = self.d.count_errors();
        let id = match reader.text(table, "id", self.d) {
            Some(id) => id,
            None => {
                if reader.value(table, "id").is_none() {
                    reader.error(
                        span.clone(),
                        "this rule has no id",
                        "Add: id = \"…\", a short name of its own, such as \"hide-recipients\".",
                        self.d,
                    );
                }
                Spanned::new(span.clone(), String::new())
            }
        };
        let name: Arc<str> = id.get_ref().as_str().into();
        if !name.is_empty() {
            if !crate::policy::people::is_name(&name) {
                reader.error(id.span(), "an id has letters, digits and hyphens only", "Write it like \"hide-recipients\".", self.d);
            }
            if let Some((other, _)) = self.ids.insert(name.clone(), (reader.source.clone(), id.span())) {
                let place =
                    if other.name == reader.source.name { "further up in this file".to_string() } else { format!("in {}", other.name) };
                reader.error(
                    id.span(),
                    format!("there is another rule \"{name}\" {place}"),
                    "Give each rule an id of its own. To change a shipped rule, use [rules.tune.ID] in the site file.",
                    self.d,
                );
            }
        }
        let title: Arc<str> = reader.text(table, "title", self.d).map_or_else(|| name.clone(), |t| t.into_inner().into());
        let clauses = self.rule_clauses(reader, table);
        let mode = reader.value(table, "mode").and_then(|v| self.mode(reader, v)).unwrap_or(Mode::Enforce);
        let say = reader.text(table, "say", self.d).and_then(|t| self.template(reader, &t));
        let override_name = reader.text(table, "override", self.d).and_then(|t| {
            if crate::policy::people::is_name(t.get_ref()) {
                Some(Arc::<str>::from(t.get_ref().as_str()))
            } else {
                reader.error(
                    t.span(),
                    "an override is one word, without brackets",
                    "Write: override = \"show-recipients\"; the sender then writes [show-recipients: reason].",
                    self.d,
                );
                None
            }
        });
        let tune = self.site.tune.iter().find(|(t, _)| t.get_ref() == id.get_ref()).map(|(_, t)| *t);
        self.tuned = tune.map(|t| self.tuned_numbers(t)).unwrap_or_default();
        let (when, unless) = (self.when(reader, table, &span), self.unless(reader, table));
        let then = self.then(reader, table);
        let mut rule = Rule {
            id: name,
            place: reader.place(span.start).into(),
            title,
            clauses,
            mode,
            said: Said { by: SaidBy::RuleFile, mode, without_desk: mode },
            say,
            override_name,
            if_unknown: IfUnknown::Skip,
            reads_content: false,
            guards: false,
            when: when?,
            unless,
            then,
        };
        let reads = |c: &Condition| when::reads_content(c, &self.patterns);
        rule.reads_content = rule.when.mentions(&reads) || rule.unless.iter().any(|c| c.mentions(&reads));
        rule.guards = rule.when.mentions(&|c| when::guards(c, &self.patterns));
        rule.if_unknown = match reader.word(table, "if-unknown", &["defer", "hold", "skip"], self.d).as_deref() {
            Some("defer") => IfUnknown::Defer,
            Some("hold") => IfUnknown::Hold,
            Some(_) => IfUnknown::Skip,
            None if rule.then.stops() || rule.then.edits() || rule.then.routes() => IfUnknown::Defer,
            None => IfUnknown::Skip,
        };
        // Only who says what then shall hear that a file could not be read.
        if table.get("if-unknown").is_some() {
            let reads = |c: &Condition| when::reads_attachments(c, &self.patterns);
            rule.when = heeding(rule.when, &reads);
            rule.unless = rule.unless.into_iter().map(|c| heeding(c, &reads)).collect();
        }
        if let Some(tune) = tune {
            self.tune(&mut rule, tune);
        }
        if let Some(mode) = self.site.desk.modes.and_then(|m| m.get(&*rule.id)) {
            rule.mode = *mode;
            rule.said = Said { by: SaidBy::Desk, mode: *mode, ..rule.said };
        }
        if rule.then.words().is_empty() && rule.mode > Mode::Observe && self.d.count_errors() == before {
            reader.error(
                span.clone(),
                "this rule does nothing",
                "Add what it shall do, such as then.notify = [\"clerk\"], or set mode = \"observe\".",
                self.d,
            );
        }
        rule.mode = rule.mode.min(self.site.mode);
        lint::rule(reader, table, &span, &rule, self.site, self.d);
        Some(rule)
    }

    fn rule_clauses(&mut self, reader: Reader<'a>, table: &'a DeTable<'a>) -> Vec<Arc<str>> {
        let mut out = Vec::new();
        for clause in reader.texts(table, "clauses", self.d).unwrap_or_default() {
            match self.clauses.get_key_value(clause.get_ref().as_str()) {
                Some((id, _)) => out.push(id.clone()),
                None => {
                    let near = super::spelling::nearest(clause.get_ref(), self.clauses.keys().map(|k| k.as_ref()));
                    let help = near
                        .map_or("Clause ids come from [policy] clauses; `lychgate policy coverage` lists them.".to_string(), |n| {
                            format!("Did you mean \"{n}\"?")
                        });
                    reader.error(clause.span(), format!("no policy has a clause \"{}\"", clause.get_ref()), help, self.d);
                }
            }
        }
        out
    }

    fn mode(&mut self, reader: Reader<'_>, value: &Value<'_>) -> Option<Mode> {
        match reader.one_of(value, "mode", &["off", "observe", "warn", "enforce"], self.d)?.as_str() {
            "off" => Some(Mode::Off),
            "observe" => Some(Mode::Observe),
            "warn" => Some(Mode::Warn),
            _ => Some(Mode::Enforce),
        }
    }

    fn template(&mut self, reader: Reader<'_>, text: &Spanned<String>) -> Option<Template> {
        let words = || Fill::WORDS.iter().map(|(w, _)| format!("{{{w}}}")).collect::<Vec<_>>().join(", ");
        match Template::parse(text.get_ref()) {
            Ok(template) => Some(template),
            Err(TemplateFault::UnknownFill(name)) => {
                reader.error(
                    text.span(),
                    format!("nothing is known to fill in for {{{name}}}"),
                    format!("These are: {}. For braces write {{{{ and }}}}.", words()),
                    self.d,
                );
                None
            }
            Err(TemplateFault::Open) => {
                reader.error(
                    text.span(),
                    "a { is opened here and not closed",
                    format!("Close it, as in {}. For a brace write {{{{.", words()),
                    self.d,
                );
                None
            }
        }
    }

    fn exempt(&mut self, reader: Reader<'a>, span: std::ops::Range<usize>, table: &'a DeTable<'a>) {
        reader.only(table, &["when", "from", "record"], "an exemption", self.d);
        self.tuned.clear();
        let when = self.when(reader, table, &span);
        let record = reader.word(table, "record", then::RECORD, self.d).and_then(|w| then::record_level(&w));
        let from = match reader.value(table, "from").map(|v| v.get_ref()) {
            None => ExemptFrom::Nothing,
            Some(DeValue::String(word)) if word == "content" => ExemptFrom::Content,
            Some(_) => {
                let mut ids = Vec::new();
                for id in reader.texts(table, "from", self.d).unwrap_or_default() {
                    match self.rules.iter().find(|r| *r.id == **id.get_ref()) {
                        Some(rule) if rule.guards => reader.error(
                            id.span(),
                            format!("\"{}\" guards against viruses, attachments or ambiguity: nothing may be exempt from it", rule.id),
                            "Take it out of `from`.",
                            self.d,
                        ),
                        Some(rule) => ids.push(rule.id.clone()),
                        None if self.ids.contains_key(id.get_ref().as_str()) => {}
                        None => {
                            let near = super::spelling::nearest(id.get_ref(), self.rules.iter().map(|r| r.id.as_ref()));
                            reader.error(
                                id.span(),
                                format!("there is no rule \"{}\"", id.get_ref()),
                                near.map_or(String::new(), |n| format!("Did you mean \"{n}\"?")),
                                self.d,
                            );
                        }
                    }
                }
                ExemptFrom::Rules(ids)
            }
        };
        if matches!(from, ExemptFrom::Nothing) && record.is_none() {
            reader.error(
                span,
                "this exemption exempts from nothing",
                "Add: from = [\"rule-id\"], from = \"content\", or record = \"count\".",
                self.d,
            );
        }
        if let Some(when) = when {
            self.exempts.push(Exempt { when, from, record });
        }
    }

    /// Numbers in `[rules.tune.ID]`.
    fn tuned_numbers(&mut self, tune: &'a DeTable<'a>) -> Vec<(Number, Span, bool)> {
        let Some(source) = self.site.source else { return Vec::new() };
        let reader = Reader::new(source, &[]);
        let mut out = Vec::new();
        for number in Number::ALL {
            if let Some(value) = reader.value(tune, number.word())
                && let Some(span) = self.span(reader, value, number.word(), *number == Number::Size)
            {
                out.push((*number, span, false));
            }
        }
        out
    }

    fn tune(&mut self, rule: &mut Rule, tune: &'a DeTable<'a>) {
        let Some(source) = self.site.source else { return };
        let reader = Reader::new(source, &[]);
        let mut allowed = vec!["mode", "clauses", "say"];
        allowed.extend(Number::ALL.iter().map(|n| n.word()));
        reader.only(tune, &allowed, "[rules.tune]", self.d);
        if let Some(mode) = reader.value(tune, "mode").and_then(|v| self.mode(reader, v)) {
            rule.mode = mode;
            rule.said = Said { by: SaidBy::SiteFile, mode, without_desk: mode };
        }
        if reader.value(tune, "clauses").is_some() {
            rule.clauses = self.rule_clauses(reader, tune);
        }
        if let Some(say) = reader.text(tune, "say", self.d).and_then(|t| self.template(reader, &t)) {
            rule.say = Some(say);
        }
        for (number, _, used) in std::mem::take(&mut self.tuned) {
            if !used {
                let at = tune.iter().find(|(k, _)| k.get_ref() == number.word()).map_or(0..0, |(k, _)| k.span());
                reader.error(
                    at,
                    format!("the rule \"{}\" does not ask for {}", rule.id, number.word()),
                    "Only a number that the rule bounds already can be tuned.",
                    self.d,
                );
            }
        }
    }

    fn finish(self) -> Option<Policy> {
        let Loading { site, docs, d, mut lists, patterns, rates, clauses, adopted, rules, exempts, .. } = self;
        let patterns = patterns.compile(d)?;
        if d.has_errors() {
            return None;
        }
        let asked = asked(&rules, &exempts);
        let member =
            |p: &super::settings::Person| Member { address: p.address.clone(), name: p.name.clone(), personal: p.own_accounts.clone() };
        let policy = Policy {
            council: CouncilFacts {
                name: site.council.name.clone(),
                domains: site.council.domains.clone(),
                clerk: site.council.clerk.clone(),
                chair: site.council.chair.clone(),
                account_key: site.people.account_key.clone(),
                people: site.people.councillors.iter().chain(&site.people.staff).map(member).collect(),
            },
            rules,
            exempts,
            patterns,
            rates,
            sources: site.sources,
            asked,
            partners: lists.set("partners"),
            consumer: lists.set("consumer"),
            marking: MarkingSettings {
                labels: site.markings.labels.iter().map(|l| l.to_lowercase()).collect(),
                site_id: site.markings.site_id.as_ref().map(|s| s.to_lowercase()),
                headers: site.markings.header.iter().cloned().collect(),
            },
            encryption: site.encryption.clone(),
            malformed: site.malformed,
            own_accounts: site.bank_accounts.to_vec(),
            clauses,
            adopted,
            ceiling: site.mode,
            files: docs.iter().map(|d| d.source.name.clone()).collect(),
            hash: hash(docs, site),
            remembers: Remembers::default(),
        };
        Some(Policy { remembers: Remembers::of(&policy), ..policy })
    }
}

/// The facts from outside that may come to matter.
fn asked(rules: &[Rule], exempts: &[Exempt]) -> Wants {
    let found = std::cell::Cell::new(Wants::default());
    let note = |condition: &Condition| {
        found.set(found.get().and(condition.asks()));
        false
    };
    for rule in rules.iter().filter(|r| r.mode != Mode::Off) {
        for condition in std::iter::once(&rule.when).chain(&rule.unless) {
            condition.mentions(&note);
        }
    }
    for exempt in exempts {
        exempt.when.mentions(&note);
    }
    found.get()
}

/// Of the rule files' text and of what the site says about rules: the same rules give the same hash on every machine.
fn hash(docs: &[Doc<'_>], site: &Site<'_>) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut add = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    for doc in docs {
        add(&doc.source.text);
    }
    add(site.mode.word());
    add(if site.malformed == Malformed::Reject { "reject" } else { "judge" });
    site.bank_accounts.iter().for_each(|a| add(a));
    site.council.domains.iter().for_each(|d| add(d));
    add(&format!("{:?}", site.encryption));
    for (id, table) in site.tune {
        add(id.get_ref());
        add(&format!("{table:?}"));
    }
    for (id, mode) in site.desk.modes.into_iter().flatten() {
        add(id);
        add(mode.word());
    }
    hasher.finalize().to_hex()[..16].to_string()
}
