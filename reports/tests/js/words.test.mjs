import assert from "node:assert/strict";
import { test } from "node:test";
import { counted, duration, instant, quantity, shortened } from "../../templates/js/format.mjs";
import { compare, matches, numberIn, severity, sorted } from "../../templates/js/table.mjs";
import { beside } from "../../templates/js/tooltip.mjs";

test("an instant has as many digits as the screen can show", () => {
  assert.deepEqual(
    [6e7, 1e6, 1e4].map((span) => instant(1_234_567, span)),
    ["1.23 s", "1.235 s", "1.23457 s"],
  );
});

test("a duration has the unit of its size", () => {
  assert.deepEqual([999, 1_500, 2_500_000].map(duration), ["999 µs", "1.5 ms", "2.50 s"]);
});

test("a quantity has three digits, and a dash for none", () => {
  assert.deepEqual([null, 1.234, 12.34, 123.4].map(quantity), ["–", "1.23", "12.3", "123"]);
});

test("text is cut with an ellipsis, counts have their singular", () => {
  assert.equal(shortened("isolated-leader", 5), "isol…");
  assert.equal(shortened("halves", 6), "halves");
  assert.deepEqual([counted(1, "claim"), counted(2, "claim")], ["1 claim", "2 claims"]);
});

test("a row matches when it holds every word of the query", () => {
  assert.ok(matches("raft under kill, seed 7", "  SEED raft "));
  assert.ok(!matches("raft under kill", "raft pause"));
  assert.ok(matches("anything", ""));
});

test("verdicts are ordered worst first", () => {
  const verdicts = ["valid", "unreadable", "invalid", "unknown"];
  assert.deepEqual(sorted(verdicts, severity, true), ["invalid", "unknown", "unreadable", "valid"]);
});

test("numbers are ordered by size, with cells without one first", () => {
  assert.deepEqual(sorted(["10.0", "–", "9.5", ""], numberIn, true), ["–", "", "9.5", "10.0"]);
  assert.equal(compare(numberIn("–"), numberIn("")), 0);
});

test("texts are ordered by the numbers in them, and the other way when descending", () => {
  const rows = ["n10", "n9", "N1"];
  assert.deepEqual(
    sorted(rows, (row) => row, true),
    ["N1", "n9", "n10"],
  );
  assert.deepEqual(
    sorted(rows, (row) => row, false),
    ["n10", "n9", "N1"],
  );
  assert.deepEqual(rows, ["n10", "n9", "N1"]);
});

test("a tooltip stays in the window", () => {
  const window = { width: 1000, height: 800 };
  const size = { width: 200, height: 100 };
  assert.deepEqual(beside({ x: 100, y: 100 }, size, window), { left: 114, top: 118 });
  assert.deepEqual(beside({ x: 990, y: 790 }, size, window), { left: 792, top: 680 });
});
