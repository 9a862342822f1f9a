-- What an upload under way has reserved of its owner's quota. 0 where nobody counts.
ALTER TABLE object_intents ADD COLUMN reserved_bytes bigint NOT NULL DEFAULT 0 CHECK (reserved_bytes >= 0);

CREATE INDEX object_intents_user_id_reserving ON object_intents (user_id) WHERE reserved_bytes > 0;

-- How many bytes a user's rows and intents have together, so that nobody has to add them up. A user without a row here
-- has not been counted yet.
CREATE TABLE user_usage (
    user_id        uuid   PRIMARY KEY,
    used_bytes     bigint NOT NULL CHECK (used_bytes >= 0),
    reserved_bytes bigint NOT NULL CHECK (reserved_bytes >= 0)
);
