-- Files that people attach and tools bring back, in pieces.

-- +goose Up
CREATE TABLE files (
    id           TEXT   NOT NULL PRIMARY KEY,
    owner        TEXT   NOT NULL,
    conversation TEXT   REFERENCES conversations (id) ON DELETE CASCADE, -- null until it is attached
    client_id    TEXT,            -- of the upload; null for none
    name         TEXT   NOT NULL,
    media        TEXT   NOT NULL,
    size         BIGINT NOT NULL, -- bytes; until it is whole, what was announced
    sha256       TEXT   NOT NULL, -- in hex
    whole        BIGINT NOT NULL, -- 0 while it is being written
    created      BIGINT NOT NULL
);
CREATE UNIQUE INDEX files_client_id ON files (owner, client_id);
CREATE INDEX files_conversation ON files (conversation);
CREATE INDEX files_loose ON files (created) WHERE conversation IS NULL;

CREATE TABLE file_chunks (
    file   TEXT   NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    number BIGINT NOT NULL, -- from 0; all but the last are of one length
    data   BLOB   NOT NULL,
    PRIMARY KEY (file, number)
);

-- Whoever counts what a person has holds the person's row.
CREATE TABLE file_owners (
    owner TEXT NOT NULL PRIMARY KEY
);

-- +goose Down
DROP TABLE file_owners;
DROP TABLE file_chunks;
DROP TABLE files;
