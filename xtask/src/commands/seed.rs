//! `seed`: sample media for several users and for nobody.

use std::collections::HashMap;
use std::process::ExitCode;

use object_store_devkit::samples::{Sample, SampleKind, gallery_set};
use object_store_public::uuid::Uuid;
use object_store_public::{
    Actor, FileCreate, FileUploadResult, MediaKind, ObjectStoreProvider, Owner, Result, Sha256, SignedUrl, UserId,
};
use serde::Serialize;
use sha2::Digest;

use crate::shown::{self, ByKind};
use crate::store::{self, Store};
use crate::{output, progress};

/// Whose the samples are, in turn.
const OWNERS: [Option<u128>; 3] =
    [Some(0x1111_1111_1111_4111_8111_1111_1111_1111), Some(0x2222_2222_2222_4222_8222_2222_2222_2222), None];

/// Upload sample images and audio for several users and for nobody, unless they are there.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
What is there is found by owner, name and SHA-256, so that running this again adds nothing. Migrates nothing: on a \
database of your own run `cargo xtask migrate` before.

Examples:
  cargo xtask seed
  cargo xtask seed --json | jq -r '.images[].url'")]
pub(crate) struct Args {
    /// Print one JSON document: `added`, `images`, `audios`, each with `url` and `expires_at`.
    #[arg(long)]
    json: bool,
}

/// The sample media that are in a store.
#[derive(Debug)]
pub(crate) struct Seeded {
    pub(crate) files: Vec<FileUploadResult>,
    pub(crate) urls: Vec<SignedUrl>,
    pub(crate) added: usize,
}

#[derive(Serialize)]
struct Document<'a> {
    added: usize,
    #[serde(flatten)]
    files: ByKind<'a>,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let store = Store::from_env().await?;
    let seeded = seed(&store).await?;
    if args.json {
        let files = ByKind::signed(&seeded.files, &seeded.urls);
        output::json(&Document { added: seeded.added, files })?;
    } else {
        output::line(seeded.to_text())?;
        if store::is_storage_embedded() {
            output::line("\nThe embedded S3 server answers while `cargo xtask dev` runs.")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Uploads what is missing of the samples.
pub(crate) async fn seed(store: &Store) -> Result<Seeded> {
    store.module.ensure_bucket().await?;
    let mut present = present(store).await?;
    let samples = gallery_set();
    let bar = progress::of_steps("seeding", samples.len());
    let (mut files, mut added) = (Vec::with_capacity(samples.len()), 0);
    for (sample, owner) in with_owners(&samples) {
        let file = if let Some(file) = present.remove(&key(sample, owner)) {
            file
        } else {
            added += 1;
            upload(store, sample, owner).await?
        };
        files.push(file);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let urls = store.sign(&files).await?;
    Ok(Seeded { files, urls, added })
}

impl Seeded {
    /// The table, and below it the URLs.
    pub(crate) fn to_text(&self) -> String {
        let there = self.files.len() - self.added;
        let (table, urls) = (shown::table(&self.files), shown::urls(&self.files, &self.urls));
        format!("{} added, {there} already there\n\n{table}\n\n{urls}", self.added)
    }
}

type Key = (Option<UserId>, String, Option<Sha256>);

fn key(sample: &Sample, owner: Option<UserId>) -> Key {
    let digest: [u8; 32] = sha2::Sha256::digest(&sample.bytes).into();
    (owner, sample.filename.to_owned(), Some(digest.into()))
}

/// All media of the sample owners.
async fn present(store: &Store) -> Result<HashMap<Key, FileUploadResult>> {
    let mut present = HashMap::new();
    for owner in OWNERS.map(user) {
        let owner = owner.map_or(Owner::Nobody, Owner::User);
        for kind in [MediaKind::Image, MediaKind::Audio] {
            for file in store.list(kind, owner, None, None).await?.media {
                let key = match &file {
                    FileUploadResult::Image(image) => (image.user_id, image.filename.clone(), image.sha256),
                    FileUploadResult::Audio(audio) => (audio.user_id, audio.filename.clone(), audio.sha256),
                };
                present.insert(key, file);
            }
        }
    }
    Ok(present)
}

/// Each sample with its owner, such that every owner has images as well as audio.
fn with_owners(samples: &[Sample]) -> impl Iterator<Item = (&Sample, Option<UserId>)> {
    let of_kind = |kind| samples.iter().filter(move |sample| sample.kind == kind).zip(OWNERS.into_iter().cycle());
    let all = of_kind(SampleKind::Image).chain(of_kind(SampleKind::Audio));
    all.map(|(sample, owner)| (sample, user(owner)))
}

fn user(id: Option<u128>) -> Option<UserId> {
    id.map(|id| UserId::from(Uuid::from_u128(id)))
}

async fn upload(store: &Store, sample: &Sample, owner: Option<UserId>) -> Result<FileUploadResult> {
    let mut create = FileCreate::new(sample.filename).declared(sample.content_type);
    create.owner = owner;
    store.module.upload_file(Actor::System, create, sample.bytes.clone().into()).await
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_owner_has_images_and_audio() {
        let samples = gallery_set();
        let has: HashSet<_> =
            with_owners(&samples).map(|(sample, owner)| (owner, sample.kind == SampleKind::Image)).collect();
        assert_eq!(has.len(), 2 * OWNERS.len());
    }

    #[test]
    fn no_sample_is_there_twice() {
        let samples = gallery_set();
        let keys: HashSet<_> = with_owners(&samples).map(|(sample, owner)| key(sample, owner)).collect();
        assert_eq!(keys.len(), samples.len());
    }
}
