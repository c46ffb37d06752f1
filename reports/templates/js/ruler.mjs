/** The time axis as a ruler, with grid lines down to the bottom of the drawing. */

import { GUTTER, RIGHT, ticks } from "./axis.mjs";
import { shape, text } from "./shapes.mjs";

export function ruler(run, axis, y, bottom) {
  const marks = ticks(axis, run.end).flatMap(({ at, label }) => [
    shape("line", { x1: axis.x(at), x2: axis.x(at), y1: y + 18, y2: bottom, class: "gridline" }),
    text(label, { x: axis.x(at), y: y + 13, "text-anchor": "middle", class: "sub" }),
  ]);
  const line = shape("line", { x1: GUTTER, x2: axis.width - RIGHT, y1: y + 20, y2: y + 20, class: "axis" });
  return [...marks, line];
}
