//! Counting tests, by what `cargo test` prints.

use std::ops::AddAssign;

/// How many tests there were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
    /// Whether everything was built and ran to its end.
    pub(crate) is_complete: bool,
}

impl Default for Totals {
    fn default() -> Self {
        Self { passed: 0, failed: 0, ignored: 0, is_complete: true }
    }
}

impl Totals {
    /// Adds what a line reports; only lines like
    /// `test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s` do.
    pub(crate) fn count(&mut self, line: &str) {
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) else {
            return;
        };
        for count in counts.split("; ") {
            let Some((number, what)) = count.split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }

    /// Whether something ran, and all of it went well.
    pub(crate) fn is_success(&self) -> bool {
        self.is_complete && self.failed == 0 && self.passed > 0
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        self.is_complete &= other.is_complete;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_added_up() {
        let mut totals = Totals::default();
        for line in [
            "running 3 tests",
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test says test result: ok. 5 passed; 0 failed",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 4 filtered out; finished in 1.00s",
        ] {
            totals.count(line);
        }
        assert_eq!(totals, Totals { passed: 15, failed: 2, ignored: 1, is_complete: true });
        assert!(!totals.is_success());
    }

    #[test]
    fn nothing_run_is_no_success() {
        assert!(!Totals::default().is_success());
        let broken = Totals { passed: 1, is_complete: false, ..Totals::default() };
        let mut totals = Totals { passed: 1, ..Totals::default() };
        assert!(totals.is_success());
        totals += broken;
        assert!(!totals.is_success());
    }
}
