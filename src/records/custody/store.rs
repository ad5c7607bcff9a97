//! The store of what is in custody, on either engine.

use std::cell::RefCell;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use aws_lc_rs::aead::NONCE_LEN;
use zeroize::Zeroizing;

use super::{
    Becomes, Claim, Counts, Covered, Custody, Decided, Decision, Deposit, DigestStanding, FARTHEST, Fate, Happened, Happenings, Heap, KEPT,
    Kind, LEASE, MOST, NewParcel, OnSplitEnd, Parcel, Purged, Sheet, State, TOLD, Which, digest,
};
use crate::observe::crash::{self, Point};
use crate::records::database::{Database, Durability, Location, Row, Schema, Statements, values};
use crate::records::keyring::{Keyring, millis};
use crate::records::place::Options;
use crate::records::sealing::{Kind as Hashed, Nonces, RowPlace, Table, random_octets};
use crate::records::{RecordClass, StoreError};

pub(in crate::records) const SCHEMA: Schema = Schema {
    part: "custody",
    versions: &[
        "CREATE TABLE content (id INTEGER PRIMARY KEY, class INTEGER NOT NULL, period INTEGER NOT NULL, sealed BLOB NOT NULL);
         CREATE TABLE parcel (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, lane TEXT NOT NULL, state INTEGER NOT NULL,
                              class INTEGER NOT NULL, period INTEGER NOT NULL, content INTEGER NOT NULL, taken INTEGER NOT NULL, due INTEGER NOT NULL,
                              ends INTEGER NOT NULL, attempts INTEGER NOT NULL, holder INTEGER NOT NULL, leased INTEGER NOT NULL,
                              sealed BLOB NOT NULL);
         CREATE INDEX parcel_due ON parcel (kind, lane, state, due);
         CREATE INDEX parcel_content ON parcel (content);
         CREATE TABLE told (hash BLOB PRIMARY KEY, expires INTEGER NOT NULL) WITHOUT ROWID",
        digest::TABLES,
    ],
};

/// The columns that [`Found::read`] reads.
const COLUMNS: &str = "id, kind, state, class, period, content, taken, due, ends, attempts, holder, leased, sealed, lane";

/// Makes the store.
pub(in crate::records) fn create(location: &Location) -> Result<(), StoreError> {
    Database::create(location)?;
    Database::open(location, Durability::Full)?.migrate(&SCHEMA)
}

/// Brings the tables to their version.
pub(in crate::records) fn migrate(db: &mut Database) -> Result<(), StoreError> {
    db.migrate(&SCHEMA)
}

pub(super) struct Store {
    db: Database,
    sealer: Sealer,
    /// What names this gateway among those that share the database.
    holder: i64,
    /// Nobody else can have this store.
    alone: bool,
    /// Held for as long as this store is: no other process bears the same name.
    _name: Option<File>,
    on_split_end: OnSplitEnd,
}

/// Keys and nonces.
struct Sealer {
    // The statements' closures need it while the database is borrowed.
    ring: RefCell<Keyring>,
    nonces: RefCell<Nonces>,
    held: std::time::Duration,
}

/// A row of the table of parcels.
pub(super) struct Found {
    id: i64,
    kind: i64,
    pub(super) state: i64,
    class: i64,
    period: i64,
    content: i64,
    taken: i64,
    due: i64,
    pub(super) ends: i64,
    attempts: i64,
    holder: i64,
    leased: i64,
    sealed: Vec<u8>,
    lane: String,
}

impl Found {
    fn read(row: &dyn Row) -> Result<Found, StoreError> {
        Ok(Found {
            id: row.integer(0)?,
            kind: row.integer(1)?,
            state: row.integer(2)?,
            class: row.integer(3)?,
            period: row.integer(4)?,
            content: row.integer(5)?,
            taken: row.integer(6)?,
            due: row.integer(7)?,
            ends: row.integer(8)?,
            attempts: row.integer(9)?,
            holder: row.integer(10)?,
            leased: row.integer(11)?,
            // Octets that are none are a broken parcel, not a broken store: the others go on.
            sealed: row.octets(12).map(<[u8]>::to_vec).unwrap_or_default(),
            lane: row.text(13)?.to_owned(),
        })
    }
}

