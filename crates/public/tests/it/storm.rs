//! The whole module over a network that fails all the time.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use object_store_devkit::fault_proxy::FaultProxy;
use object_store_devkit::samples;
use object_store_public::bytes::Bytes;
use object_store_public::{
    Actor, AudioCreate, DirectUploadCreate, FileRef, ImageCreate, MediaId, ObjectStoreError, ObjectStoreModule,
    ObjectStoreProvider, Owner, PageRequest, Result, S3Config, Settings, Timings, UploadBody, UploadMethod, UrlOptions,
    VerifyOptions, open,
};

use crate::support::{World, ann, embedded, on_both_databases, s3};

on_both_databases! {
    a_thousand_operations_end_right_or_say_why_not
}

const OPERATIONS: u64 = 1_000;
const AT_ONCE: usize = 12;
const SEED: u64 = 20_261_127;

/// What one operation may take at most, whatever the network does: its calls of storage have 6 s each, and it makes a
/// handful of them. Far above that, for a busy machine.
const DEADLINE: Duration = Duration::from_mins(2);

/// What was acknowledged: the bytes that must be there.
type Stored = Mutex<BTreeMap<MediaId, Bytes>>;

struct Storm {
    store: ObjectStoreModule,
    stored: Stored,
    done: AtomicU64,
    failed: Mutex<BTreeMap<String, u64>>,
}

fn settings() -> Settings {
    Settings {
        timings: Timings {
            upload_fence: Duration::from_secs(5),
            late_write: Duration::from_secs(5),
            sweep_lease: Duration::from_secs(5),
            sweep_retry: Duration::from_millis(200),
            sweep_retry_max: Duration::from_secs(1),
            direct_upload: Duration::from_secs(20),
            ..Timings::default()
        },
        ..Settings::default()
    }
}

async fn a_thousand_operations_end_right_or_say_why_not(world: World) {
    let real = s3(&embedded(world.directory.path()).await);
    let endpoint = real.endpoint.clone().unwrap();
    let proxy = FaultProxy::start(endpoint.trim_start_matches("http://").parse().unwrap(), SEED).await.unwrap();
    let through = S3Config {
        endpoint: Some(format!("http://{}", proxy.address())),
        // Clients have networks of their own.
        public_endpoint: Some(endpoint),
        connect_timeout: Duration::from_secs(1),
        idle_timeout: Duration::from_secs(1),
        operation_timeout: Duration::from_secs(5),
        work_timeout: Duration::from_secs(1),
        ..real
    };
    let config = world.config().settings(settings()).s3(through);
    let module = open(config).await.unwrap();
    module.ensure_bucket().await.unwrap();

    let storm =
        Arc::new(Storm { store: module, stored: Mutex::default(), done: AtomicU64::new(0), failed: Mutex::default() });
    proxy.make_trouble(true);
    futures::stream::iter(0..OPERATIONS)
        .map(|number| {
            let storm = Arc::clone(&storm);
            async move { tokio::spawn(async move { storm.step(number).await }).await.unwrap() }
        })
        .buffer_unordered(AT_ONCE)
        .for_each(|()| async {})
        .await;
    let troubles = proxy.troubles();
    proxy.make_trouble(false);
    let done = storm.done.load(Ordering::Relaxed);
    let failed = storm.failed.lock().unwrap().clone();
    println!("{done} of {OPERATIONS} operations done; {failed:?}; {troubles:?}");
    assert!(done > OPERATIONS / 2, "{done}: {failed:?}");
    assert!(troubles.cut_requests > 10 && troubles.cut_answers > 10 && troubles.throttled > 10, "{troubles:?}");

    storm.come_to_rest().await;
    let stored = storm.stored.lock().unwrap().clone();
    assert!(stored.len() > 50, "{}", stored.len());
    for (id, bytes) in &stored {
        let download = storm.store.download(ann(), *id, None).await.unwrap();
        let served: Vec<Bytes> = download.stream.try_collect().await.unwrap();
        assert!(served.concat() == *bytes, "{id:?}");
    }
}

impl Storm {
    async fn step(&self, number: u64) {
        let start = Instant::now();
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(SEED) >> 32;
        match mixed % 100 {
            0..25 => self.upload_image(number).await,
            25..40 => self.upload_audio(number).await,
            40..60 => self.read(mixed).await,
            60..70 => self.list().await,
            70..80 => self.delete(mixed).await,
            80..92 => self.upload_directly(number).await,
            _ => self.sign(mixed).await,
        }
        assert!(start.elapsed() < DEADLINE, "operation {number} took {:?}", start.elapsed());
    }

    /// Counts an outcome. What fails says so with a code, and that it may be tried again.
    fn note<T: Debug>(&self, what: &str, outcome: Result<T>) -> Option<T> {
        match outcome {
            Ok(value) => {
                self.done.fetch_add(1, Ordering::Relaxed);
                Some(value)
            }
            Err(error) => {
                assert!(error.is_retryable() || says_what_is_missing(&error), "{what}: {error:?}");
                *self.failed.lock().unwrap().entry(format!("{what}: {}", error.code())).or_default() += 1;
                None
            }
        }
    }

    fn keep(&self, id: MediaId, bytes: Bytes) {
        self.stored.lock().unwrap().insert(id, bytes);
    }

    /// Something that was acknowledged and that nobody deletes.
    fn any(&self, choice: u64) -> Option<(MediaId, Bytes)> {
        let stored = self.stored.lock().unwrap();
        let index = usize::try_from(choice).unwrap() % stored.len().max(1);
        stored.iter().nth(index).map(|(id, bytes)| (*id, bytes.clone()))
    }

