/** The data block of a page, with names in place of positions. Nothing here knows of pixels. */

/** A run as it is drawn: every stretch of time has `from` and `to` in µs. */
export function readRun(raw) {
  const faults = raw.faults.map(({ begin, end, ...fault }) => ({ ...fault, from: begin, to: end }));
  const reigns = raw.reigns.map(readReign);
  const states = raw.states.map(([node, from, to, kind, fault]) => ({
    node,
    from,
    to,
    kind,
    tip: faults[fault].words,
  }));
  const nodes = raw.nodes.map((name, node) => ({
    name,
    server: raw.servers[node],
    reigns: reigns.filter((reign) => reign.node === node),
    states: states.filter((state) => state.node === node),
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
    events: byTime([...raw.overlaps, ...raw.stalls, ...faults]),
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

/** The stretches [first, last] of neighbouring places that hold a value. */
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
