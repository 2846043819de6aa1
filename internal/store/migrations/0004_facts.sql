-- +goose Up
-- What is kept of a message for asking other rules about it later: codes, numbers, yes and no.
-- It outlives the content, so it is not under the message's own key. who holds the HMACs of the
-- recipients' mailboxes as JSON: with a client goes what was kept about mail to them.
CREATE TABLE facts (
  message  TEXT PRIMARY KEY REFERENCES messages(id),
  at       INTEGER NOT NULL,
  observed INTEGER NOT NULL, -- a rule that only observes had something to say
  who      TEXT NOT NULL,
  sealed   BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX facts_at ON facts(at);

-- What must be done once, whoever comes first: a day's summary.
CREATE TABLE marks (
  name TEXT PRIMARY KEY,
  at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
