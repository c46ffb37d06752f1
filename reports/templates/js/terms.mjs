/** The track of terms: one stepped line a node. */

import { GUTTER } from "./axis.mjs";
import { shape, text } from "./shapes.mjs";

const COLOURS = ["blue", "vermillion", "green", "purple", "orange", "sky", "ink"];

export function termLines(run, axis, y, height) {
  const all = run.nodes.flatMap((node) => node.terms.map((step) => step.term));
  const low = Math.min(...all);
  const high = Math.max(...all, low + 1);
  const level = (term) => y + height - 8 - ((term - low) / (high - low)) * (height - 14);
  const scale = [high, low].map((term) =>
    text(String(term), { x: GUTTER - 6, y: level(term) + 4, "text-anchor": "end", class: "sub" }),
  );
  return [...scale, ...run.nodes.flatMap((node, number) => termLine(run, axis, node, number, level))];
}

function termLine(run, axis, node, number, level) {
  // Nodes usually agree: half a pixel apart they stay visible as separate lines.
  const aside = (number - (run.nodes.length - 1) / 2) * Math.min(0.8, 5 / run.nodes.length);
  const path = stepped(axis, node.terms, run.end, (term) => level(term) + aside);
  if (!path) return [];
  const look = {
    d: path,
    class: "series term-line",
    stroke: `var(--${COLOURS[number % COLOURS.length]})`,
    "stroke-dasharray": number < COLOURS.length ? "" : "4 2",
    style: "stroke-width:1.2",
  };
  return [shape("path", look)];
}

/** The path of a value that holds from each step to the next. */
function stepped(axis, steps, end, level) {
  const corners = steps.flatMap(({ at, term }, place) => {
    const until = place + 1 < steps.length ? steps[place + 1].at : end;
    if (!axis.shows(at, until)) return [];
    const y = level(term).toFixed(1);
    return [axis.clip(axis.x(at)), axis.clip(axis.x(until))].map((px) => `${px.toFixed(1)} ${y}`);
  });
  return corners.length ? `M${corners.join("L")}` : "";
}

/** The term of each node at an instant, in words. */
export function termsAt(run, at) {
  const nodes = run.nodes.filter((node) => !node.server);
  return nodes.map(({ name, terms }) => {
    const step = terms.filter((each) => each.at <= at).at(-1);
    return `${name}: ${step ? `term ${step.term}` : "not yet observed"}`;
  });
}
