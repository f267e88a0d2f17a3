-- What users entered at signup beyond what a login needs.
CREATE TABLE profiles (
    user_id BIGINT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    -- A JSON object, by the names of the settings.
    fields TEXT NOT NULL
);
