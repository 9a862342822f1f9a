//! The budgeted, caching reader that every format reader works on.

use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom};

use crate::error::{Fault, MediaError, TRUNCATED};
use crate::policy::{Budget, Spent};

/// The first fetch. It settles most formats at once.
const FIRST: usize = 4 << 10;
/// The fetch after a hop, where often no more than one header is looked at.
const SMALL: usize = 1 << 10;
/// The largest fetch: sequential reading grows up to it, so that a walk costs few requests.
const LARGE: usize = 64 << 10;
/// A hop no longer than this counts as sequential: fetching the gap is cheaper than another request.
const GAP: u64 = 2 << 10;
/// Blocks kept besides the head.
const KEPT: usize = 12;
/// Bytes that are handed out for one step: looking through them takes about as long as a look for them.
const BYTES_A_STEP: usize = 64;

struct Block {
    start: u64,
    data: Vec<u8>,
}

impl Block {
    fn end(&self) -> u64 {
        self.start + self.data.len() as u64
    }

    fn holds(&self, offset: u64) -> bool {
        self.start <= offset && offset < self.end()
    }
}

/// A source of bytes at offsets. Counts what it fetches and stops at the budget.
pub(crate) struct Source<S> {
    inner: S,
    len: u64,
    inner_at: Option<u64>,
    head: Block,
    /// Most recently fetched last.
    blocks: Vec<Block>,
    last_size: usize,
    budget: Budget,
    spent: Spent,
}

impl<S: Read + Seek> Source<S> {
    /// Finds the length and fetches the head.
    pub(crate) fn open(mut inner: S, budget: Budget) -> Result<Self, MediaError> {
        let len = inner.seek(SeekFrom::End(0)).map_err(MediaError::Read)?;
        let mut source = Self {
            inner,
            len,
            inner_at: None,
            head: Block { start: 0, data: Vec::new() },
            blocks: Vec::new(),
            last_size: FIRST,
            budget,
            spent: Spent::default(),
        };
        source.head = source.fetch(0, FIRST, Vec::new())?;
        Ok(source)
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// What was spent so far.
    pub(crate) fn spent(&self) -> Spent {
        self.spent
    }

    /// Reads bytes that were put together in memory, on the account of this source.
    pub(crate) fn aside<T>(
        &mut self,
        data: Vec<u8>,
        read: impl FnOnce(&mut Source<Cursor<Vec<u8>>>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let budget = Budget { bytes: u64::MAX, seeks: u64::MAX, ..self.budget };
        let mut beside = Source::open(Cursor::new(data), budget)?;
        beside.spent.steps = self.spent.steps;
        let answer = read(&mut beside);
        self.spent.steps = beside.spent.steps;
        answer
    }

    /// The first 4 KiB, or less when the file is shorter.
    pub(crate) fn head(&self) -> &[u8] {
        &self.head.data
    }

    /// Whether `bytes` more may be fetched with half of the budget left over.
    pub(crate) fn affords(&self, bytes: u64) -> bool {
        self.spent.bytes.saturating_add(bytes) <= self.budget.bytes / 2
    }

    /// Counts one chunk, box, page or frame. Looking at its bytes counts by itself, so no loop over them is unbounded.
    pub(crate) fn step(&mut self) -> Result<(), Fault> {
        Ok(self.take_steps(1)?)
    }

    /// Whether so few steps are left that counting all frames or pages is given up.
    pub(crate) fn is_tired(&self) -> bool {
        self.spent.steps > self.budget.steps - self.budget.steps / 4
    }

    /// Fills as much of `buffer` as the file holds from `offset`; answers how much.
    pub(crate) fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, Fault> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let wanted = rest.len();
            let part = self.cached(offset.saturating_add(done as u64), wanted)?;
            if part.is_empty() {
                break;
            }
            let n = part.len().min(wanted);
            if let (Some(to), Some(from)) = (rest.get_mut(..n), part.get(..n)) {
                to.copy_from_slice(from);
            }
            done += n;
        }
        self.take_steps(done / BYTES_A_STEP)?;
        Ok(done)
    }

    /// The `N` bytes at `offset`; all of them must be there.
    pub(crate) fn array<const N: usize>(&mut self, offset: u64) -> Result<[u8; N], Fault> {
        let mut out = [0; N];
        if self.read_at(offset, &mut out)? < N {
            return Err(Fault::Corrupt(TRUNCATED));
        }
        Ok(out)
    }

    /// The `N` bytes at `offset`, zero-filled past the end.
    pub(crate) fn padded<const N: usize>(&mut self, offset: u64) -> Result<[u8; N], Fault> {
        let mut out = [0; N];
        self.read_at(offset, &mut out)?;
        Ok(out)
    }

    /// At most `len` bytes from `offset`; fewer at the end of the file.
    pub(crate) fn up_to(&mut self, offset: u64, len: usize) -> Result<Vec<u8>, Fault> {
        let there = self.len.saturating_sub(offset);
        let mut out = vec![0; len.min(usize::try_from(there).unwrap_or(usize::MAX))];
        let got = self.read_at(offset, &mut out)?;
        out.truncate(got);
        Ok(out)
    }

