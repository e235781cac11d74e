-- What runs ask people, and which tools are called without asking.

-- +goose Up
CREATE TABLE interrupts (
    id           TEXT   NOT NULL PRIMARY KEY,
    conversation TEXT   NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    run          TEXT   NOT NULL,
    place        BIGINT NOT NULL, -- in the conversation, from 1
    body         TEXT   NOT NULL, -- the interrupt as JSON
    state        TEXT   NOT NULL, -- of the tool that asked; shown to nobody
    status       TEXT   NOT NULL, -- open, resolved, cancelled, expired
    created      BIGINT NOT NULL,
    expires      BIGINT NOT NULL,
    payload      TEXT   NOT NULL, -- of the answer, JSON
    answered_by  TEXT   NOT NULL,
    answered     BIGINT NOT NULL
);
CREATE UNIQUE INDEX interrupts_place ON interrupts (conversation, place);
CREATE INDEX interrupts_run ON interrupts (run);
CREATE INDEX interrupts_open ON interrupts (conversation) WHERE status = 'open';
CREATE INDEX interrupts_expire ON interrupts (expires) WHERE status = 'open';
CREATE INDEX runs_waiting ON runs (conversation) WHERE status = 'waiting';

CREATE TABLE approvals (
    conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    tool         TEXT NOT NULL,
    approval     TEXT NOT NULL, -- auto
    PRIMARY KEY (conversation, tool)
);

-- +goose Down
DROP TABLE approvals;
DROP INDEX runs_waiting;
DROP TABLE interrupts;
