//! How errors are shown.

use std::fmt::Write;
use std::io;

use anyhow::Error;
use object_store_public::{ConfigError, ObjectStoreError};

/// Prints an error to standard error: `error[code]: message`, then its causes.
pub(crate) fn report(error: &Error) {
    eprintln!("{}", describe(None, error));
}

/// As [`report`], of one of several things that were asked for.
pub(crate) fn report_about(subject: &str, error: &Error) {
    eprintln!("{}", describe(Some(subject), error));
}

/// The stable word for the cause; `failed` where the module has none.
pub(crate) fn code(error: &Error) -> &'static str {
    let of_one = |cause: &(dyn std::error::Error + 'static)| {
        let module = cause.downcast_ref::<ObjectStoreError>().map(ObjectStoreError::code);
        module.or_else(|| cause.downcast_ref::<ConfigError>().map(|_| "misconfigured"))
    };
    error.chain().find_map(of_one).unwrap_or("failed")
}

/// Whether whoever read our output has gone, which is no failure.
pub(crate) fn is_closed_pipe(error: &Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>());
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
        && error.downcast_ref::<crate::output::OutputError>().is_some()
}

/// All messages of the chain in one line, each once.
pub(crate) fn message(error: &Error) -> String {
    messages(error).join(": ")
}

fn describe(subject: Option<&str>, error: &Error) -> String {
    let messages = messages(error);
    let mut lines = messages.iter();
    let subject = subject.map(|subject| format!("{subject}: ")).unwrap_or_default();
    let first = lines.next().map_or("unknown", String::as_str);
    let mut text = format!("error[{}]: {subject}{first}", code(error));
    for cause in lines {
        // A cause of several lines, as some servers answer, stays recognisable as one.
        let _ = write!(text, "\n  caused by: {}", cause.replace('\n', "\n    "));
    }
    if let Some(help) = help(code(error)) {
        let _ = write!(text, "\n  help: {help}");
    }
    text
}

/// What an operator can do about it, where that is a command.
fn help(code: &str) -> Option<&'static str> {
    match code {
        "database_migrations_pending" => Some("`cargo xtask migrate` brings the tables up to date"),
        "storage_bucket_missing" => Some("`cargo xtask migrate` creates the bucket"),
        _ => None,
    }
}

/// The messages of the chain; a transparent layer repeats the one below it, which is left out.
fn messages(error: &Error) -> Vec<String> {
    let mut messages: Vec<String> = error.chain().map(|cause| cause.to_string().trim().to_owned()).collect();
    messages.dedup();
    messages
}

#[cfg(test)]
mod tests {
    use anyhow::Context;
    use object_store_public::ValidationError;

    use super::*;

    #[test]
    fn an_error_shows_its_code_and_its_causes() {
        let error = Error::from(ObjectStoreError::from(ValidationError::Empty));
        assert_eq!(describe(Some("a.png"), &error), "error[empty]: a.png: the file is empty");
        let error = error.context("uploading");
        assert_eq!(describe(None, &error), "error[empty]: uploading\n  caused by: the file is empty");
        assert_eq!(message(&error), "uploading: the file is empty");
    }

    #[test]
    fn a_setting_and_anything_else_have_codes_too() {
        assert_eq!(code(&ConfigError::new("A", "is missing").into()), "misconfigured");
        assert_eq!(describe(None, &anyhow::anyhow!("no")), "error[failed]: no");
    }

    #[test]
    fn only_our_own_output_may_break() {
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_closed_pipe(&Error::from(crate::output::OutputError(broken()))));
        assert!(!is_closed_pipe(&Err::<(), _>(broken()).context("asking the server").unwrap_err()));
    }
}
