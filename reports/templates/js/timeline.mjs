/** The timeline on the page: holds the state, and redraws when it or the width changes. */

import { timeAxis } from "./axis.mjs";
import { instant } from "./format.mjs";
import { picture } from "./picture.mjs";
import { element } from "./shapes.mjs";
import { initial } from "./state.mjs";
import { layOut, trackAt, tracksOf } from "./tracks.mjs";

const LEAST_WIDTH = 320;

/** `onChange` is called with every new state. `change` redraws before it returns. */
export function makeTimeline(root, run, onChange) {
  const layout = layOut(tracksOf(run));
  let state = initial(run);
  let drawn = draw(root, run, layout, state);

  const redraw = () => {
    drawn = draw(root, run, layout, state);
  };
  redrawWhenResized(root, () => drawn.axis.width, redraw);
  return {
    root,
    run,
    state: () => state,
    axis: () => drawn.axis,
    change: (change) => {
      state = change(state);
      onChange(state);
      redraw();
    },
    /** The text of the tooltip at a position in pixels, with `target` the element there. */
    reading: (px, y, target) => {
      const at = drawn.axis.timeAt(px);
      const tip = drawn.tips[target.dataset?.tip];
      const lines = tip === undefined ? (trackAt(layout.rows, y)?.reading(at) ?? []) : [tip];
      return [instant(at, drawn.axis.span), ...lines].join("\n");
    },
  };
}

function draw(root, run, layout, { view, chosen }) {
  const axis = timeAxis(view, Math.max(root.clientWidth, LEAST_WIDTH));
  const tips = [];
  root.replaceChildren(element(picture(run, layout, axis, chosen), tips));
  return { axis, tips };
}

function redrawWhenResized(root, widthDrawn, redraw) {
  let waiting = 0;
  new ResizeObserver(() => {
    if (Math.abs(root.clientWidth - widthDrawn()) < 1) return;
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(redraw);
  }).observe(root);
}
