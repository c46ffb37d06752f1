import assert from "node:assert/strict";
import { test } from "node:test";
import { ACTIONS, chosen, initial, KEYS, magnified, moved, shown, stepped, whole } from "../../templates/js/state.mjs";
import { fault, literalRun, S } from "./helpers.mjs";

const run = literalRun({ faults: [fault(S, 2 * S, { words: "first" }), fault(4 * S, 5 * S, { words: "second" })] });
const words = (state) => state.chosen?.words;

test("a page begins with the whole run and nothing chosen", () => {
  assert.deepEqual(initial(run), { view: { from: 0, to: 10 * S }, chosen: null, position: null });
});

test("stepping goes through the events and around the ends", () => {
  const first = stepped(initial(run), run, 1);
  assert.equal(words(first), "first");
  assert.equal(words(stepped(first, run, 1)), "second");
  assert.equal(words(stepped(stepped(first, run, 1), run, 1)), "first");
  assert.equal(words(stepped(first, run, -1)), "second");
  assert.equal(words(stepped(initial(run), run, -1)), "second");
});

test("without events a step changes nothing", () => {
  const calm = literalRun();
  assert.deepEqual(stepped(initial(calm), calm, 1), initial(calm));
});

test("an event of a table does not move the place in the events", () => {
  const state = chosen(stepped(initial(run), run, 1), run, { from: 8 * S, to: 9 * S, words: "from a table" });
  assert.deepEqual(state.view, { from: 7.4 * S, to: 9.6 * S });
  assert.equal(words(stepped(state, run, 1)), "second");
});

test("the whole run lets go of the event", () => {
  const state = whole(stepped(initial(run), run, 1), run);
  assert.equal(state.chosen, null);
  assert.deepEqual(state.view, initial(run).view);
});

test("zooming and moving keep the event framed", () => {
  const state = stepped(initial(run), run, 1);
  for (const changed of [magnified(state, run, 2), moved(state, run, 0.3), shown(state, run, 0, S)]) {
    assert.equal(changed.chosen, state.chosen);
    assert.notDeepEqual(changed.view, state.view);
  }
});

test("no change touches the state that it begins with", () => {
  const state = Object.freeze({ ...initial(run), view: Object.freeze({ from: S, to: 2 * S }) });
  for (const action of Object.values(ACTIONS)) action(state, run);
  assert.deepEqual(state.view, { from: S, to: 2 * S });
});

test("every key has an action", () => {
  for (const action of Object.values(KEYS)) assert.ok(ACTIONS[action], action);
});
