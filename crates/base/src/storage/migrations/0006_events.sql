-- What happened to accounts. Kept when the account is gone, hence no reference.
CREATE TABLE events (
    id {identity},
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    -- NULL: nobody who is known.
    user_id BIGINT,
    -- Who did it: user or operator.
    actor TEXT NOT NULL,
    -- Where the request came from, for what was done by one.
    client TEXT,
    ip TEXT,
    user_agent TEXT,
    detail TEXT NOT NULL
);
CREATE INDEX events_at ON events (at, id);
CREATE INDEX events_user ON events (user_id, id);

-- Events to be posted to services of the operator, a row for each event and service.
CREATE TABLE webhook_deliveries (
    id {identity},
    -- The name of the service in the settings.
    webhook TEXT NOT NULL,
    -- The same in every attempt: what the receiver tells repetitions by.
    message_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    -- Not to be taken before: the wait after a failure, or the lease of the instance that is posting it. NULL: given up.
    due_at BIGINT,
    -- What became of the last attempt.
    failure TEXT
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook, due_at);
CREATE INDEX webhook_deliveries_dead ON webhook_deliveries (created_at) WHERE due_at IS NULL;
