// npm's officecrypto-tool as a reader of locked Office files, for the tests of internal/encrypt:
// node office.mjs RIGHT WRONG FILE... writes FILE.out, and fails where a file opens with WRONG.
import { readFile, writeFile } from 'node:fs/promises';
import office from 'officecrypto-tool';

const [right, wrong, ...files] = process.argv.slice(2);
for (const file of files) {
  const locked = await readFile(file);
  if (!office.isEncrypted(locked)) throw new Error('not locked');
  await writeFile(`${file}.out`, await office.decrypt(locked, { password: right }));
  const opens = await office.decrypt(locked, { password: wrong }).then(() => true, () => false);
  if (opens) throw new Error('opens with other words');
}
