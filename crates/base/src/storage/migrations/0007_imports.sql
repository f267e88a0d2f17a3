-- Accounts that were taken in from elsewhere, by their keys there: none is taken twice.
CREATE TABLE imports (
    source TEXT NOT NULL,
    source_id TEXT NOT NULL,
    -- NULL: the account was deleted since. The row stays, so that another run does not bring it back.
    user_id BIGINT REFERENCES users (id) ON DELETE SET NULL,
    PRIMARY KEY (source, source_id)
);
CREATE INDEX imports_user ON imports (user_id);
