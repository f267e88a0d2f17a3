-- The access and refresh tokens of a session: one chain of them, of which the latest refresh token is good.
CREATE TABLE tokens (
    session_id BIGINT PRIMARY KEY REFERENCES sessions (id) ON DELETE CASCADE,
    -- What the tokens name the session by. Random, and worthless by itself.
    sid TEXT NOT NULL UNIQUE,
    -- Hash of the id of the refresh token that is good.
    refresh_hash {bytes} NOT NULL,
    -- The one before it, and when that was used.
    former_hash {bytes},
    rotated_at BIGINT NOT NULL,
    -- The good refresh token itself, sealed, where a retry with the former one may ask for it again.
    successor {bytes}
);
