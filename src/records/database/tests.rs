#[cfg(feature = "postgres")]
use super::trial::on_each;
use super::*;

const TABLES: Schema = Schema {
    part: "trial",
    versions: &[
        "CREATE TABLE letter (id INTEGER PRIMARY KEY AUTOINCREMENT, due INTEGER NOT NULL, word TEXT NOT NULL, sealed BLOB)",
        "CREATE INDEX letter_due ON letter (due); CREATE TABLE told (hash BLOB PRIMARY KEY, expires INTEGER NOT NULL) WITHOUT ROWID",
    ],
};

const BROKEN: Schema =
    Schema { part: "trial", versions: &[TABLES.versions[0], TABLES.versions[1], "CREATE TABLE more (id INTEGER); NONSENSE"] };

#[test]
fn values_go_round() {
    on_each(|location| {
        let mut db = Database::open(location, Durability::Full).unwrap();
        db.migrate(&TABLES).unwrap();
        let id = db
            .transaction(|tx| {
                tx.first(
                    "INSERT INTO letter (due, word, sealed) VALUES (?1, ?2, ?3) RETURNING id",
                    values![i64::MIN, "ſø", &[0u8, 255][..]],
                    |row| row.integer(0),
                )
            })
            .unwrap()
            .unwrap();
        db.statements().execute("INSERT INTO letter (due, word, sealed) VALUES (?1, ?2, ?3)", values![1, "", None::<i64>]).unwrap();
        let found = db
            .statements()
            .all("SELECT id, due, word, sealed FROM letter WHERE id = ?1", values![id], |row| {
                Ok((row.integer(0)?, row.integer(1)?, row.text(2)?.to_string(), row.octets(3)?.to_vec()))
            })
            .unwrap();
        assert_eq!(found, [(id, i64::MIN, "ſø".to_string(), vec![0, 255])]);
        assert_eq!(db.statements().number("SELECT count(*) FROM letter WHERE sealed IS NULL", &[]).unwrap(), 1);
        let wrong = db.statements().first("SELECT word FROM letter", &[], |row| row.integer(0));
        assert!(matches!(wrong, Err(StoreError::Damaged)), "{wrong:?}");
    });
}

#[test]
fn a_transaction_is_whole_or_nothing() {
    on_each(|location| {
        let mut db = Database::open(location, Durability::Full).unwrap();
        db.migrate(&TABLES).unwrap();
        let add = "INSERT INTO told (hash, expires) VALUES (?1, ?2)";
        let failed = db.transaction(|tx| {
            tx.execute(add, values![&b"a"[..], 1])?;
            tx.execute(add, values![&b"a"[..], 2])
        });
        assert!(failed.is_err());
        let failed: Result<(), _> = db.transaction(|tx| {
            tx.execute(add, values![&b"b"[..], 1])?;
            Err(StoreError::Stopped)
        });
        assert!(matches!(failed, Err(StoreError::Stopped)));
        assert_eq!(db.statements().number("SELECT count(*) FROM told", &[]).unwrap(), 0);
        let rows = vec![vec![Value::from(&b"c"[..]), 3.into()], vec![Value::from(&b"d"[..]), 4.into()]];
        assert_eq!(db.transaction(|tx| tx.execute_many(add, &rows)).unwrap(), 2);
        assert_eq!(db.statements().number("SELECT CAST(sum(expires) AS BIGINT) FROM told", &[]).unwrap(), 7);
    });
}

#[test]
fn a_version_is_brought_forward_once_and_a_newer_one_is_refused() {
    on_each(|location| {
        let mut db = Database::open(location, Durability::Full).unwrap();
        let first = Schema { part: "trial", versions: &TABLES.versions[..1] };
        db.migrate(&first).unwrap();
        db.statements().execute("INSERT INTO letter (due, word) VALUES (1, 'kept')", &[]).unwrap();
        db.migrate(&TABLES).unwrap();
        db.migrate(&TABLES).unwrap();
        assert_eq!(db.statements().number("SELECT count(*) FROM letter", &[]).unwrap(), 1);
        assert!(matches!(db.migrate(&first), Err(StoreError::Newer { part: "trial", have: 2, known: 1 })));
        // A script that fails leaves the version that was there.
        assert!(db.migrate(&BROKEN).is_err());
        db.migrate(&TABLES).unwrap();
    });
}

#[test]
fn a_location_shows_no_password() {
    let shown = |url: &str| Location::Postgres(Arc::new(url.into())).to_string();
    assert_eq!(shown("postgres://gate:s3cret@127.0.0.1:5432/lychgate?sslmode=require"), "postgres://127.0.0.1:5432/lychgate");
    assert_eq!(shown("postgresql://a:p@ss@db.example/x"), "postgresql://db.example/x");
    assert_eq!(format!("{:?}", Location::Postgres(Arc::new("postgres:///x?password=s3cret".into()))), "postgres:///x");
}

