use super::*;
use crate::records::tests::Folder;

const TABLES: Schema = Schema {
    part: "trial",
    versions: &[
        "CREATE TABLE letter (id INTEGER PRIMARY KEY AUTOINCREMENT, due INTEGER NOT NULL, word TEXT NOT NULL, sealed BLOB)",
        "CREATE INDEX letter_due ON letter (due); CREATE TABLE told (hash BLOB PRIMARY KEY, expires INTEGER NOT NULL) WITHOUT ROWID",
    ],
};

const BROKEN: Schema =
    Schema { part: "trial", versions: &[TABLES.versions[0], TABLES.versions[1], "CREATE TABLE more (id INTEGER); NONSENSE"] };

/// Each of these runs on every engine that is there.
fn on_each(test: impl Fn(&Location)) {
    let folder = Folder::new();
    let location = Location::Sqlite(folder.path("trial.db"));
    Database::create(&location).unwrap();
    test(&location);
}

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
    let shown = |url: &str| Location::Postgres(url.into()).to_string();
    assert_eq!(shown("postgres://gate:s3cret@127.0.0.1:5432/lychgate?sslmode=require"), "postgres://127.0.0.1:5432/lychgate");
    assert_eq!(shown("postgresql://a:p@ss@db.example/x"), "postgresql://db.example/x");
    assert_eq!(format!("{:?}", Location::Postgres("postgres:///x?password=s3cret".into())), "postgres:///x");
}
