-- Second factors. A user has TOTP and recovery codes once at most, and any number of keys.
CREATE TABLE authenticators (
    id {identity},
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- totp, recovery_codes or webauthn.
    kind TEXT NOT NULL,
    -- What it takes to know a code of it, sealed for user and kind.
    secret {bytes} NOT NULL,
    -- The newest time step whose code was taken: neither that one nor one before it is taken again.
    counter BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT
);
CREATE INDEX authenticators_user ON authenticators (user_id);
CREATE UNIQUE INDEX authenticators_single ON authenticators (user_id, kind) WHERE kind IN ('totp', 'recovery_codes');

-- Browsers that are not asked for what was proved in them once. The cookie of a browser that several users share names
-- a row for each of them.
CREATE TABLE trusts (
    id {identity},
    token_hash {bytes} NOT NULL,
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- Keyed hash of the user's password and authenticators: another one of either, and the browser is a stranger.
    mark {bytes} NOT NULL,
    expires_at BIGINT NOT NULL,
    UNIQUE (token_hash, user_id)
);
CREATE INDEX trusts_user ON trusts (user_id);
CREATE INDEX trusts_expiry ON trusts (expires_at);
