//! The alphabet of the sequences. A sequence is a value, and its `Debug` output is the Rust code that makes it.

use std::time::Duration;

use object_store_devkit::faults::{Fault, Operation};
use object_store_models::UserId;
use object_store_service::Actor;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any};
use proptest::prop_oneof;

use super::sample::Sample;

/// The longest sequence.
const MOST_STEPS: usize = 12;

/// One use case, and what goes wrong in the course of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Step {
    pub(crate) op: Op,
    pub(crate) trouble: Trouble,
}

/// What is done. `which` counts round and round the files, staged files or direct uploads that the sequence has made so
/// far; where there are none, nothing is done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Op {
    Upload {
        who: Who,
        what: Sample,
        how: How,
        key: Option<u8>,
    },
    Stage {
        who: Who,
        what: Sample,
        key: Option<u8>,
    },
    Commit {
        which: u8,
        end: End,
    },
    Discard {
        which: u8,
    },
    Begin {
        who: Who,
        what: Sample,
        via: Via,
        key: Option<u8>,
    },
    Send {
        which: u8,
        what: Sample,
    },
    /// Past the signature: a storage that takes whatever comes.
    Smuggle {
        which: u8,
        what: Sample,
    },
    Complete {
        which: u8,
        by: Who,
    },
    Cancel {
        which: u8,
        by: Who,
    },
    Delete {
        which: u8,
        by: Who,
    },
    DeleteIn {
        which: u8,
        by: Who,
        end: End,
    },
    Read {
        which: u8,
        by: Who,
    },
    List {
        by: Who,
        whose: Who,
        page: u16,
    },
    Sweep,
    Verify {
        repair: bool,
    },
    Erase {
        by: Who,
        whose: Who,
    },
    Pass {
        time: Span,
    },
    /// Writes that were lost on their way arrive.
    LandLate,
    /// An object that nothing names, as only a bug or a restored backup leaves one.
    Plant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Ann,
    Ben,
    Nobody,
    System,
}

/// How the bytes come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum How {
    Bytes,
    Stream,
    Announced,
    /// They break off.
    Broken,
}

/// How the caller's transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Commit,
    Rollback,
    Drop,
}

/// How a client is to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Via {
    Form,
    SizedForm,
    Put,
    PutWithMd5,
}

/// No sum of a few of them is the length of a deadline, so that what is due never hangs on how long a step takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span {
    Minute,
    /// Longer than an upload's fence, a sweep's lease and the first waits after failures.
    Fence,
    /// Longer than a signature.
    Signature,
    /// Longer than a late write takes.
    LateWrite,
    /// Longer than a direct upload may take.
    Direct,
    /// Longer than anything is remembered.
    Day,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Trouble {
    Calm,
    /// The future is dropped where it waits for the n-th time.
    Crash(u8),
    /// The n-th call of storage fails.
    Fault(Operation, u8, Fault),
    /// Where it waits for the n-th time, something else is done.
    Meanwhile(u8, Other),
}

/// What is done meanwhile. All but `Lapse` to the same file, by whoever may.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Other {
    /// All deadlines pass, and a sweep runs.
    Lapse,
    Resend(Sample),
    Complete,
    Cancel,
    Delete,
}

impl Who {
    pub(crate) fn user(self) -> Option<UserId> {
        match self {
            Self::Ann => Some(uuid::Uuid::from_u128(1).into()),
            Self::Ben => Some(uuid::Uuid::from_u128(2).into()),
            Self::Nobody | Self::System => None,
        }
    }

    pub(crate) fn actor(self) -> Actor {
        match self {
            Self::System => Actor::System,
            Self::Nobody => Actor::Anonymous,
            Self::Ann | Self::Ben => self.user().map_or(Actor::Anonymous, Actor::User),
        }
    }
}

impl Span {
    pub(crate) fn time(self) -> Duration {
        Duration::from_mins(match self {
            Self::Minute => 1,
            Self::Fence => 16,
            Self::Signature => 61,
            Self::LateWrite => 121,
            Self::Direct => 181,
            Self::Day => 30 * 60,
        })
    }
}

pub(crate) fn sequences() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..=MOST_STEPS)
}

fn step() -> impl Strategy<Value = Step> {
    (op(), trouble()).prop_map(|(op, trouble)| Step { op, trouble })
}

