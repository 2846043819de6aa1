// What the two readers in JavaScript share: messages in, lines of JSON out, and the digest.
import { createHash } from 'node:crypto';

// SHOW=1 prints the content itself, for whoever looks into a difference.
const digest = bytes => process.env.SHOW === '1' ? bytes.toString() : createHash('sha256').update(bytes).digest('hex').slice(0, 24);

// The digest that all readers are compared by; see normal in test/differ.
export const textSum = s =>
  digest(Buffer.from(s.normalize('NFC').replace(/^\ufeff/, '').replace(/\r+\n/g, '\n').replace(/\n+$/, '').replace(/[\x80-\x9f\ue000-\uf8ff\ufffd]+/g, '\ufffd')));

export const bytesSum = (bytes, exact) => {
  let b = Buffer.from(bytes);
  if (!exact) {
    b = Buffer.from(b.toString('latin1').replace(/\r+\n/g, '\n').replace(/\n+$/, ''), 'latin1');
  }
  return digest(b);
};

// Serve reads messages from stdin, each behind its length (four bytes, the most significant first).
export async function serve(read) {
  let held = Buffer.alloc(0);
  for await (const chunk of process.stdin) {
    held = held.length ? Buffer.concat([held, chunk]) : chunk;
    while (held.length >= 4 && held.length >= 4 + held.readUInt32BE(0)) {
      const size = held.readUInt32BE(0);
      const raw = Buffer.from(held.subarray(4, 4 + size));
      held = held.subarray(4 + size);
      let answer;
      try {
        const parts = [];
        await read(raw, 0, parts);
        answer = { parts };
      } catch (e) {
        // A reader that fails reads nothing: that is a difference, too.
        answer = { parts: [], failed: String(e).slice(0, 200) };
      }
      if (!process.stdout.write(JSON.stringify(answer) + '\n')) {
        await new Promise(done => process.stdout.once('drain', done));
      }
    }
  }
}
