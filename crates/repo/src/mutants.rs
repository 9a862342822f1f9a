//! Ways of getting the protocol wrong, which tests switch on to show that they would notice. Without the feature
//! `mutants`, which no product has, all of them are off for good and cost nothing; a release build refuses the feature.

use crate::clock;

#[cfg(all(feature = "mutants", not(debug_assertions)))]
compile_error!("the feature `mutants` is for tests: it breaks the protocol");

/// Makes `Mutant`, one variant for each way of getting something wrong, and the switch for the whole process.
#[macro_export]
macro_rules! mutants {
    ($($(#[$docs:meta])+ $name:ident,)+) => {
        /// A way of getting the protocol wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Mutant {
            $($(#[$docs])+ $name,)+
        }

        impl Mutant {
            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$name),+];
        }

        /// Whether this one is switched on.
        #[cfg(not(feature = "mutants"))]
        pub(crate) const fn is(_mutant: Mutant) -> bool {
            false
        }

        #[cfg(feature = "mutants")]
        static CURRENT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(usize::MAX);

        /// Whether this one is switched on.
        #[cfg(feature = "mutants")]
        pub(crate) fn is(mutant: Mutant) -> bool {
            CURRENT.load(std::sync::atomic::Ordering::Relaxed) == mutant as usize
        }

        /// Switches one on in the whole process, and any other off.
        #[cfg(feature = "mutants")]
        pub fn switch(mutant: Option<Mutant>) {
            let current = mutant.map_or(usize::MAX, |mutant| mutant as usize);
            CURRENT.store(current, std::sync::atomic::Ordering::Relaxed);
        }
    };
}

mutants! {
    /// A commit takes whatever intent its key has: the generation and the purpose are not compared.
    ConsumesAnyIntent,
    /// A commit inserts its row though its intent is gone.
    ConsumesWithoutIntent,
    /// A sweep takes what is not due.
    ClaimsWhatIsNotDue,
    /// An intent goes with the first delete, though a late write may still land.
    ClearsTooEarly,
    /// A listing begins anew with each page.
    ListsFromTheStart,
    /// A page begins with the last item of the one before: `<=` for `<`.
    ListsTheCursorAgain,
    /// A delete has no owner in its condition.
    DeletesForeignMedia,
    /// A commit settles an idempotency key that stands for another upload.
    SettlesForAnother,
    /// Idempotency keys are forgotten before their time.
    ForgetsKeysTooEarly,
}

/// The database's time; with the mutant on, the end of time.
#[cfg(not(feature = "mutants"))]
pub(crate) fn now_but_for(_mutant: Mutant) -> clock::DatabaseNow {
    clock::database_now()
}

/// The database's time; with the mutant on, the end of time.
#[cfg(feature = "mutants")]
pub(crate) fn now_but_for(mutant: Mutant) -> clock::DatabaseNowPlus {
    clock::database_now_plus(if is(mutant) { std::time::Duration::MAX } else { std::time::Duration::ZERO })
}
