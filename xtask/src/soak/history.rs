//! What follows from the journals: which files have to be there, which must not be, and which may.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::soak::content::Subject;
use crate::soak::journal::{Event, Fault};

/// How many files the next child is told of.
const MOST_KNOWN: usize = 400;

/// How many of those are gone.
const MOST_GONE: usize = 30;

/// How many files have been tried, and what became of each.
#[derive(Debug, Default)]
pub(crate) struct History {
    standings: BTreeMap<String, Standing>,
    /// Users whose erasure was begun, and whether it was acknowledged.
    erased: BTreeMap<u64, bool>,
    pub(crate) operations: u64,
    pub(crate) acknowledged: u64,
    /// How often each error was the answer.
    pub(crate) errors: BTreeMap<String, u64>,
    /// What children found wrong.
    pub(crate) wrong: Vec<(Fault, String)>,
}

/// What is known of one file.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) subject: Subject,
    /// Its id, once its creation was acknowledged.
    pub(crate) id: Option<String>,
    /// The id of a direct upload that was begun.
    opened: Option<String>,
    /// Attempts to create it that were begun and not answered.
    in_flight: u32,
    /// Whether an attempt may have created it, though it was not acknowledged.
    is_unsettled: bool,
    removal: Removal,
    /// Whether an erasure that is under way covers all of its attempts.
    is_covered: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Removal {
    None,
    Begun,
    Done,
}

/// Whether a file has to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    Present,
    Absent,
    Either,
}

/// What a child is told of the life before it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Known {
    pub(crate) files: Vec<(Subject, State)>,
    /// Users whose erasure was begun and not acknowledged.
    pub(crate) closing: Vec<u64>,
}

/// How a file stands, for a child that goes on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// It is there, under this id.
    Live(String),
    /// A direct upload of this id was begun. It may have been completed, if nobody knows whether it was.
    Open(String),
    /// Nobody knows whether it is there; its idempotency key can tell.
    Unsettled,
    /// A delete was begun and not answered.
    Deleting(String),
    /// It was deleted.
    Gone(String),
}

impl Standing {
    pub(crate) fn expected(&self) -> Expected {
        match (self.removal, &self.id) {
            (Removal::Begun, _) => Expected::Either,
            (Removal::None, Some(_)) => Expected::Present,
            (Removal::None, None) if self.is_unsettled || self.in_flight > 0 => Expected::Either,
            (Removal::Done, _) | (Removal::None, None) => Expected::Absent,
        }
    }

    fn state(&self, is_erased: bool) -> Option<State> {
        match (self.removal, &self.id, &self.opened) {
            _ if is_erased => None,
            (Removal::Done, Some(id), _) => self.subject.is_keyed.then(|| State::Gone(id.clone())),
            (Removal::Begun, Some(id), _) => Some(State::Deleting(id.clone())),
            (Removal::None, Some(id), _) => Some(State::Live(id.clone())),
            (Removal::None, None, Some(id)) => Some(State::Open(id.clone())),
            (Removal::None, None, None) => (self.is_unsettled && self.subject.is_keyed).then_some(State::Unsettled),
            (Removal::Done | Removal::Begun, None, _) => None,
        }
    }
}

impl History {
    /// The files that were tried, by name.
    pub(crate) fn standings(&self) -> &BTreeMap<String, Standing> {
        &self.standings
    }

    /// Adds what a child has written that is dead now.
    pub(crate) fn add_run(&mut self, events: &[Event]) {
        for event in events {
            self.add(event);
        }
        for standing in self.standings.values_mut() {
            standing.is_unsettled |= standing.in_flight > 0;
            standing.in_flight = 0;
        }
    }

