//! `explain`: the life of one object.

use std::process::ExitCode;

use object_store_public::uuid::Uuid;
use object_store_public::{ImageId, IntentRead, MediaId, NamedBy, ObjectLife, ObjectSeen};

use crate::store::Store;
use crate::{cli, output, shown};

/// Tell all that is known of an id: its row, its intents, and its objects as storage sees them.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Also of an upload that was never finished, and of media that were deleted, as long as something of them is left. The exit \
status is 1 when nothing is.

Examples:
  cargo xtask explain 01890a5d-ac96-774b-bcce-b302099a8057
  cargo xtask explain 01890a5d-ac96-774b-bcce-b302099a8057 --json | jq .intents")]
pub(crate) struct Args {
    /// The id of an image, an audio file, or an upload.
    #[arg(value_parser = cli::media_uuid)]
    id: Uuid,
    /// Print one JSON document: `file`, `key`, `intents`, `objects`, `uploads`.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // It is looked for whatever its kind.
    let id = MediaId::Image(ImageId::from(args.id));
    let life = Store::from_env().await?.module.explain(id).await?;
    if args.json {
        output::json(&life)?;
    } else {
        output::line(to_text(&life))?;
    }
    Ok(if life.is_known() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn to_text(life: &ObjectLife) -> String {
    let mut text = vec![match &life.file {
        Some(file) => format!("row\n{}", indented(&shown::facts(file, None))),
        None => "no row".to_owned(),
    }];
    text.extend(life.intents.iter().map(intent));
    if life.intents.is_empty() {
        text.push("no intent".to_owned());
    }
    text.extend(life.objects.iter().map(object));
    if life.objects.is_empty() {
        text.push("no object".to_owned());
    }
    let uploads = life.uploads.iter();
    text.extend(uploads.map(|upload| format!("open multipart upload\n  {}\n  {}", upload.key, upload.upload_id)));
    text.join("\n")
}

pub(super) fn intent(intent: &IntentRead) -> String {
    let mut text = format!(
        "intent to {}\n  {}\n  generation {}, {} attempts, written at {}\n  a sweep may act from {}, it is over from {}",
        intent.purpose,
        intent.key,
        intent.generation,
        intent.attempts,
        intent.created_at,
        intent.not_before,
        intent.clears_at
    );
    if intent.reserved_bytes > 0 {
        text.push_str("\n  bytes of the owner's quota that it holds: ");
        text.push_str(&intent.reserved_bytes.to_string());
    }
    if let Some(error) = &intent.last_error {
        text.push_str("\n  last error: ");
        text.push_str(error);
    }
    text
}

fn object(seen: &ObjectSeen) -> String {
    let named_by = match seen.named_by {
        NamedBy::Row => "named by the row",
        NamedBy::Intent => "named by an intent",
        NamedBy::Nothing => "named by nothing",
    };
    let object = match &seen.object {
        None => "not in storage".to_owned(),
        Some(object) => {
            let written = object.last_modified.map_or_else(|| "unknown".to_owned(), |written| written.to_string());
            format!("{} bytes, ETag {}, written at {written}", object.size_bytes, object.etag)
        }
    };
    let orphan = seen.orphan_since.map(|since| format!("\n  seen by verify as an orphan at {since}"));
    format!("object {named_by}\n  {}\n  {object}{}", seen.key, orphan.unwrap_or_default())
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
