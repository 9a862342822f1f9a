//! Numbers out of byte slices. Everything past the end reads as zero bytes, so that no caller can panic; callers that
//! must tell the difference check the length first.

/// The `N` bytes at `offset`, zero-filled past the end.
pub(crate) fn array<const N: usize>(data: &[u8], offset: usize) -> [u8; N] {
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(data.iter().skip(offset)) {
        *to = *from;
    }
    out
}

/// At most `len` bytes from `offset`, fewer at the end.
pub(crate) fn slice(data: &[u8], offset: usize, len: usize) -> &[u8] {
    let rest = data.get(offset..).unwrap_or_default();
    rest.get(..len).unwrap_or(rest)
}

pub(crate) fn u8_at(data: &[u8], offset: usize) -> u8 {
    data.get(offset).copied().unwrap_or_default()
}

pub(crate) fn u16_be(data: &[u8], offset: usize) -> u16 {
    u16::from_be_bytes(array(data, offset))
}

pub(crate) fn u16_le(data: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes(array(data, offset))
}

pub(crate) fn u24_be(data: &[u8], offset: usize) -> u32 {
    let [a, b, c] = array(data, offset);
    u32::from_be_bytes([0, a, b, c])
}

pub(crate) fn u32_be(data: &[u8], offset: usize) -> u32 {
    u32::from_be_bytes(array(data, offset))
}

pub(crate) fn u32_le(data: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(array(data, offset))
}

pub(crate) fn u64_be(data: &[u8], offset: usize) -> u64 {
    u64::from_be_bytes(array(data, offset))
}

pub(crate) fn u64_le(data: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(array(data, offset))
}

/// Where `needle` first lies in `data`; an empty one lies nowhere.
pub(crate) fn find(data: &[u8], needle: &[u8]) -> Option<usize> {
    let (first, rest) = needle.split_first()?;
    let mut at = 0;
    loop {
        // Comparing all of it at every place would take several times as long.
        at += data.get(at..)?.iter().position(|byte| byte == first)?;
        if data.get(at + 1..).is_some_and(|behind| behind.starts_with(rest)) {
            return Some(at);
        }
        at += 1;
    }
}

/// Where `needle` last lies in `data`.
pub(crate) fn rfind(data: &[u8], needle: &[u8]) -> Option<usize> {
    data.windows(needle.len().max(1)).rposition(|window| window == needle)
}
