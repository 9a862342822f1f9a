//! How a file is cut into parts. Storage wants at most 10,000, of at least 5 MiB each but for the last.

use object_store_storage::{MAX_PARTS, MIN_PART_BYTES, UploadedPart};

/// The size of parts wherever it will do: what a lost connection costs, against the number of requests.
const PART_BYTES: u64 = 8 << 20;

/// Larger parts have whole mebibytes, since some servers want all of them to be alike in it.
const MIB: u64 = 1 << 20;

/// A file in parts. All have the same size, but for the last, which has what is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts {
    size_bytes: u64,
    part_bytes: u64,
    count: u16,
}

impl Parts {
    /// A size for the parts of a file. `None` for a file without bytes.
    pub(crate) fn for_size(size_bytes: u64) -> Option<Self> {
        let least = size_bytes.div_ceil(MAX_PARTS.into()).div_ceil(MIB).checked_mul(MIB)?;
        Self::of(size_bytes, least.max(PART_BYTES))
    }

    /// Parts of a given size. `None` if storage would not take them.
    pub(crate) fn of(size_bytes: u64, part_bytes: u64) -> Option<Self> {
        if size_bytes == 0 || part_bytes < MIN_PART_BYTES {
            return None;
        }
        let count = u16::try_from(size_bytes.div_ceil(part_bytes)).ok().filter(|count| *count <= MAX_PARTS)?;
        Some(Self { size_bytes, part_bytes, count })
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub(crate) fn part_bytes(&self) -> u64 {
        self.part_bytes
    }

    pub(crate) fn count(&self) -> u16 {
        self.count
    }

    /// The numbers, ascending.
    pub(crate) fn numbers(&self) -> std::ops::RangeInclusive<u16> {
        1..=self.count
    }

    /// How many bytes the part of this number has. `None` if there is none.
    pub(crate) fn bytes_of(&self, number: u16) -> Option<u64> {
        let before = u64::from(number.checked_sub(1)?) * self.part_bytes;
        (number <= self.count).then(|| (self.size_bytes - before).min(self.part_bytes))
    }

    /// Whether a part that storage has is one of these, whole.
    pub(crate) fn has(&self, part: &UploadedPart) -> bool {
        self.bytes_of(part.number) == Some(part.size_bytes)
    }

    /// The numbers that are not among these parts, which ascend.
    pub(crate) fn missing(&self, received: &[UploadedPart]) -> Vec<u16> {
        let mut received = received.iter().map(|part| part.number).peekable();
        self.numbers().filter(|number| received.next_if_eq(number).is_none()).collect()
    }
}

#[cfg(test)]
mod tests {
    use object_store_storage::{MAX_PARTS, MIN_PART_BYTES, UploadedPart};

    use super::{PART_BYTES, Parts};

    #[test]
    fn parts_add_up_and_storage_takes_them() {
        let most = u64::from(MAX_PARTS) * PART_BYTES;
        for size in [1, PART_BYTES, PART_BYTES + 1, 2 << 30, most, most + 1, 5 << 40] {
            let parts = Parts::for_size(size).unwrap();
            let sizes: Vec<u64> = parts.numbers().map(|number| parts.bytes_of(number).unwrap()).collect();
            assert_eq!(sizes.iter().sum::<u64>(), size);
            assert!(sizes.len() <= usize::from(MAX_PARTS) && sizes.iter().all(|bytes| *bytes > 0), "{size}");
            assert!(sizes.iter().rev().skip(1).all(|bytes| *bytes == parts.part_bytes()), "{size}");
            assert!(parts.part_bytes() >= MIN_PART_BYTES && parts.part_bytes() <= 5 << 30, "{size}");
            assert_eq!((parts.bytes_of(0), parts.bytes_of(parts.count() + 1)), (None, None));
        }
    }

    #[test]
    fn what_storage_would_not_take_is_no_plan() {
        assert_eq!(Parts::for_size(0), None);
        for (size, part) in [(1, 0), (10 << 20, MIN_PART_BYTES - 1), (u64::MAX, PART_BYTES), (0, PART_BYTES)] {
            assert_eq!(Parts::of(size, part), None, "{size} in parts of {part}");
        }
    }

    #[test]
    fn a_part_is_one_of_them_if_its_size_is() {
        let parts = Parts::of(2 * PART_BYTES + 5, PART_BYTES).unwrap();
        let part = |number, size_bytes| UploadedPart { number, size_bytes, etag: String::new() };
        assert!(parts.has(&part(1, PART_BYTES)) && parts.has(&part(3, 5)));
        assert!(!parts.has(&part(1, 5)) && !parts.has(&part(3, PART_BYTES)) && !parts.has(&part(4, 5)));
        assert_eq!(parts.missing(&[]), [1, 2, 3]);
        assert_eq!(parts.missing(&[part(2, PART_BYTES)]), [1, 3]);
        assert_eq!(parts.missing(&[part(1, PART_BYTES), part(2, PART_BYTES), part(3, 5)]), [] as [u16; 0]);
    }
}
