-- What format the answer of a run must have.

-- +goose Up
ALTER TABLE runs ADD COLUMN format TEXT NOT NULL DEFAULT ''; -- JSON, empty for text

-- +goose Down
ALTER TABLE runs DROP COLUMN format;
