/** Times and quantities as short text. Times are whole microseconds since the start of the history. */

/** An instant in seconds, with the digits that matter when `span` µs are on the screen. */
export function instant(at, span) {
  const digits = span < 2e4 ? 5 : span < 2e6 ? 3 : 2;
  return `${(at / 1e6).toFixed(digits)} s`;
}

export function duration(us) {
  if (us < 1e3) return `${us} µs`;
  if (us < 1e6) return `${(us / 1e3).toFixed(1)} ms`;
  return `${(us / 1e6).toFixed(2)} s`;
}

/** A measured value; a dash where there is none. */
export function quantity(value) {
  if (value === null) return "–";
  if (value >= 100) return value.toFixed(0);
  return value.toFixed(value >= 10 ? 1 : 2);
}

/** Text cut to `most` characters, with an ellipsis where it was cut. */
export const shortened = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

export const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
