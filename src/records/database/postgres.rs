//! PostgreSQL: one connection a thread, replaced when it breaks.
//!
//! The store's threads wait for each answer; the sockets are driven by one thread of their own, so that a store may be used from
//! anywhere, also within a runtime. A connection that was lost is opened again at the next operation, never within a transaction:
//! what had been done of that is undone by the server, except for a commit whose answer was lost, and of that the server is asked.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, OnceLock, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use tokio::runtime::Handle;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, private::BytesMut, to_sql_checked};
use tokio_postgres::{Client, Statement};

use super::server::{Doing, Fault, Server};
use super::{Durability, Row, Shape, Statements, Value};
use crate::records::StoreError;

/// How long one statement may take, as the server counts; and how long we wait for its answer.
const STATEMENT: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(40);
/// How long opening a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long is asked what became of a commit.
const OUTCOME: Duration = Duration::from_secs(15);
/// Writing a table anew may take as long as it takes.
const REWRITE: Duration = Duration::from_secs(3600);
/// Statements that are kept prepared. There are fewer; those with lists in them are not.
const PREPARED: usize = 256;
/// Statements on the way at one time.
const PIPELINE: usize = 128;

pub(super) struct Postgres {
    server: Arc<Server>,
    durability: Durability,
    client: Option<Client>,
    prepared: HashMap<String, Statement>,
    /// Within a transaction: a connection that is lost now is not replaced.
    inside: bool,
}

impl Postgres {
    pub(super) fn open(server: &Arc<Server>, durability: Durability) -> Result<Postgres, StoreError> {
        let mut engine = Postgres { server: server.clone(), durability, client: None, prepared: HashMap::new(), inside: false };
        engine.connected()?;
        Ok(engine)
    }

    /// Whether any store has made its tables here.
    pub(super) fn is_made(&mut self) -> Result<bool, StoreError> {
        let there = "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = current_schema() AND tablename = 'schema_version'";
        let statements: &mut dyn Statements = self;
        Ok(statements.number(there, &[])? > 0)
    }