    fn add(&mut self, event: &Event) {
        self.operations += u64::from(event.begins());
        self.acknowledged += u64::from(event.answers());
        match event {
            Event::Ready | Event::Doing { .. } | Event::Did { .. } => {}
            Event::Beginning { subject } => drop(self.standing(subject)),
            Event::Opened { name, id } => self.change(name, |standing| {
                standing.opened = Some(id.clone());
                Ok(())
            }),
            Event::Creating { subject } => self.standing(subject).in_flight += 1,
            Event::Created { name, id } => self.change(name, |standing| standing.created(id)),
            Event::NotCreated { name, code, is_known } => {
                self.count(code);
                self.change(name, |standing| {
                    standing.in_flight = standing.in_flight.saturating_sub(1);
                    standing.is_unsettled |= !is_known;
                    Ok(())
                });
            }
            Event::Ended { name } => self.change(name, Standing::ended),
            Event::Deleting { name } => self.change(name, |standing| {
                standing.removal = standing.removal.max_with(Removal::Begun);
                Ok(())
            }),
            Event::Deleted { name } => self.change(name, |standing| {
                standing.removal = Removal::Done;
                Ok(())
            }),
            Event::Erasing { user } => self.erasing(*user),
            Event::Erased { user } => self.erased(*user),
            Event::Failed { what, code } => self.count(&format!("{what}: {code}")),
            Event::Wrong { fault, detail } => self.wrong.push((*fault, detail.clone())),
        }
    }

    fn standing(&mut self, subject: &Subject) -> &mut Standing {
        self.standings.entry(subject.name.clone()).or_insert_with(|| Standing {
            subject: subject.clone(),
            id: None,
            opened: None,
            in_flight: 0,
            is_unsettled: false,
            removal: Removal::None,
            is_covered: false,
        })
    }

    fn change(&mut self, name: &str, change: impl FnOnce(&mut Standing) -> Result<(), (Fault, String)>) {
        let changed = match self.standings.get_mut(name) {
            Some(standing) => change(standing),
            None => Err((Fault::Other, format!("{name}: an answer to what was never begun"))),
        };
        self.wrong.extend(changed.err());
    }

    fn count(&mut self, code: &str) {
        *self.errors.entry(code.to_owned()).or_default() += 1;
    }

    /// What is answered before this is written has to be erased. Of an attempt that is under way, nobody knows on which
    /// side it falls.
    fn erasing(&mut self, user: u64) {
        self.erased.entry(user).or_insert(false);
        for standing in self.standings.values_mut().filter(|standing| standing.subject.user == user) {
            standing.removal = standing.removal.max_with(Removal::Begun);
            standing.is_covered = standing.in_flight == 0;
        }
    }

    fn erased(&mut self, user: u64) {
        self.erased.insert(user, true);
        let covered = |standing: &&mut Standing| standing.subject.user == user && standing.is_covered;
        for standing in self.standings.values_mut().filter(covered) {
            standing.removal = Removal::Done;
        }
    }

    /// What the next child is told: what can be gone on with, the newest first.
    pub(crate) fn known(&self) -> Known {
        let closing: Vec<u64> = self.erased.iter().filter(|(_, is_done)| !**is_done).map(|(user, _)| *user).collect();
        let mut gone = 0;
        let states = self.standings.values().rev().filter_map(|standing| {
            let state = standing.state(self.erased.contains_key(&standing.subject.user))?;
            Some((standing.subject.clone(), state))
        });
        let files = states.filter(|(_, state)| {
            gone += usize::from(matches!(state, State::Gone(_)));
            !matches!(state, State::Gone(_)) || gone <= MOST_GONE
        });
        Known { files: files.take(MOST_KNOWN).collect(), closing }
    }
}

impl Standing {
    fn created(&mut self, id: &str) -> Result<(), (Fault, String)> {
        self.in_flight = self.in_flight.saturating_sub(1);
        let name = &self.subject.name;
        if self.removal == Removal::Done {
            return Err((Fault::Resurrected, format!("{name}: created as {id} after it was gone")));
        }
        match self.id.replace(id.to_owned()) {
            Some(before) if before != id && self.removal == Removal::None => {
                Err((Fault::Duplicate, format!("{name}: first {before}, then {id}")))
            }
            _ => Ok(()),
        }
    }

    fn ended(&mut self) -> Result<(), (Fault, String)> {
        let before = std::mem::replace(&mut self.removal, Removal::Done);
        match &self.id {
            // While its user is erased it may have gone that way.
            Some(id) if before == Removal::None => {
                Err((Fault::Lost, format!("{}: ended, though it was created as {id}", self.subject.name)))
            }
            _ => Ok(()),
        }
    }
}

