-- Users are looked up by the beginning of an address, a name or a number. SQLite compares bytes, and the indexes that
-- are there serve; PostgreSQL compares as its locale does, unless told.
{postgres}CREATE INDEX emails_beginning ON emails (email COLLATE "C");
{postgres}CREATE INDEX users_beginning ON users (username_key COLLATE "C");
{postgres}CREATE INDEX phones_beginning ON phones (phone COLLATE "C");