    /// Whether another of our processes is connected; one that has just gone is given a moment.
    pub(super) fn is_in_use(&mut self) -> Result<bool, StoreError> {
        let others = "SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE datname = current_database() AND application_name = 'lychgate'
                      AND pid <> pg_backend_pid()";
        let until = Instant::now() + Duration::from_secs(2);
        loop {
            let statements: &mut dyn Statements = self;
            match statements.number(others, &[])? {
                0 => return Ok(false),
                _ if Instant::now() >= until => return Ok(true),
                _ => thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Everything that is read until the end is of one moment.
    pub(super) fn begin_reading(&mut self) -> Result<(), StoreError> {
        let tables = "SELECT CAST(tablename AS TEXT) FROM pg_catalog.pg_tables WHERE schemaname = current_schema() ORDER BY tablename";
        let statements: &mut dyn Statements = self;
        let tables = statements.all(tables, &[], |row| Ok(format!("\"{}\"", row.text(0)?)))?;
        self.begin()?;
        self.batch("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")?;
        if !tables.is_empty() {
            // Before the moment that is read: a table that is written anew after it would look empty.
            self.batch(&format!("LOCK TABLE {} IN ACCESS SHARE MODE", tables.join(", ")))?;
        }
        self.batch("SELECT 1 FROM pg_catalog.pg_class LIMIT 1")
    }

    pub(super) fn begin(&mut self) -> Result<(), StoreError> {
        if self.batch("BEGIN").is_err() {
            // The server may have been started anew since the last time; nothing has been done yet that could be done twice.
            self.client = None;
            self.batch("BEGIN")?;
        }
        self.inside = true;
        Ok(())
    }

    pub(super) fn end<T>(&mut self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        let done = done.and_then(|value| self.commit().map(|()| value));
        self.inside = false;
        if done.is_err() && self.client.is_some() && self.batch("ROLLBACK").is_err() {
            self.client = None;
        }
        done
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        // None where nothing was written.
        let number = "SELECT CAST(CAST(pg_current_xact_id_if_assigned() AS TEXT) AS BIGINT)";
        let statements: &mut dyn Statements = self;
        let number = statements.first(number, &[], |row| row.optional(0))?.flatten();
        let Err(error) = self.batch("COMMIT") else { return Ok(()) };
        match number {
            Some(number) if self.client.is_none() && self.was_committed(number) => Ok(()),
            _ => Err(error),
        }
    }

    /// The connection was lost while a commit was under way: the server knows what became of it, when it is back.
    fn was_committed(&mut self, number: i64) -> bool {
        self.inside = false;
        let until = Instant::now() + OUTCOME;
        while Instant::now() < until {
            let status = "SELECT coalesce(pg_xact_status(CAST(CAST(?1 AS TEXT) AS xid8)), 'aborted')";
            let statements: &mut dyn Statements = self;
            match statements.first(status, &[Value::Integer(number)], |row| Ok(row.text(0)?.to_string())) {
                Ok(Some(status)) if status == "committed" => return true,
                Ok(Some(status)) if status == "aborted" => return false,
                _ => thread::sleep(Duration::from_millis(100)),
            }
        }
        false
    }

    pub(super) fn reclaim(&mut self) -> Result<(), StoreError> {
        self.at_leisure("VACUUM (SKIP_LOCKED)")
    }

    pub(super) fn rewrite(&mut self, table: &'static str) -> Result<(), StoreError> {
        // Not VACUUM FULL: that copies what anybody's snapshot might still want, the server's own housekeeping included. What is put
        // back here is what is there, in a file of its own; the old one goes with the commit.
        self.at_leisure(&format!(
            "BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; CREATE TEMPORARY TABLE rewritten ON COMMIT DROP AS SELECT * FROM {table};
             TRUNCATE {table}; INSERT INTO {table} SELECT * FROM rewritten; COMMIT"
        ))
    }

    fn at_leisure(&mut self, sql: &str) -> Result<(), StoreError> {
        self.batch("SET statement_timeout = 0")?;
        let done = self.run(Doing::Statement, REWRITE, async |client| client.batch_execute(sql).await);
        if done.is_err() && self.client.is_some() {
            let _ = self.batch("ROLLBACK");
        }
        self.batch(&format!("SET statement_timeout = {}", STATEMENT.as_millis()))?;
        done
    }

    fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        self.connected()?;
        self.run(Doing::Statement, PATIENCE, async |client| client.batch_execute(sql).await)
    }

    /// Opens a connection where there is none.
    fn connected(&mut self) -> Result<(), StoreError> {
        if self.client.as_ref().is_some_and(|c| !c.is_closed()) {
            return Ok(());
        }
        self.client = None;
        self.prepared.clear();
        if self.inside {
            return Err(Fault::lost(Doing::Statement).into());
        }
        self.client = Some(connect(&self.server)?);
        let promise = match self.durability {
            Durability::Relaxed => "SET synchronous_commit = off",
            // A stronger promise of the server's stays.
            Durability::Full | Durability::Final => {
                "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local')"
            }
        };
        let setting = format!(
            "SET statement_timeout = {0}; SET lock_timeout = {0}; SET idle_in_transaction_session_timeout = {1};
             SET client_min_messages = warning; SET default_transaction_isolation = 'read committed'; {promise}",
            STATEMENT.as_millis(),
            2 * STATEMENT.as_millis(),
        );
        self.run(Doing::Connect, CONNECT, async |client| client.batch_execute(&setting).await)
    }

    /// Waits for what the client does. A connection that broke is given up.
    fn run<T>(
        &mut self,
        doing: Doing,
        patience: Duration,
        act: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, StoreError> {
        let Some(client) = &self.client else { return Err(Fault::lost(doing).into()) };
        match wait(act(client), patience) {
            Some(Ok(done)) => Ok(done),
            Some(Err(error)) => Err(self.failed(doing, &error)),
            None => {
                self.client = None;
                Err(Fault::slow(doing).into())
            }
        }
    }

    fn failed(&mut self, doing: Doing, error: &tokio_postgres::Error) -> StoreError {
        let fault = Fault::of(doing, error);
        if fault.is_lost() {
            self.client = None;
        }
        if fault.is_stale() {
            self.prepared.clear();
        }
        fault.into()
    }

    fn prepare(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Statement, StoreError> {
        self.connected()?;
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(statement.clone());
        }
        let types: Vec<Type> = values
            .iter()
            .map(|v| match v {
                Value::Null => Type::UNKNOWN,
                Value::Integer(_) => Type::INT8,
                Value::Octets(_) => Type::BYTEA,
                Value::Text(_) => Type::TEXT,
            })
            .collect();
        let text = in_its_words(sql);
        let statement = self.run(Doing::Statement, PATIENCE, async |client| client.prepare_typed(&text, &types).await)?;
        if self.prepared.len() >= PREPARED {
            self.prepared.clear();
        }
        self.prepared.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

impl Statements for Postgres {
    fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        if is_definition(sql) {
            return self.batch(&definition(sql)).map(|()| 0);
        }
        let statement = self.prepare(sql, values)?;
        self.run(Doing::Statement, PATIENCE, async |client| client.execute_raw(&statement, values.iter()).await)
    }

    fn execute_many(&mut self, sql: &str, rows: &[Vec<Value<'_>>]) -> Result<u64, StoreError> {
        let Some(first) = rows.first() else { return Ok(0) };
        let statement = self.prepare(sql, first)?;
        let mut changed = 0;
        for rows in rows.chunks(PIPELINE) {
            changed += self.run(Doing::Statement, PATIENCE, async |client| {
                let mut sent: Vec<_> = rows.iter().map(|values| Box::pin(client.execute_raw(&statement, values.iter()))).collect();
                let mut done: Vec<Option<Result<u64, tokio_postgres::Error>>> = rows.iter().map(|_| None).collect();
                // The first poll of each sends it; the answers come in the same order.
                poll_fn(|cx| {
                    for (future, done) in sent.iter_mut().zip(&mut done) {
                        if let Poll::Ready(result) = future.as_mut().poll(cx) {
                            *done = Some(result);
                        }
                    }
                    Poll::Ready(())
                })
                .await;
                let mut changed = 0;
                for (future, done) in sent.into_iter().zip(done) {
                    changed += match done {
                        Some(result) => result?,
                        None => future.await?,
                    };
                }
                Ok(changed)
            })?;
        }
        Ok(changed)
    }

    fn each(&mut self, sql: &str, values: &[Value<'_>], row: &mut dyn FnMut(&dyn Row) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let statement = self.prepare(sql, values)?;
        let rows = self.run(Doing::Statement, PATIENCE, async |client| client.query_raw(&statement, values.iter()).await)?;
        let mut rows = pin!(rows);
        loop {
            // The connection reads on when this row has been taken: memory holds a few at a time.
            match wait(rows.try_next(), PATIENCE) {
                Some(Ok(Some(found))) => row(&Found(found))?,
                Some(Ok(None)) => return Ok(()),
                Some(Err(error)) => return Err(self.failed(Doing::Statement, &error)),
                None => {
                    self.client = None;
                    return Err(Fault::slow(Doing::Statement).into());
                }
            }
        }
    }

    fn clock(&mut self, _ours: i64) -> Result<i64, StoreError> {
        let now = "SELECT CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS BIGINT)";
        let statements: &mut dyn Statements = self;
        statements.number(now, &[])
    }

    fn serial(&mut self, what: &str) -> Result<(), StoreError> {
        self.each("SELECT pg_advisory_xact_lock(hashtextextended(?1, 0))", &[Value::Text(what)], &mut |_| Ok(()))
    }

    fn numbers_follow(&mut self, table: &str, column: &str) -> Result<(), StoreError> {
        // None where its numbers are ours to give.
        let sequence = "SELECT coalesce(CAST(pg_get_serial_sequence(?1, ?2) AS TEXT), '')";
        let statements: &mut dyn Statements = self;
        let sequence = statements.first(sequence, &[Value::Text(table), Value::Text(column)], |row| Ok(row.text(0)?.to_string()))?;
        match sequence.filter(|name| !name.is_empty()) {
            Some(name) => {
                let follow = format!(
                    "SELECT setval(CAST(CAST(?1 AS TEXT) AS regclass), (SELECT coalesce(max({column}), 0) + 1 FROM {table}), false)"
                );
                self.each(&follow, &[Value::Text(&name)], &mut |_| Ok(()))
            }
            None => Ok(()),
        }
    }

    fn shapes(&mut self) -> Result<Vec<Shape>, StoreError> {
        let columns = "SELECT CAST(t.relname AS TEXT), CAST(c.attname AS TEXT), CAST(format_type(c.atttypid, NULL) AS TEXT),
                              CAST(coalesce(array_position(CAST(k.indkey AS int2[]), c.attnum) + 1, 0) AS BIGINT)
                       FROM pg_catalog.pg_class AS t JOIN pg_catalog.pg_attribute AS c ON c.attrelid = t.oid AND c.attnum > 0 AND NOT c.attisdropped
                            LEFT JOIN pg_catalog.pg_index AS k ON k.indrelid = t.oid AND k.indisprimary
                       WHERE t.relkind = 'r' AND t.relnamespace = CAST(current_schema() AS regnamespace) ORDER BY t.relname, c.attnum";
        let statements: &mut dyn Statements = self;
        Shape::gather(statements, columns)
    }

    fn for_update(&self) -> &'static str {
        " FOR UPDATE"
    }

    fn skip_locked(&self) -> &'static str {
        " FOR UPDATE SKIP LOCKED"
    }
}

/// The thread that drives the sockets, for as long as the program runs.
fn driver() -> Result<&'static Handle, StoreError> {
    static DRIVER: OnceLock<Handle> = OnceLock::new();
    if let Some(handle) = DRIVER.get() {
        return Ok(handle);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StoreError::Thread)?;
    let handle = runtime.handle().clone();
    // Of two that are made at the same time the one serves whoever made it, and the other everybody.
    thread::Builder::new()
        .name("postgres".into())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))
        .map_err(StoreError::Thread)?;
    Ok(DRIVER.get_or_init(|| handle))
}

fn connect(server: &Arc<Server>) -> Result<Client, StoreError> {
    let (mut config, tls) = server.config()?;
    config.connect_timeout(CONNECT).tcp_user_timeout(PATIENCE).keepalives(true).keepalives_idle(Duration::from_secs(30));
    config.application_name("lychgate");
    let (tell, told) = mpsc::sync_channel(1);
    driver()?.spawn(async move {
        match tls {
            Some(tls) => drive(config.connect(tokio_postgres_rustls::MakeRustlsConnect::new(tls)), tell).await,
            None => drive(config.connect(tokio_postgres::NoTls), tell).await,
        }
    });
    match told.recv_timeout(2 * CONNECT) {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(error)) => Err(Fault::of(Doing::Connect, &error).into()),
        Err(_) => Err(Fault::slow(Doing::Connect).into()),
    }
}

