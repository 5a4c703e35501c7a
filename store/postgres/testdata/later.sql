-- A schema of the future, as a migration that is rolled out while this program is at work may leave it: everything that
-- this program knows is there, and more.
ALTER TABLE conversations ADD COLUMN later text NOT NULL DEFAULT 'x';
ALTER TABLE keys ADD COLUMN later text NOT NULL DEFAULT 'x';
ALTER TABLE people ADD COLUMN later text NOT NULL DEFAULT 'x';
ALTER TABLE events ADD COLUMN later text NOT NULL DEFAULT 'x';
ALTER TABLE lanes ADD COLUMN later text NOT NULL DEFAULT 'x';
ALTER TABLE deliveries ADD COLUMN later text NOT NULL DEFAULT 'x';
ALTER TABLE lines ADD COLUMN later text NOT NULL DEFAULT 'x';
ALTER TABLE letters ADD COLUMN later text NOT NULL DEFAULT 'x';
ALTER TABLE commits ADD COLUMN later text NOT NULL DEFAULT 'x';
ALTER TABLE replicas ADD COLUMN later text NOT NULL DEFAULT 'x';
ALTER TABLE files ADD COLUMN later text NOT NULL DEFAULT 'x';
ALTER TABLE file_parts ADD COLUMN later text NOT NULL DEFAULT 'x';
CREATE TABLE later (id bigint PRIMARY KEY);
CREATE INDEX conversations_later ON conversations (later, id);
INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, true);
