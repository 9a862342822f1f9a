-- Finished media, and an intent for every key that the storage may hold without a finished row.
-- Table names are unqualified: the connection's search_path says where they lie.
-- Keys sort by their bytes, as storage lists them, whatever the database's collation.

CREATE TABLE images (
    id           uuid        PRIMARY KEY,
    user_id      uuid,
    s3_key       text COLLATE "C" NOT NULL UNIQUE CHECK (octet_length(s3_key) BETWEEN 1 AND 128),
    filename     text        NOT NULL CHECK (octet_length(filename) > 0),
    content_type text        NOT NULL CHECK (octet_length(content_type) > 0),
    format       text        NOT NULL CHECK (octet_length(format) > 0),
    size_bytes   bigint      NOT NULL CHECK (size_bytes > 0),
    sha256       bytea                CHECK (octet_length(sha256) = 32),
    etag         text        NOT NULL,
    width        integer     NOT NULL CHECK (width > 0),
    height       integer     NOT NULL CHECK (height > 0),
    orientation  smallint    NOT NULL CHECK (orientation BETWEEN 1 AND 8),
    frame_count  integer     NOT NULL CHECK (frame_count >= 1),
    created_at   timestamptz NOT NULL
);

CREATE INDEX images_user_id_id ON images (user_id, id);

CREATE TABLE audios (
    id           uuid        PRIMARY KEY,
    user_id      uuid,
    s3_key       text COLLATE "C" NOT NULL UNIQUE CHECK (octet_length(s3_key) BETWEEN 1 AND 128),
    filename     text        NOT NULL CHECK (octet_length(filename) > 0),
    content_type text        NOT NULL CHECK (octet_length(content_type) > 0),
    format       text        NOT NULL CHECK (octet_length(format) > 0),
    size_bytes   bigint      NOT NULL CHECK (size_bytes > 0),
    sha256       bytea                CHECK (octet_length(sha256) = 32),
    etag         text        NOT NULL,
    duration_ms  bigint               CHECK (duration_ms >= 0),
    sample_rate  integer     NOT NULL CHECK (sample_rate > 0),
    channels     smallint    NOT NULL CHECK (channels > 0),
    bit_depth    smallint             CHECK (bit_depth > 0),
    codec        text        NOT NULL CHECK (octet_length(codec) > 0),
    bitrate      integer              CHECK (bitrate > 0),
    title        text,
    artist       text,
    created_at   timestamptz NOT NULL
);

CREATE INDEX audios_user_id_id ON audios (user_id, id);

CREATE TABLE object_intents (
    s3_key              text COLLATE "C" PRIMARY KEY CHECK (octet_length(s3_key) BETWEEN 1 AND 128),
    purpose             text        NOT NULL CHECK (purpose IN ('upload', 'direct', 'purge')),
    media_id            uuid        NOT NULL,
    kind                text        NOT NULL CHECK (kind IN ('image', 'audio')),
    user_id             uuid,
    -- The cast fails for text that is not JSON; `text`, so that SQLite can have the same type.
    declared            text        NOT NULL CHECK (declared::json IS NOT NULL),
    multipart_upload_id text,
    generation          bigint      NOT NULL CHECK (generation >= 1),
    not_before          timestamptz NOT NULL,
    clears_at           timestamptz NOT NULL,
    attempts            integer     NOT NULL CHECK (attempts >= 0),
    last_error          text,
    idempotency_key     text                 CHECK (octet_length(idempotency_key) > 0),
    request_hash        bytea                CHECK (octet_length(request_hash) = 32),
    created_at          timestamptz NOT NULL,
    CHECK ((idempotency_key IS NULL) = (request_hash IS NULL))
);

CREATE INDEX object_intents_not_before ON object_intents (not_before);

-- NULL never equals NULL, so ownerless intents need an index of their own to be unique by key.
CREATE UNIQUE INDEX object_intents_user_id_idempotency_key
    ON object_intents (user_id, idempotency_key)
    WHERE user_id IS NOT NULL AND idempotency_key IS NOT NULL;
CREATE UNIQUE INDEX object_intents_ownerless_idempotency_key
    ON object_intents (idempotency_key)
    WHERE user_id IS NULL AND idempotency_key IS NOT NULL;
