DROP TABLE idempotency_keys;

ALTER TABLE object_intents
    ADD COLUMN idempotency_key text  CHECK (octet_length(idempotency_key) > 0),
    ADD COLUMN request_hash    bytea CHECK (octet_length(request_hash) = 32),
    ADD CHECK ((idempotency_key IS NULL) = (request_hash IS NULL));

CREATE UNIQUE INDEX object_intents_user_id_idempotency_key
    ON object_intents (user_id, idempotency_key)
    WHERE user_id IS NOT NULL AND idempotency_key IS NOT NULL;
CREATE UNIQUE INDEX object_intents_ownerless_idempotency_key
    ON object_intents (idempotency_key)
    WHERE user_id IS NULL AND idempotency_key IS NOT NULL;
