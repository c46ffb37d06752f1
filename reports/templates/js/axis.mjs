/** The time axis: the part of the run that is on the screen, and where its instants are in pixels. */

export const GUTTER = 104;
export const RIGHT = 14;
const NARROWEST = 200;

/** The conversions between µs and pixels for a view {from, to} that is `width` pixels wide. */
export function timeAxis({ from, to }, width) {
  const inner = width - GUTTER - RIGHT;
  return {
    from,
    to,
    width,
    inner,
    span: to - from,
    x: (at) => GUTTER + ((at - from) / (to - from)) * inner,
    timeAt: (px) => from + ((px - GUTTER) / inner) * (to - from),
    shows: (start, end) => end >= from && start <= to,
    clip: (px) => Math.min(Math.max(px, GUTTER), width - RIGHT),
  };
}

/** The view [from, to], moved and widened where needed so that it lies in [0, end] and is never too narrow. */
export function viewOf(from, to, end) {
  const span = Math.min(Math.max(to - from, NARROWEST), end);
  const start = Math.min(Math.max(from, 0), end - span);
  return { from: start, to: start + span };
}

/** The view magnified by 1/factor, with the instant `at` staying at its place. */
export function zoomed({ from, to }, factor, at, end) {
  const start = at - (at - from) * factor;
  return viewOf(start, start + (to - from) * factor, end);
}

/** The view moved by a share of its length. */
export function panned({ from, to }, share, end) {
  return viewOf(from + share * (to - from), to + share * (to - from), end);
}

/** The view of the same length with `at` in its middle. */
export function centred({ from, to }, at, end) {
  return viewOf(at - (to - from) / 2, at + (to - from) / 2, end);
}

/** The view of an event, with a margin on both sides. */
export function around({ from, to }, end) {
  const margin = Math.max((to - from) * 0.6, 1e4);
  return viewOf(from - margin, to + margin, end);
}

const DECIMAL_STEPS = [1, 2, 5].flatMap((m) => Array.from({ length: 10 }, (_, power) => m * 10 ** (power + 1)));
const STEPS = [...DECIMAL_STEPS, 3e7, 6e7, 12e7, 3e8, 6e8, 18e8, 36e8].sort((a, b) => a - b);

/** Tick marks at round intervals, at least some 90 pixels apart, with their labels in seconds. */
export function ticks({ from, to, width }, end) {
  const step = STEPS.find((each) => (to - from) / each < (width - GUTTER) / 90) || end;
  const digits = Math.max(0, Math.min(5, 6 - Math.floor(Math.log10(step))));
  const found = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    found.push({ at, label: `${(at / 1e6).toFixed(digits)} s` });
  }
  return found;
}

/** The rows {from, to} to draw: of several on one pixel only the first, so that the work is bounded by the width. */
export function thinned(axis, rows) {
  const kept = [];
  let last = Number.NEGATIVE_INFINITY;
  for (const row of rows) {
    if (!axis.shows(row.from, row.to)) continue;
    const right = Math.floor(axis.x(row.to));
    if (right <= last && row.to - row.from < axis.span / axis.width) continue;
    kept.push(row);
    last = right;
  }
  return kept;
}
