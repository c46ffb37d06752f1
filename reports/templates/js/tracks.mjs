/**
 * The tracks of the timeline from top to bottom. A track is {name, sub, lane, height, draw, reading}: `draw(axis, y,
 * bottom)` returns its shapes, and `reading(at)` the lines of its tooltip at an instant.
 */

import { faultBars, faultRowsHeight } from "./faults.mjs";
import { gapBars, overlapBars } from "./findings.mjs";
import { nodeLane, serverLane } from "./lanes.mjs";
import { overview } from "./overview.mjs";
import { ruler } from "./ruler.mjs";
import { seriesLines, valuesAt } from "./series.mjs";
import { termLines, termsAt } from "./terms.mjs";

/** The height of overview and ruler together, in pixels. */
export const HEAD = 54;

export function tracksOf(run) {
  return [
    track({ height: 30, draw: (axis, y) => overview(run, axis, y) }),
    track({ height: HEAD - 30, draw: (axis, y, bottom) => ruler(run, axis, y, bottom) }),
    track({ name: "faults", height: faultRowsHeight(run), draw: (axis, y) => faultBars(run, axis, y) }),
    findingsTrack("two leaders", run.overlaps.length ? null : "none proven", (axis, y) => overlapBars(run, axis, y)),
    findingsTrack("no leadership", run.confirmed ? null : "no confirmation", (axis, y) => gapBars(run, axis, y)),
    ...run.nodes.map((node) => (node.server ? serverTrack(node) : nodeTrack(run, node))),
    ...(run.nodes.some((node) => node.terms.length) ? [termTrack(run)] : []),
    ...run.series.map(seriesTrack),
  ];
}

const track = (given) => ({ name: "", sub: null, lane: false, reading: () => [], ...given });

const findingsTrack = (name, sub, draw) => track({ name, sub, height: sub ? 34 : 24, draw });

const serverTrack = (node) =>
  track({ name: `${node.name}, a server`, lane: true, height: 20, draw: (axis, y) => serverLane(node, axis, y) });

function nodeTrack(run, node) {
  const height = run.nodes.length > 9 ? 32 : 38;
  return track({ name: node.name, lane: true, height, draw: (axis, y) => nodeLane(run, node, axis, y, height) });
}

const termTrack = (run) =>
  track({
    name: "term",
    height: 84,
    draw: (axis, y) => termLines(run, axis, y, 84),
    reading: (at) => termsAt(run, at),
  });

const seriesTrack = (series) =>
  track({
    name: series.name,
    sub: series.unit,
    height: 74,
    draw: (axis, y) => seriesLines(series, axis, y, 74),
    reading: (at) => valuesAt(series, at),
  });

/** The tracks with their places below one another: {track, y}, and the height of all. */
export function layOut(tracks) {
  let height = 0;
  const rows = tracks.map((each) => {
    const row = { track: each, y: height };
    height += each.height;
    return row;
  });
  return { rows, height: height + 6 };
}

/** The track at a height in pixels. */
export const trackAt = (rows, y) => rows.filter((row) => row.y <= y).at(-1)?.track;
