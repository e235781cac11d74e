-- Times are ms since 1970, 0 for none. JSON is text: JSONB takes no \u0000.
-- Names and ids sort by their bytes, whatever the language of the database.

-- +goose Up
CREATE TABLE conversations (
    id         TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    owner      TEXT   COLLATE "C" NOT NULL,
    title      TEXT   NOT NULL,
    created    BIGINT NOT NULL,
    updated    BIGINT NOT NULL, -- last activity
    generation BIGINT NOT NULL DEFAULT 0,
    nonce      TEXT   NOT NULL DEFAULT ''
) WITH (fillfactor = 80); -- every change in a conversation updates its row
CREATE INDEX conversations_recent ON conversations (owner, updated, id);

-- Ids of deleted conversations are never used again: the log of one may still
-- be in Redis.
CREATE TABLE deleted_conversations (
    id      TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    deleted BIGINT NOT NULL
);

CREATE TABLE messages (
    conversation TEXT   COLLATE "C" NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    id           TEXT   COLLATE "C" NOT NULL,
    place        BIGINT,          -- in the conversation, from 1; null for a question that waits
    hidden       BIGINT NOT NULL DEFAULT 0, -- 1 for an answer that was replaced
    run          TEXT   COLLATE "C" NOT NULL,
    role         TEXT   NOT NULL,
    body         TEXT   NOT NULL, -- the message as JSON
    PRIMARY KEY (conversation, id)
);
CREATE UNIQUE INDEX messages_place ON messages (conversation, place);

CREATE TABLE runs (
    id           TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    conversation TEXT   COLLATE "C" NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    place        BIGINT NOT NULL, -- in the conversation, from 1
    client_id    TEXT   COLLATE "C", -- of who asked; null for none
    question     TEXT   COLLATE "C" NOT NULL, -- id of the message that it answers
    replaces     TEXT   COLLATE "C" NOT NULL,
    status       TEXT   NOT NULL,
    ended        BIGINT NOT NULL, -- 1 if nothing more will come of it
    try          BIGINT NOT NULL,
    model        TEXT   NOT NULL,
    usage        TEXT   NOT NULL, -- JSON
    failure      TEXT   NOT NULL, -- JSON
    created      BIGINT NOT NULL,
    updated      BIGINT NOT NULL
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX runs_place ON runs (conversation, place);
CREATE UNIQUE INDEX runs_client_id ON runs (conversation, client_id);
CREATE INDEX runs_due ON runs (updated) WHERE ended = 0;

-- A guard is the right to make a tool call that may be made once.
CREATE TABLE guards (
    run     TEXT   COLLATE "C" NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    call    TEXT   COLLATE "C" NOT NULL,
    taker   TEXT   NOT NULL,
    taken   BIGINT NOT NULL,
    PRIMARY KEY (run, call)
);

CREATE TABLE secrets (
    name  TEXT  COLLATE "C" NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);

CREATE TABLE endpoints (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    body TEXT NOT NULL -- JSON
);

-- +goose Down
DROP TABLE endpoints;
DROP TABLE secrets;
DROP TABLE guards;
DROP TABLE runs;
DROP TABLE messages;
DROP TABLE deleted_conversations;
DROP TABLE conversations;
