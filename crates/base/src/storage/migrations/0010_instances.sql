-- What instances over one database agree on.

-- The secret key that an instance was started with last, as a keyed hash: one row, so that none starts with another.
CREATE TABLE key_mark (
    id BIGINT PRIMARY KEY,
    mark {bytes} NOT NULL
);

-- Work that one instance does at a time: whoever has the lease, until then.
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    until BIGINT NOT NULL
);
