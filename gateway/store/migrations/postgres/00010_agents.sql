-- Agents, with all their versions; which one answers a conversation, and
-- which version a run.

-- +goose Up
CREATE TABLE agents (
    name    TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL -- the newest
);

-- They outlive their agent, for the runs that name them.
CREATE TABLE agent_versions (
    name    TEXT   COLLATE "C" NOT NULL,
    version BIGINT NOT NULL, -- from 1
    body    TEXT   NOT NULL, -- JSON
    maker   TEXT   NOT NULL,
    made    BIGINT NOT NULL,
    PRIMARY KEY (name, version)
);

ALTER TABLE conversations ADD COLUMN agent TEXT NOT NULL DEFAULT ''; -- which may be gone
ALTER TABLE runs ADD COLUMN agent TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN agent_version BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE runs DROP COLUMN agent_version;
ALTER TABLE runs DROP COLUMN agent;
ALTER TABLE conversations DROP COLUMN agent;
DROP TABLE agent_versions;
DROP TABLE agents;
