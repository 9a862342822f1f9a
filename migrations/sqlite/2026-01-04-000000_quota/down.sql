DROP TABLE user_usage;
DROP INDEX object_intents_user_id_reserving;
-- The only CHECK that names the column is its own, and goes with it.
ALTER TABLE object_intents DROP COLUMN reserved_bytes;
