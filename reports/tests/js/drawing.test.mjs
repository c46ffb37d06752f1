import assert from "node:assert/strict";
import { test } from "node:test";
import { GUTTER, timeAxis } from "../../templates/js/axis.mjs";
import { evenStretches, nodeLane, reignWords } from "../../templates/js/lanes.mjs";
import { picture } from "../../templates/js/picture.mjs";
import { scaleOf, seriesLines, valuesAt } from "../../templates/js/series.mjs";
import { bar, caption } from "../../templates/js/shapes.mjs";
import { termsAt } from "../../templates/js/terms.mjs";
import { layOut, trackAt, tracksOf } from "../../templates/js/tracks.mjs";
import { fault, literalRun, ofClass, S } from "./helpers.mjs";

const AXIS = timeAxis({ from: 0, to: 10 * S }, 1118); // 100 pixels a second

const drawn = (run, axis = AXIS, chosen = null) => [picture(run, layOut(tracksOf(run)), axis, chosen)];

test("a bar is clipped to the plot, and one that is not on the screen is not drawn", () => {
  const look = { y: 0, height: 5, kind: "overlap", least: 4 };
  const [whole] = bar(AXIS, { from: -S, to: 20 * S }, look);
  assert.deepEqual([whole.attributes.x, whole.attributes.width], ["104.00", "1000.00"]);
  const [instant] = bar(AXIS, { from: S, to: S }, look);
  assert.equal(instant.attributes.width, "4.00");
  assert.deepEqual(bar(AXIS, { from: 11 * S, to: 12 * S }, look), []);
});

test("words stand in a bar only where they fit", () => {
  const words = { y: 0, kind: "bar-text", words: "term 7" };
  assert.equal(caption(AXIS, { from: 0, to: S }, words)[0].text, "term 7");
  assert.deepEqual(caption(AXIS, { from: 0, to: S / 4 }, words), []);
});

test("a reign is drawn where it is possible and where it is certain", () => {
  const reigns = [[0, S, 2 * S, 6 * S, 7 * S, "term 7", 1, 5, 42, 1]];
  const run = literalRun({ reigns });
  const shapes = nodeLane(run, run.nodes[0], AXIS, 0, 38);
  const [possible] = ofClass(shapes, "possible");
  const [certain] = ofClass(shapes, "definite");
  assert.deepEqual([possible.attributes.x, possible.attributes.width], ["204.00", "600.00"]);
  assert.deepEqual([certain.attributes.x, certain.attributes.width], ["304.00", "400.00"]);
  assert.match(
    certain.tip,
    /^n1 leads, term 7\ncertainly 2.00 s to 6.00 s\npossibly 1.00 s to 7.00 s\n5 claims, .* line 42$/,
  );
  assert.equal(ofClass(shapes, "bar-text")[0].text, "term 7");
});

test("a reign with no certain instant is hatched between its claims, without a name", () => {
  const run = literalRun({ reigns: [[0, S, 6 * S, 2 * S, 7 * S, "term 7", 1, 1, 42, 1]] });
  const shapes = nodeLane(run, run.nodes[0], AXIS, 0, 38);
  assert.deepEqual(ofClass(shapes, "definite"), []);
  assert.equal(ofClass(shapes, "claimed")[0].attributes.x, "304.00");
  assert.deepEqual(ofClass(shapes, "bar-text"), []);
});

test("claims without a key are called claims", () => {
  const reign = { label: "claims", from: 0, first: S, last: 2 * S, to: 3 * S, claims: 1, line: 3, keyed: false };
  const words =
    "n1 claims to lead\nclaims from 1.00 s to 2.00 s\npossibly 0.00 s to 3.00 s\n1 claim, the first in line 3";
  assert.equal(reignWords("n1", reign, 10 * S), words);
});

test("bins with the same shares of answers are one stretch, and silent ones none", () => {
  assert.deepEqual(evenStretches({ answered: "99-0599", leading: "00--099" }, 0, 6), [
    { from: 0, to: 1, share: 9, leading: 0 },
    { from: 4, to: 4, share: 5, leading: 0 },
    { from: 5, to: 6, share: 9, leading: 9 },
  ]);
  assert.deepEqual(evenStretches({ answered: "9", leading: "-" }, 0, 0), [{ from: 0, to: 0, share: 9, leading: null }]);
});

test("confirmations closer than a pixel and a half are one tick", () => {
  const near = literalRun({ confirms: [[S, 1000, S]] });
  const [path] = ofClass(nodeLane(near, near.nodes[0], AXIS, 0, 38), "confirm");
  assert.equal(path.attributes.d.match(/M/g).length, 2);
});

