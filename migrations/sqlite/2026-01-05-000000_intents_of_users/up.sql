-- Erasing a user asks for all of the user's uploads.
CREATE INDEX object_intents_user_id_s3_key ON object_intents (user_id, s3_key) WHERE user_id IS NOT NULL;
