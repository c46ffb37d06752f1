/** Which rows of a table to show, and in which order; rows and cells are plain text here. */

const SEVERITY = { invalid: 0, unknown: 1, unreadable: 2, valid: 3 };

/** Rank of a verdict, worst first. */
export const severity = (verdict) => SEVERITY[verdict];

/** Whether a text holds every word of a query, in any order and case. */
export function matches(text, query) {
  const lower = text.toLowerCase();
  const words = query.toLowerCase().split(/\s+/);
  return words.every((word) => lower.includes(word));
}

/** The number that a cell begins with; a cell without one comes before all others. */
export function numberIn(text) {
  const number = Number.parseFloat(text);
  return Number.isNaN(number) ? Number.NEGATIVE_INFINITY : number;
}

/** The order of two keys: numbers by size, texts by their letters and the numbers in them. */
export function compare(left, right) {
  return typeof left === "number" ? left - right || 0 : left.localeCompare(right, undefined, { numeric: true });
}

/** The rows by `keyOf`, those with equal keys as they stood. */
export function sorted(rows, keyOf, ascending) {
  const order = ascending ? 1 : -1;
  return [...rows].sort((a, b) => order * compare(keyOf(a), keyOf(b)));
}
