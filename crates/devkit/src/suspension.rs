//! Dropping a future wherever it waits: what a crash, a timeout or a closed connection does to it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// How a future ended that was to be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending<T> {
    /// It was dropped where it waited for the given time.
    Dropped,
    /// It had completed before that.
    Completed {
        /// What it returned.
        output: T,
        /// How often it had waited.
        suspensions: usize,
    },
}

/// Polls a future until it waits for the `nth` time, counted from 1, and drops it there. 0 drops it before it begins.
///
/// Between two polls the future is truly waited for, so that it may do real I/O. What it has started elsewhere (a
/// spawned task, a request that a server already has) goes on, as it would in a crash.
pub fn drop_at_suspension<F: Future>(future: F, nth: usize) -> impl Future<Output = Ending<F::Output>> {
    let future = Box::pin(future);
    async move {
        if nth == 0 {
            return Ending::Dropped;
        }
        drop_when(future, |suspensions| suspensions == nth).await
    }
}

/// Polls a future until it waits and `is_time` says so, and drops it there. `is_time` is asked each time that it waits,
/// and told how often it has.
pub async fn drop_when<F: Future>(future: F, mut is_time: impl FnMut(usize) -> bool) -> Ending<F::Output> {
    let mut future = pin!(future);
    let mut suspensions = 0;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Ending::Completed { output, suspensions }),
        Poll::Pending => {
            suspensions += 1;
            if is_time(suspensions) { Poll::Ready(Ending::Dropped) } else { Poll::Pending }
        }
    })
    .await
}

/// Tells when a future that is made and dropped again and again, one suspension later each time, has had its turn at all of
/// them.
///
/// How often a future waits hangs on chance where threads work for it: an answer that is there when it is asked for is not
/// waited for. So one that completes may wait more often the next time, and it is over only when several in a row have
/// completed.
#[derive(Debug, Default)]
pub struct Turns {
    dropped: usize,
    completed_in_a_row: u32,
}

impl Turns {
    /// How many have to complete.
    const ENOUGH: u32 = 4;

    /// Whether there are no more, after the future that was to be dropped at its `nth` suspension.
    pub fn are_over<T>(&mut self, nth: usize, ending: &Ending<T>) -> bool {
        match ending {
            Ending::Dropped => {
                self.dropped = nth;
                self.completed_in_a_row = 0;
            }
            Ending::Completed { .. } => self.completed_in_a_row += 1,
        }
        self.completed_in_a_row == Self::ENOUGH
    }

    /// The last suspension at which one was dropped.
    pub fn dropped(&self) -> usize {
        self.dropped
    }
}

/// Makes and drops a future again and again, at its first, second, … suspension, until one completes. Returns how often
/// that one waited, which is how many were dropped.
///
/// `make` is told at which suspension its future will be dropped. What must hold after each drop can be checked where
/// the next future is made; a test that needs to wait between two of them loops over [`drop_at_suspension`] itself.
pub async fn for_each_suspension<F, Fut>(mut make: F) -> usize
where
    F: FnMut(usize) -> Fut,
    Fut: Future,
{
    let mut nth = 1;
    loop {
        match drop_at_suspension(make(nth), nth).await {
            Ending::Dropped => nth += 1,
            Ending::Completed { suspensions, .. } => return suspensions,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use tokio::sync::oneshot;
    use tokio::task::yield_now;

    use super::*;

    async fn three_steps(log: &RefCell<Vec<u32>>) -> u32 {
        for step in 1..=3 {
            log.borrow_mut().push(step);
            yield_now().await;
        }
        log.borrow_mut().push(4);
        42
    }

    #[tokio::test]
    async fn a_future_is_dropped_where_it_waits() {
        for (nth, reached) in [(0, &[][..]), (1, &[1]), (2, &[1, 2]), (3, &[1, 2, 3])] {
            let log = RefCell::default();
            assert_eq!(drop_at_suspension(three_steps(&log), nth).await, Ending::Dropped);
            assert_eq!(*log.borrow(), reached);
        }
    }

    #[tokio::test]
    async fn a_future_that_waits_less_often_completes() {
        let log = RefCell::default();
        let ending = drop_at_suspension(three_steps(&log), 4).await;
        assert_eq!(ending, Ending::Completed { output: 42, suspensions: 3 });
    }

    #[test]
    fn turns_are_over_when_several_in_a_row_have_completed() {
        let completed = Ending::Completed { output: (), suspensions: 0 };
        let mut turns = Turns::default();
        let endings = [Ending::Dropped, completed, completed, Ending::Dropped, completed, completed, completed];
        for (index, ending) in endings.iter().enumerate() {
            assert!(!turns.are_over(index + 1, ending), "{index}");
        }
        assert!(turns.are_over(8, &completed));
        assert_eq!(turns.dropped(), 4);
    }

    #[tokio::test]
    async fn every_suspension_has_its_turn() {
        let log = RefCell::default();
        let told = RefCell::<Vec<usize>>::default();
        let suspensions = for_each_suspension(|nth| {
            told.borrow_mut().push(nth);
            three_steps(&log)
        })
        .await;
        assert_eq!(suspensions, 3);
        assert_eq!(*told.borrow(), [1, 2, 3, 4]);
        assert_eq!(*log.borrow(), [1, 1, 2, 1, 2, 3, 1, 2, 3, 4]);
    }

    #[tokio::test]
    async fn a_dropped_future_has_released_what_it_held() {
        let lock = tokio::sync::Mutex::new(());
        let hold = async {
            let _guard = lock.lock().await;
            std::future::pending::<()>().await;
        };
        assert_eq!(drop_at_suspension(hold, 1).await, Ending::Dropped);
        assert!(lock.try_lock().is_ok());
    }

    #[tokio::test]
    async fn a_future_may_wait_for_timers_and_other_tasks() {
        let talk = async |_| {
            let (ask, asked) = oneshot::channel::<u8>();
            let (answer, answered) = oneshot::channel();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(2)).await;
                answer.send(asked.await.unwrap() + 1)
            });
            tokio::time::sleep(Duration::from_millis(1)).await;
            ask.send(7).unwrap();
            assert_eq!(answered.await.unwrap(), 8);
        };
        assert!(for_each_suspension(talk).await >= 2);
    }
}
