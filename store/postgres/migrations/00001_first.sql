-- +goose Up

-- The key behind masked names, and a value for each key that may have sealed something here.
CREATE TABLE meta (
    name  text COLLATE "C" PRIMARY KEY,
    value bytea NOT NULL
);

-- A row for each transaction of late, by which one whose answer was lost is looked up.
CREATE TABLE commits (
    token uuid PRIMARY KEY,
    at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX commits_at ON commits (at);

-- The row's lock is the conversation's lock. placed and lines count deliveries and lines over its life.
-- filed is the day of updated: an index on the exact time would cost every turn a write.
CREATE TABLE conversations (
    no      bigint GENERATED ALWAYS AS IDENTITY,
    id      text COLLATE "C" PRIMARY KEY,
    status  text NOT NULL DEFAULT '',
    keys    text[] NOT NULL DEFAULT '{}',
    people  text[] NOT NULL DEFAULT '{}',
    due     timestamptz,
    updated timestamptz NOT NULL,
    filed   integer NOT NULL,
    lines   bigint NOT NULL DEFAULT 0,
    placed  bigint NOT NULL DEFAULT 0,
    data    bytea NOT NULL
) WITH (fillfactor = 80);
ALTER TABLE conversations ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE INDEX conversations_live ON conversations (id) WHERE status <> '';
CREATE INDEX conversations_due ON conversations (due) WHERE due IS NOT NULL;
CREATE INDEX conversations_filed ON conversations (filed) WHERE status = '' AND due IS NULL;

CREATE TABLE keys (
    key          text COLLATE "C" PRIMARY KEY,
    conversation text COLLATE "C" NOT NULL
);

CREATE TABLE people (
    person       text COLLATE "C",
    conversation text COLLATE "C",
    PRIMARY KEY (person, conversation)
);

-- Event ids, as a part of their hash.
CREATE TABLE events (
    no    bigint,
    hash  uuid,
    until timestamptz NOT NULL,
    PRIMARY KEY (no, hash)
);
CREATE INDEX events_until ON events (until);

-- A lane has a row while it has deliveries or a lease. head is the place of its first delivery, due since
-- when that one may be sent, and at from when on the lane may be claimed: after its lease, and never when
-- it is held or empty.
CREATE TABLE lanes (
    no           bigint,
    direction    text COLLATE "C",
    conversation text COLLATE "C" NOT NULL,
    head         bigint,
    due          timestamptz,
    token        bigint NOT NULL DEFAULT 0,
    until        timestamptz,
    at           timestamptz,
    PRIMARY KEY (no, direction)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE INDEX lanes_at ON lanes (direction, at) WHERE at IS NOT NULL;

CREATE TABLE deliveries (
    no         bigint,
    direction  text COLLATE "C",
    place      bigint,
    id         text NOT NULL,
    kind       text NOT NULL,
    session    text NOT NULL,
    accepted   timestamptz NOT NULL,
    not_before timestamptz,
    begun      boolean NOT NULL DEFAULT false,
    failed     integer NOT NULL DEFAULT 0,
    attempts   jsonb,
    body       bytea NOT NULL,
    PRIMARY KEY (no, direction, place)
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
ALTER TABLE deliveries ALTER COLUMN body SET STORAGE EXTERNAL;

CREATE TABLE lines (
    no   bigint,
    n    bigint,
    at   timestamptz NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (no, n)
);
ALTER TABLE lines ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE INDEX lines_at ON lines (at);

-- Dead letters outlive their conversation. direction is empty for an event.
CREATE SEQUENCE letter_numbers;
CREATE TABLE letters (
    id           text COLLATE "C" PRIMARY KEY,
    conversation text COLLATE "C" NOT NULL,
    direction    text NOT NULL,
    reason       text NOT NULL,
    at           timestamptz NOT NULL,
    delivery     text NOT NULL,
    kind         text NOT NULL,
    session      text NOT NULL,
    accepted     timestamptz NOT NULL,
    not_before   timestamptz,
    failed       integer NOT NULL DEFAULT 0,
    attempts     jsonb,
    body         bytea NOT NULL
);
ALTER TABLE letters ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX letters_conversation ON letters (conversation, id);
CREATE INDEX letters_at ON letters (at);
