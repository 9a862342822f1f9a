//! Fields that are not whole bytes.

/// Writes from the highest bit of each byte to the lowest: JPEG, FLAC, MP3, AAC.
#[derive(Default)]
pub(super) struct HighBitFirst {
    bytes: Vec<u8>,
    count: usize,
}

impl HighBitFirst {
    /// Appends the lowest `width` bits of `value`, the highest of them first.
    pub(super) fn push(&mut self, value: u32, width: u32) {
        for position in (0..width).rev() {
            self.push_bit(value >> position & 1 == 1);
        }
    }

    /// Appends one bit.
    pub(super) fn push_bit(&mut self, bit: bool) {
        push_bit(&mut self.bytes, self.count, 7 - self.count % 8, bit);
        self.count += 1;
    }

    /// Appends so many zeros and a one.
    pub(super) fn push_unary(&mut self, zeros: u32) {
        for _ in 0..zeros {
            self.push_bit(false);
        }
        self.push_bit(true);
    }

    /// How many bits were written.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The whole bytes, the last one filled up with zeros.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Writes from the lowest bit of each byte to the highest: GIF, lossless WebP, Vorbis.
#[derive(Default)]
pub(super) struct LowBitFirst {
    bytes: Vec<u8>,
    count: usize,
}

impl LowBitFirst {
    /// Appends the lowest `width` bits of `value`, the lowest of them first.
    pub(super) fn push(&mut self, value: u32, width: u32) {
        for position in 0..width {
            self.push_bit(value >> position & 1 == 1);
        }
    }

    /// Appends one bit.
    pub(super) fn push_bit(&mut self, bit: bool) {
        push_bit(&mut self.bytes, self.count, self.count % 8, bit);
        self.count += 1;
    }

    /// The whole bytes, the last one filled up with zeros.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

fn push_bit(bytes: &mut Vec<u8>, count: usize, position: usize, bit: bool) {
    if count.is_multiple_of(8) {
        bytes.push(0);
    }
    if let Some(last) = bytes.last_mut() {
        *last |= u8::from(bit) << position;
    }
}
