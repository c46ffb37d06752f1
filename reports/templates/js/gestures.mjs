/** Pointer input on the timeline: drag to select or pan, wheel to zoom, hover for the tooltip. */

import { GUTTER, RIGHT, timeAxis } from "./axis.mjs";
import { magnified, moved, movedTo, shown } from "./state.mjs";

const CLICK = 5; // a drag of up to this many pixels is a click

/** Listens on `timeline.root`. `timeline` is that of `makeTimeline`, `tooltip` that of `makeTooltip`. */
export function listen(timeline, tooltip) {
  const { root, run } = timeline;
  let drag = null;

  root.addEventListener(
    "wheel",
    (event) => {
      if (!(event.ctrlKey || event.metaKey || document.activeElement === root)) return;
      event.preventDefault();
      const at = timeline.axis().timeAt(pixel(root, event));
      timeline.change((state) => wheeled(state, run, event, at, timeline.axis().width));
    },
    { passive: false },
  );
  root.addEventListener("dblclick", () => timeline.change((state) => magnified(state, run, 2)));
  root.addEventListener("pointerdown", (event) => {
    const px = pixel(root, event);
    if (event.button !== 0 || px < GUTTER) return;
    root.focus({ preventScroll: true });
    drag = { start: px, view: timeline.state().view, mode: modeOf(event) };
    if (event.pointerType !== "touch") root.setPointerCapture(event.pointerId);
    if (drag.mode === "overview") follow(timeline, drag, px);
  });
  root.addEventListener("pointermove", (event) => {
    if (drag) follow(timeline, drag, pixel(root, event));
    read(timeline, tooltip, event);
  });
  const drop = (event) => {
    if (drag?.mode === "select") select(timeline, drag, event);
    drag = null;
  };
  root.addEventListener("pointerup", drop);
  root.addEventListener("pointercancel", drop);
  root.addEventListener("pointerleave", () => {
    tooltip.hide();
    moveCross(-9);
  });
}

const pixel = (root, event) => event.clientX - root.getBoundingClientRect().left;

function modeOf(event) {
  if (event.target.hasAttribute?.("data-overview")) return "overview";
  return event.shiftKey ? "pan" : "select";
}

function wheeled(state, run, { deltaX, deltaY }, at, width) {
  if (Math.abs(deltaX) > Math.abs(deltaY)) return moved(state, run, deltaX / width);
  return magnified(state, run, Math.exp(Math.max(-1, Math.min(1, deltaY / 250))), at);
}

/** The effect of a drag in progress. */
function follow(timeline, drag, px) {
  const { run } = timeline;
  const axis = timeline.axis();
  switch (drag.mode) {
    case "overview":
      timeline.change((state) => movedTo(state, run, timeAxis({ from: 0, to: run.end }, axis.width).timeAt(px)));
      break;
    case "pan": {
      const by = ((drag.start - px) / axis.inner) * (drag.view.to - drag.view.from);
      timeline.change((state) => shown(state, run, drag.view.from + by, drag.view.to + by));
      break;
    }
    default: {
      const [left, right] = selected(axis, drag, px);
      setAttributes("select", { x: left, width: right - left });
    }
  }
}

/** The end of a selection: zooms to it, unless it was a click. */
function select(timeline, drag, event) {
  const px = pixel(timeline.root, event);
  if (event.type !== "pointerup" || Math.abs(px - drag.start) <= CLICK) {
    setAttributes("select", { width: 0 });
    return;
  }
  const axis = timeline.axis();
  const [from, to] = selected(axis, drag, px).map(axis.timeAt);
  timeline.change((state) => shown(state, timeline.run, from, to));
}

const selected = (axis, { start }, px) => [axis.clip(Math.min(px, start)), axis.clip(Math.max(px, start))];

function read(timeline, tooltip, event) {
  const { left, top } = timeline.root.getBoundingClientRect();
  const px = event.clientX - left;
  if (px < GUTTER || px > timeline.axis().width - RIGHT) {
    tooltip.hide();
    return;
  }
  moveCross(px);
  tooltip.show(timeline.reading(px, event.clientY - top, event.target), event.clientX, event.clientY);
}

const moveCross = (px) => setAttributes("cross", { x1: px, x2: px });

function setAttributes(id, attributes) {
  const element = document.getElementById(id);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
}