impl Store {
    /// For a gateway, whose leases of before its end are free at once.
    pub(super) fn open(options: &Options) -> Result<Store, StoreError> {
        let mut store = Store::open_beside(options)?;
        store.alone = options.custody.file().is_some();
        if !store.alone
            && let Some((file, name)) = node(options)?
        {
            (store.holder, store._name) = (name, Some(file));
            store.db.statements().execute("UPDATE parcel SET leased = 0 WHERE holder = ?1 AND leased > 0", values![name])?;
        }
        Ok(store)
    }

    pub(super) fn open_beside(options: &Options) -> Result<Store, StoreError> {
        if !options.custody.may_be_there() {
            return Err(StoreError::Absent(options.custody.clone()));
        }
        let ring = options.open_ring()?;
        let mut db = Database::open(&options.custody, Durability::Full)?;
        db.migrate(&SCHEMA)?;
        let sealer = Sealer { ring: RefCell::new(ring), nonces: RefCell::default(), held: options.retention.held };
        Ok(Store { db, sealer, holder: new_id()?, alone: false, _name: None, on_split_end: Box::new(|_, _| Vec::new()) })
    }
}

/// The name of this gateway among those that share a server: a number in a file beside the site key, locked while it is in use. None
/// where another process has it, which then goes by a name of its own.
fn node(options: &Options) -> Result<Option<(File, i64)>, StoreError> {
    let mut path = options.key_file.clone().into_os_string();
    path.push(".node");
    let path = PathBuf::from(path);
    let io = |error| StoreError::io(&path, error);
    let mut file = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(io(error)),
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(io)?;
    if let Ok(name) = text.trim().parse() {
        return Ok(Some((file, name)));
    }
    // What a crash left half written named nobody.
    let name = new_id()?;
    file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{name}")).and_then(|()| file.sync_all()).map_err(io)?;
    Ok(Some((file, name)))
}

impl Custody for Store {
    fn accept(&mut self, deposits: &[Deposit], now: i64) -> Result<Vec<Vec<i64>>, StoreError> {
        let sealer = &self.sealer;
        // Keys are on the disk before anything is sealed with them, and outside of the transaction.
        self.db.transaction(|tx| {
            let adds: usize = deposits.iter().map(|d| d.parcels.len()).sum();
            let have = tx.number("SELECT count(*) FROM parcel", &[])?;
            if have.cast_unsigned() + adds as u64 > MOST {
                return Err(StoreError::QueueFull);
            }
            crash::here(Point::DepositBegun);
            let ids = deposits.iter().map(|deposit| sealer.deposit(tx, deposit, now)).collect();
            crash::here(Point::DepositWritten);
            ids
        })
    }

