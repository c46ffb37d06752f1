/**
 * The state of the timeline as a value {view, chosen, position}: the visible part of the run, the framed event or null,
 * and the index of the event last stepped to or null. Transitions are pure and return a new state.
 */

import { around, centred, panned, viewOf, zoomed } from "./axis.mjs";

export const initial = (run) => ({ view: viewOf(0, run.end, run.end), chosen: null, position: null });

export const shown = (state, run, from, to) => ({ ...state, view: viewOf(from, to, run.end) });

export function magnified(state, run, factor, at = (state.view.from + state.view.to) / 2) {
  return { ...state, view: zoomed(state.view, factor, at, run.end) };
}

export const moved = (state, run, share) => ({ ...state, view: panned(state.view, share, run.end) });

export const movedTo = (state, run, at) => ({ ...state, view: centred(state.view, at, run.end) });

export const whole = (state, run) => ({ ...state, view: viewOf(0, run.end, run.end), chosen: null });

/** Frames an event {from, to, words} and zooms to it. */
export const chosen = (state, run, event) => ({ ...state, chosen: event, view: around(event, run.end) });

/** Steps to the next (1) or previous (-1) event; initially to the first or the last. */
export function stepped(state, run, by) {
  const count = run.events.length;
  if (!count) return state;
  const last = state.position ?? (by > 0 ? -1 : 0);
  const position = (last + by + count) % count;
  return { ...chosen(state, run, run.events[position]), position };
}

/** The transitions behind the buttons and keys, by name. */
export const ACTIONS = {
  in: (state, run) => magnified(state, run, 0.5),
  out: (state, run) => magnified(state, run, 2),
  left: (state, run) => moved(state, run, -0.3),
  right: (state, run) => moved(state, run, 0.3),
  all: whole,
  next: (state, run) => stepped(state, run, 1),
  previous: (state, run) => stepped(state, run, -1),
};

export const KEYS = {
  "+": "in",
  "=": "in",
  "-": "out",
  _: "out",
  0: "all",
  Home: "all",
  ArrowLeft: "left",
  ArrowRight: "right",
  n: "next",
  p: "previous",
};
