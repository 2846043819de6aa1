// npm's mailparser as a reader of mail, for the comparison of readings (see test/differ).
import { createRequire } from 'node:module';
import { MailParser } from 'mailparser';
import { serve, textSum, bytesSum } from './common.mjs';

const require = createRequire(import.meta.url);
const iconv = require('iconv-lite');
const japanese = require('encoding-japanese');

class Reader extends MailParser {
  constructor() {
    // A delivery report is a part like others; links and HTML versions of text are none of ours.
    super({ keepDeliveryStatus: true, skipTextToHtml: true, skipHtmlToText: true, skipImageLinks: true });
    this.flow = new Map();
  }
  createNode(node) {
    // The lines are compared before they are flowed together, and the mark by itself.
    const flow = node.flowed && node.contentType === 'text/plain' ? (node.delSp ? 'delsp' : 'flowed') : undefined;
    node.flowed = false;
    const made = super.createNode(node);
    made.flow = flow;
    return made;
  }
  // It offers the texts joined; the parts are in its tree.
  getTextContent() {
    return { type: 'text' };
  }
}

function parse(raw) {
  return new Promise((resolve, reject) => {
    const reader = new Reader();
    const files = [];
    reader.on('error', reject);
    reader.on('data', data => {
      if (data.type !== 'attachment') return;
      const chunks = [];
      files.push(chunks);
      data.content.on('data', c => chunks.push(c));
      data.content.on('end', () => data.release());
    });
    reader.on('end', () => resolve([reader, files.map(c => Buffer.concat(c))]));
    reader.end(raw);
  });
}

function decode(bytes, charset) {
  // Attached texts come as bytes; they are decoded as it decodes texts of the message.
  if (/^jis|^iso-?2022-?jp/i.test(charset || '')) {
    return japanese.convert(bytes, { to: 'UNICODE', from: charset, type: 'string' });
  }
  if (!charset || /^(us-?ascii|ascii|utf-?8)$/i.test(charset) || !iconv.encodingExists(charset)) return bytes.toString();
  return iconv.decode(bytes, charset);
}

async function read(raw, depth, out) {
  const [reader, files] = await parse(raw);
  await walk(reader.tree, depth, out, files);
}

async function walk(node, depth, out, files) {
  const type = node.contentType || 'text/plain';
  const part = { depth, type, name: '', sum: '' };
  out.push(part);
  if (!type.startsWith('multipart/')) part.name = node.node.filename || '';
  const entered = node.node.messageNode === true;
  if (!type.startsWith('multipart/') && !entered) {
    const bytes = node.isAttachment ? files.shift() || Buffer.alloc(0) : null;
    if (type === 'message/rfc822' || type === 'message/global') {
      // It hands over embedded messages as files; whoever opens one reads it with the same reader.
      await read(bytes, depth + 1, out);
      return;
    }
    if (type.startsWith('text/')) {
      part.sum = textSum(bytes ? decode(bytes, node.charset) : node.textContent || '');
      part.flowed = node.flow;
    } else {
      part.sum = bytesSum(bytes || Buffer.from(node.textContent || ''), node.encoding === 'base64');
    }
  }
  for (const child of node.children) await walk(child, depth + 1, out, files);
}

await serve(read);
