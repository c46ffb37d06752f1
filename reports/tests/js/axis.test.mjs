import assert from "node:assert/strict";
import { test } from "node:test";
import {
  around,
  centred,
  GUTTER,
  panned,
  RIGHT,
  thinned,
  ticks,
  timeAxis,
  viewOf,
  zoomed,
} from "../../templates/js/axis.mjs";
import { S } from "./helpers.mjs";

const END = 60 * S;
const WIDTH = 1000;

test("pixels and instants are converted both ways, and clipped to the plot", () => {
  const axis = timeAxis({ from: 10 * S, to: 20 * S }, WIDTH);
  assert.equal(axis.x(10 * S), GUTTER);
  assert.equal(axis.x(20 * S), WIDTH - RIGHT);
  assert.equal(axis.timeAt(axis.x(13 * S)), 13 * S);
  assert.equal(axis.clip(-5), GUTTER);
  assert.equal(axis.clip(WIDTH), WIDTH - RIGHT);
});

test("a stretch is shown when any instant of it is, at either edge", () => {
  const axis = timeAxis({ from: 10, to: 20 }, WIDTH);
  assert.ok(axis.shows(0, 10) && axis.shows(20, 30) && axis.shows(0, 30));
  assert.ok(!axis.shows(0, 9) && !axis.shows(21, 30));
});

test("a view stays in the run and is never too narrow to read", () => {
  assert.deepEqual(viewOf(-5 * S, 5 * S, END), { from: 0, to: 10 * S });
  assert.deepEqual(viewOf(55 * S, 65 * S, END), { from: 50 * S, to: END });
  assert.deepEqual(viewOf(-1, 2 * END, END), { from: 0, to: END });
  const { from, to } = viewOf(S, S, END);
  assert.deepEqual([from, to], [S, S + 200]);
});

test("zooming keeps the instant under the pointer where it is", () => {
  const view = { from: 10 * S, to: 30 * S };
  const near = zoomed(view, 0.5, 25 * S, END);
  assert.deepEqual(near, { from: 17.5 * S, to: 27.5 * S });
  const share = (at, { from, to }) => (at - from) / (to - from);
  assert.equal(share(25 * S, near), share(25 * S, view));
  assert.deepEqual(zoomed(near, 2, 25 * S, END), view);
});

test("moving and centring keep the length of the view", () => {
  const view = { from: 10 * S, to: 30 * S };
  assert.deepEqual(panned(view, 0.5, END), { from: 20 * S, to: 40 * S });
  assert.deepEqual(panned(view, -5, END), { from: 0, to: 20 * S });
  assert.deepEqual(centred(view, 40 * S, END), { from: 30 * S, to: 50 * S });
});

test("an event is shown with a margin on both sides", () => {
  assert.deepEqual(around({ from: 10 * S, to: 20 * S }, END), { from: 4 * S, to: 26 * S });
  assert.deepEqual(around({ from: 10 * S, to: 10 * S }, END), { from: 9.99 * S, to: 10.01 * S });
});

test("ticks stand at round instants, some 90 pixels apart at least", () => {
  const labels = (from, to) => ticks(timeAxis({ from, to }, WIDTH), END).map((tick) => tick.label);
  assert.deepEqual(labels(0, 60 * S).slice(0, 3), ["0 s", "10 s", "20 s"]);
  assert.deepEqual(labels(1.5 * S, 2.3 * S), [
    "1.5 s",
    "1.6 s",
    "1.7 s",
    "1.8 s",
    "1.9 s",
    "2.0 s",
    "2.1 s",
    "2.2 s",
    "2.3 s",
  ]);
  assert.ok(ticks(timeAxis({ from: 0, to: 3600 * S }, WIDTH), 3600 * S).length <= 10);
});

test("of bars on one pixel one is drawn, and wide ones always are", () => {
  const axis = timeAxis({ from: 0, to: END }, WIDTH);
  const crowd = Array.from({ length: 10_000 }, (_, n) => ({ from: n, to: n + 1 }));
  assert.equal(thinned(axis, crowd).length, 1);
  const wide = [
    { from: 0, to: 30 * S },
    { from: 5 * S, to: 20 * S },
    { from: 70 * S, to: 80 * S },
  ];
  assert.deepEqual(thinned(axis, wide), wide.slice(0, 2));
});
