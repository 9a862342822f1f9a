DROP TABLE user_usage;
DROP INDEX object_intents_user_id_reserving;
ALTER TABLE object_intents DROP COLUMN reserved_bytes;
