/** Reads the data block of a page into objects with named fields. */

/** The run; every interval has `from` and `to` in µs. */
export function readRun(raw) {
  const faults = raw.faults.map(({ begin, end, ...fault }) => ({ ...fault, from: begin, to: end }));
  const reigns = raw.reigns.map(readReign);
  const nodeFaults = raw.node_faults.map(([node, from, to, kind, fault]) => ({
    node,
    from,
    to,
    kind,
    tip: faults[fault].words,
  }));
  const incidents = raw.incidents.map(([node, from, to, kind, words]) => ({ node, from, to, kind, words, tip: words }));
  const nodes = raw.nodes.map((name, node) => ({
    name,
    server: raw.servers[node],
    reigns: reigns.filter((reign) => reign.node === node),
    faults: [...nodeFaults, ...incidents].filter((fault) => fault.node === node),
    confirms: summed(raw.confirms[node] ?? []),
    answered: raw.answers.answered[node],
    leading: raw.answers.leading[node],
    terms: raw.terms[node].map(([at, term]) => ({ at, term })),
  }));
  return {
    end: Math.max(raw.end, 1),
    nodes,
    faults,
    overlaps: raw.overlaps,
    stalls: raw.stalls,
    quiet: raw.quiet.map(([from, to]) => ({ from, to })),
    confirmed: raw.confirmed,
    answerBin: raw.answers.width,
    series: raw.series,
    events: byTime([...raw.overlaps, ...raw.stalls, ...faults, ...incidents]),
  };
}

function readReign([node, from, first, last, to, label, colour, claims, line, keyed]) {
  return { node, from, first, last, to, label, colour, claims, line, keyed: Boolean(keyed) };
}

/** The running sum of steps. */
export function summed(steps) {
  let at = 0;
  return steps.map((step) => {
    at += step;
    return at;
  });
}

function byTime(items) {
  const events = items.map(({ from, to, words }) => ({ from, to, words }));
  return events.sort((a, b) => a.from - b.from || a.to - b.to);
}

/** The index ranges [first, last] without a null. */
export function stretches(values) {
  const found = [];
  values.forEach((value, place) => {
    if (value === null) return;
    const open = found.at(-1);
    if (open && open[1] === place - 1) open[1] = place;
    else found.push([place, place]);
  });
  return found;
}
