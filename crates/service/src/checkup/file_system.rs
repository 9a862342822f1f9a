//! Whether a SQLite file lies where its locks work.

use std::fs;
use std::path::Path;

use object_store_storage::Check;

const NAME: &str = "database_file";

/// Where Linux tells what is mounted where (proc(5), `/proc/pid/mounts`).
const MOUNTS: &str = "/proc/self/mounts";

/// File systems over a network. SQLite's locks, and the shared memory of its write-ahead log, do not work there (SQLite,
/// "How To Corrupt An SQLite Database File", section 2.1, and "Write-Ahead Logging", section 2.2).
const REMOTE: [&str; 15] = [
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "fuse.glusterfs",
    "fuse.rclone",
    "fuse.s3fs",
    "fuse.sshfs",
    "gfs2",
    "lustre",
    "nfs",
    "nfs4",
    "smb3",
    "smbfs",
];

pub(super) fn look(file: &Path) -> Check {
    let Ok(mounts) = fs::read_to_string(MOUNTS) else {
        return Check::skipped(NAME, "this system does not tell what is mounted where");
    };
    // The file itself may not be there yet.
    let existing = file.ancestors().find_map(|path| fs::canonicalize(path).ok());
    let Some(path) = existing.or_else(|| fs::canonicalize(".").ok()) else {
        return Check::skipped(NAME, format!("{} cannot be found", file.display()));
    };
    judge(&mounts, &path)
}

fn judge(mounts: &str, path: &Path) -> Check {
    match kind(mounts, path) {
        Some(kind) if REMOTE.contains(&kind) => Check::error(
            NAME,
            format!(
                "{} lies on {kind}, a file system over a network, where SQLite's locks do not work",
                path.display()
            ),
            "Put the file on a disk of this machine, or use PostgreSQL",
        ),
        Some(kind) => Check::ok(NAME, format!("{} lies on {kind}", path.display())),
        None => Check::skipped(NAME, format!("nothing is mounted at {}", path.display())),
    }
}

/// The file system that a path lies on: of all mounts above it the last of the longest.
fn kind<'m>(mounts: &'m str, path: &Path) -> Option<&'m str> {
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((unescaped(fields.next()?), fields.next()?))
    });
    let above = mounts.filter(|(place, _)| path.starts_with(place));
    above.max_by_key(|(place, _)| place.len()).map(|(_, kind)| kind)
}

/// Spaces and the like are written in octal there.
fn unescaped(place: &str) -> String {
    place.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use object_store_storage::CheckStatus;

    use super::{judge, look};

    const MOUNTS: &str = "\
/dev/sda / ext4 rw 0 0
server:/x /srv nfs4 rw 0 0
/dev/sdb /srv/local xfs rw 0 0
host: /mnt/a\\040b fuse.sshfs rw 0 0
";

    #[test]
    fn a_file_lies_on_the_innermost_mount() {
        for (path, status) in [
            ("/var/data.db", CheckStatus::Ok),
            ("/srv/data.db", CheckStatus::Error),
            ("/srv/local/data.db", CheckStatus::Ok),
            ("/srvlocal/data.db", CheckStatus::Ok),
            ("/mnt/a b/data.db", CheckStatus::Error),
        ] {
            assert_eq!(judge(MOUNTS, Path::new(path)).status, status, "{path}");
        }
        assert_eq!(judge("", Path::new("/a")).status, CheckStatus::Skipped);
    }

    #[test]
    fn a_file_that_is_not_there_yet_is_judged_by_its_directory() {
        let directory = tempfile::TempDir::new().unwrap();
        let check = look(&directory.path().join("not/yet.db"));
        assert_ne!(check.status, CheckStatus::Error, "{check:?}");
    }
}