/// Two connections as two gateways have them.
#[test]
fn whoever_shares_a_database_takes_turns() {
    on_each(|location| {
        let mut first = Database::open(location, Durability::Full).unwrap();
        first.migrate(&TABLES).unwrap();
        first.statements().execute("INSERT INTO letter (due, word) VALUES (0, 'count')", &[]).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut db = Database::open(location, Durability::Relaxed).unwrap();
                    for _ in 0..25 {
                        let added = db.transaction(|tx| {
                            tx.serial("letters")?;
                            let due = tx.number("SELECT due FROM letter", &[])?;
                            tx.execute("UPDATE letter SET due = ?1", values![due + 1])
                        });
                        added.unwrap();
                    }
                });
            }
        });
        assert_eq!(first.statements().number("SELECT due FROM letter", &[]).unwrap(), 100);
    });
}

#[tokio::test]
async fn a_database_may_be_used_within_a_runtime() {
    on_each(|location| {
        let mut db = Database::open(location, Durability::Full).unwrap();
        assert_eq!(db.statements().number("SELECT 7", &[]).unwrap(), 7);
    });
}

/// Rows are read as they are taken, and reading may end before they do.
#[test]
fn a_long_answer_may_be_cut_short() {
    on_each(|location| {
        let mut db = Database::open(location, Durability::Full).unwrap();
        db.migrate(&TABLES).unwrap();
        let rows: Vec<_> = (0..2_000).map(|due| values![due, "w", &[7u8; 1_000][..]].to_vec()).collect();
        let insert = "INSERT INTO letter (due, word, sealed) VALUES (?1, ?2, ?3)";
        assert_eq!(db.transaction(|tx| tx.execute_many(insert, &rows)).unwrap(), 2_000);
        let mut seen = 0;
        let cut = db.statements().each("SELECT due FROM letter ORDER BY due", &[], &mut |row| {
            assert_eq!(row.integer(0)?, seen);
            seen += 1;
            if seen == 10 { Err(StoreError::Stopped) } else { Ok(()) }
        });
        assert!(matches!(cut, Err(StoreError::Stopped)));
        assert_eq!(db.statements().number("SELECT count(*) FROM letter", &[]).unwrap(), 2_000);
        db.rewrite("letter").unwrap();
        db.reclaim().unwrap();
        assert_eq!(db.statements().number("SELECT count(*) FROM letter", &[]).unwrap(), 2_000);
    });
}

/// A server of its own, since it is taken down under the feet of whoever uses it.
#[cfg(feature = "postgres")]
#[test]
fn a_server_may_go_and_come_back() {
    let Some(server) = super::trial::Trial::start() else { return };
    let location = server.database();
    let mut db = Database::open(&location, Durability::Full).unwrap();
    db.migrate(&TABLES).unwrap();
    let add = "INSERT INTO letter (due, word) VALUES (1, 'w')";
    let lost = db.transaction(|tx| {
        tx.execute(add, &[])?;
        server.set_down(true);
        tx.execute(add, &[])
    });
    let error = lost.unwrap_err();
    assert!(error.may_pass(), "{error}");
    for _ in 0..3 {
        let error = db.transaction(|tx| tx.execute(add, &[])).unwrap_err();
        assert!(error.may_pass(), "{error}");
        assert!(!error.to_string().contains("pw-"), "{error}");
    }
    server.set_down(false);
    // It answers a moment after it is there.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while let Err(error) = db.transaction(|tx| tx.execute(add, &[])) {
        assert!(error.may_pass() && std::time::Instant::now() < until, "{error}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(db.statements().number("SELECT count(*) FROM letter", &[]).unwrap(), 1, "what was begun is undone");
}

#[cfg(feature = "postgres")]
#[test]
fn tls_is_left_out_on_this_machine_only() {
    let tls = |url: &str| Server::new(url).config().map(|(_, tls)| tls.is_some()).map_err(|e| e.to_string());
    assert_eq!(tls("postgres://a@127.0.0.1/x"), Ok(false));
    assert_eq!(tls("postgres://a@localhost/x?sslmode=disable"), Ok(false));
    assert_eq!(tls("postgres:///x?user=a&host=/run/postgresql"), Ok(false));
    assert_eq!(tls("postgres://a@127.0.0.1/x?sslmode=require"), Ok(true));
    assert_eq!(tls("postgres://a@db.example/x"), Ok(true));
    assert_eq!(tls("postgres://a@db.example/x?connect_timeout=5&sslmode=verify-full"), Ok(true));
    for refused in ["postgres://a@db.example/x?sslmode=disable", "postgres://a@db.example/x?sslmode=prefer", "postgres://a@[/x"] {
        assert!(tls(refused).is_err(), "{refused}");
    }
}
