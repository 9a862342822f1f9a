-- Objects that a verify has seen without a row or an intent. Removed only if a later one sees them again.
CREATE TABLE orphan_candidates (
    s3_key        TEXT    NOT NULL PRIMARY KEY CHECK (octet_length(s3_key) BETWEEN 1 AND 128),
    etag          TEXT    NOT NULL,
    size_bytes    INTEGER NOT NULL CHECK (size_bytes >= 0),
    first_seen_at INTEGER NOT NULL
) STRICT;
