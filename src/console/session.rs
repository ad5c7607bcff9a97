//! Who is signed in: a random name in a cookie, of which only a hash is kept, in memory alone. A restart signs everybody out.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A session that nobody used for this long ends.
const IDLE: Duration = Duration::from_secs(30 * 60);
/// However much it is used.
const LONGEST: Duration = Duration::from_secs(10 * 3600);
/// Sessions of one person: a telephone, a desk, a borrowed machine.
const EACH: usize = 8;
/// Sessions of all.
const MOST: usize = 1_000;

/// A secret that is shown once: in a cookie, a form or a link.
pub(super) struct Secret(pub String);

/// 32 random octets, as text that stands in a URL as it is.
pub(super) fn secret() -> Option<Secret> {
    let mut octets = [0; 32];
    aws_lc_rs::rand::fill(&mut octets).ok()?;
    Some(Secret(URL_SAFE_NO_PAD.encode(octets)))
}

/// What is kept of a secret. It is random, so that a plain hash cannot be searched.
pub(super) fn hash(secret: &str) -> [u8; 32] {
    *blake3::hash(secret.as_bytes()).as_bytes()
}

#[derive(Clone, Debug)]
pub(super) struct Session {
    /// In normal form: what they may is asked of the settings each time, so that a role that was taken away is gone at once.
    pub person: String,
    /// Stands in every form of this session.
    pub form_token: String,
    /// How they signed in, where it was with the council's account.
    pub federated: Option<Federated>,
    began: Instant,
    used: Instant,
}

/// What the identity provider said of somebody who signed in with the council's account.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "saml"), expect(dead_code, reason = "only the feature signs people in so"))]
pub(super) struct Federated {
    /// What it calls them, and this sign-in of theirs: by these it signs them out.
    pub name: String,
    pub format: Option<String>,
    pub index: Option<String>,
    pub groups: Vec<String>,
    /// When it ends the session.
    pub ends: Option<Instant>,
}

#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<[u8; 32], Session>>);

impl Sessions {
    /// Signs a person in. Their oldest session makes room where they have too many. None: the system gives no random octets, or
    /// there is no room.
    pub(super) fn begin(&self, person: &str, now: Instant) -> Option<Secret> {
        self.begin_with(person, None, now)
    }

    /// The same of somebody for whom the identity provider vouches.
    pub(super) fn begin_with(&self, person: &str, federated: Option<Federated>, now: Instant) -> Option<Secret> {
        let (name, token) = (secret()?, secret()?);
        let mut all = self.lock();
        all.retain(|_, s| s.is_live(now));
        let mut own: Vec<_> = all.iter().filter(|(_, s)| s.person == person).map(|(k, s)| (s.used, *k)).collect();
        if own.len() >= EACH {
            own.sort_unstable();
            all.remove(&own[0].1);
        }
        if all.len() >= MOST {
            return None;
        }
        all.insert(hash(&name.0), Session { person: person.into(), form_token: token.0, federated, began: now, used: now });
        Some(name)
    }

    /// The session of this name, which is used with that.
    pub(super) fn of(&self, name: &str, now: Instant) -> Option<Session> {
        let mut all = self.lock();
        let key = hash(name);
        let session = all.get_mut(&key)?;
        if !session.is_live(now) {
            all.remove(&key);
            return None;
        }
        session.used = now;
        Some(session.clone())
    }

    /// All of a person's, by any of their addresses.
    pub(super) fn end_all(&self, addresses: &[String]) {
        self.lock().retain(|_, session| !addresses.contains(&session.person));
    }

    pub(super) fn end(&self, name: &str) {
        self.lock().remove(&hash(name));
    }

    /// Ends those of somebody whom the identity provider signs out: the sign-ins that it names, or all. How many there were.
    #[cfg(feature = "saml")]
    pub(super) fn end_of(&self, name: &str, indexes: &[String]) -> usize {
        let mut all = self.lock();
        let before = all.len();
        all.retain(|_, s| {
            s.federated
                .as_ref()
                .is_none_or(|f| f.name != name || !(indexes.is_empty() || f.index.as_ref().is_none_or(|index| indexes.contains(index))))
        });
        before - all.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn is_over(&self, now: Instant) -> bool {
        self.federated.as_ref().and_then(|f| f.ends).is_some_and(|end| end <= now)
    }

    fn is_live(&self, now: Instant) -> bool {
        now.duration_since(self.used) < IDLE && now.duration_since(self.began) < LONGEST && !self.is_over(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_when_idle_when_old_and_when_told() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        let name = sessions.begin("clerk@wragby.uk", start).unwrap().0;
        assert_eq!(sessions.of(&name, start).unwrap().person, "clerk@wragby.uk");
        assert!(sessions.of("another", start).is_none());
        assert!(sessions.of(&name, start + IDLE).is_none());
        assert!(sessions.of(&name, start).is_none(), "it does not come back");
        let name = sessions.begin("clerk@wragby.uk", start).unwrap().0;
        let mut now = start;
        while now.duration_since(start) < LONGEST {
            assert!(sessions.of(&name, now).is_some());
            now += IDLE / 2;
        }
        assert!(sessions.of(&name, now).is_none());
        let (a, b) = (sessions.begin("a@x.uk", start).unwrap().0, sessions.begin("a@x.uk", start).unwrap().0);
        sessions.end(&a);
        assert!(sessions.of(&a, start).is_none() && sessions.of(&b, start).is_some());
        let c = sessions.begin("c@x.uk", start).unwrap().0;
        sessions.end_all(&["b@x.uk".into(), "a@x.uk".into()]);
        assert!(sessions.of(&b, start).is_none() && sessions.of(&c, start).is_some());
    }

    #[test]
    #[cfg(feature = "saml")]
    fn the_identity_provider_ends_its_own() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        let begin = |name: &str, index: Option<&str>, ends: u64| {
            let ends = Some(start + Duration::from_secs(ends));
            let federated = Federated { name: name.into(), format: None, index: index.map(str::to_string), groups: Vec::new(), ends };
            sessions.begin_with("a@x.uk", Some(federated), start).unwrap().0
        };
        let (one, two, other) = (begin("a", Some("_1"), 60), begin("a", Some("_2"), 60), begin("b", Some("_1"), 60));
        let mailed = sessions.begin("a", start).unwrap().0;
        assert_eq!(sessions.end_of("a", &["_1".into(), "_9".into()]), 1);
        assert!(sessions.of(&one, start).is_none() && sessions.of(&two, start).is_some());
        assert_eq!(sessions.end_of("a", &[]), 1);
        assert!(sessions.of(&two, start).is_none() && sessions.of(&other, start).is_some() && sessions.of(&mailed, start).is_some());
        assert!(sessions.of(&other, start + Duration::from_secs(60)).is_none(), "when it says so, it is over");
    }

    #[test]
    fn one_person_cannot_fill_it() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        let first = sessions.begin("a@x.uk", start).unwrap().0;
        for i in 1..=EACH as u64 {
            sessions.begin("a@x.uk", start + Duration::from_secs(i)).unwrap();
        }
        assert!(sessions.of(&first, start).is_none());
        assert_eq!(sessions.lock().len(), EACH);
    }
}
