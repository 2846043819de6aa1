-- +goose Up
-- Under which Message-ID each recipient saw a message. mailbox, sender, written and seen are
-- HMACs under a key derived from the master key; the ids themselves are only in sealed.
CREATE TABLE threads (
  seq     INTEGER PRIMARY KEY, -- grows with time: the oldest rows lie together
  at      INTEGER NOT NULL,
  mailbox TEXT NOT NULL, -- of the recipient; empty once the person was erased
  sender  TEXT NOT NULL, -- of whoever wrote it, where that was one of the practice
  written TEXT NOT NULL, -- the id as the mail app wrote it
  seen    TEXT,          -- the id as the recipient saw it; NULL: the same, or not sent yet
  sealed  BLOB           -- both ids; NULL once the person was erased
) STRICT;
CREATE INDEX threads_written ON threads(written);
CREATE INDEX threads_seen ON threads(seen) WHERE seen IS NOT NULL;
CREATE INDEX threads_mailbox ON threads(mailbox);
