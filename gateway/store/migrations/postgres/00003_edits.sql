-- A run may answer a question that stands in the place of an older one.

-- +goose Up
ALTER TABLE runs ADD COLUMN edits TEXT COLLATE "C" NOT NULL DEFAULT ''; -- id of the older message

-- +goose Down
ALTER TABLE runs DROP COLUMN edits;