    fn is_told(&mut self, what: &[u8], now: i64) -> Result<bool, StoreError> {
        // Each period has its own hash key, so the memory fades with the keys.
        for hash in self.sealer.told_as(what, now)? {
            let told = "SELECT 1 FROM told WHERE hash = ?1 AND expires > ?2";
            if self.db.statements().first(told, values![&hash[..], now], |_| Ok(()))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn claim(&mut self, kind: Kind, lane: &str, most: usize, now: i64) -> Result<Claim, StoreError> {
        let (holder, alone) = (self.holder, self.alone);
        let (found, next) = self.db.transaction(|tx| {
            let clock = tx.clock(now)?;
            // Where nobody else can have it, a lease of another name is that of a gateway that is no more.
            let free = if alone { "(leased <= ?5 OR holder <> ?1)" } else { "leased <= ?5" };
            let sql = format!(
                "UPDATE parcel SET holder = ?1, leased = ?2 WHERE id IN
                   (SELECT id FROM parcel WHERE kind = ?3 AND lane = ?8 AND state = {waiting} AND (due <= ?4 OR due > ?7) AND {free}
                   ORDER BY due, id LIMIT ?6{locked})
                 RETURNING {COLUMNS}",
                waiting = State::Waiting as i64,
                locked = tx.skip_locked(),
            );
            let values = values![holder, clock + millis(LEASE), kind as i64, now, clock, most as i64, now + millis(FARTHEST), lane];
            let found = tx.all(&sql, values, Found::read)?;
            // What another gateway has leased may come back to us, should it be no more.
            let next = "SELECT min(CASE WHEN leased > ?3 AND leased > due THEN leased ELSE due END) FROM parcel
                        WHERE kind = ?1 AND lane = ?4 AND state = ?2 AND holder <> ?5";
            let next = tx.first(next, values![kind as i64, State::Waiting as i64, clock, lane, holder], |row| row.optional(0))?.flatten();
            Ok((found, next))
        })?;
        crash::here(Point::Claimed);
        let mut claim = Claim::default();
        for row in found {
            match self.sealer.parcel(&row) {
                Ok(parcel) => claim.parcels.push(parcel),
                Err(Unopened::For(error)) => return Err(error),
                Err(Unopened::Broken) => self.set_aside(row.id)?,
            }
        }
        claim.parcels.sort_by_key(|p| (p.due, p.id));
        claim.next = next;
        Ok(claim)
    }

    fn renew(&mut self, ids: &[i64], now: i64) -> Result<Vec<i64>, StoreError> {
        let holder = self.holder;
        self.db.transaction(|tx| {
            let until = tx.clock(now)? + millis(LEASE);
            let rows: Vec<_> = ids.iter().map(|id| values![*id, holder, until].to_vec()).collect();
            let renewed = tx.execute_many("UPDATE parcel SET leased = ?3 WHERE id = ?1 AND holder = ?2 AND leased > 0", &rows)?;
            let mut lost = Vec::new();
            if renewed < ids.len() as u64 {
                for id in ids {
                    let ours = "SELECT 1 FROM parcel WHERE id = ?1 AND holder = ?2 AND leased > 0";
                    if tx.first(ours, values![*id, holder], |_| Ok(()))?.is_none() {
                        lost.push(*id);
                    }
                }
            }
            Ok(lost)
        })
    }

    fn settle(&mut self, settled: Vec<(i64, Decision)>, now: i64) -> Result<(), StoreError> {
        let (sealer, holder, ended) = (&self.sealer, self.holder, &self.on_split_end);
        self.db.transaction(|tx| {
            for (id, decision) in &settled {
                let Some(row) = sealer.row(tx, *id)? else { continue };
                if row.holder != holder && !matches!(decision.becomes, Becomes::Nothing) {
                    tracing::warn!(event = "lease_lost", "another gateway delivers a message that this one had begun to");
                    continue;
                }
                sealer.become_(tx, &row, decision, now)?;
                if let Some((tally, fates)) = &decision.tally {
                    sealer.enter(tx, *tally, fates, ended, now)?;
                }
            }
            crash::here(Point::SettleWritten);
            Ok(())
        })?;
        crash::here(Point::Settled);
        Ok(())
    }

    fn decide(&mut self, id: i64, now: i64, act: &mut dyn FnMut(&Parcel) -> Result<Decision, StoreError>) -> Result<Decided, StoreError> {
        let (sealer, holder, alone, ended) = (&self.sealer, self.holder, self.alone, &self.on_split_end);
        let decided = self.db.transaction(|tx| {
            let Some(row) = sealer.row(tx, id)? else { return Ok(Decided::Absent) };
            if row.leased > tx.clock(now)? && (!alone || row.holder == holder) {
                return Ok(Decided::Busy);
            }
            let parcel = sealer.parcel(&row).map_err(Unopened::error)?;
            let decision = act(&parcel)?;
            let ids = sealer.become_(tx, &row, &decision, now)?;
            if let Some((tally, fates)) = &decision.tally {
                sealer.enter(tx, *tally, fates, ended, now)?;
            }
            crash::here(Point::DecisionWritten);
            Ok(Decided::Done(ids))
        })?;
        crash::here(Point::Decided);
        Ok(decided)
    }

    fn list(&mut self, which: Which) -> Result<Vec<Parcel>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM parcel WHERE kind = ?1 AND state = ?2 AND due <= ?4 ORDER BY taken, id LIMIT ?3");
        let which =
            values![which.kind as i64, which.state as i64, i64::try_from(which.most).unwrap_or(i64::MAX), which.due.unwrap_or(i64::MAX)];
        let rows = self.db.statements().all(&sql, which, Found::read)?;
        let mut parcels = Vec::with_capacity(rows.len());
        for row in rows {
            match self.sealer.parcel(&row) {
                Ok(parcel) => parcels.push(parcel),
                Err(Unopened::For(error)) => return Err(error),
                // What is set aside is listed without its sheet: that it is there must not be hidden.
                Err(Unopened::Broken) if row.state == State::Broken as i64 => parcels.push(row.bare()?),
                Err(Unopened::Broken) => self.set_aside(row.id)?,
            }
        }
        Ok(parcels)
    }

    fn parcel(&mut self, id: i64) -> Result<Option<Parcel>, StoreError> {
        let row = self.sealer.row(self.db.statements(), id)?;
        row.map(|row| self.sealer.parcel(&row).map_err(Unopened::error)).transpose()
    }

    fn content(&mut self, id: i64) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(row) = self.sealer.row(self.db.statements(), id)? else { return Ok(None) };
        self.sealer.content(self.db.statements(), row.content).map(Some)
    }