type Told = mpsc::SyncSender<Result<Client, tokio_postgres::Error>>;

async fn drive<S, T>(
    connecting: impl Future<Output = Result<(Client, tokio_postgres::Connection<S, T>), tokio_postgres::Error>>,
    tell: Told,
) where
    tokio_postgres::Connection<S, T>: Future<Output = Result<(), tokio_postgres::Error>>,
{
    match connecting.await {
        Ok((client, connection)) => {
            let _ = tell.send(Ok(client));
            // Whoever uses the client hears of its end.
            let _ = connection.await;
        }
        Err(error) => drop(tell.send(Err(error))),
    }
}

/// Waits on this thread, whatever else it may be; none if it took too long.
fn wait<F: Future>(future: F, patience: Duration) -> Option<F::Output> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let until = Instant::now() + patience;
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return Some(done);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        thread::park_timeout(left);
    }
}

fn is_definition(sql: &str) -> bool {
    ["CREATE ", "ALTER ", "DROP "].iter().any(|word| sql.starts_with(word))
}

/// The tables' words: of SQLite's each has one here.
fn definition(sql: &str) -> String {
    let sql = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    sql.replace("INTEGER PRIMARY KEY AUTOINCREMENT", "INTEGER PRIMARY KEY")
        .replace("INTEGER PRIMARY KEY", "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY")
        .replace(" INTEGER", " BIGINT")
        .replace(" BLOB", " BYTEA")
        .replace(") WITHOUT ROWID", ")")
}

