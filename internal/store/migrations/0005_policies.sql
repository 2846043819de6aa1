-- +goose Up
-- The files of the policies that were taken last: a start compares with them what it finds. They
-- hold names and addresses of staff. One row at most.
CREATE TABLE policies (
  one    INTEGER PRIMARY KEY CHECK (one = 1),
  policy TEXT NOT NULL,
  sealed BLOB NOT NULL
) STRICT;