fn op() -> impl Strategy<Value = Op> {
    let which = || 0..4_u8;
    let own = prop_oneof![Just(Who::Ann), Just(Who::Ben), Just(Who::Nobody)];
    let end = || prop_oneof![3 => Just(End::Commit), 1 => Just(End::Rollback), 1 => Just(End::Drop)];
    let upload = (own.clone(), sample(), how(), key());
    let stage = (own.clone(), sample(), key());
    let begin = (own, good(), via(), key());
    prop_oneof![
        12 => upload.prop_map(|(who, what, how, key)| Op::Upload { who, what, how, key }),
        8 => stage.prop_map(|(who, what, key)| Op::Stage { who, what, key }),
        8 => (which(), end()).prop_map(|(which, end)| Op::Commit { which, end }),
        2 => which().prop_map(|which| Op::Discard { which }),
        10 => begin.prop_map(|(who, what, via, key)| Op::Begin { who, what, via, key }),
        12 => (which(), sample()).prop_map(|(which, what)| Op::Send { which, what }),
        2 => (which(), sample()).prop_map(|(which, what)| Op::Smuggle { which, what }),
        12 => (which(), by()).prop_map(|(which, by)| Op::Complete { which, by }),
        4 => (which(), by()).prop_map(|(which, by)| Op::Cancel { which, by }),
        8 => (which(), by()).prop_map(|(which, by)| Op::Delete { which, by }),
        3 => (which(), by(), end()).prop_map(|(which, by, end)| Op::DeleteIn { which, by, end }),
        4 => (which(), by()).prop_map(|(which, by)| Op::Read { which, by }),
        6 => (by(), option::weighted(0.25, by()), page())
            .prop_map(|(by, other, page)| Op::List { by, whose: other.unwrap_or(by), page }),
        8 => Just(Op::Sweep),
        3 => any::<bool>().prop_map(|repair| Op::Verify { repair }),
        3 => (by(), by()).prop_map(|(by, whose)| Op::Erase { by, whose }),
        10 => span().prop_map(|time| Op::Pass { time }),
        3 => Just(Op::LandLate),
        2 => Just(Op::Plant),
    ]
}

/// Small ones, or all that there is would fit in the first.
fn page() -> impl Strategy<Value = u16> {
    prop_oneof![3 => Just(1), 1 => 2..4_u16]
}

/// Half of them by Ann, who has done most.
fn by() -> impl Strategy<Value = Who> {
    prop_oneof![4 => Just(Who::Ann), 2 => Just(Who::Ben), 1 => Just(Who::Nobody), 2 => Just(Who::System)]
}

fn good() -> impl Strategy<Value = Sample> {
    prop_oneof![
        5 => Just(Sample::Png), 2 => Just(Sample::OtherPng), 1 => Just(Sample::Gif), 4 => Just(Sample::Wav),
        4 => Just(Sample::Twin), 1 => Just(Sample::Largest)
    ]
}

fn sample() -> impl Strategy<Value = Sample> {
    prop_oneof![
        96 => good(), 3 => Just(Sample::TooLarge), 3 => Just(Sample::Truncated), 3 => Just(Sample::Html),
        // Large, and so seldom.
        1 => prop_oneof![3 => Just(Sample::Png), 1 => Just(Sample::Long)]
    ]
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![6 => Just(How::Bytes), 3 => Just(How::Stream), 2 => Just(How::Announced), 1 => Just(How::Broken)]
}

fn via() -> impl Strategy<Value = Via> {
    prop_oneof![4 => Just(Via::Form), 2 => Just(Via::SizedForm), 1 => Just(Via::Put), 1 => Just(Via::PutWithMd5)]
}

fn key() -> impl Strategy<Value = Option<u8>> {
    option::weighted(0.4, 0..2_u8)
}

fn span() -> impl Strategy<Value = Span> {
    prop_oneof![
        2 => Just(Span::Minute), 4 => Just(Span::Fence), 2 => Just(Span::Signature), 2 => Just(Span::LateWrite),
        4 => Just(Span::Direct), 2 => Just(Span::Day)
    ]
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        12 => Just(Trouble::Calm),
        4 => (1..40_u8).prop_map(Trouble::Crash),
        2 => (1..8_u8).prop_map(Trouble::Crash),
        3 => fault().prop_map(|(operation, nth, fault)| Trouble::Fault(operation, nth, fault)),
        4 => (1..24_u8, other()).prop_map(|(at, other)| Trouble::Meanwhile(at, other)),
    ]
}

fn fault() -> impl Strategy<Value = (Operation, u8, Fault)> {
    let operation = prop_oneof![
        4 => Just(Operation::Put), 3 => Just(Operation::Copy), 4 => Just(Operation::Delete), 1 => Just(Operation::Head),
        1 => Just(Operation::Get), 1 => Just(Operation::ListPage), 1 => Just(Operation::ListMultipartUploads)
    ];
    let fault = prop_oneof![
        Just(Fault::Unavailable),
        Just(Fault::RequestLost),
        Just(Fault::ReplyLost),
        Just(Fault::AccessDenied),
    ];
    prop_oneof![
        12 => (operation, 1..3_u8, fault),
        1 => Just((Operation::Copy, 1, Fault::Unsupported)),
        1 => Just((Operation::Get, 1, Fault::CutDownload { after_bytes: 20 })),
        1 => Just((Operation::ListPage, 1, Fault::CutListing { after_objects: 0 })),
    ]
}

fn other() -> impl Strategy<Value = Other> {
    prop_oneof![
        2 => Just(Other::Lapse), 3 => sample().prop_map(Other::Resend), 2 => Just(Other::Complete),
        1 => Just(Other::Cancel), 1 => Just(Other::Delete)
    ]
}
