//! What the sample audio plays.

/// The notes of one round, in hertz: A4 C5 D5 E5 D5 C5 A4 G4.
const NOTES: [f64; 8] = [440.0, 523.25, 587.33, 659.26, 587.33, 523.25, 440.0, 392.0];

/// How many notes there are in a second.
const NOTES_A_SECOND: u32 = 4;

/// One sample of the melody, within ±1. Later channels are a little lower in volume, so that they differ.
///
/// Only additions and multiplications of IEEE 754 numbers, so that every machine computes the same bits.
pub(super) fn sample(position: u32, sample_rate: u32, channel: u16) -> f64 {
    let (frequency, into_note) = note(position, sample_rate);
    let turns = f64::from(position) / f64::from(sample_rate.max(1)) * frequency;
    let fading = 1.0 - 0.9 * into_note;
    // A note begins and ends softly, which leaves no click.
    let soft_edges = (into_note * 40.0).min((1.0 - into_note) * 40.0).min(1.0);
    let loudness = 0.6 * fading * soft_edges / f64::from(u32::from(channel) + 1);
    loudness * (0.8 * sine(turns) + 0.2 * sine(2.0 * turns))
}

/// One sample, as a whole number within ±`peak`.
#[expect(clippy::cast_possible_truncation, reason = "a sample within ±1 times a peak of 31 bits fits")]
pub(super) fn whole_sample(position: u32, sample_rate: u32, channel: u16, peak: i32) -> i32 {
    (sample(position, sample_rate, channel) * f64::from(peak)).round() as i32
}

/// How many sampling instants a duration has.
pub(super) fn sample_count(sample_rate: u32, duration_ms: u32) -> u32 {
    u32::try_from(u64::from(sample_rate) * u64::from(duration_ms) / 1000).unwrap_or(u32::MAX)
}

/// The one spectral line that a block of a transform codec carries.
///
/// A line that sounds like a steady tone changes its sign from block to block as the tone's phase at the block's start
/// does, by half a turn and a quarter turn for each line.
pub(super) struct Line {
    /// Its number: line k stands for (k + ½) · `sample_rate` / 2 / `lines` hertz.
    pub(super) index: u32,
    /// Whether its coefficient is below 0.
    pub(super) negative: bool,
    /// How far its note has faded: 0 at the beginning, then 1, 2, … with each eighth of the note.
    pub(super) fading: u32,
}

/// The line of block number `block`, where each block brings `lines` samples.
pub(super) fn line(block: u32, lines: u32, sample_rate: u32) -> Line {
    let (frequency, into_note) = note(block.saturating_mul(lines), sample_rate);
    let spacing = f64::from(sample_rate) / 2.0 / f64::from(lines);
    let index = (0..lines).find(|index| f64::from(index + 1) * spacing > frequency).unwrap_or(0);
    let negative = if index.is_multiple_of(2) { matches!(block % 4, 1 | 2) } else { matches!(block % 4, 2 | 3) };
    let fading = (1..8).filter(|eighth| f64::from(*eighth) <= into_note * 8.0).max().unwrap_or(0);
    Line { index, negative, fading }
}

/// The sine of an angle in turns, by its series (an error below 10⁻⁸).
///
/// The standard library's sine may differ between machines in its last bit.
pub(super) fn sine(turns: f64) -> f64 {
    let turns = turns - turns.floor();
    let folded = match turns {
        ..0.25 => turns,
        ..0.75 => 0.5 - turns,
        _ => turns - 1.0,
    };
    let angle = folded * std::f64::consts::TAU;
    let square = angle * angle;
    let tail = 1.0 - square / 72.0 * (1.0 - square / 110.0 * (1.0 - square / 156.0));
    angle * (1.0 - square / 6.0 * (1.0 - square / 20.0 * (1.0 - square / 42.0 * tail)))
}

/// The note that sounds, in hertz, and how much of it has passed, 0 to 1.
fn note(position: u32, sample_rate: u32) -> (f64, f64) {
    let samples = (sample_rate / NOTES_A_SECOND).max(1);
    let frequency = NOTES[(position / samples) as usize % NOTES.len()];
    (frequency, f64::from(position % samples) / f64::from(samples))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sine_is_the_sine() {
        for step in -400..400 {
            let turns = f64::from(step) / 173.0;
            let expected = (turns * std::f64::consts::TAU).sin();
            assert!((sine(turns) - expected).abs() < 1e-8, "{turns}: {} is not {expected}", sine(turns));
        }
    }

    #[test]
    fn the_line_is_next_to_the_note() {
        let first = line(0, 1024, 44_100);
        let frequency = (f64::from(first.index) + 0.5) * 44_100.0 / 2048.0;
        assert!((frequency - 440.0).abs() < 11.0, "{frequency}");
        assert_eq!(first.fading, 0);
    }

    #[test]
    fn a_duration_below_one_sample_has_none() {
        assert_eq!(sample_count(44_100, 1000), 44_100);
        assert_eq!(sample_count(500, 1), 0);
    }
}
