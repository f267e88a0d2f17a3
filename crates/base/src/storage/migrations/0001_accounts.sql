-- Words of the dictionary: {identity} a generated integer key, {bytes} a byte string.
-- Times are milliseconds since 1970, flags 0 or 1.

CREATE TABLE users (
    id {identity},
    username TEXT,
    -- The form in which names are compared: ASCII letters in lower case, nothing else folded.
    username_key TEXT UNIQUE,
    -- NULL: an account without a password. Nothing verifies against it.
    password TEXT,
    is_active BIGINT NOT NULL DEFAULT 1,
    created_at BIGINT NOT NULL,
    last_login_at BIGINT
);

CREATE TABLE emails (
    id {identity},
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- Lower case; the domain as A-labels.
    email TEXT NOT NULL,
    verified BIGINT NOT NULL DEFAULT 0,
    is_primary BIGINT NOT NULL DEFAULT 0,
    -- The address again while this account holds it to the exclusion of all others.
    claim TEXT UNIQUE,
    UNIQUE (user_id, email)
);
CREATE INDEX emails_email ON emails (email);
CREATE UNIQUE INDEX emails_primary ON emails (user_id) WHERE is_primary = 1;

CREATE TABLE phones (
    user_id BIGINT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    -- E.164.
    phone TEXT NOT NULL,
    verified BIGINT NOT NULL DEFAULT 0,
    claim TEXT UNIQUE
);
CREATE INDEX phones_phone ON phones (phone);

CREATE TABLE sessions (
    id {identity},
    token_hash {bytes} NOT NULL UNIQUE,
    -- app or browser: a token of one kind is worthless as the other.
    client TEXT NOT NULL,
    user_id BIGINT REFERENCES users (id) ON DELETE CASCADE,
    -- Keyed hash of the password that the session was opened under: another password ends it.
    password_mark {bytes},
    -- Authentication records of the user, as JSON.
    records TEXT NOT NULL DEFAULT '[]',
    -- 1: ended from elsewhere, to be told to its holder once.
    ended BIGINT NOT NULL DEFAULT 0,
    ip TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- The attempt to enter that a session has under way.
CREATE TABLE logins (
    session_id BIGINT PRIMARY KEY REFERENCES sessions (id) ON DELETE CASCADE,
    -- NULL: a pretence, for an account that is not there.
    user_id BIGINT REFERENCES users (id) ON DELETE CASCADE,
    stage TEXT NOT NULL,
    state TEXT NOT NULL,
    started_at BIGINT NOT NULL
);
CREATE INDEX logins_user ON logins (user_id);

-- Secrets sent out of band and awaited by one session, one of a kind.
CREATE TABLE processes (
    id {identity},
    session_id BIGINT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    user_id BIGINT REFERENCES users (id) ON DELETE CASCADE,
    address TEXT NOT NULL,
    -- NULL: a pretence. No code is the right one.
    code_hash {bytes},
    attempts_left BIGINT NOT NULL,
    resends BIGINT NOT NULL DEFAULT 0,
    changes BIGINT NOT NULL DEFAULT 0,
    state TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    UNIQUE (session_id, kind)
);
CREATE INDEX processes_user ON processes (user_id);

-- Keys in mailed links: they work from any browser.
CREATE TABLE links (
    id {identity},
    kind TEXT NOT NULL,
    key_hash {bytes} NOT NULL UNIQUE,
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    email TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX links_user ON links (user_id);
CREATE INDEX links_expiry ON links (expires_at);

CREATE TABLE limits (
    bucket {bytes} PRIMARY KEY,
    hits {bytes} NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX limits_expiry ON limits (expires_at);

-- Messages to be sent. The content is sealed: it holds codes and keys.
CREATE TABLE outbox (
    id {identity},
    channel TEXT NOT NULL,
    message {bytes} NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    -- Not to be taken before: the wait after a failure, or the lease of the instance that is sending it.
    due_at BIGINT NOT NULL
);
CREATE INDEX outbox_due ON outbox (due_at);

-- What the development mailbox received.
CREATE TABLE mailbox (
    id {identity},
    channel TEXT NOT NULL,
    recipient TEXT NOT NULL,
    message TEXT NOT NULL,
    received_at BIGINT NOT NULL
);
