-- +goose Up
-- Times are Unix nanoseconds in UTC; 0 is "none". Every column named sealed, dek or data of
-- chunks is AES-256-GCM; no client's name, address or number stands in clear in any column.

CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
  id          TEXT PRIMARY KEY,
  kind        TEXT NOT NULL,
  submitter   TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  policy      TEXT NOT NULL,
  digest      BLOB NOT NULL,
  size        INTEGER NOT NULL,
  outcome     TEXT NOT NULL,
  about       TEXT NOT NULL,
  dek         BLOB, -- the message's wrapped key; NULL once shredded
  sealed      BLOB  -- envelope and plan
) STRICT, WITHOUT ROWID;
CREATE INDEX messages_kept ON messages(received_at) WHERE dek IS NOT NULL;

-- A big content is staged chunk by chunk before its message is committed: until then its
-- message is NULL. Staged rows are removed when the service starts.
CREATE TABLE contents (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  message TEXT REFERENCES messages(id),
  variant INTEGER NOT NULL,
  size    INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX contents_of ON contents(message, variant);
CREATE INDEX contents_staged ON contents(id) WHERE message IS NULL;

-- id is contents.id * 65536 + chunk number: the chunks of a content lie together.
CREATE TABLE chunks (
  id   INTEGER PRIMARY KEY,
  data BLOB NOT NULL
) STRICT;

-- Ids are never used twice: the audit names jobs by id.
CREATE TABLE jobs (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  message     TEXT NOT NULL REFERENCES messages(id),
  variant     INTEGER NOT NULL,
  sealed      BLOB, -- reverse-path, recipients, last replies
  recipients  INTEGER NOT NULL,
  codes       TEXT NOT NULL,
  utf8        INTEGER NOT NULL,
  state       TEXT NOT NULL CHECK (state IN ('queued','held','sending','in_doubt','delivered','failed','cancelled')),
  attempts    INTEGER NOT NULL,
  epoch       INTEGER NOT NULL,
  accepted_at INTEGER NOT NULL,
  next_at     INTEGER NOT NULL,
  lease_until INTEGER NOT NULL,
  finished_at INTEGER NOT NULL,
  last        TEXT NOT NULL
) STRICT;
CREATE INDEX jobs_of ON jobs(message);
CREATE INDEX jobs_due ON jobs(next_at) WHERE state IN ('queued','in_doubt');
CREATE INDEX jobs_leased ON jobs(lease_until) WHERE state = 'sending';
CREATE INDEX jobs_held ON jobs(message) WHERE state = 'held';

CREATE TABLE decisions (
  id       INTEGER PRIMARY KEY,
  message  TEXT NOT NULL REFERENCES messages(id),
  at       INTEGER NOT NULL,
  actor    TEXT NOT NULL,
  released INTEGER NOT NULL,
  sealed   BLOB -- the reason
) STRICT;
CREATE INDEX decisions_of ON decisions(message);

CREATE TABLE clients (
  ref    TEXT PRIMARY KEY,
  sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- mac is an HMAC of a mailbox or a number under a key derived from the master key.
CREATE TABLE lookups (
  mac TEXT NOT NULL,
  ref TEXT NOT NULL REFERENCES clients(ref) ON DELETE CASCADE,
  PRIMARY KEY (mac, ref)
) STRICT, WITHOUT ROWID;
CREATE INDEX lookups_of ON lookups(ref);

CREATE TABLE erased (
  id TEXT PRIMARY KEY, -- pseudonym: an HMAC of the code
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE consents (
  seq    INTEGER PRIMARY KEY AUTOINCREMENT,
  id     TEXT NOT NULL UNIQUE,
  ref    TEXT NOT NULL REFERENCES clients(ref) ON DELETE CASCADE,
  sealed BLOB NOT NULL
) STRICT;
CREATE INDEX consents_of ON consents(ref);
-- +goose StatementBegin
CREATE TRIGGER consents_append_only BEFORE UPDATE ON consents BEGIN
  SELECT RAISE(ABORT, 'the consent ledger is append-only');
END;
-- +goose StatementEnd

CREATE TABLE submitters (
  id         TEXT NOT NULL,
  label      TEXT NOT NULL,
  mac        TEXT NOT NULL,
  scram      BLOB NOT NULL, -- sealed StoredKey and ServerKey
  created_at INTEGER NOT NULL,
  last_used  INTEGER NOT NULL,
  PRIMARY KEY (id, label)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX submitters_mac ON submitters(id, mac);

CREATE TABLE audit (
  seq     INTEGER PRIMARY KEY,
  at      INTEGER NOT NULL,
  message TEXT NOT NULL,
  kind    TEXT NOT NULL,
  actor   TEXT NOT NULL,
  data    TEXT NOT NULL,
  prev    BLOB NOT NULL,
  hash    BLOB NOT NULL
) STRICT;
CREATE INDEX audit_of ON audit(message) WHERE message <> '';
-- The newest row, under a MAC: rows cut off the end are found too.
CREATE TABLE audit_head (
  one  INTEGER PRIMARY KEY CHECK (one = 1),
  seq  INTEGER NOT NULL,
  hash BLOB NOT NULL,
  mac  BLOB NOT NULL
) STRICT;
-- +goose StatementBegin
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN
  SELECT RAISE(ABORT, 'the audit is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN
  SELECT RAISE(ABORT, 'the audit is append-only');
END;
-- +goose StatementEnd
