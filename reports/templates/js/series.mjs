/** A track of measured values (rates, latencies or lateness), one value per bin, with its scale. */

import { GUTTER, RIGHT } from "./axis.mjs";
import { quantity } from "./format.mjs";
import { stretches } from "./run.mjs";
import { shape, text } from "./shapes.mjs";

export function seriesLines(series, axis, y, height) {
  const scale = scaleOf(series, y + 8, height - 18);
  return [
    ...scaleMarks(axis, scale),
    ...(series.band ? bandArea(series, axis, scale) : []),
    ...series.lines.flatMap((line, number) => valueLine(series, axis, scale, line, number)),
  ];
}

/** The scale from values to pixels: linear from zero, or logarithmic from the least value. */
export function scaleOf(series, top, height) {
  const values = series.lines.flatMap((line) => line.values).filter((value) => value !== null);
  const most = Math.max(...values, 1e-9);
  const least = series.log ? Math.min(...values.filter((value) => value > 0), most / 10) : 0;
  const share = series.log
    ? (value) => Math.log(Math.max(value, least) / least) / Math.log(most / least)
    : (value) => value / most;
  return { most, least, top, bottom: top + height, level: (value) => top + height * (1 - share(value)) };
}

function scaleMarks(axis, { most, least, top, bottom }) {
  const mark = (words, y) => text(words, { x: GUTTER - 6, y, "text-anchor": "end", class: "sub" });
  const line = { x1: GUTTER, x2: axis.width - RIGHT, y1: bottom, y2: bottom, class: "gridline" };
  return [mark(quantity(most), top + 4), mark(least ? quantity(least) : "0", bottom + 2), shape("line", line)];
}

/** The points of the bins from `from` to `to` that are on the screen or next to it. */
function points(series, axis, scale, values, [from, to]) {
  const found = [];
  for (let bin = from; bin <= to; bin++) {
    const centre = (bin + 0.5) * series.width;
    if (!axis.shows(centre - series.width, centre + series.width)) continue;
    found.push(`${axis.clip(axis.x(centre)).toFixed(1)} ${scale.level(values[bin]).toFixed(1)}`);
  }
  return found;
}

/** The area between two of the lines. */
function bandArea(series, axis, scale) {
  const [low, high] = series.band.map((number) => series.lines[number].values);
  return stretches(low).flatMap((stretch) => {
    const there = points(series, axis, scale, high, stretch);
    const back = points(series, axis, scale, low, stretch).reverse();
    return there.length ? [shape("path", { d: `M${[...there, ...back].join("L")}Z`, class: "band" })] : [];
  });
}

function valueLine(series, axis, scale, { values }, number) {
  const path = stretches(values).map((stretch) => {
    const joined = points(series, axis, scale, values, stretch).join("L");
    const alone = stretch[0] === stretch[1] ? "h1.5" : "";
    return joined && `M${joined}${alone}`;
  });
  return path.some(Boolean) ? [shape("path", { d: path.join(""), class: `series s${number}` })] : [];
}

/** The values at an instant, in words. */
export function valuesAt({ lines, width }, at) {
  const bin = Math.floor(at / width);
  return lines.map((line) => `${line.name}: ${quantity(line.values[bin] ?? null)}`);
}
