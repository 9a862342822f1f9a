DROP TABLE idempotency_keys;

CREATE TABLE object_intents_with_idempotency (
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

INSERT INTO object_intents_with_idempotency
SELECT s3_key, purpose, media_id, kind, user_id, declared, multipart_upload_id, generation,
       not_before, clears_at, attempts, last_error, NULL, NULL, created_at
FROM object_intents;

DROP TABLE object_intents;
ALTER TABLE object_intents_with_idempotency RENAME TO object_intents;
CREATE INDEX object_intents_not_before ON object_intents (not_before);

CREATE UNIQUE INDEX object_intents_user_id_idempotency_key
    ON object_intents (user_id, idempotency_key)
    WHERE user_id IS NOT NULL AND idempotency_key IS NOT NULL;
CREATE UNIQUE INDEX object_intents_ownerless_idempotency_key
    ON object_intents (idempotency_key)
    WHERE user_id IS NULL AND idempotency_key IS NOT NULL;
