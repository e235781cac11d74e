-- What other systems sign in with. The token itself is kept nowhere.

-- +goose Up
CREATE TABLE api_keys (
    id      TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    name    TEXT   COLLATE "C" NOT NULL UNIQUE,
    tenant  TEXT   COLLATE "C" NOT NULL,
    scopes  TEXT   COLLATE "C" NOT NULL, -- JSON
    hash    BYTEA  NOT NULL, -- SHA-256 of the token's secret part
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL
);

-- +goose Down
DROP TABLE api_keys;
