//! A range of the listing against the names of its keys.

use object_store_models::{AudioModel, ImageModel, MediaId, Sha256};
use object_store_repo::{AudioRepo, ImageRepo, IntentRepo};

use crate::error::Result;
use crate::mutants::{self, Mutant};
use crate::verify::listing::Range;
use crate::verify::{PAGE, Run};

/// What a verify needs of a row.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) id: MediaId,
    pub(super) key: String,
    pub(super) size_bytes: u64,
    pub(super) sha256: Option<Sha256>,
}

/// Which objects of a range have a name.
struct Marks<'r> {
    range: &'r Range,
    named: Vec<bool>,
}

#[derive(Clone, Copy)]
enum Table {
    Images,
    Audios,
}

impl Run<'_> {
    /// Compares what storage listed of a range with what names its keys.
    pub(super) async fn compare(&mut self, range: Range) -> Result<()> {
        self.report.objects += range.objects.len() as u64;
        let mut marks = Marks { range: &range, named: vec![false; range.objects.len()] };
        self.compare_intents(&mut marks).await?;
        for table in [Table::Images, Table::Audios] {
            self.compare_rows(table, &mut marks).await?;
        }
        let unnamed = marks
            .range
            .objects
            .iter()
            .zip(&marks.named)
            .filter(|(_, named)| !**named || mutants::is(Mutant::AsksForNoNames));
        let unnamed = unnamed.map(|(object, _)| object).collect();
        self.examine_unnamed(&range, unnamed).await
    }

    async fn compare_intents(&mut self, marks: &mut Marks<'_>) -> Result<()> {
        let mut after = marks.range.after.clone();
        loop {
            let keys = {
                let mut conn = self.service.connection().await?;
                IntentRepo::list_keys(&mut conn, after.as_deref(), marks.range.until.as_deref(), PAGE.into()).await?
            };
            self.report.intents += keys.len() as u64;
            for key in &keys {
                marks.name(key);
            }
            match keys.into_iter().nth(usize::from(PAGE) - 1) {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
    }

    async fn compare_rows(&mut self, table: Table, marks: &mut Marks<'_>) -> Result<()> {
        let mut after = marks.range.after.clone();
        loop {
            let rows = self.rows(table, after.as_deref(), marks.range.until.as_deref()).await?;
            after = rows.get(usize::from(PAGE) - 1).map(|last| last.key.clone());
            self.report.rows += rows.len() as u64;
            let (sound, doubtful): (Vec<_>, Vec<_>) =
                rows.into_iter().partition(|row| marks.name(&row.key) == Some(row.size_bytes));
            self.options.progress.add(doubtful.len());
            self.examine_doubtful(doubtful).await?;
            self.rehash(sound).await?;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn rows(&self, table: Table, after: Option<&str>, until: Option<&str>) -> Result<Vec<Row>> {
        let mut conn = self.service.connection().await?;
        Ok(match table {
            Table::Images => {
                let rows = ImageRepo::list_by_key(&mut conn, after, until, PAGE.into()).await?;
                rows.into_iter().map(Row::from).collect()
            }
            Table::Audios => {
                let rows = AudioRepo::list_by_key(&mut conn, after, until, PAGE.into()).await?;
                rows.into_iter().map(Row::from).collect()
            }
        })
    }
}

impl Marks<'_> {
    /// Notes that a key has a name. The size of its object, if that is listed.
    fn name(&mut self, key: &str) -> Option<u64> {
        let position = self.range.objects.binary_search_by(|object| object.key.as_str().cmp(key)).ok()?;
        if let Some(named) = self.named.get_mut(position) {
            *named = true;
        }
        self.range.objects.get(position).map(|object| object.size_bytes)
    }
}

impl From<ImageModel> for Row {
    fn from(row: ImageModel) -> Self {
        Self { id: row.id.into(), key: row.s3_key, size_bytes: row.size_bytes.unsigned_abs(), sha256: row.sha256 }
    }
}

impl From<AudioModel> for Row {
    fn from(row: AudioModel) -> Self {
        Self { id: row.id.into(), key: row.s3_key, size_bytes: row.size_bytes.unsigned_abs(), sha256: row.sha256 }
    }
}
