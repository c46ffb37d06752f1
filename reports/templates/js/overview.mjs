/** The overview strip: faults and overlaps of the whole run, and a frame around the current view. */

import { GUTTER, timeAxis } from "./axis.mjs";
import { shape } from "./shapes.mjs";

export function overview(run, axis, y) {
  const whole = timeAxis({ from: 0, to: run.end }, axis.width);
  const block = ({ from, to }, top, height, least, attributes) =>
    shape("rect", {
      x: whole.x(from),
      y: top,
      width: Math.max(whole.x(to) - whole.x(from), least),
      height,
      ...attributes,
    });
  const shapes = [
    shape("rect", { x: GUTTER, y: y + 6, width: axis.inner, height: 16, class: "lane", "data-overview": 1 }),
    ...run.faults.map((fault) => block(fault, y + 6, 16, 1, { class: "fault-shade" })),
    ...run.overlaps.map((item) => block(item, y + 4, 20, 2, { class: "overlap", "pointer-events": "none" })),
  ];
  const zoomedIn = axis.from > 0 || axis.to < run.end;
  return zoomedIn ? [...shapes, block(axis, y + 4, 20, 3, { class: "overview-window", "data-overview": 1 })] : shapes;
}