    /// A cursor for libraries that want a reader.
    pub(crate) fn view(&mut self) -> View<'_, S> {
        View { source: self, at: 0, failure: None }
    }

    fn take_steps(&mut self, count: usize) -> Result<(), MediaError> {
        self.spent.steps = self.spent.steps.saturating_add(count as u64);
        if self.spent.steps > self.budget.steps {
            return Err(MediaError::BudgetExceeded { resource: "steps", limit: self.budget.steps });
        }
        Ok(())
    }

    /// The cached bytes from `offset` on, fetched if need be; empty past the end. `wanted` sizes a fetch.
    fn cached(&mut self, offset: u64, wanted: usize) -> Result<&[u8], MediaError> {
        self.take_steps(1)?;
        if offset >= self.len {
            return Ok(&[]);
        }
        let index = match self.find_block(offset) {
            Some(found) => found,
            None => Some(self.keep(offset, wanted)?),
        };
        let block = index.map_or(Some(&self.head), |index| self.blocks.get(index));
        Ok(block
            .and_then(|block| block.data.get(usize::try_from(offset - block.start).unwrap_or(usize::MAX)..))
            .unwrap_or_default())
    }

    /// The block that holds `offset`: `Some(None)` is the head. The last one fetched is asked first.
    #[expect(clippy::option_option, reason = "nowhere, in the head and in a block are three answers")]
    fn find_block(&self, offset: u64) -> Option<Option<usize>> {
        let among = self.blocks.iter().rposition(|block| block.holds(offset)).map(Some);
        among.or_else(|| self.head.holds(offset).then_some(None))
    }

    /// Fetches a block and keeps it; answers where.
    fn keep(&mut self, offset: u64, wanted: usize) -> Result<usize, MediaError> {
        let last_end = self.blocks.last().map_or_else(|| self.head.end(), Block::end);
        let sequential = offset >= last_end && offset - last_end <= GAP;
        let size = if sequential { (self.last_size * 2).min(LARGE) } else { SMALL };
        self.last_size = size.max(wanted.min(LARGE));
        // What is at hand is not fetched again.
        let known = self.blocks.iter().map(|block| block.start).filter(|start| *start > offset).min();
        let unknown = known.map_or(usize::MAX, |start| usize::try_from(start - offset).unwrap_or(usize::MAX));
        let memory = if self.blocks.len() == KEPT { self.blocks.remove(0).data } else { Vec::new() };
        let block = self.fetch(offset, self.last_size.min(unknown), memory)?;
        self.blocks.push(block);
        Ok(self.blocks.len() - 1)
    }

    /// Reads `size` bytes at `start` into `data`, fewer only at the end of the file.
    fn fetch(&mut self, start: u64, size: usize, mut data: Vec<u8>) -> Result<Block, MediaError> {
        let size = size.min(usize::try_from(self.len - start).unwrap_or(usize::MAX));
        let bytes = self.spent.bytes.saturating_add(size as u64);
        if bytes > self.budget.bytes {
            return Err(MediaError::BudgetExceeded { resource: "bytes", limit: self.budget.bytes });
        }
        self.go_to(start)?;
        self.spent.bytes = bytes;
        data.resize(size, 0);
        let result = self.inner.read_exact(&mut data);
        self.inner_at = result.is_ok().then_some(start + size as u64);
        // A source shorter than it said is a failing source, not a broken file.
        result.map_err(MediaError::Read)?;
        Ok(Block { start, data })
    }

    fn go_to(&mut self, start: u64) -> Result<(), MediaError> {
        if self.inner_at == Some(start) {
            return Ok(());
        }
        if self.spent.seeks >= self.budget.seeks {
            return Err(MediaError::BudgetExceeded { resource: "seeks", limit: self.budget.seeks });
        }
        self.spent.seeks += 1;
        self.inner.seek(SeekFrom::Start(start)).map_err(MediaError::Read)?;
        Ok(())
    }
}

/// A `BufRead + Seek` over a [`Source`]. What made it fail is kept, because libraries blur it.
pub(crate) struct View<'a, S> {
    source: &'a mut Source<S>,
    at: u64,
    failure: Option<MediaError>,
}

impl<S> View<'_, S> {
    /// The failure of the source or budget behind a library's error, if there was one.
    pub(crate) fn failure(&mut self) -> Result<(), Fault> {
        self.failure.take().map_or(Ok(()), |error| Err(Fault::Refused(error)))
    }
}

impl<S: Read + Seek> Read for View<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut part = self.fill_buf()?;
        let n = part.read(buffer)?;
        self.consume(n);
        Ok(n)
    }
}

impl<S: Read + Seek> BufRead for View<'_, S> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self.source.cached(self.at, 1) {
            Ok(part) => Ok(part),
            Err(error) => {
                self.failure = Some(error);
                Err(io::Error::other("the source failed"))
            }
        }
    }

    fn consume(&mut self, amount: usize) {
        // What is too much is told by the next look.
        let _ = self.source.take_steps(amount / BYTES_A_STEP);
        self.at = self.at.saturating_add(amount as u64);
    }
}

impl<S: Read + Seek> Seek for View<'_, S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.source.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}