    fn counts(&mut self) -> Result<Counts, StoreError> {
        let mut counts = Counts::default();
        self.db.statements().each("SELECT kind, state, count(*) FROM parcel GROUP BY kind, state", &[], &mut |row| {
            let number = row.integer(2)?.cast_unsigned();
            match (Kind::of(row.integer(0)?)?, State::of(row.integer(1)?)?) {
                (Kind::Notice, State::Waiting) => counts.notices += number,
                (Kind::Mail, State::Waiting) => counts.mail += number,
                (_, State::Stopped) => counts.stopped += number,
                (_, State::Held) => counts.held += number,
                (_, State::Broken) => counts.broken += number,
                (_, State::Tally) => {}
            }
            Ok(())
        })?;
        let oldest = "SELECT min(taken) FROM parcel WHERE kind = ?1 AND state = ?2";
        counts.oldest =
            self.db.statements().first(oldest, values![Kind::Mail as i64, State::Waiting as i64], |row| row.optional(0))?.flatten();
        Ok(counts)
    }

    fn heaps(&mut self) -> Result<Vec<Heap>, StoreError> {
        digest::heaps(self.db.statements())
    }

    fn happenings(&mut self, since: i64, until: i64) -> Result<Happenings, StoreError> {
        digest::happenings(self.db.statements(), since, until)
    }

    fn digest(&mut self, now: i64) -> Result<DigestStanding, StoreError> {
        digest::standing(self.db.statements(), now)
    }

    fn send_digest(&mut self, covered: Covered, letters: &[Deposit], now: i64) -> Result<bool, StoreError> {
        let sealer = &self.sealer;
        let sent = self.db.transaction(|tx| {
            if !digest::claim(tx, covered, now)? {
                return Ok(false);
            }
            for letter in letters {
                for parcel in sealer.deposit(tx, letter, now)? {
                    digest::letter(tx, covered, parcel)?;
                }
            }
            crash::here(Point::DigestWritten);
            Ok(true)
        })?;
        if sent {
            crash::here(Point::DigestSent);
        }
        Ok(sent)
    }

    fn digest_delivered(&mut self, parcel: i64, now: i64) -> Result<(), StoreError> {
        digest::delivered(self.db.statements(), parcel, now)
    }