impl Removal {
    fn max_with(self, other: Self) -> Self {
        if self == Self::Done { Self::Done } else { other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::content::Way;
    use crate::soak::random::Random;

    fn subject(name: &str, user: u64, way: Way) -> Subject {
        Subject::new(name.to_owned(), user, way, &mut Random::new(1, 1))
    }

    fn creating(name: &str) -> Event {
        Event::Creating { subject: subject(name, 1, Way::Bytes) }
    }

    fn created(name: &str, id: &str) -> Event {
        Event::Created { name: name.to_owned(), id: id.to_owned() }
    }

    fn not_created(name: &str, is_known: bool) -> Event {
        Event::NotCreated { name: name.to_owned(), code: "x".to_owned(), is_known }
    }

    fn deleting(name: &str) -> Event {
        Event::Deleting { name: name.to_owned() }
    }

    fn deleted(name: &str) -> Event {
        Event::Deleted { name: name.to_owned() }
    }

    #[track_caller]
    fn expect(events: &[Event], expected: Expected) -> History {
        let mut history = History::default();
        history.add_run(events);
        assert_eq!(history.standings["a"].expected(), expected, "{events:?}");
        history
    }

    #[test]
    fn what_was_acknowledged_has_to_be_there_until_a_delete_begins() {
        expect(&[creating("a")], Expected::Either);
        expect(&[creating("a"), created("a", "1")], Expected::Present);
        expect(&[creating("a"), created("a", "1"), deleting("a")], Expected::Either);
        expect(&[creating("a"), created("a", "1"), deleting("a"), deleted("a")], Expected::Absent);
        expect(&[creating("a"), not_created("a", true)], Expected::Absent);
        expect(&[creating("a"), not_created("a", false)], Expected::Either);
        expect(&[creating("a"), creating("a"), not_created("a", true)], Expected::Either);
        expect(&[creating("a"), creating("a"), not_created("a", true), created("a", "1")], Expected::Present);
        let history = expect(&[creating("a"), Event::Ended { name: "a".to_owned() }], Expected::Absent);
        assert!(history.wrong.is_empty());
    }

    #[test]
    fn answers_that_contradict_each_other_are_faults() {
        let done = [creating("a"), created("a", "1"), deleting("a"), deleted("a"), creating("a"), created("a", "1")];
        assert_eq!(expect(&done, Expected::Absent).wrong[0].0, Fault::Resurrected);
        let twice = [creating("a"), created("a", "1"), creating("a"), created("a", "2")];
        assert_eq!(expect(&twice, Expected::Present).wrong[0].0, Fault::Duplicate);
        let ended = [creating("a"), created("a", "1"), Event::Ended { name: "a".to_owned() }];
        assert_eq!(expect(&ended, Expected::Absent).wrong[0].0, Fault::Lost);
    }

    #[test]
    fn an_erasure_covers_what_was_answered_before_it() {
        let erase = [Event::Erasing { user: 1 }, Event::Erased { user: 1 }];
        let events = [creating("a"), created("a", "1"), creating("b")];
        let mut history = expect(&[&events[..], &erase[..1]].concat(), Expected::Either);
        assert_eq!(history.known().closing, [1]);
        history.add_run(&erase);
        assert_eq!(history.standings["a"].expected(), Expected::Absent);
        // The second erasure came after the one who had begun it was dead.
        assert_eq!(history.standings["b"].expected(), Expected::Absent);
        assert!(history.known().files.is_empty() && history.known().closing.is_empty());
        let history = expect(&[&events[..], &erase].concat(), Expected::Absent);
        assert_eq!(history.standings["b"].expected(), Expected::Either);
    }

    #[test]
    fn the_next_child_is_told_what_can_be_gone_on_with() {
        let direct = subject("d", 1, Way::Form);
        let events = [
            creating("a"),
            created("a", "1"),
            Event::Beginning { subject: direct.clone() },
            Event::Opened { name: "d".to_owned(), id: "2".to_owned() },
            Event::Creating { subject: direct },
            creating("c"),
            created("c", "3"),
            deleting("c"),
        ];
        let mut history = History::default();
        history.add_run(&events);
        let states: Vec<State> = history.known().files.into_iter().map(|(_, state)| state).collect();
        let expected = [State::Open("2".to_owned()), State::Deleting("3".to_owned()), State::Live("1".to_owned())];
        assert_eq!(states, expected);
        assert_eq!((history.operations, history.acknowledged), (5, 3));
    }
}
