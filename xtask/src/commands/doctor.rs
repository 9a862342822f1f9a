//! `doctor`: what is set up wrongly, and what to do about it.

use std::process::ExitCode;

use object_store_public::{Check, CheckStatus, DoctorOptions, Fix, ObjectStoreProvider, Origin};
use serde_json::json;

use crate::confirm;
use crate::store::Store;
use crate::{failure, output};

/// Look for what is set up wrongly in storage and database, and say what to do about it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Looked at are the endpoint, TLS, clocks, credentials, region and bucket; what the server can do beyond what every S3 server \
does; CORS and lifecycle rules; signed URLs by the public endpoint; the database, its migrations and its file. Small objects \
below `probe/` are written and deleted. What hangs on something that fails is skipped.

--fix offers to add the CORS and lifecycle rules that are missing, and keeps those that are there.

Exit status: 0 no errors, 1 errors, 2 wrong usage. Warnings are not errors.

Examples:
  cargo xtask doctor
  cargo xtask doctor --origin https://app.example.org --fix
  cargo xtask doctor --json")]
pub(crate) struct Args {
    /// A web page's origin whose scripts send files to storage, such as `https://app.example.org`; may be repeated.
    #[arg(long, value_name = "ORIGIN", value_parser = Origin::parse)]
    origin: Vec<Origin>,
    /// Add the rules that are missing, after asking.
    #[arg(long)]
    fix: bool,
    /// Do not ask.
    #[arg(long, requires = "fix")]
    yes: bool,
    /// Print one JSON document: `checks`, and how many `errors` and `warnings` there are.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let store = match Store::from_env().await {
        Ok(store) => store,
        // That nothing can be looked at is a finding, too.
        Err(error) => {
            let error = error.into();
            let advice = "Correct the setting that it names; the README has the table of all";
            return print(args, &[Check::error("configuration", failure::message(&error), advice)]);
        }
    };
    let options = DoctorOptions { origins: args.origin.clone() };
    let mut checks = store.module.doctor(&options).await;
    let fixes: Vec<Fix> = checks.iter().filter_map(|check| check.fix.clone()).collect();
    if args.fix && !fixes.is_empty() {
        if !args.json {
            print(args, &checks)?;
        }
        if apply(args, &store, &fixes).await? {
            checks = store.module.doctor(&options).await;
        }
    }
    print(args, &checks)
}

/// Whether anything was changed.
async fn apply(args: &Args, store: &Store, fixes: &[Fix]) -> anyhow::Result<bool> {
    let mut is_changed = false;
    for fix in fixes {
        if args.yes || confirm::confirmed_change(&format!("To do: {fix}."))? {
            match store.module.apply_fix(fix).await {
                Ok(()) => {
                    eprintln!("done: {fix}");
                    is_changed = true;
                }
                // The others may be done all the same.
                Err(error) => failure::report_about(&fix.to_string(), &error.into()),
            }
        }
    }
    Ok(is_changed)
}

fn print(args: &Args, checks: &[Check]) -> anyhow::Result<ExitCode> {
    let count = |status| checks.iter().filter(|check| check.status == status).count();
    let (errors, warnings) = (count(CheckStatus::Error), count(CheckStatus::Warning));
    if args.json {
        output::json(&json!({
            "checks": checks.iter().map(to_json).collect::<Vec<_>>(),
            "errors": errors,
            "warnings": warnings,
        }))?;
    } else {
        for check in checks {
            output::line(to_text(check))?;
        }
        let s = |count| if count == 1 { "" } else { "s" };
        output::line(format!("{errors} error{}, {warnings} warning{}", s(errors), s(warnings)))?;
    }
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn to_json(check: &Check) -> serde_json::Value {
    json!({
        "name": check.name,
        "status": check.status.as_str(),
        "found": check.found,
        "advice": check.advice,
        "fix": check.fix.as_ref().map(ToString::to_string),
    })
}

fn to_text(check: &Check) -> String {
    let mut lines = vec![format!("{:<8} {:<24} {}", check.status.as_str(), check.name, check.found)];
    if let Some(advice) = &check.advice {
        lines.push(format!("{:34}{}.", "", advice.trim_end_matches('.')));
    }
    if let Some(fix) = &check.fix {
        lines.push(format!("{:34}--fix would {fix}.", ""));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::{Check, Fix, to_text};

    #[test]
    fn a_line_says_what_to_do() {
        let check =
            Check::warning("multipart_cleanup", "no rule", "Add one").with_fix(Fix::AbortOldUploads { days: 7 });
        let text = to_text(&check);
        assert!(text.starts_with("warning  multipart_cleanup        no rule\n"), "{text}");
        assert!(text.contains("Add one.") && text.contains("--fix would add a lifecycle rule"), "{text}");
    }
}
