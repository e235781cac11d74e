-- Feeds, and which of them conversations have pinned.

-- +goose Up
CREATE TABLE feeds (
    name TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL -- JSON
);

CREATE TABLE pins (
    conversation TEXT   NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    feed         TEXT   NOT NULL, -- which may be gone
    place        BIGINT NOT NULL, -- in the conversation, from 1
    PRIMARY KEY (conversation, feed)
);

-- +goose Down
DROP TABLE pins;
DROP TABLE feeds;