    fn on_split_end(&mut self, compose: OnSplitEnd) {
        self.on_split_end = compose;
    }

    fn adopt(&mut self, lanes: &[&str], heir: &str) -> Result<u64, StoreError> {
        let mail = Kind::Mail as i64;
        self.db.transaction(|tx| {
            let found = tx.all("SELECT DISTINCT lane FROM parcel WHERE kind = ?1", values![mail], |row| Ok(row.text(0)?.to_string()))?;
            let mut adopted = 0;
            for lane in found.iter().filter(|l| !lanes.contains(&l.as_str())) {
                adopted += tx.execute("UPDATE parcel SET lane = ?2 WHERE kind = ?3 AND lane = ?1", values![lane.as_str(), heir, mail])?;
            }
            Ok(adopted)
        })
    }

    fn purge(&mut self, now: i64) -> Result<Purged, StoreError> {
        let mut purged = self.db.transaction(|tx| {
            let gone = "DELETE FROM parcel WHERE ends <= ?1 AND (kind = ?2 OR state = ?3)";
            let broken = tx.number("SELECT count(*) FROM parcel WHERE ends <= ?1 AND state = ?2", values![now, State::Broken as i64])?;
            let all = tx.execute(gone, values![now, Kind::Notice as i64, State::Broken as i64])?;
            let broken = broken.cast_unsigned().min(all);
            tx.execute("DELETE FROM content WHERE NOT EXISTS (SELECT 1 FROM parcel WHERE parcel.content = content.id)", &[])?;
            let told = tx.execute("DELETE FROM told WHERE expires <= ?1", values![now])?;
            digest::purge(tx, now)?;
            Ok(Purged { notices: all - broken, broken, told, keys: 0 })
        })?;
        crash::here(Point::CustodyRowsPurged);
        // However long a message has waited, and whatever the clock says: the key that opens it stays.
        let needed = "SELECT class, period FROM parcel UNION SELECT class, period FROM content";
        let needed = self.db.statements().all(needed, &[], |row| Ok((row.integer(0)?, row.integer(1)?)))?;
        let ring = self.sealer.ring.get_mut();
        for class in [RecordClass::Custody, RecordClass::Held] {
            for starts in ring.due(class, now)? {
                if !needed.contains(&(i64::from(class.number()), starts)) {
                    ring.drop_period(class, starts)?;
                    purged.keys += 1;
                }
            }
        }
        crash::here(Point::CustodyKeysPurged);
        if purged != Purged::default() {
            self.db.reclaim()?;
        }
        Ok(purged)
    }
}

impl Store {
    /// It is kept, and nobody tries it again: the others go on.
    fn set_aside(&mut self, id: i64) -> Result<(), StoreError> {
        tracing::error!(event = "parcel_broken", "a message in custody cannot be opened and was set aside: see `lychgate queue list`");
        self.db.statements().execute("UPDATE parcel SET state = ?2, leased = 0 WHERE id = ?1", values![id, State::Broken as i64])?;
        Ok(())
    }
}

/// Why a parcel could not be opened.
enum Unopened {
    /// It was altered, or its key is gone: nobody will ever open it.
    Broken,
    /// The keyring could not be read just now.
    For(StoreError),
}

impl Unopened {
    fn error(self) -> StoreError {
        match self {
            Unopened::Broken => StoreError::Sealed,
            Unopened::For(error) => error,
        }
    }
}

impl Sealer {
    fn retention(&self, class: RecordClass) -> std::time::Duration {
        if class == RecordClass::Held { self.held } else { KEPT }
    }

