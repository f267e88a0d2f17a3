-- Accounts at third parties that are connected to users.
CREATE TABLE social_accounts (
    id {identity},
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- The app of the configuration, and the provider's own name for the person.
    provider TEXT NOT NULL,
    uid TEXT NOT NULL,
    -- What the provider said of the person when they last came by it, as JSON.
    extra_data TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_login_at BIGINT NOT NULL,
    UNIQUE (provider, uid)
);
CREATE INDEX social_accounts_user ON social_accounts (user_id);

-- The provider's tokens, each sealed for its account.
CREATE TABLE social_tokens (
    account_id BIGINT PRIMARY KEY REFERENCES social_accounts (id) ON DELETE CASCADE,
    access {bytes} NOT NULL,
    refresh {bytes},
    expires_at BIGINT
);

-- People who were sent to a provider and have not come back.
CREATE TABLE provider_flows (
    -- SHA-256 of what the callback names the flow by.
    name_hash {bytes} PRIMARY KEY,
    session_id BIGINT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    provider TEXT NOT NULL,
    process TEXT NOT NULL,
    callback_url TEXT NOT NULL,
    -- What the second half needs to know of the first, sealed.
    memory {bytes} NOT NULL,
    -- What a provider sent by a form of its own page, whose request carries no session: sealed, until the browser fetches it.
    answer {bytes},
    expires_at BIGINT NOT NULL
);
CREATE INDEX provider_flows_session ON provider_flows (session_id);
CREATE INDEX provider_flows_expiry ON provider_flows (expires_at);

-- Proofs of providers that clients have brought, and that are good once.
CREATE TABLE spent_proofs (
    proof_hash {bytes} PRIMARY KEY,
    spent_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX spent_proofs_expiry ON spent_proofs (expires_at);
