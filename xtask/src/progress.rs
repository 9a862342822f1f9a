//! Progress bars. They go to standard error, and only to a terminal.

use std::borrow::Cow;

use indicatif::{ProgressBar, ProgressStyle};

/// For work of a known number of bytes. Gone without trace when it is finished.
pub(crate) fn of_bytes(what: impl Into<Cow<'static, str>>, bytes: u64) -> ProgressBar {
    bar(bytes, "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}").with_message(what)
}

/// For work of a known number of steps.
pub(crate) fn of_steps(what: impl Into<Cow<'static, str>>, steps: usize) -> ProgressBar {
    bar(steps as u64, "{msg} {wide_bar} {pos}/{len}").with_message(what)
}

fn bar(length: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_drawn_without_a_terminal() {
        // Tests have none on standard error when their output is captured or piped; with one, there is nothing to see.
        let bar = of_steps("step", 2);
        bar.inc(1);
        assert_eq!(bar.position(), 1);
        bar.finish_and_clear();
    }
}
