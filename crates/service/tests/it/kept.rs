//! Sequences that are run first: those that something was found by, and those in which the most comes together.
//!
//! The seeds in `model/regressions.txt` mean other sequences when the alphabet changes; these do not.

use object_store_devkit::faults::{self, Operation};

use crate::model::sample::Sample;
use crate::model::step::How::Bytes;
use crate::model::step::Span::{Day, Direct, Fence};
use crate::model::step::Trouble::{Calm, Crash, Fault, Meanwhile};
use crate::model::step::Who::{Ann, Ben, Nobody, System};
use crate::model::step::{End, Op, Other, Step, Via};

fn calm(op: Op) -> Step {
    Step { op, trouble: Calm }
}

pub(crate) fn sequences() -> Vec<Vec<Step>> {
    let begin = calm(Op::Begin { who: Ann, what: Sample::Wav, via: Via::Form, key: Some(0) });
    let send = calm(Op::Send { which: 0, what: Sample::Wav });
    let complete = Op::Complete { which: 0, by: Ann };
    let twice = calm(Op::Upload { who: Ben, what: Sample::Png, how: Bytes, key: Some(0) });
    let stage = calm(Op::Stage { who: Ann, what: Sample::Png, key: Some(1) });
    let commit = calm(Op::Commit { which: 0, end: End::Commit });
    let mut all = vec![
        // A request that comes again, while the first is staged, after it was taken for dead, and after it was deleted.
        vec![stage, stage, calm(Op::Pass { time: Fence }), stage, calm(Op::Sweep), commit, commit],
        vec![twice, twice, calm(Op::Delete { which: 0, by: Ben }), twice],
        // A lost write that lands after its key was purged.
        vec![
            Step {
                op: Op::Upload { who: Nobody, what: Sample::Gif, how: Bytes, key: None },
                trouble: Fault(Operation::Put, 1, faults::Fault::RequestLost),
            },
            calm(Op::Sweep),
            calm(Op::LandLate),
            calm(Op::Delete { which: 0, by: System }),
        ],
        // One that lands when what was uploaded in its stead is deleted; one that would have been a copy.
        vec![
            Step {
                op: Op::Upload { who: Nobody, what: Sample::Gif, how: Bytes, key: None },
                trouble: Fault(Operation::Put, 1, faults::Fault::RequestLost),
            },
            calm(Op::Delete { which: 0, by: System }),
            calm(Op::LandLate),
        ],
        vec![
            begin,
            send,
            Step { op: complete, trouble: Fault(Operation::Copy, 1, faults::Fault::RequestLost) },
            calm(Op::LandLate),
        ],
        // The first of two has lost its key to the second, and nobody has swept it.
        vec![stage, calm(Op::Pass { time: Fence }), stage, commit, calm(Op::Commit { which: 1, end: End::Commit })],
        // Two pages of one image each.
        vec![
            calm(Op::Upload { who: Ann, what: Sample::Png, how: Bytes, key: None }),
            calm(Op::Upload { who: Ann, what: Sample::OtherPng, how: Bytes, key: None }),
            calm(Op::List { by: Ann, whose: Ann, page: 1 }),
        ],
        // An object that cannot be deleted at first; one that is there for long.
        vec![
            twice,
            Step {
                op: Op::Delete { which: 0, by: Ben },
                trouble: Fault(Operation::Delete, 1, faults::Fault::Unavailable),
            },
        ],
        vec![twice, calm(Op::Pass { time: Day }), calm(Op::Verify { repair: false })],
        // What has no name is seen once.
        vec![
            calm(Op::Plant),
            calm(Op::Pass { time: Day }),
            calm(Op::Pass { time: Day }),
            calm(Op::Verify { repair: true }),
            calm(Op::Sweep),
        ],
        vec![begin, send, calm(complete), send, calm(complete), calm(Op::Pass { time: Direct }), calm(complete)],
    ];
    for at in 1..16 {
        all.push(vec![twice, Step { op: Op::Delete { which: 0, by: Ben }, trouble: Crash(at) }]);
    }
    // Everything in the course of a complete, at each of its first awaits.
    for at in 1..16 {
        for other in [Other::Lapse, Other::Resend(Sample::Twin), Other::Complete, Other::Cancel] {
            all.push(vec![begin, send, Step { op: complete, trouble: Meanwhile(at, other) }, calm(complete)]);
        }
        all.push(vec![begin, send, Step { op: complete, trouble: Crash(at) }, calm(complete)]);
    }
    all
}
