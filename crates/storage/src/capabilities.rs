//! What servers differ in, beyond what the port promises everywhere.

use std::fmt;

/// What a server may lack. For each there is a way of doing without it, which callers take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Capability {
    /// It checks signatures at all, and with them expiry, method and signed headers.
    VerifiesSignatures,
    /// It takes forms with a POST policy, and holds them to it.
    PostPolicy,
    /// It holds `x-amz-copy-source-if-match`.
    CopyCondition,
    /// It refuses a signed PUT whose body has another MD5 than its `Content-MD5`.
    DigestOfSignedPut,
    /// It holds `If-None-Match: *`: a PUT does not replace what is there.
    ConditionalCreate,
    /// It lists the multipart uploads under way.
    ListsMultipartUploads,
    /// It answers a signed GET with the content type and disposition that the signature chooses.
    ResponseHeaders,
    /// Parts of a multipart upload are numbered up to 10,000.
    TenThousandParts,
    /// It lists the parts of an upload over pages, whatever their numbers.
    PagesOfParts,
    /// A multipart upload that was completed is no upload any more.
    ForgetsEndedUploads,
    /// A multipart upload is found under its own key only.
    BindsUploadsToKeys,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::VerifiesSignatures,
        Self::PostPolicy,
        Self::CopyCondition,
        Self::DigestOfSignedPut,
        Self::ConditionalCreate,
        Self::ListsMultipartUploads,
        Self::ResponseHeaders,
        Self::TenThousandParts,
        Self::PagesOfParts,
        Self::ForgetsEndedUploads,
        Self::BindsUploadsToKeys,
    ];

    /// A stable word for logs, tables and configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::VerifiesSignatures => "verifies_signatures",
            Self::PostPolicy => "post_policy",
            Self::CopyCondition => "copy_condition",
            Self::DigestOfSignedPut => "digest_of_signed_put",
            Self::ConditionalCreate => "conditional_create",
            Self::ListsMultipartUploads => "lists_multipart_uploads",
            Self::ResponseHeaders => "response_headers",
            Self::TenThousandParts => "ten_thousand_parts",
            Self::PagesOfParts => "pages_of_parts",
            Self::ForgetsEndedUploads => "forgets_ended_uploads",
            Self::BindsUploadsToKeys => "binds_uploads_to_keys",
        }
    }

    /// What it is for, as a sentence.
    pub fn purpose(self) -> &'static str {
        match self {
            Self::VerifiesSignatures => "Only who has a signed URL reads and writes, as long as it lives.",
            Self::PostPolicy => "Browsers send files to storage by a form, up to a size that need not be known.",
            Self::CopyCondition => "What a client has sent is copied only if it is what was looked at.",
            Self::DigestOfSignedPut => "A PUT by a client arrives as it was sent, or not at all.",
            Self::ConditionalCreate => "Two writers of one key do not replace each other's object.",
            Self::ListsMultipartUploads => "Uploads in parts that nobody goes on with are found and aborted.",
            Self::ResponseHeaders => "Files are downloaded under their names.",
            Self::TenThousandParts => "An upload in parts of 8 MiB may have 80 GiB.",
            Self::PagesOfParts => "An upload of more than 1,000 parts goes on after a lost connection.",
            Self::ForgetsEndedUploads => "Completing twice is told from completing once.",
            Self::BindsUploadsToKeys => "The name of an upload is of no use for another key.",
        }
    }

    /// Whether anything is missed without it.
    pub fn is_missed(self) -> bool {
        !matches!(
            self,
            Self::DigestOfSignedPut | Self::ConditionalCreate | Self::ForgetsEndedUploads | Self::BindsUploadsToKeys
        )
    }

    /// What is done without it, as a sentence.
    pub fn without(self) -> &'static str {
        match self {
            Self::VerifiesSignatures => "Nothing can be: everybody may read and write. Fit for tests only.",
            Self::PostPolicy => "Direct uploads are signed as PUTs, which need a size that is known.",
            Self::CopyCondition => "The bytes that were read are put, through this module.",
            Self::DigestOfSignedPut => "Completing an upload reads what arrived, as always, and tells what is broken.",
            Self::ConditionalCreate => "Each write has a key of its own that is never used twice, as always.",
            Self::ListsMultipartUploads => {
                "Each upload's intent knows its name and aborts it; a lifecycle rule does the rest."
            }
            Self::ResponseHeaders => "Browsers name downloads by the key; the type is the one that was stored.",
            Self::TenThousandParts => "An upload of more parts than the server takes fails, and is removed.",
            Self::PagesOfParts => "An upload of more than 1,000 parts cannot be completed; sent whole, it can.",
            Self::ForgetsEndedUploads => "A second completion joins the same parts to the same object.",
            Self::BindsUploadsToKeys => "The names of uploads are random, and keys are ours, as always.",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a server can do of [`Capability::ALL`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// One bit each, by its place in [`Capability::ALL`].
    lacking: u16,
}

impl Capabilities {
    /// A server that can do all of it.
    pub const ALL: Self = Self { lacking: 0 };

    /// The same but for one.
    #[must_use]
    pub fn without(self, capability: Capability) -> Self {
        Self { lacking: self.lacking | bit(capability) }
    }

    /// Whether this one is there.
    pub fn has(self, capability: Capability) -> bool {
        self.lacking & bit(capability) == 0
    }

    /// Those that are not there.
    pub fn lacking(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.into_iter().filter(move |capability| !self.has(*capability))
    }
}

fn bit(capability: Capability) -> u16 {
    1 << capability as u16
}

impl Default for Capabilities {
    fn default() -> Self {
        Self::ALL
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "all but ")?;
        f.debug_list().entries(self.lacking()).finish()
    }
}

/// What a server was found to do, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbedCapability {
    /// Of what.
    pub capability: Capability,
    /// Whether it is there.
    pub is_there: bool,
    /// The request that shows it, and the answer.
    pub evidence: String,
}

impl FromIterator<ProbedCapability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = ProbedCapability>>(probed: I) -> Self {
        let lacking = probed.into_iter().filter(|one| !one.is_there);
        lacking.fold(Self::ALL, |found, one| found.without(one.capability))
    }
}

#[cfg(test)]
mod tests {
    use super::{Capabilities, Capability, ProbedCapability};

    #[test]
    fn each_is_there_or_not_by_itself() {
        for capability in Capability::ALL {
            let found = Capabilities::ALL.without(capability);
            assert_eq!(found.lacking().collect::<Vec<_>>(), [capability]);
            assert!(Capability::ALL.into_iter().all(|other| found.has(other) == (other != capability)));
        }
    }

    #[test]
    fn what_was_probed_is_what_is_there() {
        let probed = Capability::ALL.map(|capability| ProbedCapability {
            capability,
            is_there: capability != Capability::PostPolicy,
            evidence: String::new(),
        });
        let found: Capabilities = probed.into_iter().collect();
        assert_eq!(found, Capabilities::ALL.without(Capability::PostPolicy));
        assert_eq!(format!("{found:?}"), "all but [PostPolicy]");
    }
}
