-- +goose Up
-- The PGP key of a client: public, but it names the person, so it is sealed as the client is.
CREATE TABLE client_keys (
  ref    TEXT PRIMARY KEY REFERENCES clients(ref) ON DELETE CASCADE,
  sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The practice's own keys, one an address that clients see. alias is an HMAC of the address.
CREATE TABLE role_keys (
  alias  TEXT PRIMARY KEY,
  sealed BLOB NOT NULL -- with the private parts
) STRICT, WITHOUT ROWID;
