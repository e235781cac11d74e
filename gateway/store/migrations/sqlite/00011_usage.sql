-- What was spent: of each conversation, and of each person by days and models.
-- Money is in millionths of a US dollar.

-- +goose Up
ALTER TABLE conversations ADD COLUMN tokens BIGINT NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN micros BIGINT NOT NULL DEFAULT 0;

CREATE TABLE usage_days (
    day      TEXT   NOT NULL, -- 2026-11-23, in UTC
    person   TEXT   NOT NULL,
    tenant   TEXT   NOT NULL, -- empty for none
    model    TEXT   NOT NULL,
    runs     BIGINT NOT NULL, -- that ended
    tokens   BIGINT NOT NULL,
    input    BIGINT NOT NULL,
    cached   BIGINT NOT NULL,
    written  BIGINT NOT NULL,
    output   BIGINT NOT NULL,
    micros   BIGINT NOT NULL,
    unpriced BIGINT NOT NULL, -- tokens whose price was not known
    PRIMARY KEY (day, person, model)
);
CREATE INDEX usage_days_person ON usage_days (person, day);

-- +goose Down
DROP TABLE usage_days;
ALTER TABLE conversations DROP COLUMN micros;
ALTER TABLE conversations DROP COLUMN tokens;
