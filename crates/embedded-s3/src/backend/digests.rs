//! What a client says that its bytes come to, and what they do come to.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::HeaderMap;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{Checksum, ChecksumAlgorithm};
use s3s::{S3Result, s3_error};

use crate::random::hex;

/// The header in which a client announces checksums that follow the body.
const TRAILER: &str = "x-amz-trailer";

const CHECKSUMS: [&str; 5] = [
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
    "x-amz-checksum-crc64nvme",
];

/// Computes what is needed while bytes go by.
pub(super) struct Digests {
    md5: Md5,
    checksums: ChecksumHasher,
}

/// What a client has announced.
#[derive(Debug, Default)]
pub(super) struct Announced {
    pub(super) md5: Option<String>,
    /// In the order of [`CHECKSUMS`].
    pub(super) checksums: [Option<String>; 5],
    pub(super) algorithm: Option<ChecksumAlgorithm>,
}

impl Digests {
    pub(super) fn new(announced: &Announced, headers: &HeaderMap) -> Self {
        let trailer = headers.get(TRAILER).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let algorithm = announced.algorithm.as_ref().map(|algorithm| algorithm.as_str().to_ascii_lowercase());
        let [crc32, crc32c, sha1, sha256, crc64nvme] = std::array::from_fn(|position| {
            let name = CHECKSUMS[position];
            let is_announced = announced.checksums[position].is_some();
            let is_chosen =
                algorithm.as_ref().is_some_and(|algorithm| name.strip_prefix("x-amz-checksum-") == Some(algorithm));
            is_announced || is_chosen || trailer.split(',').any(|trailer| trailer.trim().eq_ignore_ascii_case(name))
        });
        let checksums = ChecksumHasher {
            crc32: crc32.then(Default::default),
            crc32c: crc32c.then(Default::default),
            sha1: sha1.then(Default::default),
            sha256: sha256.then(Default::default),
            crc64nvme: crc64nvme.then(Default::default),
        };
        Self { md5: Md5::new(), checksums }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.checksums.update(bytes);
    }

    /// The MD5 as an entity tag, and the checksums, if they are what was announced before the body or after it.
    pub(super) fn verify(self, announced: Announced, trailers: Option<&HeaderMap>) -> S3Result<(String, Checksum)> {
        let md5 = self.md5.finalize();
        if let Some(wanted) = announced.md5 {
            let wanted = BASE64.decode(wanted).map_err(|_| s3_error!(InvalidDigest))?;
            if wanted.len() != 16 {
                return Err(s3_error!(InvalidDigest));
            }
            if wanted[..] != md5[..] {
                return Err(s3_error!(BadDigest, "the MD5 of the body is not its Content-MD5"));
            }
        }
        let found = self.checksums.finalize();
        let computed = [
            &found.checksum_crc32,
            &found.checksum_crc32c,
            &found.checksum_sha1,
            &found.checksum_sha256,
            &found.checksum_crc64nvme,
        ];
        for ((name, before), computed) in CHECKSUMS.iter().zip(announced.checksums).zip(computed) {
            let after = trailers.and_then(|trailers| trailers.get(*name)?.to_str().ok().map(str::to_owned));
            for wanted in [before, after].into_iter().flatten() {
                if computed.as_ref() != Some(&wanted) {
                    return Err(s3_error!(BadDigest, "the checksum of the body is not its {}", name));
                }
            }
        }
        Ok((hex(md5.as_ref()), found))
    }
}
