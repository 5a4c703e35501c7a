-- +goose Up

-- What people sent, until it expires. The data is in parts that have the mark of their file, beside those of one that
-- is just being written in its place. Programs that do not know of files erase and prune them with their conversation
-- all the same.
CREATE TABLE files (
    id           text COLLATE "C" PRIMARY KEY,
    conversation text COLLATE "C" NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    expires      timestamptz NOT NULL,
    mark         uuid NOT NULL,
    size         bigint NOT NULL,
    head         bytea NOT NULL
);
CREATE INDEX files_conversation ON files (conversation);
CREATE INDEX files_expires ON files (expires);

-- A file's row is written last, so that nobody waits for its conversation meanwhile.
CREATE TABLE file_parts (
    id   text COLLATE "C" REFERENCES files (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    mark uuid,
    n    integer,
    data bytea NOT NULL,
    PRIMARY KEY (id, mark, n)
);
ALTER TABLE file_parts ALTER COLUMN data SET STORAGE EXTERNAL;