    fn deposit(&self, tx: &mut (dyn Statements + '_), deposit: &Deposit, now: i64) -> Result<Vec<i64>, StoreError> {
        let mut ids = Vec::with_capacity(deposit.parcels.len());
        // One content for each class that its parcels have: usually one.
        for class in [RecordClass::Custody, RecordClass::Held] {
            let mut of_class = deposit.parcels.iter().filter(|p| p.state.class() == class).peekable();
            if of_class.peek().is_none() {
                continue;
            }
            let content = self.put_content(tx, class, &deposit.content, now)?;
            for parcel in of_class {
                ids.push(self.put(tx, deposit.kind, parcel, content, now)?);
            }
        }
        let period = self.ring.borrow_mut().at(RecordClass::Custody, now, KEPT)?;
        for (what, kept) in &deposit.told {
            let hash = period.key.hash_16(Hashed::Told, what);
            tx.execute(
                "INSERT INTO told (hash, expires) VALUES (?1, ?2) ON CONFLICT (hash) DO UPDATE SET expires = excluded.expires",
                values![&hash[..], now.saturating_add((*kept).min(millis(TOLD)))],
            )?;
        }
        Ok(ids)
    }

    fn put_content(&self, tx: &mut (dyn Statements + '_), class: RecordClass, content: &[u8], now: i64) -> Result<i64, StoreError> {
        let (id, period, sealed) = self.seal(Table::Content, new_id()?, class, content, now)?;
        let insert = "INSERT INTO content (id, class, period, sealed) VALUES (?1, ?2, ?3, ?4)";
        tx.execute(insert, values![id, i64::from(class.number()), period, &sealed])?;
        Ok(id)
    }

    fn put(&self, tx: &mut (dyn Statements + '_), kind: Kind, parcel: &NewParcel, content: i64, now: i64) -> Result<i64, StoreError> {
        let class = parcel.state.class();
        let id = parcel.id.map_or_else(new_id, Ok)?;
        if parcel.state == State::Tally {
            Happened::Split.note(tx, parcel.sheet.lane(kind), now)?;
        }
        // A list has no content.
        let content = if parcel.state == State::Tally { 0 } else { content };
        let (id, period, sealed) = self.seal(Table::Sheet, id, class, &sheet_octets(&parcel.sheet)?, now)?;
        tx.execute(
            "INSERT INTO parcel (id, kind, lane, state, class, period, content, taken, due, ends, attempts, holder, leased, sealed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0, 0, 0, ?11)",
            values![
                id,
                kind as i64,
                parcel.sheet.lane(kind),
                parcel.state as i64,
                i64::from(class.number()),
                period,
                content,
                now,
                parcel.due,
                parcel.ends,
                &sealed
            ],
        )?;
        Ok(id)
    }

    /// The hashes by which this may be remembered: the period that it was told in is not known.
    fn told_as(&self, what: &[u8], now: i64) -> Result<Vec<[u8; 16]>, StoreError> {
        let periods = self.ring.borrow_mut().periods(RecordClass::Custody, now - millis(TOLD), i64::MAX)?;
        Ok(periods.iter().map(|period| period.key.hash_16(Hashed::Told, what)).collect())
    }

    /// A message that went back may be sent again, the same octet for octet, and is then a new one.
    fn forget(&self, tx: &mut (dyn Statements + '_), row: &Found, now: i64) -> Result<(), StoreError> {
        let once = match self.parcel(row) {
            Ok(parcel) => parcel.sheet.hold.map(|hold| hold.once).unwrap_or_default(),
            Err(Unopened::For(error)) => return Err(error),
            // Nobody knows any more which it was.
            Err(Unopened::Broken) => return Ok(()),
        };
        if !once.is_empty() {
            for hash in self.told_as(&once, now)? {
                tx.execute("DELETE FROM told WHERE hash = ?1", values![&hash[..]])?;
            }
        }
        Ok(())
    }

    /// Does what was decided about the parcel of this row; says the parcels that took its place.
    fn become_(&self, tx: &mut (dyn Statements + '_), row: &Found, decision: &Decision, now: i64) -> Result<Vec<i64>, StoreError> {
        let mut ids = Vec::new();
        if let Some(what) = Happened::of(row, &decision.becomes, now) {
            what.note(tx, &row.lane, now)?;
        }
        match &decision.becomes {
            Becomes::Same => {
                tx.execute("UPDATE parcel SET holder = 0, leased = 0 WHERE id = ?1 AND leased > 0", values![row.id])?;
            }
            Becomes::Nothing => {
                if row.state == State::Held as i64 {
                    self.forget(tx, row, now)?;
                }
                self.take_away(tx, row)?;
            }
            Becomes::This(parcel) => {
                let class = parcel.state.class();
                let content = self.content_for(tx, row, class, now)?;
                let (_, period, sealed) = self.seal(Table::Sheet, row.id, class, &sheet_octets(&parcel.sheet)?, now)?;
                // What was leased was tried.
                tx.execute(
                    "UPDATE parcel SET state = ?2, class = ?3, period = ?4, content = ?5, due = ?6, ends = ?7, sealed = ?8,
                            attempts = attempts + CASE WHEN leased > 0 THEN 1 ELSE 0 END, holder = 0, leased = 0 WHERE id = ?1",
                    values![row.id, parcel.state as i64, i64::from(class.number()), period, content, parcel.due, parcel.ends, &sealed],
                )?;
                self.drop_content(tx, row.content)?;
            }
            Becomes::These(parcels) => {
                let kind = Kind::of(row.kind)?;
                for class in [RecordClass::Custody, RecordClass::Held] {
                    let mut of_class = parcels.iter().filter(|p| p.state.class() == class).peekable();
                    if of_class.peek().is_none() {
                        continue;
                    }
                    let content = self.content_for(tx, row, class, now)?;
                    for parcel in of_class {
                        ids.push(self.put(tx, kind, parcel, content, now)?);
                    }
                }
                self.take_away(tx, row)?;
            }
        }
        for deposit in &decision.also {
            self.deposit(tx, deposit, now)?;
        }
        Ok(ids)
    }

    /// Enters what became of copies on the list of their split, which goes with its last.
    fn enter(
        &self,
        tx: &mut (dyn Statements + '_),
        tally: i64,
        fates: &[(String, Fate)],
        ended: &OnSplitEnd,
        now: i64,
    ) -> Result<(), StoreError> {
        let Some(row) = self.row(tx, tally)? else { return Ok(()) };
        let mut parcel = self.parcel(&row).map_err(Unopened::error)?;
        for recipient in &mut parcel.sheet.recipients {
            if let Some((_, fate)) = fates.iter().find(|(address, _)| *address == recipient.address) {
                recipient.state = fate.clone();
            }
        }
        let decision = if parcel.sheet.recipients.iter().any(|r| r.state.is_open()) {
            let Parcel { id, state, due, ends, sheet, .. } = parcel;
            Decision::of(Becomes::This(Box::new(NewParcel { id: Some(id), state, due, ends, sheet })))
        } else {
            Decision { becomes: Becomes::Nothing, also: ended(&parcel.sheet, now), tally: None }
        };
        self.become_(tx, &row, &decision, now).map(drop)
    }

    /// The row's content under the keys of a class: itself, or sealed anew.
    fn content_for(&self, tx: &mut (dyn Statements + '_), row: &Found, class: RecordClass, now: i64) -> Result<i64, StoreError> {
        if row.class == i64::from(class.number()) || row.content == 0 {
            return Ok(row.content);
        }
        let content = Zeroizing::new(self.content(tx, row.content)?);
        self.put_content(tx, class, &content, now)
    }

    fn take_away(&self, tx: &mut (dyn Statements + '_), row: &Found) -> Result<(), StoreError> {
        tx.execute("DELETE FROM parcel WHERE id = ?1", values![row.id])?;
        self.drop_content(tx, row.content)
    }

    /// A content goes with the last parcel that needs it.
    fn drop_content(&self, tx: &mut (dyn Statements + '_), content: i64) -> Result<(), StoreError> {
        tx.execute("DELETE FROM content WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM parcel WHERE content = ?1)", values![content])?;
        Ok(())
    }

    fn row(&self, tx: &mut (dyn Statements + '_), id: i64) -> Result<Option<Found>, StoreError> {
        tx.first(&format!("SELECT {COLUMNS} FROM parcel WHERE id = ?1{}", tx.for_update()), values![id], Found::read)
    }

    fn content(&self, tx: &mut (dyn Statements + '_), id: i64) -> Result<Vec<u8>, StoreError> {
        let read = |row: &dyn Row| Ok((row.integer(0)?, row.integer(1)?, row.octets(2)?.to_vec()));
        let found = tx.first("SELECT class, period, sealed FROM content WHERE id = ?1", values![id], read)?;
        let (class, period, sealed) = found.ok_or(StoreError::Damaged)?;
        self.open(Table::Content, id, class_of(class)?, period, sealed).map_err(Unopened::error)
    }

    fn parcel(&self, row: &Found) -> Result<Parcel, Unopened> {
        let class = class_of(row.class).map_err(|_| Unopened::Broken)?;
        let octets = Zeroizing::new(self.open(Table::Sheet, row.id, class, row.period, row.sealed.clone())?);
        let sheet = serde_json::from_slice(&octets).map_err(|_| Unopened::Broken)?;
        row.bare().map(|parcel| Parcel { sheet, ..parcel }).map_err(|_| Unopened::Broken)
    }

    /// Seals octets under the key of now; says the row, its period and the sealed octets.
    fn seal(&self, table: Table, row: i64, class: RecordClass, octets: &[u8], now: i64) -> Result<(i64, i64, Vec<u8>), StoreError> {
        let period = self.ring.borrow_mut().at(class, now, self.retention(class))?;
        let mut sealed = Vec::with_capacity(octets.len() + crate::records::sealing::OVERHEAD);
        sealed.resize(NONCE_LEN, 0);
        sealed.extend_from_slice(octets);
        let place = RowPlace { table, row, class, period: period.starts };
        period.key.seal(&place, &mut self.nonces.borrow_mut(), &mut sealed)?;
        Ok((row, period.starts, sealed))
    }

    fn open(&self, table: Table, row: i64, class: RecordClass, starts: i64, mut sealed: Vec<u8>) -> Result<Vec<u8>, Unopened> {
        let period = match self.ring.borrow_mut().period(class, starts) {
            Ok(Some(period)) => period,
            Ok(None) => return Err(Unopened::Broken),
            // The keyring could not be read just now: that is no reason to give a message up.
            Err(error) if error.may_pass() => return Err(Unopened::For(error)),
            Err(_) => return Err(Unopened::Broken),
        };
        let place = RowPlace { table, row, class, period: starts };
        match period.key.open(&place, &mut sealed) {
            Ok(plain) => {
                let octets = plain.len();
                sealed.drain(..NONCE_LEN);
                sealed.truncate(octets);
                Ok(sealed)
            }
            Err(_) => Err(Unopened::Broken),
        }
    }
}

impl Found {
    /// The parcel without what is sealed.
    fn bare(&self) -> Result<Parcel, StoreError> {
        Ok(Parcel {
            id: self.id,
            kind: Kind::of(self.kind)?,
            state: State::of(self.state)?,
            due: self.due,
            ends: self.ends,
            attempts: u32::try_from(self.attempts).unwrap_or(u32::MAX),
            sheet: Sheet { taken: self.taken, ..Sheet::default() },
        })
    }
}

fn sheet_octets(sheet: &Sheet) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    serde_json::to_vec(sheet).map(Zeroizing::new).map_err(|_| StoreError::Damaged)
}

fn class_of(number: i64) -> Result<RecordClass, StoreError> {
    [RecordClass::Custody, RecordClass::Held].into_iter().find(|c| i64::from(c.number()) == number).ok_or(StoreError::Damaged)
}

/// Random, so that gateways need no counter between them; positive, so that it reads as a number.
pub fn new_id() -> Result<i64, StoreError> {
    Ok((i64::from_be_bytes(random_octets()?) & i64::MAX).max(1))
}
