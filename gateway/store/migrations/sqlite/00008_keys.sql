-- What other systems sign in with. The token itself is kept nowhere.

-- +goose Up
CREATE TABLE api_keys (
    id      TEXT   NOT NULL PRIMARY KEY,
    name    TEXT   NOT NULL UNIQUE,
    tenant  TEXT   NOT NULL,
    scopes  TEXT   NOT NULL, -- JSON
    hash    BLOB  NOT NULL, -- SHA-256 of the token's secret part
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL
);

-- +goose Down
DROP TABLE api_keys;
