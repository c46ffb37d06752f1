/** The script of a report. The cost of drawing is bounded by the width in pixels, not by the length of the run. */

import { listenToButtons, listenToCopy, listenToKeys } from "./controls.mjs";
import { listen } from "./gestures.mjs";
import { readRun } from "./run.mjs";
import { makeTimeline } from "./timeline.mjs";
import { makeTooltip } from "./tooltip.mjs";

listenToCopy(document.getElementById("copy"), document.getElementById("command"));

const data = document.getElementById("run");
if (data) {
  const words = document.getElementById("chosen");
  const timeline = makeTimeline(document.getElementById("timeline"), readRun(JSON.parse(data.textContent)), (state) => {
    const said = state.chosen ? state.chosen.words.replaceAll("\n", "; ") : "";
    if (words.textContent !== said) words.textContent = said; // rewriting the same text would make screen readers repeat it
  });
  listenToButtons(timeline);
  listenToKeys(timeline);
  listen(timeline, makeTooltip());
}
