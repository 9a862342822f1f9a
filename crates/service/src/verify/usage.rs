//! Counters of what users have that say something else than what they count.

use object_store_repo::UsageRepo;

use crate::error::Result;
use crate::verify::Run;
use crate::verify::report::Finding;

/// How many counters are compared at once: each has its rows added up.
const PAGE: u16 = 100;

impl Run<'_> {
    /// Compares each counter with what it counts, at one instant: what uploads and deletes do meanwhile is no finding. Where
    /// nobody counts, a counter says nothing.
    pub(super) async fn find_wrong_counters(&mut self) -> Result<()> {
        if !self.service.settings.quota.is_on() {
            return Ok(());
        }
        let mut after = None;
        loop {
            let page = {
                let mut conn = self.service.connection().await?;
                UsageRepo::compare(&mut conn, after, PAGE.into()).await?
            };
            for wrong in page.iter().filter(|counter| !counter.agrees()) {
                self.report.add(Finding::UsageMismatch {
                    user_id: wrong.user_id,
                    counted_used: wrong.used_bytes,
                    counted_reserved: wrong.reserved_bytes,
                    used: wrong.true_used_bytes,
                    reserved: wrong.true_reserved_bytes,
                });
            }
            match page.get(usize::from(PAGE) - 1) {
                Some(last) => after = Some(last.user_id),
                None => return Ok(()),
            }
        }
    }

    /// Counts anew those that are wrong.
    pub(super) async fn mend_counters(&mut self) -> Result<()> {
        if self.report.usage_mismatches > 0 {
            self.report.recounted = self.service.recount_usage(None).await?.corrected;
        }
        Ok(())
    }
}