    async fn upload_image(&self, number: u64) {
        let bytes = Bytes::from(picture(number));
        let outcome = self.store.upload_image(ann(), ImageCreate::new("a.png"), bytes.clone().into()).await;
        if let Some(image) = self.note("upload", outcome) {
            self.keep(image.id.into(), bytes);
        }
    }

    async fn upload_audio(&self, number: u64) {
        let bytes = Bytes::from(samples::wav(8_000, 1, 16, 500 + u32::try_from(number).unwrap() * 5));
        let pieces: Vec<_> = bytes.chunks(10_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let length = number.is_multiple_of(2).then_some(bytes.len() as u64);
        let body = UploadBody::from_stream(futures::stream::iter(pieces).boxed(), length);
        let outcome = self.store.upload_audio(ann(), AudioCreate::new("a.wav"), body).await;
        if let Some(audio) = self.note("upload of a stream", outcome) {
            self.keep(audio.id.into(), bytes);
        }
    }

    async fn read(&self, choice: u64) {
        let Some((id, bytes)) = self.any(choice) else { return };
        let outcome = async {
            let download = self.store.download(ann(), id, None).await?;
            download.stream.try_collect::<Vec<Bytes>>().await.map_err(ObjectStoreError::Body)
        };
        let outcome = match outcome.await {
            // Deleted meanwhile by another operation.
            Err(error) if error.code() == "not_found" && !self.stored.lock().unwrap().contains_key(&id) => return,
            outcome => outcome,
        };
        match outcome {
            // The stream broke off, and said so.
            Err(ObjectStoreError::Body(_)) => {
                *self.failed.lock().unwrap().entry("read: broke off".to_owned()).or_default() += 1;
            }
            outcome => {
                if let Some(served) = self.note("read", outcome) {
                    assert!(served.concat() == bytes, "{id:?} was served with other bytes");
                }
            }
        }
    }

    async fn list(&self) {
        let mut conn = self.store.connection().await.unwrap();
        let outcome = self.store.list_images(&mut conn, Actor::System, Owner::Anyone, &PageRequest::default()).await;
        self.note("list", outcome);
    }

    async fn delete(&self, choice: u64) {
        let Some((id, _)) = self.any(choice) else { return };
        // From now on nobody counts on it, whatever comes of this.
        if self.stored.lock().unwrap().remove(&id).is_none() {
            return;
        }
        let outcome = self.store.delete(ann(), id).await;
        if self.note("delete", outcome).is_some() {
            let gone = self.store.download(ann(), id, None).await.map(drop).unwrap_err();
            assert_eq!(gone.code(), "not_found");
        }
    }

    async fn upload_directly(&self, number: u64) {
        let bytes = Bytes::from(picture(number));
        let create = DirectUploadCreate::image("a.png", "image/png").sized(bytes.len() as u64).by_put(None);
        let Some(upload) = self.note("begin", self.store.begin_direct_upload(ann(), create).await) else { return };
        let UploadMethod::Put { url, headers } = &upload.method else { panic!("{upload:?}") };
        let request = reqwest::Client::new().put(url);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        assert!(request.body(bytes.clone()).send().await.unwrap().status().is_success());
        // Again until it is known, as a client does.
        for _ in 0..20 {
            if self.note("complete", self.store.complete_upload(ann(), upload.id).await).is_some() {
                return self.keep(upload.id, bytes);
            }
        }
    }

    async fn sign(&self, choice: u64) {
        let Some((id, bytes)) = self.any(choice) else { return };
        let outcome = async {
            let file = {
                let mut conn = self.store.connection().await?;
                self.store.get_file(&mut conn, ann(), id).await?
            };
            self.store.signed_url(ann(), FileRef::from(&file), &UrlOptions::default()).await
        };
        let outcome = outcome.await;
        if !self.stored.lock().unwrap().contains_key(&id) {
            return;
        }
        let Some(signed) = self.note("sign", outcome) else { return };
        let answer = reqwest::get(&signed.url).await.unwrap();
        if answer.status().is_success() {
            assert_eq!(answer.bytes().await.unwrap(), bytes);
        } else {
            assert!(!self.stored.lock().unwrap().contains_key(&id), "{}", answer.status());
        }
    }

    /// Sweeps until nothing is due any more; then storage and database must agree to the byte.
    async fn come_to_rest(&self) {
        let start = Instant::now();
        loop {
            self.store.sweep().await.unwrap();
            let intents = self.store.verify(&VerifyOptions::default()).await.unwrap().intents;
            if intents == 0 {
                break;
            }
            assert!(start.elapsed() < DEADLINE, "{intents} intents are left");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        let options = VerifyOptions {
            grace: Duration::ZERO,
            rehash: std::num::NonZeroU64::new(1 << 30),
            ..VerifyOptions::default()
        };
        let report = self.store.verify(&options).await.unwrap();
        assert!(report.is_clean() && report.foreign == 0, "{report:?}");
        assert_eq!((report.objects, report.rehashed), (report.rows, report.rows), "{report:?}");
    }
}

/// A picture for each number, with bytes of its own.
fn picture(number: u64) -> Vec<u8> {
    let number = u16::try_from(number).unwrap();
    samples::png(1 + number % 50, 1 + number / 50)
}

/// What is not there yet, or any more, after an outcome that nobody could know.
fn says_what_is_missing(error: &ObjectStoreError) -> bool {
    matches!(error.code(), "not_found" | "upload_not_received" | "upload_expired" | "in_progress")
}
