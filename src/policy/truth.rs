//! Three-valued logic: a fact that had to come from outside and could not be had is neither true nor false. Beside the three stands
//! what this site has no means to know at all: a rule that needs it is not judged, and an exception that needs it lifts nothing.

use std::sync::Arc;

use super::missing::Missing;

/// What is known of a condition. `Unknown` says why, in words for the Clerk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Truth {
    True,
    False,
    Unknown(Arc<str>),
    /// The site has nothing that could tell, and why.
    Absent(Arc<str>),
    /// What is judged is only a record, and this was not kept in it: any of the others may have been so. Never of a message.
    Open(Missing),
}

impl Truth {
    pub fn unknown(why: &str) -> Truth {
        Truth::Unknown(why.into())
    }

    pub fn is_true(&self) -> bool {
        *self == Truth::True
    }

    /// False settles it; else what was not kept, else what cannot be known here, else unknown. Nothing is asked after the first false.
    pub fn all(each: impl IntoIterator<Item = Truth>) -> Truth {
        let mut out = Truth::True;
        for truth in each {
            match truth {
                Truth::False => return Truth::False,
                Truth::Unknown(_) if out == Truth::True => out = truth,
                Truth::Absent(_) if !matches!(out, Truth::Absent(_) | Truth::Open(_)) => out = truth,
                Truth::Open(_) if !matches!(out, Truth::Open(_)) => out = truth,
                _ => {}
            }
        }
        out
    }

    /// True settles it; else what was not kept, else unknown, else what cannot be known here. Nothing is asked after the first true.
    pub fn any(each: impl IntoIterator<Item = Truth>) -> Truth {
        let mut out = Truth::False;
        for truth in each {
            match truth {
                Truth::True => return Truth::True,
                Truth::Absent(_) if out == Truth::False => out = truth,
                Truth::Unknown(_) if !matches!(out, Truth::Unknown(_) | Truth::Open(_)) => out = truth,
                Truth::Open(_) if !matches!(out, Truth::Open(_)) => out = truth,
                _ => {}
            }
        }
        out
    }
}

/// What can be told of something, or what that makes of every condition that asks for it.
pub type Known<T> = Result<T, Truth>;

impl From<Known<bool>> for Truth {
    fn from(known: Known<bool>) -> Truth {
        known.map_or_else(|truth| truth, Truth::from)
    }
}

impl std::ops::Not for Truth {
    type Output = Truth;

    fn not(self) -> Truth {
        match self {
            Truth::True => Truth::False,
            Truth::False => Truth::True,
            unknown => unknown,
        }
    }
}

impl From<bool> for Truth {
    fn from(yes: bool) -> Truth {
        if yes { Truth::True } else { Truth::False }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kleene() {
        let u = || Truth::unknown("why");
        assert_eq!(Truth::all([u(), Truth::False]), Truth::False);
        assert_eq!(Truth::all([Truth::True, u()]), u());
        assert_eq!(Truth::all([]), Truth::True);
        assert_eq!(Truth::any([u(), Truth::True]), Truth::True);
        assert_eq!(Truth::any([Truth::False, u()]), u());
        assert_eq!(Truth::any([]), Truth::False);
        assert_eq!(!u(), u());
        let a = || Truth::Absent("no means".into());
        assert_eq!(Truth::all([u(), a(), u()]), a());
        assert_eq!(Truth::all([a(), Truth::False]), Truth::False);
        assert_eq!(Truth::any([a(), u(), a()]), u());
        assert_eq!(Truth::any([a(), Truth::True]), Truth::True);
        assert_eq!(!a(), a());
        assert_eq!(!Truth::False, Truth::True);
    }

    /// Whatever an open one turns out to be, what it is joined to comes out as one that was allowed.
    #[test]
    fn what_is_open_allows_everything_that_it_may_turn_out_to_be() {
        let each = || [Truth::True, Truth::False, Truth::unknown("why"), Truth::Absent("no means".into())];
        let open = || Truth::Open(Missing::Words);
        for beside in each() {
            for which in [(|pair| Truth::all(pair)) as fn([Truth; 2]) -> Truth, |pair| Truth::any(pair)] {
                let joined = which([open(), beside.clone()]);
                assert_eq!(joined, which([beside.clone(), open()]), "{beside:?}");
                if joined != open() {
                    assert!(each().into_iter().all(|turned| which([turned, beside.clone()]) == joined), "{beside:?}");
                }
            }
        }
        assert_eq!(!open(), open());
    }
}
