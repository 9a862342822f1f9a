-- An idempotency key outlives the intent of its upload, so that it has a table of its own.
-- SQLite cannot drop a column that a CHECK of the table names: the table is built anew.
CREATE TABLE object_intents_without_idempotency (
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
    created_at          INTEGER NOT NULL
) STRICT;

INSERT INTO object_intents_without_idempotency
SELECT s3_key, purpose, media_id, kind, user_id, declared, multipart_upload_id, generation,
       not_before, clears_at, attempts, last_error, created_at
FROM object_intents;

DROP TABLE object_intents;
ALTER TABLE object_intents_without_idempotency RENAME TO object_intents;
CREATE INDEX object_intents_not_before ON object_intents (not_before);

-- Which upload a client's idempotency key stands for. Uploads without a key have no row here.
CREATE TABLE idempotency_keys (
    media_id        BLOB    NOT NULL PRIMARY KEY CHECK (length(media_id) = 16),
    kind            TEXT    NOT NULL CHECK (kind IN ('image', 'audio')),
    user_id         BLOB             CHECK (length(user_id) = 16),
    idempotency_key TEXT    NOT NULL CHECK (octet_length(idempotency_key) BETWEEN 1 AND 255),
    request_hash    BLOB    NOT NULL CHECK (length(request_hash) = 32),
    stored_at       INTEGER,
    expires_at      INTEGER NOT NULL,
    created_at      INTEGER NOT NULL
) STRICT;

CREATE INDEX idempotency_keys_expires_at ON idempotency_keys (expires_at);

-- NULL never equals NULL, so ownerless uploads need an index of their own to be unique by key.
CREATE UNIQUE INDEX idempotency_keys_user_id_idempotency_key
    ON idempotency_keys (user_id, idempotency_key)
    WHERE user_id IS NOT NULL;
CREATE UNIQUE INDEX idempotency_keys_ownerless_idempotency_key
    ON idempotency_keys (idempotency_key)
    WHERE user_id IS NULL;
