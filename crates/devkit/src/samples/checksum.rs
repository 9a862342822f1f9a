//! The checksums that the formats carry.

/// CRC-32 of PNG chunks (ISO 3309, reflected polynomial `0xEDB88320`).
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

/// Adler-32 of zlib streams (RFC 1950).
pub(super) fn adler32(bytes: &[u8]) -> u32 {
    let (low, high) = bytes.iter().fold((1, 0), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    high << 16 | low
}

/// CRC of Ogg pages (RFC 3533, polynomial `0x04C11DB7`, not reflected).
pub(super) fn ogg(bytes: &[u8]) -> u32 {
    high_bit_first(bytes, 32, 0x04C1_1DB7)
}

/// CRC-8 of FLAC frame headers (RFC 9639, polynomial `0x07`).
pub(super) fn crc8(bytes: &[u8]) -> u8 {
    let [.., crc] = high_bit_first(bytes, 8, 0x07).to_be_bytes();
    crc
}

/// CRC-16 of FLAC frames (RFC 9639, polynomial `0x8005`).
pub(super) fn crc16(bytes: &[u8]) -> u16 {
    let [.., high, low] = high_bit_first(bytes, 16, 0x8005).to_be_bytes();
    u16::from_be_bytes([high, low])
}

fn high_bit_first(bytes: &[u8], width: u32, polynomial: u32) -> u32 {
    // The register sits at the top of 32 bits, so that one loop serves all widths.
    let polynomial = polynomial << (32 - width);
    let register = bytes.iter().fold(0_u32, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte) << 24,
            |crc, _| {
                if crc >> 31 == 1 { crc << 1 ^ polynomial } else { crc << 1 }
            },
        )
    });
    register >> (32 - width)
}

/// MD5 (RFC 1321): FLAC's digest of the decoded samples.
pub(super) fn md5(message: &[u8]) -> [u8; 16] {
    const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(64), 0);
    if padded.len() - message.len() < 9 {
        padded.resize(padded.len() + 64, 0);
    }
    let length_at = padded.len() - 8;
    padded.truncate(length_at);
    padded.extend_from_slice(&(message.len() as u64 * 8).to_le_bytes());

    let mut state = [0x6745_2301_u32, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476];
    for block in padded.as_chunks::<64>().0 {
        let (words, _) = block.as_chunks::<4>();
        let [mut a, mut b, mut c, mut d] = state;
        for (step, constant) in MD5_CONSTANTS.iter().enumerate() {
            let (mixed, word) = match step / 16 {
                0 => (b & c | !b & d, step),
                1 => (d & b | !d & c, (5 * step + 1) % 16),
                2 => (b ^ c ^ d, (3 * step + 5) % 16),
                _ => (c ^ (b | !d), 7 * step % 16),
            };
            let sum = a.wrapping_add(mixed).wrapping_add(*constant).wrapping_add(u32::from_le_bytes(words[word]));
            (a, d, c) = (d, c, b);
            b = b.wrapping_add(sum.rotate_left(SHIFTS[step / 16][step % 4]));
        }
        for (total, part) in state.iter_mut().zip([a, b, c, d]) {
            *total = total.wrapping_add(part);
        }
    }

    let mut digest = [0; 16];
    for (place, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *place = word.to_le_bytes();
    }
    digest
}

/// The integer parts of 2^32 · |sin(i + 1)| (RFC 1321, section 3.4).
const MD5_CONSTANTS: [u32; 64] = [
    0xD76A_A478,
    0xE8C7_B756,
    0x2420_70DB,
    0xC1BD_CEEE,
    0xF57C_0FAF,
    0x4787_C62A,
    0xA830_4613,
    0xFD46_9501,
    0x6980_98D8,
    0x8B44_F7AF,
    0xFFFF_5BB1,
    0x895C_D7BE,
    0x6B90_1122,
    0xFD98_7193,
    0xA679_438E,
    0x49B4_0821,
    0xF61E_2562,
    0xC040_B340,
    0x265E_5A51,
    0xE9B6_C7AA,
    0xD62F_105D,
    0x0244_1453,
    0xD8A1_E681,
    0xE7D3_FBC8,
    0x21E1_CDE6,
    0xC337_07D6,
    0xF4D5_0D87,
    0x455A_14ED,
    0xA9E3_E905,
    0xFCEF_A3F8,
    0x676F_02D9,
    0x8D2A_4C8A,
    0xFFFA_3942,
    0x8771_F681,
    0x6D9D_6122,
    0xFDE5_380C,
    0xA4BE_EA44,
    0x4BDE_CFA9,
    0xF6BB_4B60,
    0xBEBF_BC70,
    0x289B_7EC6,
    0xEAA1_27FA,
    0xD4EF_3085,
    0x0488_1D05,
    0xD9D4_D039,
    0xE6DB_99E5,
    0x1FA2_7CF8,
    0xC4AC_5665,
    0xF429_2244,
    0x432A_FF97,
    0xAB94_23A7,
    0xFC93_A039,
    0x655B_59C3,
    0x8F0C_CC92,
    0xFFEF_F47D,
    0x8584_5DD1,
    0x6FA8_7E4F,
    0xFE2C_E6E0,
    0xA301_4314,
    0x4E08_11A1,
    0xF753_7E82,
    0xBD3A_F235,
    0x2AD7_D2BB,
    0xEB86_D391,
];

#[cfg(test)]
mod tests {
    use super::*;

    // The check values of the catalogues of these checksums: the digest of "123456789".
    #[test]
    fn checksums_have_their_check_values() {
        let digits = b"123456789";
        assert_eq!(crc32(digits), 0xCBF4_3926);
        assert_eq!(adler32(digits), 0x091E_01DE);
        assert_eq!(ogg(digits), 0x89A1_897F);
        assert_eq!(crc8(digits), 0xF4);
        assert_eq!(crc16(digits), 0xFEE8);
    }

    #[test]
    fn md5_has_the_values_of_its_rfc() {
        let hex = |bytes: [u8; 16]| format!("{:032x}", u128::from_be_bytes(bytes));
        assert_eq!(hex(md5(b"")), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(hex(md5(b"abc")), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(hex(md5(&[b'x'; 55])), "04364420e25c512fd958a70738aa8f72");
        assert_eq!(hex(md5(&[b'x'; 56])), "668a72d5ba17f08e62dabcafad6db14b");
        assert_eq!(hex(md5(&[b'x'; 64])), "c1bb4f81d892b2d57947682aeb252456");
    }
}