/// `?1` is `$1`, except in what is quoted.
fn in_its_words(sql: &str) -> String {
    let mut quoted = false;
    sql.chars()
        .map(|c| {
            quoted ^= c == '\'';
            if c == '?' && !quoted { '$' } else { c }
        })
        .collect()
}

impl ToSql for Value<'_> {
    fn to_sql(&self, to: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match *self {
            Value::Null => return Ok(IsNull::Yes),
            // The server may have settled on less where a statement was first prepared with NULL.
            Value::Integer(n) if *to == Type::INT4 => out.extend_from_slice(&i32::try_from(n)?.to_be_bytes()),
            Value::Integer(n) => out.extend_from_slice(&n.to_be_bytes()),
            Value::Octets(octets) => out.extend_from_slice(octets),
            Value::Text(text) => out.extend_from_slice(text.as_bytes()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

struct Found(tokio_postgres::Row);

/// A column as the server sent it.
struct Column<'a> {
    of: Type,
    octets: Option<&'a [u8]>,
}

impl<'a> FromSql<'a> for Column<'a> {
    fn from_sql(of: &Type, octets: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Column { of: of.clone(), octets: Some(octets) })
    }

    fn from_sql_null(of: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Column { of: of.clone(), octets: None })
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl Found {
    fn column(&self, column: usize) -> Result<Column<'_>, StoreError> {
        self.0.try_get(column).map_err(|_| StoreError::Damaged)
    }
}

