-- +goose Up

-- The replicas that work on this database. Each says every few seconds that it is there; who has not for a
-- while is forgotten.
CREATE TABLE replicas (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL
);

-- Programs that were made for this schema work with this one too, so that they may go on, and start again,
-- while an upgrade is rolled out. A migration that takes something away raises it.
INSERT INTO meta (name, value) VALUES ('oldest', '1');
