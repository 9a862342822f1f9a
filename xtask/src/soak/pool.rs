//! What a child knows of the files, and which of its tasks is at which.

use std::collections::{BTreeMap, HashSet};

use crate::soak::content::{KEPT_USER, Subject, Way};
use crate::soak::history::{Known, State};
use crate::soak::random::Random;

/// How many users upload at a time, beside the one who is kept.
const USERS: usize = 6;

/// No child has so many users.
const USERS_OF_A_RUN: u64 = 1_000_000;

#[derive(Debug)]
pub(crate) struct Pool {
    entries: BTreeMap<String, Entry>,
    users: Vec<u64>,
    closed: HashSet<u64>,
    /// Whose erasure an earlier child has begun and not finished.
    closing: Vec<u64>,
    run: u64,
    next_name: u64,
    next_user: u64,
}

#[derive(Debug)]
struct Entry {
    subject: Subject,
    /// `None` while it is tried for the first time.
    state: Option<State>,
    /// One task at a time works with a file, and says itself where it does two things at once.
    is_busy: bool,
}

impl Pool {
    pub(crate) fn new(known: Known, run: u64) -> Self {
        let mut users: Vec<u64> = Vec::new();
        for (subject, _) in &known.files {
            if subject.user != KEPT_USER && !users.contains(&subject.user) && users.len() < USERS {
                users.push(subject.user);
            }
        }
        let entry = |(subject, state): (Subject, State)| {
            (subject.name.clone(), Entry { subject, state: Some(state), is_busy: false })
        };
        let mut pool = Self {
            entries: known.files.into_iter().map(entry).collect(),
            users,
            closed: known.closing.iter().copied().collect(),
            closing: known.closing,
            run,
            next_name: 0,
            next_user: run * USERS_OF_A_RUN,
        };
        while pool.users.len() < USERS {
            pool.add_user();
        }
        pool
    }

    fn add_user(&mut self) {
        self.next_user += 1;
        self.users.push(self.next_user);
    }

    /// A new file, which whoever asks for it is at.
    pub(crate) fn plan(&mut self, way: Way, random: &mut Random) -> Subject {
        self.next_name += 1;
        let user = if way == Way::Staged { KEPT_USER } else { random.choose(&self.users).copied().unwrap_or_default() };
        let subject = Subject::new(format!("{}-{}", self.run, self.next_name), user, way, random);
        let entry = Entry { subject: subject.clone(), state: None, is_busy: true };
        self.entries.insert(subject.name.clone(), entry);
        subject
    }

    /// Any file that nobody is at and that is wanted. From then on the caller is at it.
    pub(crate) fn take(
        &mut self,
        random: &mut Random,
        wanted: impl Fn(&Subject, &State) -> bool,
    ) -> Option<(Subject, State)> {
        let is_wanted = |entry: &Entry| {
            !entry.is_busy
                && !self.closed.contains(&entry.subject.user)
                && entry.state.as_ref().is_some_and(|state| wanted(&entry.subject, state))
        };
        let names: Vec<&String> =
            self.entries.iter().filter(|(_, entry)| is_wanted(entry)).map(|(name, _)| name).collect();
        let name = (*random.choose(&names)?).clone();
        let entry = self.entries.get_mut(&name)?;
        entry.is_busy = true;
        Some((entry.subject.clone(), entry.state.clone()?))
    }

    /// The caller is done with a file. Of one without state, nothing can come any more.
    pub(crate) fn give_back(&mut self, name: &str, state: Option<State>) {
        match (self.entries.get_mut(name), state) {
            (Some(entry), Some(state)) => {
                entry.state = Some(state);
                entry.is_busy = false;
            }
            (_, None) => drop(self.entries.remove(name)),
            (None, Some(_)) => {}
        }
    }

    /// Whether nothing may be begun for this user any more.
    pub(crate) fn is_closed(&self, user: u64) -> bool {
        self.closed.contains(&user)
    }

    /// A user to be erased: one whose erasure was begun, or any other. Nothing is begun for them from now on.
    pub(crate) fn close_user(&mut self, random: &mut Random) -> Option<u64> {
        if let Some(user) = self.closing.pop() {
            return Some(user);
        }
        let user = random.choose(&self.users).copied()?;
        self.users.retain(|other| *other != user);
        self.closed.insert(user);
        self.add_user();
        Some(user)
    }

    /// A user with files, and the ids of those that are there and that nobody is at.
    pub(crate) fn listable(&self, random: &mut Random) -> Option<(u64, HashSet<String>)> {
        let user = if random.chance(20) { KEPT_USER } else { *random.choose(&self.users)? };
        Some((user, self.resting(user)))
    }

    /// The ids of a user's files that are there and that nobody is at; none of a user who is being erased.
    pub(crate) fn resting(&self, user: u64) -> HashSet<String> {
        if self.closed.contains(&user) {
            return HashSet::new();
        }
        let of_user = self.entries.values().filter(|entry| entry.subject.user == user && !entry.is_busy);
        let ids = of_user.filter_map(|entry| match &entry.state {
            Some(State::Live(id)) => Some(id.clone()),
            _ => None,
        });
        ids.collect()
    }

    /// How many files are there.
    pub(crate) fn live(&self) -> usize {
        self.entries.values().filter(|entry| matches!(entry.state, Some(State::Live(_)))).count()
    }
}