impl Row for Found {
    fn integer(&self, column: usize) -> Result<i64, StoreError> {
        self.optional(column)?.ok_or(StoreError::Damaged)
    }

    fn optional(&self, column: usize) -> Result<Option<i64>, StoreError> {
        let Column { of, octets } = self.column(column)?;
        let Some(octets) = octets else { return Ok(None) };
        match (of, octets) {
            (Type::INT8, &[a, b, c, d, e, f, g, h]) => Ok(Some(i64::from_be_bytes([a, b, c, d, e, f, g, h]))),
            (Type::INT4, &[a, b, c, d]) => Ok(Some(i32::from_be_bytes([a, b, c, d]).into())),
            _ => Err(StoreError::Damaged),
        }
    }

    fn octets(&self, column: usize) -> Result<&[u8], StoreError> {
        match self.column(column)? {
            Column { of: Type::BYTEA, octets: Some(octets) } => Ok(octets),
            _ => Err(StoreError::Damaged),
        }
    }

    fn text(&self, column: usize) -> Result<&str, StoreError> {
        match self.column(column)? {
            Column { of: Type::TEXT | Type::VARCHAR, octets: Some(octets) } => std::str::from_utf8(octets).map_err(|_| StoreError::Damaged),
            _ => Err(StoreError::Damaged),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_has_one_here() {
        assert_eq!(in_its_words("SELECT '?' || ?1 FROM x WHERE y = ?2"), "SELECT '?' || $1 FROM x WHERE y = $2");
        assert_eq!(
            definition(
                "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, n INTEGER NOT NULL,\n  b BLOB, PRIMARY KEY (id)) WITHOUT ROWID"
            ),
            "CREATE TABLE t (id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, n BIGINT NOT NULL, b BYTEA, PRIMARY KEY (id))"
        );
    }
}
