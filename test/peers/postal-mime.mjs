// npm's postal-mime as a reader of mail, for the comparison of readings (see test/differ).
import { createRequire } from 'node:module';
import { serve, textSum, bytesSum } from './common.mjs';

const iconv = createRequire(import.meta.url)('iconv-lite');

// Node up to 22 reads windows-1252 as ISO-8859-1 (nodejs/node#56542) and has no iso-8859-16, which is none of
// postal-mime's faults.
const Native = globalThis.TextDecoder;
globalThis.TextDecoder = class extends Native {
  constructor(label, options) {
    super(label === 'iso-8859-16' ? 'windows-1252' : label, options);
    this.table = label === 'iso-8859-16' ? label : this.encoding;
  }
  decode(bytes, options) {
    if (this.encoding !== 'windows-1252') return super.decode(bytes, options);
    return iconv.decode(Buffer.from(bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes), this.table);
  }
};
const { default: PostalMime, decodeWords } = await import('postal-mime');

async function read(raw, depth, out) {
  const reader = new PostalMime({ maxNestingDepth: 60, maxHeadersSize: 4 << 20 });
  // What it makes of the parts (one text, a list of files) is put together from the tree, which is compared.
  reader.collectNode = async () => {};
  await reader.parse(raw);
  await walk(reader.root, depth, out);
}

async function walk(node, depth, out) {
  const type = (node.contentType.parsed.value || 'text/plain').toLowerCase();
  const part = { depth, type, name: '', sum: '' };
  out.push(part);
  if (!node.contentType.multipart) {
    const name = node.contentDisposition.parsed.params.filename || node.contentType.parsed.params.name || '';
    part.name = name ? decodeWords(name) : '';
    const content = node.content || new ArrayBuffer(0);
    if (type === 'message/rfc822' || type === 'message/global') {
      // It reads embedded messages with a reader of its own, as here.
      await read(Buffer.from(content), depth + 1, out);
      return;
    }
    if (type.startsWith('text/')) {
      const params = node.contentType.parsed.params;
      if (type === 'text/plain' && /^flowed$/i.test(params.format)) {
        part.flowed = /^yes$/i.test(params.delsp) ? 'delsp' : 'flowed';
      }
      delete params.format; // the lines are compared before they are flowed together
      part.sum = textSum(node.getTextContent());
    } else {
      part.sum = bytesSum(content, node.contentTransferEncoding.encoding === 'base64');
    }
  }
  for (const child of node.childNodes) await walk(child, depth + 1, out);
}

await serve(read);
