/** The lanes of findings: overlaps of two leaders, gaps between confirmations, and stalls. */

import { thinned } from "./axis.mjs";
import { duration, instant } from "./format.mjs";
import { labelled } from "./shapes.mjs";

export const overlapBars = (run, axis, y) =>
  run.overlaps.flatMap((item) => finding(axis, item, y, { kind: "overlap", textKind: "bar-text" }));

export const gapBars = (run, axis, y) => [
  ...thinned(axis, run.quiet).flatMap((gap) => gapBar(axis, gap, y)),
  ...run.stalls.flatMap((item) => finding(axis, item, y, { kind: "stall", textKind: "stall-text" })),
];

function finding(axis, item, y, kinds) {
  return labelled(axis, item, {
    ...kinds,
    y: y + 3,
    height: 17,
    tip: item.words,
    least: 4,
    textY: y + 15.5,
    words: item.label,
  });
}

function gapBar(axis, gap, y) {
  const words = duration(gap.to - gap.from);
  const tip = `no confirmation for ${words}\n${instant(gap.from, axis.span)} to ${instant(gap.to, axis.span)}`;
  return labelled(axis, gap, {
    y: y + 6,
    height: 12,
    kind: "quiet",
    tip,
    least: 2,
    textY: y + 15.5,
    textKind: "bar-text",
    words,
  });
}
