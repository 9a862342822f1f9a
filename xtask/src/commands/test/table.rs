//! What servers can do, as a page of the documentation.

use std::fmt::Write;

use crate::commands::test::contracts::Column;

const HEAD: &str = "\
# What S3 servers can do

Made by `cargo xtask test --s3 all`, which starts each server, asks it, and runs the rules of the storage port
(`crates/storage/src/contract`) against it through the adapter. Do not edit it.

A rule is skipped only where a server was found to lack what it is about. What a server can do is found out by requests:
by a host with `ObjectStoreModule::probe_storage` at start-up, by an operator with this command. What is not there is
done without, as the last table says.
";

/// The page.
pub(crate) fn of(columns: &[Column]) -> String {
    let mut page = String::from(HEAD);
    let mut notes = Vec::new();
    let versions: Vec<&str> = columns.iter().map(|column| column.version.as_str()).collect();
    line(&mut page, "");
    row(&mut page, "", versions.iter().map(|&version| version.to_owned()));
    row(&mut page, "---", versions.iter().map(|_| "---".to_owned()));
    for found in columns.first().map(|column| column.report.capabilities.as_slice()).unwrap_or_default() {
        let cells = columns.iter().map(|column| cell(column, &found.name, &mut notes));
        row(&mut page, &format!("`{}`", found.name), cells);
    }
    let counts = columns.iter().map(|column| {
        let (held, skipped, broken) = column.report.counts();
        format!("{held} held, {skipped} skipped, {broken} broken")
    });
    row(&mut page, "rules", counts);
    line(&mut page, "\nThe requests behind each \"no\", and their answers:\n");
    for (number, note) in notes.iter().enumerate() {
        line(&mut page, &format!("{}. {note}", number + 1));
    }
    line(&mut page, "\n| | what it is for | what is done without it |\n|---|---|---|");
    for found in columns.first().map(|column| column.report.capabilities.as_slice()).unwrap_or_default() {
        row(&mut page, &format!("`{}`", found.name), [found.purpose.clone(), found.without.clone()]);
    }
    page
}

fn cell(column: &Column, name: &str, notes: &mut Vec<String>) -> String {
    match column.report.capabilities.iter().find(|found| found.name == name) {
        Some(found) if found.is_there => "yes".to_owned(),
        Some(found) => {
            notes.push(format!("{}: {}", column.version, found.evidence));
            format!("no ({})", notes.len())
        }
        None => "unknown".to_owned(),
    }
}

fn row(page: &mut String, first: &str, cells: impl IntoIterator<Item = String>) {
    let cells: Vec<String> = cells.into_iter().collect();
    line(page, &format!("| {first} | {} |", cells.join(" | ")));
}

fn line(page: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(page, "{text}");
}

#[cfg(test)]
mod tests {
    use super::of;
    use crate::commands::test::contracts::{Column, Found, Report, Rule};

    #[test]
    fn each_no_has_a_note() {
        let column = |version: &str, is_there| Column {
            version: version.to_owned(),
            report: Report {
                capabilities: vec![Found {
                    name: "post_policy".to_owned(),
                    purpose: "Forms.".to_owned(),
                    without: "PUT.".to_owned(),
                    is_there,
                    evidence: "a POST is answered 412".to_owned(),
                }],
                rules: vec![Rule { name: "a".to_owned(), outcome: "held".to_owned() }],
            },
        };
        let page = of(&[column("One 1", true), column("Two 2", false)]);
        assert!(page.contains("|  | One 1 | Two 2 |\n| --- | --- | --- |\n| `post_policy` | yes | no (1) |"), "{page}");
        assert!(page.contains("\n1. Two 2: a POST is answered 412\n"), "{page}");
        assert!(page.contains("| rules | 1 held, 0 skipped, 0 broken | 1 held, 0 skipped, 0 broken |"), "{page}");
    }
}
