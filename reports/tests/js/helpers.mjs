/** A run as small as a page's data block can be, with what a test needs put into it. */
import { readRun } from "../../templates/js/run.mjs";

export const MS = 1e3;
export const S = 1e6;

export function literalRun(more = {}) {
  const nodes = more.nodes ?? ["n1"];
  const each = (value) => nodes.map(() => value);
  return readRun({
    end: 10 * S,
    nodes,
    servers: each(false),
    reigns: [],
    states: [],
    faults: [],
    overlaps: [],
    stalls: [],
    quiet: [],
    confirmed: true,
    confirms: [],
    answers: { width: S, answered: each("99999-0999"), leading: each("00000--999") },
    terms: each([]),
    series: [],
    ...more,
  });
}

export const fault = (begin, end, more = {}) => ({
  begin,
  end,
  effect: begin + 20 * MS,
  undo: end - 20 * MS,
  row: 0,
  kind: "cut",
  skipped: false,
  label: "halves (n1, n2)",
  short: "halves",
  words: "partition #1, halves",
  ...more,
});

/** The shapes of a class, and what is in them. */
export const ofClass = (shapes, kind) =>
  shapes.flatMap((each) => [
    ...((each.attributes.class ?? "").split(" ").includes(kind) ? [each] : []),
    ...ofClass(each.children, kind),
  ]);
