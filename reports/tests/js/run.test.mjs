import assert from "node:assert/strict";
import { test } from "node:test";
import { stretches, summed } from "../../templates/js/run.mjs";
import { fault, literalRun, S } from "./helpers.mjs";

test("each node has its own reigns, faults, confirmations and terms, by name", () => {
  const run = literalRun({
    nodes: ["n1", "n2"],
    reigns: [[1, 1, 2, 3, 4, "term 7", 1, 5, 42, 1]],
    faults: [fault(S, 2 * S)],
    node_faults: [[0, 10, 20, "cut", 0]],
    incidents: [[0, 30, 40, "down", "n1 ended by itself (exit status 3)"]],
    confirms: [[5, 3, 2], []],
    terms: [[[1, 7]], []],
  });
  const [n1, n2] = run.nodes;
  assert.deepEqual(n1.reigns, []);
  const reign = {
    node: 1,
    from: 1,
    first: 2,
    last: 3,
    to: 4,
    label: "term 7",
    colour: 1,
    claims: 5,
    line: 42,
    keyed: true,
  };
  assert.deepEqual(n2.reigns, [reign]);
  const ended = "n1 ended by itself (exit status 3)";
  assert.deepEqual(n1.faults, [
    { node: 0, from: 10, to: 20, kind: "cut", tip: "partition #1, halves" },
    { node: 0, from: 30, to: 40, kind: "down", tip: ended, words: ended },
  ]);
  assert.deepEqual(n1.confirms, [5, 8, 10]);
  assert.deepEqual(n1.terms, [{ at: 1, term: 7 }]);
});

test("an empty history still has a length", () => assert.equal(literalRun({ end: 0 }).end, 1));

test("confirmations that are too many to draw are absent", () => {
  assert.deepEqual(literalRun({ confirms: [] }).nodes[0].confirms, []);
});

test("the events to step through are in order of time, of whatever kind", () => {
  const item = (from, to, words) => ({ from, to, words, label: "" });
  const run = literalRun({
    overlaps: [item(5, 9, "c")],
    stalls: [item(5, 6, "b")],
    faults: [fault(1, 100, { words: "a" })],
  });
  assert.deepEqual(
    run.events.map((event) => event.words),
    ["a", "b", "c"],
  );
});

test("steps are summed", () => assert.deepEqual(summed([5, 3, 2]), [5, 8, 10]));

test("holes divide values into stretches", () => {
  assert.deepEqual(stretches([null, 1, 0, null, 3]), [
    [1, 2],
    [4, 4],
  ]);
  assert.deepEqual(stretches([null, null]), []);
});
