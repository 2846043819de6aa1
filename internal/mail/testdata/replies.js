// Looks at copies as Chromium lays them out, one a frame, and says where our paragraphs stand.
"use strict";

// The first text node that holds the words, or the first of them.
function find(doc, words) {
  const walker = doc.createTreeWalker(doc.body, NodeFilter.SHOW_TEXT);
  for (let n = walker.nextNode(); n; n = walker.nextNode()) {
    const text = n.data.trim();
    if (text && (text.includes(words) || words.startsWith(text))) {
      const range = doc.createRange();
      range.selectNodeContents(n);
      return range.getBoundingClientRect();
    }
  }
  return null;
}

function rgb(css) {
  const m = css.match(/[\d.]+/g).map(Number);
  return { c: m.slice(0, 3), a: m.length > 3 ? m[3] : 1 };
}

function luminance(c) {
  const [r, g, b] = c.map((v) => {
    v /= 255;
    return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

// The contrast of an element's letters with what is behind them (WCAG 2.1, 1.4.3).
function contrast(win, el) {
  let behind = win.getComputedStyle(win.document.documentElement).colorScheme === "dark" ? [18, 18, 18] : [255, 255, 255];
  for (let e = el; e; e = e.parentElement) {
    const bg = rgb(win.getComputedStyle(e).backgroundColor);
    if (bg.a > 0.5) {
      behind = bg.c;
      break;
    }
  }
  const a = luminance(rgb(win.getComputedStyle(el).color).c), b = luminance(behind);
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}

function look(frame) {
  const doc = frame.contentDocument, win = frame.contentWindow;
  // A font that is the same everywhere.
  const style = doc.createElement("style");
  style.textContent = '* { font-family: "DejaVu Sans" !important; font-size: 11px !important; }';
  doc.head.append(style);
  const found = [...doc.querySelectorAll("p")].filter((p) => p.textContent === frame.dataset.block);
  const out = { blocks: found.length, width: win.innerWidth };
  if (found.length !== 1) return out;
  const p = found[0], box = p.getBoundingClientRect(), css = win.getComputedStyle(p);
  const range = doc.createRange();
  range.selectNodeContents(p);
  const text = range.getBoundingClientRect();
  const quote = frame.dataset.quote ? find(doc, frame.dataset.quote) : null;
  const hit = doc.elementFromPoint((text.left + text.right) / 2, (text.top + text.bottom) / 2);
  return Object.assign(out, {
    top: box.top, bottom: box.bottom, left: text.left, right: text.right,
    shown: css.visibility === "visible" && css.opacity === "1" && text.width > 50 && text.height > 10 && p.contains(hit),
    contrast: contrast(win, p), direction: css.direction,
    quoteTop: quote ? quote.top : -1, inside: !!p.closest("a, table, blockquote, h1, h2, li"),
  });
}

addEventListener("load", () => {
  const all = {};
  for (const f of document.querySelectorAll("iframe")) all[f.dataset.name] = look(f);
  document.getElementById("result").textContent = JSON.stringify(all);
});
