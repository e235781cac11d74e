-- What tools prove with who calls. All secrets are encrypted: see package
-- vault.

-- +goose Up
CREATE TABLE credentials (
    name TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL -- JSON
);

-- Tokens of a credential, or the right to ask for one.
CREATE TABLE tokens (
    credential TEXT   NOT NULL REFERENCES credentials (name) ON DELETE CASCADE,
    person     TEXT   NOT NULL, -- empty for one that serves everybody
    version    BIGINT NOT NULL, -- 0 while there is none
    body       TEXT   NOT NULL,
    holder     TEXT   NOT NULL, -- of the right to replace it
    held_until BIGINT NOT NULL,
    PRIMARY KEY (credential, person)
);
CREATE INDEX tokens_person ON tokens (person);

-- People who are on their way to agree.
CREATE TABLE departures (
    state   TEXT   NOT NULL PRIMARY KEY, -- its hash
    body    TEXT   NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX departures_expires ON departures (expires);

-- +goose Down
DROP TABLE departures;
DROP TABLE tokens;
DROP TABLE credentials;
