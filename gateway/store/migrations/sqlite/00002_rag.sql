-- Documents that can be searched, and their index. Editions are the ids of
-- the segments that they were indexed in first.

-- +goose Up
CREATE TABLE rag_collections (
    name    TEXT   NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL -- counts the changes
);

CREATE TABLE rag_documents (
    collection TEXT   NOT NULL,
    id         TEXT   NOT NULL,
    edition    BIGINT NOT NULL UNIQUE,
    name       TEXT   NOT NULL,
    title      TEXT   NOT NULL,
    media_type TEXT   NOT NULL,
    source     TEXT   NOT NULL,
    runes      BIGINT NOT NULL,
    chunks     BIGINT NOT NULL,
    added      BIGINT NOT NULL,
    text       TEXT   NOT NULL, -- last: lists do not read what is behind the page
    PRIMARY KEY (collection, id),
    UNIQUE (collection, name)
);

CREATE TABLE rag_chunks (
    edition  BIGINT NOT NULL,
    number   BIGINT NOT NULL, -- in the document, from 1
    headings TEXT   NOT NULL, -- JSON
    begins   BIGINT NOT NULL, -- offsets in runes
    ends     BIGINT NOT NULL,
    text     TEXT   NOT NULL,
    PRIMARY KEY (edition, number)
);

-- AUTOINCREMENT: replicas keep copies of segments by id, so none is used twice.
CREATE TABLE rag_segments (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    collection TEXT    NOT NULL,
    state      BIGINT  NOT NULL, -- 0 reserved, 1 committed, 2 dropped
    reserved   BIGINT  NOT NULL
);
CREATE INDEX rag_segments_state ON rag_segments (state, collection);

CREATE TABLE rag_postings (
    segment BIGINT NOT NULL,
    term    TEXT   NOT NULL,
    df      BIGINT NOT NULL,
    data    BLOB   NOT NULL,
    PRIMARY KEY (segment, term)
) WITHOUT ROWID;

-- Editions that are in a segment still though their document is gone.
CREATE TABLE rag_dead (
    edition    BIGINT NOT NULL PRIMARY KEY,
    collection TEXT   NOT NULL
);
CREATE INDEX rag_dead_collection ON rag_dead (collection);

-- +goose Down
DROP TABLE rag_dead;
DROP TABLE rag_postings;
DROP TABLE rag_segments;
DROP TABLE rag_chunks;
DROP TABLE rag_documents;
DROP TABLE rag_collections;
