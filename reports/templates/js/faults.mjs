/** The faults: labelled bars in separate rows, and shades across all lanes. */

import { shortened } from "./format.mjs";
import { bar, extent, lettersIn, shape, text, widthOf } from "./shapes.mjs";

const ROW = 20;

export const faultRowsHeight = (run) => (1 + Math.max(0, ...run.faults.map((fault) => fault.row))) * ROW + 6;

export const faultBars = (run, axis, y) =>
  run.faults.flatMap((fault) => faultBar(axis, fault, y + 3 + fault.row * ROW));

function faultBar(axis, fault, top) {
  const look = { y: top, height: 17, kind: `fault state-${fault.kind}`, tip: fault.words, least: 2 };
  return [...bar(axis, fault, look), ...faultName(axis, fault, top)];
}

/** The name of a fault on a blank plate, so that it is legible on the hatching. */
function faultName(axis, fault, top) {
  const box = extent(axis, fault, 2);
  const fits = box ? lettersIn(box.width - 12) : 0;
  if (fits < 2) return [];
  const words = shortened(fault.label.length <= fits ? fault.label : fault.short, fits);
  const plate = {
    x: box.left + 2,
    y: top + 1.5,
    width: Math.min(widthOf(words) + 8, box.width - 4),
    height: 14,
    rx: 3,
    fill: "var(--paper)",
    "pointer-events": "none",
  };
  return [shape("rect", plate), text(words, { x: box.left + 6, y: top + 12, class: "fault-text" })];
}

/** Shades of faults and overlaps between `top` and `bottom`, drawn over the background of the lanes and under their bars. */
export function shades(run, axis, top, bottom) {
  const height = bottom - top;
  const faults = run.faults.filter((fault) => !fault.skipped);
  return [
    ...faults.flatMap((fault) => [
      ...bar(axis, fault, { y: top, height, kind: "fault-shade" }),
      ...faultEdges(axis, fault, top, bottom),
    ]),
    ...run.overlaps.flatMap((item) => bar(axis, item, { y: top, height, kind: "overlap-shade", least: 2 })),
  ];
}

/** Lines where the fault came into effect and where its undoing began; none where they would coincide. */
function faultEdges(axis, fault, y1, y2) {
  if (axis.x(fault.to) - axis.x(fault.from) <= 25) return [];
  const edges = [fault.effect, fault.undo].filter((at) => at !== null && axis.shows(at, at));
  return edges.map((at) => shape("line", { x1: axis.x(at), x2: axis.x(at), y1, y2, class: "fault-edge" }));
}
