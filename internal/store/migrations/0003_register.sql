-- +goose Up
-- Whoever has compiled the register reads only what changed since. changed is the version of
-- the register (meta, register-version) that a row was written for. id stands for a client and
-- is never used again.
ALTER TABLE clients ADD COLUMN id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE clients ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
UPDATE clients SET id = n FROM (SELECT ref AS r, row_number() OVER (ORDER BY ref) AS n FROM clients) WHERE ref = r;
CREATE UNIQUE INDEX clients_id ON clients(id);
CREATE INDEX clients_changed ON clients(changed);

-- Which row went, by its number: it says nothing about the person.
ALTER TABLE erased ADD COLUMN client INTEGER NOT NULL DEFAULT 0;
ALTER TABLE erased ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX erased_client ON erased(client);
CREATE INDEX erased_changed ON erased(changed);
