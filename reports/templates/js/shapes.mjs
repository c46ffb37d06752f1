/** Drawings as plain values. Only `element` touches the document, and it adds text as text, never as markup. */

const LETTER = 5.9; // pixels that a letter takes in a label

/** A shape {name, attributes, text, tip, children}; `tip` is the text of its tooltip. */
export const shape = (name, attributes = {}, { text, tip, children = [] } = {}) => ({
  name,
  attributes,
  text,
  tip,
  children,
});

export const text = (words, attributes) => shape("text", attributes, { text: words });

/** The SVG element of a shape. Tooltips are appended to `tips`; the attribute `data-tip` holds their index. */
export function element({ name, attributes, text, tip, children }, tips) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (tip) made.setAttribute("data-tip", tips.push(tip) - 1);
  if (text !== undefined) made.textContent = text;
  made.append(...children.map((child) => element(child, tips)));
  return made;
}

/** The position of an interval in pixels, at least `least` wide; null when it is off the screen. */
export function extent(axis, { from, to }, least = 1) {
  if (!axis.shows(from, to)) return null;
  const left = axis.clip(axis.x(from));
  return { left, width: Math.max(axis.clip(axis.x(to)) - left, least) };
}

/** A bar for an interval: one shape, or none when it is off the screen. */
export function bar(axis, stretch, { y, height, kind, tip, least = 1 }) {
  const box = extent(axis, stretch, least);
  if (!box) return [];
  return [shape("rect", { x: box.left.toFixed(2), y, width: box.width.toFixed(2), height, class: kind }, { tip })];
}

/** The number of letters that fit into a width in pixels. */
export const lettersIn = (width) => Math.floor(width / LETTER);

/** The width in pixels of a text. */
export const widthOf = (words) => words.length * LETTER;

/** Centred text on a bar: one shape, or none when it does not fit. */
export function caption(axis, stretch, { y, kind, words, least = 1 }) {
  const box = extent(axis, stretch, least);
  if (!box || box.width <= widthOf(words) + 4) return [];
  return [text(words, { x: (box.left + box.width / 2).toFixed(1), y, class: kind, "text-anchor": "middle" })];
}

/** A bar with text on it. */
export const labelled = (axis, stretch, { words, textY, textKind, ...look }) => [
  ...bar(axis, stretch, look),
  ...caption(axis, stretch, { y: textY, kind: textKind, words, least: look.least }),
];
