-- Keys and passkeys. Of a key, `secret` holds its credential; the counter that it signs is in there, not in `counter`.
ALTER TABLE authenticators ADD COLUMN name TEXT;
-- Chosen by the key, and of nobody else's.
ALTER TABLE authenticators ADD COLUMN credential_id {bytes};
CREATE UNIQUE INDEX authenticators_credential ON authenticators (credential_id);
