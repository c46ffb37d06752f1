/** Filtering and sorting of table rows, on plain text. */

const SEVERITY = { invalid: 0, unknown: 1, unreadable: 2, valid: 3 };

/** Rank of a verdict, worst first. */
export const severity = (verdict) => SEVERITY[verdict];

/** True when the text contains every word of the query, in any order and case. */
export function matches(text, query) {
  const lower = text.toLowerCase();
  const words = query.toLowerCase().split(/\s+/);
  return words.every((word) => lower.includes(word));
}

/** The number that a cell begins with; minus infinity without one, so that such cells come first. */
export function numberIn(text) {
  const number = Number.parseFloat(text);
  return Number.isNaN(number) ? Number.NEGATIVE_INFINITY : number;
}

/** Compares two keys: numbers by value, texts alphabetically with embedded numbers by value. */
export function compare(left, right) {
  return typeof left === "number" ? left - right || 0 : left.localeCompare(right, undefined, { numeric: true });
}

/** The rows by `keyOf`; the sort is stable. */
export function sorted(rows, keyOf, ascending) {
  const order = ascending ? 1 : -1;
  return [...rows].sort((a, b) => order * compare(keyOf(a), keyOf(b)));
}
