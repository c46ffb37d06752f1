/** The timeline as one shape: backgrounds, shades, tracks, and the cross and selection of the pointer. */

import { GUTTER } from "./axis.mjs";
import { shades } from "./faults.mjs";
import { shortened } from "./format.mjs";
import { extent, shape, text } from "./shapes.mjs";
import { HEAD } from "./tracks.mjs";

/** `layout` is that of `layOut`; `chosen` is the stretch {from, to} to frame, or null. */
export function picture(run, layout, axis, chosen) {
  const { rows, height } = layout;
  const bottom = height - 4;
  const children = [
    ...rows.flatMap((row) => heading(axis, row)),
    ...shades(run, axis, HEAD + 3, bottom),
    ...rows.flatMap(({ track, y }) => track.draw(axis, y, bottom)),
    ...(chosen ? frame(axis, chosen, height) : []),
  ];
  return shape(
    "svg",
    { viewBox: `0 0 ${axis.width} ${height}`, height },
    {
      children: [
        shape("defs", {}, { children: PATTERNS }),
        shape("g", {}, { children }),
        shape("line", { y1: 30, y2: bottom, x1: -9, x2: -9, class: "cross", id: "cross" }),
        shape("rect", { class: "select", id: "select", y: 30, height: height - 34, width: 0, x: -9 }),
      ],
    },
  );
}

/** The name of a track, and the background of a lane. */
function heading(axis, { track, y }) {
  const ground = { x: GUTTER, y: y + 2, width: axis.inner, height: track.height - 4, class: "lane" };
  const middle = y + Math.min(track.height, 36) / 2 + (track.sub ? -2 : 4);
  return [
    ...(track.lane ? [shape("rect", ground)] : []),
    ...(track.name ? [text(shortened(track.name, 14), { x: 8, y: middle, class: "label" })] : []),
    ...(track.sub ? [text(track.sub, { x: 8, y: middle + 12, class: "sub" })] : []),
  ];
}

function frame(axis, chosen, height) {
  const box = extent(axis, chosen, 2);
  if (!box) return [];
  return [shape("rect", { x: box.left - 1, y: 55, width: box.width + 2, height: height - 58, class: "chosen" })];
}

const PATTERNS = [
  pattern("diagonal", 6, shape("path", { d: "M-1 7L7 -1M-1 1L1 -1M5 7L7 5", class: "hatch" })),
  pattern("dots", 5, shape("circle", { cx: 2.5, cy: 2.5, r: 1.3, fill: "var(--soft)" })),
  pattern("crossed", 6, shape("path", { d: "M-1 7L7 -1M-1 -1L7 7", class: "hatch", style: "stroke-width:.8" })),
];

function pattern(id, size, mark) {
  const ground = shape("rect", { width: size, height: size, fill: "var(--paper)" });
  return shape(
    "pattern",
    { id, width: size, height: size, patternUnits: "userSpaceOnUse" },
    { children: [ground, mark] },
  );
}
