-- An idempotency key outlives the intent of its upload, so that it has a table of its own.
DROP INDEX object_intents_user_id_idempotency_key;
DROP INDEX object_intents_ownerless_idempotency_key;
ALTER TABLE object_intents DROP COLUMN idempotency_key, DROP COLUMN request_hash;

-- Which upload a client's idempotency key stands for. Uploads without a key have no row here.
CREATE TABLE idempotency_keys (
    media_id        uuid        PRIMARY KEY,
    kind            text        NOT NULL CHECK (kind IN ('image', 'audio')),
    user_id         uuid,
    idempotency_key text COLLATE "C" NOT NULL CHECK (octet_length(idempotency_key) BETWEEN 1 AND 255),
    request_hash    bytea       NOT NULL CHECK (octet_length(request_hash) = 32),
    stored_at       timestamptz,
    expires_at      timestamptz NOT NULL,
    created_at      timestamptz NOT NULL
);

CREATE INDEX idempotency_keys_expires_at ON idempotency_keys (expires_at);

-- NULL never equals NULL, so ownerless uploads need an index of their own to be unique by key.
CREATE UNIQUE INDEX idempotency_keys_user_id_idempotency_key
    ON idempotency_keys (user_id, idempotency_key)
    WHERE user_id IS NOT NULL;
CREATE UNIQUE INDEX idempotency_keys_ownerless_idempotency_key
    ON idempotency_keys (idempotency_key)
    WHERE user_id IS NULL;
