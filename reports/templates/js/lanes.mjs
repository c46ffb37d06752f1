/** The lane of a node: reigns, confirmations, share of answered observations, and faults. */

import { thinned } from "./axis.mjs";
import { counted, instant } from "./format.mjs";
import { bar, caption, shape } from "./shapes.mjs";

export function nodeLane(run, node, axis, y, height) {
  const main = height - 18;
  const base = y + main + 7;
  return [
    ...thinned(axis, node.reigns).flatMap((reign) => reignBars(axis, node, reign, y + 2, main)),
    ...confirmMarks(axis, node.confirms, base - 4.5),
    ...answerLine(run, axis, node, base + 1),
    ...faultBars(axis, node, base + 4, 5),
  ];
}

/** The lane of a server, which is never observed: only its faults. */
export const serverLane = (node, axis, y) => faultBars(axis, node, y + 6, 8);

const faultBars = (axis, node, y, height) =>
  thinned(axis, node.faults).flatMap((fault) =>
    bar(axis, fault, { y, height, kind: `state-${fault.kind}`, tip: fault.tip, least: 2 }),
  );

/** A reign: its possible interval, and on it the certain one (or the span of claims without a key). */
function reignBars(axis, node, reign, y, height) {
  const tip = reignWords(node.name, reign, axis.span);
  const colour = `c${reign.colour}`;
  const certain = reign.first <= reign.last;
  const inner = certain ? { from: reign.first, to: reign.last } : { from: reign.last, to: reign.first };
  const kind = `${certain && reign.keyed ? "definite" : "claimed"} ${colour}`;
  const label = { y: y + height / 2 + 4, kind: `bar-text ${colour}`, words: reign.label };
  return [
    ...bar(axis, reign, { y, height, kind: `possible ${colour}`, tip }),
    ...bar(axis, inner, { y, height, kind, tip }),
    ...(certain ? caption(axis, inner, label) : []),
  ];
}

export function reignWords(name, { label, from, first, last, to, claims, line, keyed }, span) {
  const time = (at) => instant(at, span);
  const [low, high] = first <= last ? [first, last] : [last, first];
  const certain = first <= last ? `certainly ${time(first)} to ${time(last)}` : "no instant is certain";
  return [
    keyed ? `${name} leads, ${label}` : `${name} claims to lead`,
    keyed ? certain : `claims from ${time(low)} to ${time(high)}`,
    `possibly ${time(from)} to ${time(to)}`,
    `${counted(claims, "claim")}, the first in line ${line}`,
  ].join("\n");
}

/** One path of ticks, at least a pixel and a half apart. */
function confirmMarks(axis, times, y) {
  let path = "";
  let last = -1;
  for (const at of times) {
    if (!axis.shows(at, at)) continue;
    const px = Math.round(axis.x(at) * 2) / 2;
    if (px - last < 1.5) continue;
    path += `M${px} ${y}v4`;
    last = px;
  }
  return path ? [shape("path", { d: path, class: "confirm", "pointer-events": "none" })] : [];
}

/** A line whose thickness is the share of observations that the node answered. */
function answerLine(run, axis, node, y) {
  const bin = run.answerBin;
  const first = Math.max(0, Math.floor(axis.from / bin));
  const last = Math.min(node.answered.length - 1, Math.floor(axis.to / bin));
  return evenStretches(node, first, last).flatMap(({ from, to, share, leading }) => {
    const height = 0.6 + (2.4 * share) / 9;
    const stretch = { from: from * bin, to: Math.min((to + 1) * bin, run.end) };
    return bar(axis, stretch, {
      y: y + (3 - height) / 2,
      height,
      kind: "answered",
      tip: answerWords(node.name, share, leading),
    });
  });
}

/** Ranges of bins with equal shares (in ninths), without those that have no answer. */
export function evenStretches({ answered, leading }, first, last) {
  const found = [];
  for (let from = first; from <= last; ) {
    let to = from;
    while (to < last && answered[to + 1] === answered[from] && leading[to + 1] === leading[from]) to++;
    if (answered[from] !== "0" && answered[from] !== "-") {
      found.push({
        from,
        to,
        share: Number(answered[from]),
        leading: leading[from] === "-" ? null : Number(leading[from]),
      });
    }
    from = to + 1;
  }
  return found;
}

function answerWords(name, share, leading) {
  const percent = (ninths) => `${Math.round((ninths / 9) * 100)} %`;
  const claims = leading === null ? "" : `, claiming to lead in ${percent(leading)} of its answers`;
  return `${name} answered about ${percent(share)} of the observations here${claims}`;
}
