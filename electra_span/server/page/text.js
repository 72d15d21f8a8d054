// Places in texts. The server counts code points; JavaScript's strings count UTF-16 units.

/** Returns a text's code points, so that places of the server are indices. */
export const codePoints = (text) => Array.from(text);

/** Returns how many code points a text has. */
export const lengthOf = (text) => codePoints(text).length;

/**
 * Returns a text in parts, in order: {text, items}, items being empty between those that are marked.
 *
 * Items that overlap, such as the bytes of one character, share a part. Those without a character are left out.
 * @param {string} text - the whole of it.
 * @param {{start: number, end: number}[]} items - places in code points.
 */
export function partsOf(text, items) {
  const points = codePoints(text);
  const parts = [];
  const slice = (start, end) => points.slice(start, end).join("");
  let group = null;
  let end = 0;
  const closeGroup = () => {
    if (group) parts.push({ text: slice(group.start, group.end), items: group.items });
    group = null;
  };
  const places = items.filter((item) => item.end > item.start).sort((a, b) => a.start - b.start);
  for (const item of places) {
    if (group && item.start < group.end) {
      group.items.push(item);
      group.end = Math.max(group.end, item.end);
    } else {
      closeGroup();
      if (item.start > end) parts.push({ text: slice(end, item.start), items: [] });
      group = { start: item.start, end: item.end, items: [item] };
    }
    end = group.end;
  }
  closeGroup();
  if (end < points.length) parts.push({ text: slice(end), items: [] });
  return parts;
}

/**
 * Returns the words of a text and what is between them, as {text, start, isWord, isMask}; start in UTF-16 units.
 * @param {string} text - the whole of it.
 * @param {string} mask - the mask token, which is one part.
 */
export function wordsOf(text, mask) {
  const segmenter = new Intl.Segmenter(undefined, { granularity: "word" });
  const parts = [];
  let start = 0;
  text.split(mask).forEach((piece, index) => {
    if (index) {
      parts.push({ text: mask, start, isWord: false, isMask: true });
      start += mask.length;
    }
    for (const { segment, isWordLike } of segmenter.segment(piece)) {
      parts.push({ text: segment, start, isWord: Boolean(isWordLike), isMask: false });
      start += segment.length;
    }
  });
  return parts;
}

/** Returns a probability as people read it. */
export function percent(probability) {
  const value = 100 * probability;
  if (value > 0 && value < 0.1) return "below 0.1 %";
  if (value < 100 && value > 99.9) return "over 99.9 %";
  return `${value.toFixed(1)} %`;
}
