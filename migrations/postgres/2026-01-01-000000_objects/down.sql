DROP TABLE object_intents;
DROP TABLE audios;
DROP TABLE images;
