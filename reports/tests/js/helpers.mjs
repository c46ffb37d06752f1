/** Minimal runs for tests, with fields overridden as needed. */
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
    node_faults: [],
    incidents: [],
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

/** The shapes of a class at any depth. */
export const ofClass = (shapes, kind) =>
  shapes.flatMap((each) => [
    ...((each.attributes.class ?? "").split(" ").includes(kind) ? [each] : []),
    ...ofClass(each.children, kind),
  ]);