test("a fault has its longest name that fits, and none where nothing fits", () => {
  const name = (to) => ofClass(drawn(literalRun({ faults: [fault(S, to)] })), "fault-text")[0]?.text;
  assert.equal(name(3 * S), "halves (n1, n2)");
  assert.equal(name(1.6 * S), "halves");
  assert.equal(name(1.4 * S), "hal…");
  assert.equal(name(1.1 * S), undefined);
});

test("a fault that was skipped shades nothing", () => {
  const shades = (more) => ofClass(drawn(literalRun({ faults: [fault(S, 2 * S, more)] })), "fault-shade").length;
  assert.equal(shades({}), 2); // in the overview, and over the lanes
  assert.equal(shades({ skipped: true }), 1);
});

test("the edges of a fault are drawn once they can be told apart", () => {
  const edges = (axis) => ofClass(drawn(literalRun({ faults: [fault(S, 1.2 * S)] }), axis), "fault-edge").length;
  assert.equal(edges(AXIS), 0);
  assert.equal(edges(timeAxis({ from: 0, to: 3 * S }, 1118)), 2);
});

test("the chosen event is framed while it is on the screen", () => {
  const frame = (axis) => ofClass(drawn(literalRun(), axis, { from: S, to: 2 * S }), "chosen").length;
  assert.equal(frame(AXIS), 1);
  assert.equal(frame(timeAxis({ from: 5 * S, to: 6 * S }, 1118)), 0);
});

test("the overview shows which part of the run is on the screen", () => {
  assert.equal(ofClass(drawn(literalRun()), "overview-window").length, 0);
  const [window] = ofClass(drawn(literalRun(), timeAxis({ from: 5 * S, to: 10 * S }, 1118)), "overview-window");
  assert.deepEqual([window.attributes.x, window.attributes.width], [GUTTER + 500, 500]);
});

const SERIES = {
  name: "observe",
  unit: "latency, ms",
  width: S,
  log: true,
  band: [0, 1],
  lines: [
    { name: "median, ms", values: [1, 10, null, 1] },
    { name: "99th percentile, ms", values: [10, 100, null, 10] },
  ],
};

test("a logarithmic scale gives each power of ten the same height", () => {
  const scale = scaleOf(SERIES, 0, 100);
  assert.deepEqual([1, 10, 100].map(scale.level), [100, 50, 0]);
  const flat = scaleOf({ lines: [{ values: [null, null] }] }, 0, 100);
  assert.equal(flat.level(0), 100);
});

test("a hole in the values is a hole in the line and in the area", () => {
  const shapes = seriesLines(SERIES, AXIS, 0, 74);
  assert.equal(ofClass(shapes, "band").length, 2);
  const path = ofClass(shapes, "s0")[0].attributes.d;
  assert.equal(path.match(/M/g).length, 2);
  assert.ok(path.endsWith("h1.5")); // a value between holes is a dash
});

test("a track reads out its values at an instant", () => {
  assert.deepEqual(valuesAt(SERIES, 1.5 * S), ["median, ms: 10.0", "99th percentile, ms: 100"]);
  assert.deepEqual(valuesAt(SERIES, 2.5 * S), ["median, ms: –", "99th percentile, ms: –"]);
  assert.deepEqual(valuesAt(SERIES, 99 * S), ["median, ms: –", "99th percentile, ms: –"]);
});

test("the term of each node at an instant is read out, and no server's", () => {
  const terms = [
    [
      [S, 1],
      [3 * S, 2],
    ],
    [[2 * S, 5]],
    [],
  ];
  const run = literalRun({ nodes: ["n1", "n2", "s1"], servers: [false, false, true], terms });
  assert.deepEqual(termsAt(run, 1.5 * S), ["n1: term 1", "n2: not yet observed"]);
  assert.deepEqual(termsAt(run, 9 * S), ["n1: term 2", "n2: term 5"]);
});

test("tracks lie below one another, and a height belongs to one of them", () => {
  const run = literalRun({ nodes: ["n1", "s1"], servers: [false, true], terms: [[[0, 1]], []], series: [SERIES] });
  const { rows, height } = layOut(tracksOf(run));
  const names = rows.map((row) => row.track.name);
  assert.deepEqual(names, ["", "", "faults", "two leaders", "no leadership", "n1", "s1, a server", "term", "observe"]);
  for (const row of rows) assert.equal(trackAt(rows, row.y + 1), row.track);
  const last = rows.at(-1);
  assert.equal(height, last.y + last.track.height + 6);
});
