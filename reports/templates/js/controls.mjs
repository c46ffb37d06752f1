/** The buttons and keys of the timeline, the buttons in the tables that show a finding on it, and the copy button. */

import { ACTIONS, chosen, KEYS } from "./state.mjs";

export function listenToButtons(timeline) {
  for (const button of document.querySelectorAll("[data-do]")) {
    button.addEventListener("click", () => act(timeline, button.dataset.do));
  }
  for (const button of document.querySelectorAll(".show")) {
    button.addEventListener("click", () => show(timeline, button.dataset));
  }
}

export function listenToKeys(timeline) {
  timeline.root.addEventListener("keydown", (event) => {
    const action = KEYS[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey || !action) return;
    event.preventDefault();
    act(timeline, action);
  });
}

const act = (timeline, action) => timeline.change((state) => ACTIONS[action](state, timeline.run));

function show(timeline, { from, to, words }) {
  timeline.change((state) => chosen(state, timeline.run, { from: Number(from), to: Number(to), words }));
  timeline.root.scrollIntoView({ block: "nearest" });
  timeline.root.focus({ preventScroll: true });
}

/** Lets a hidden button copy the text of an element, where the browser can. */
export function listenToCopy(button, source) {
  if (!(button && navigator.clipboard)) return;
  const say = (words) => () => {
    button.textContent = words;
  };
  button.hidden = false;
  button.addEventListener("click", () =>
    navigator.clipboard.writeText(source.textContent).then(say("copied"), say("could not copy")),
  );
}
