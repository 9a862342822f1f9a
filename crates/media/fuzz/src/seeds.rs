//! Writes the seed inputs: `cargo run --bin seeds`, in this directory. They come from the byte writers of the tests.

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/it/write.rs"]
mod write;

use std::fs;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut count = 0;
    for (index, (format, bytes)) in write::samples().into_iter().enumerate() {
        let own = format.name().replace('-', "_");
        for target in [own.as_str(), "type"] {
            let directory = corpus.join(target);
            fs::create_dir_all(&directory)?;
            // Long sound adds nothing; the start is what is read.
            let len = bytes.len().min(16 << 10);
            fs::write(directory.join(format!("seed-{index:02}-{own}")), &bytes[..len])?;
            fs::write(directory.join(format!("seed-{index:02}-{own}-cut")), &bytes[..len * 2 / 3])?;
            count += 2;
        }
    }
    println!("{count} seeds in {}", corpus.display());
    Ok(())
}
