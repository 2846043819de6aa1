// OpenPGP.js as a reader of what internal/encrypt writes: DIR holds message.asc, private.asc
// and role.asc; the answer is JSON.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as openpgp from 'openpgp';

const dir = process.argv[2];
const file = name => readFile(join(dir, name), 'utf8');
const message = await openpgp.readMessage({ armoredMessage: await file('message.asc') });
const answer = {
  keys: message.getEncryptionKeyIDs().map(id => id.toHex()),
  packets: message.packets.map(p => p.constructor.name),
};
// The tests' time: keys and signatures are of March 2026.
const date = new Date('2026-03-10T09:31:00Z');
const result = await openpgp.decrypt({
  message, date,
  decryptionKeys: await openpgp.readPrivateKey({ armoredKey: await file('private.asc') }),
  verificationKeys: await openpgp.readKey({ armoredKey: await file('role.asc') }),
  expectSigned: true,
  format: 'binary',
});
answer.text = Buffer.from(result.data).toString();
answer.filename = result.filename;
answer.verified = await result.signatures[0].verified;
process.stdout.write(JSON.stringify(answer));
