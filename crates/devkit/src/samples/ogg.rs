//! The pages of an Ogg stream (RFC 3533).

use super::checksum;

/// What every page of one stream carries.
const SERIAL: u32 = 0x6F73_6D31;

/// Where a page stands in its stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    First,
    Within,
    Last,
}

/// Appends a page that holds whole packets, 255 segments at most.
pub(super) fn page(file: &mut Vec<u8>, place: Place, granule: u64, sequence: u32, packets: &[Vec<u8>]) {
    let flags = match place {
        Place::First => 2,
        Place::Within => 0,
        Place::Last => 4,
    };
    let lacing: Vec<u8> = packets.iter().flat_map(|packet| segments(packet.len())).collect();
    let mut page = b"OggS\0".to_vec();
    page.push(flags);
    page.extend_from_slice(&granule.to_le_bytes());
    page.extend_from_slice(&SERIAL.to_le_bytes());
    page.extend_from_slice(&sequence.to_le_bytes());
    page.extend_from_slice(&[0; 4]);
    page.push(u8::try_from(lacing.len()).unwrap_or(u8::MAX));
    page.extend_from_slice(&lacing);
    page.extend_from_slice(&packets.concat());
    let checksum = checksum::ogg(&page);
    for (place, byte) in page.iter_mut().skip(22).zip(checksum.to_le_bytes()) {
        *place = byte;
    }
    file.extend_from_slice(&page);
}

/// Appends packets, several to a page, the last of them ending the stream at granule `end`. `granule_after` tells where
/// the sound of so many packets ends.
pub(super) fn sound_pages(
    file: &mut Vec<u8>,
    first_sequence: u32,
    packets: &[Vec<u8>],
    end: u64,
    granule_after: impl Fn(u64) -> u64,
) {
    const PACKETS_A_PAGE: usize = 50;
    let mut written = 0;
    for (sequence, some) in (first_sequence..).zip(packets.chunks(PACKETS_A_PAGE)) {
        written += some.len();
        let last = written == packets.len();
        let granule = if last { end } else { granule_after(written as u64) };
        page(file, if last { Place::Last } else { Place::Within }, granule, sequence, some);
    }
}

/// The lengths of a packet's segments: full ones, then one that is not.
fn segments(length: usize) -> impl Iterator<Item = u8> {
    let rest = u8::try_from(length % 255).unwrap_or(0);
    std::iter::repeat_n(255, length / 255).chain([rest])
}
