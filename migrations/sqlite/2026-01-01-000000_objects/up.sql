-- Finished media, and an intent for every key that the storage may hold without a finished row.
-- STRICT, and with bounds on integers: a value beyond the type that reads it would be truncated.

CREATE TABLE images (
    id           BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    user_id      BLOB             CHECK (length(user_id) = 16),
    s3_key       TEXT    NOT NULL UNIQUE CHECK (octet_length(s3_key) BETWEEN 1 AND 128),
    filename     TEXT    NOT NULL CHECK (octet_length(filename) > 0),
    content_type TEXT    NOT NULL CHECK (octet_length(content_type) > 0),
    format       TEXT    NOT NULL CHECK (octet_length(format) > 0),
    size_bytes   INTEGER NOT NULL CHECK (size_bytes > 0),
    sha256       BLOB             CHECK (length(sha256) = 32),
    etag         TEXT    NOT NULL,
    width        INTEGER NOT NULL CHECK (width BETWEEN 1 AND 2147483647),
    height       INTEGER NOT NULL CHECK (height BETWEEN 1 AND 2147483647),
    orientation  INTEGER NOT NULL CHECK (orientation BETWEEN 1 AND 8),
    frame_count  INTEGER NOT NULL CHECK (frame_count BETWEEN 1 AND 2147483647),
    created_at   INTEGER NOT NULL
) STRICT;

CREATE INDEX images_user_id_id ON images (user_id, id);

CREATE TABLE audios (
    id           BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    user_id      BLOB             CHECK (length(user_id) = 16),
    s3_key       TEXT    NOT NULL UNIQUE CHECK (octet_length(s3_key) BETWEEN 1 AND 128),
    filename     TEXT    NOT NULL CHECK (octet_length(filename) > 0),
    content_type TEXT    NOT NULL CHECK (octet_length(content_type) > 0),
    format       TEXT    NOT NULL CHECK (octet_length(format) > 0),
    size_bytes   INTEGER NOT NULL CHECK (size_bytes > 0),
    sha256       BLOB             CHECK (length(sha256) = 32),
    etag         TEXT    NOT NULL,
    duration_ms  INTEGER          CHECK (duration_ms >= 0),
    sample_rate  INTEGER NOT NULL CHECK (sample_rate BETWEEN 1 AND 2147483647),
    channels     INTEGER NOT NULL CHECK (channels BETWEEN 1 AND 32767),
    bit_depth    INTEGER          CHECK (bit_depth BETWEEN 1 AND 32767),
    codec        TEXT    NOT NULL CHECK (octet_length(codec) > 0),
    bitrate      INTEGER          CHECK (bitrate BETWEEN 1 AND 2147483647),
    title        TEXT,
    artist       TEXT,
    created_at   INTEGER NOT NULL
) STRICT;

CREATE INDEX audios_user_id_id ON audios (user_id, id);

CREATE TABLE object_intents (
    s3_key              TEXT    NOT NULL PRIMARY KEY CHECK (octet_length(s3_key) BETWEEN 1 AND 128),
    purpose             TEXT    NOT NULL CHECK (purpose IN ('upload', 'direct', 'purge')),
    media_id            BLOB    NOT NULL CHECK (length(media_id) = 16),
    kind                TEXT    NOT NULL CHECK (kind IN ('image', 'audio')),
    user_id             BLOB             CHECK (length(user_id) = 16),
    declared            TEXT    NOT NULL CHECK (json_valid(declared)),
    multipart_upload_id TEXT,
    generation          INTEGER NOT NULL CHECK (generation >= 1),
    not_before          INTEGER NOT NULL,
    clears_at           INTEGER NOT NULL,
    attempts            INTEGER NOT NULL CHECK (attempts BETWEEN 0 AND 2147483647),
    last_error          TEXT,
    idempotency_key     TEXT             CHECK (octet_length(idempotency_key) > 0),
    request_hash        BLOB             CHECK (length(request_hash) = 32),
    created_at          INTEGER NOT NULL,
    CHECK ((idempotency_key IS NULL) = (request_hash IS NULL))
) STRICT;

CREATE INDEX object_intents_not_before ON object_intents (not_before);

-- NULL never equals NULL, so ownerless intents need an index of their own to be unique by key.
CREATE UNIQUE INDEX object_intents_user_id_idempotency_key
    ON object_intents (user_id, idempotency_key)
    WHERE user_id IS NOT NULL AND idempotency_key IS NOT NULL;
CREATE UNIQUE INDEX object_intents_ownerless_idempotency_key
    ON object_intents (idempotency_key)
    WHERE user_id IS NULL AND idempotency_key IS NOT NULL;
