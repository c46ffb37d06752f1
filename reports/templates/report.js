"use strict";
/* The timeline: one time axis for faults, leadership, terms, rates and latencies.
 * Times are whole microseconds since the start of the history. Every word from the run enters the page as text,
 * never as markup. What is drawn is bounded by the width in pixels, not by the length of the run. */
(() => {
  const copy = document.getElementById("copy");
  if (copy && navigator.clipboard) {
    copy.hidden = false;
    copy.addEventListener("click", () =>
      navigator.clipboard.writeText(document.getElementById("command").textContent).then(
        () => { copy.textContent = "copied"; }, () => { copy.textContent = "could not copy"; }));
  }
  const holder = document.getElementById("run");
  if (!holder) return;
  const run = JSON.parse(holder.textContent);
  const root = document.getElementById("timeline");
  const chosenWords = document.getElementById("chosen");
  const GUTTER = 104, RIGHT = 14, END = Math.max(run.end, 1), NARROWEST = 200, LETTER = 5.9;
  const view = { from: 0, to: END };
  let width = 0, tips = [], chosen = null, layout = [];

  /* ---- small tools ---- */
  const node = (name, attributes, words) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) element.setAttribute(key, attributes[key]);
    if (words !== undefined) element.textContent = words;
    return element;
  };
  const x = (at) => GUTTER + (at - view.from) / (view.to - view.from) * (width - GUTTER - RIGHT);
  const timeAt = (px) => view.from + (px - GUTTER) / (width - GUTTER - RIGHT) * (view.to - view.from);
  const shown = (from, to) => to >= view.from && from <= view.to;
  const clip = (px) => Math.min(Math.max(px, GUTTER), width - RIGHT);
  const seconds = (at) => {
    const span = view.to - view.from;
    return (at / 1e6).toFixed(span < 2e4 ? 5 : span < 2e6 ? 3 : 2) + " s";
  };
  const lasting = (us) => us < 1e3 ? us + " µs" : us < 1e6 ? (us / 1e3).toFixed(1) + " ms" : (us / 1e6).toFixed(2) + " s";
  const figure = (value) => value === null ? "–" : value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
  const tip = (words) => tips.push(words) - 1;

  const bar = (parent, from, to, y, height, classes, words, least = 1) => {
    if (!shown(from, to)) return null;
    const left = clip(x(from)), right = clip(x(to));
    const attributes = { x: left.toFixed(2), y, width: Math.max(right - left, least).toFixed(2), height, class: classes };
    if (words) attributes["data-tip"] = tip(words);
    const element = node("rect", attributes);
    parent.append(element);
    return { left, width: Math.max(right - left, least) };
  };
  const write = (parent, box, y, classes, words) => {
    if (box && box.width > LETTER * words.length + 4)
      parent.append(node("text", { x: (box.left + box.width / 2).toFixed(1), y, class: classes, "text-anchor": "middle" }, words));
  };
  /* Bars in one row that fall on the same pixel are drawn once: bounded work for any number of them. */
  const thinned = (rows, start, end) => {
    const kept = [];
    let last = -Infinity;
    for (const row of rows) {
      if (!shown(row[start], row[end])) continue;
      const right = Math.floor(x(row[end]));
      if (right <= last && row[end] - row[start] < (view.to - view.from) / width) continue;
      kept.push(row);
      last = right;
    }
    return kept;
  };

  /* ---- the tracks, from top to bottom ---- */
  const laneHeight = run.nodes.length > 9 ? 32 : 38;
  const faultRows = 1 + Math.max(0, ...run.faults.map((fault) => fault.row));
  const reignsOf = run.nodes.map((_, i) => run.reigns.filter((reign) => reign[0] === i));
  const statesOf = run.nodes.map((_, i) => run.states.filter((state) => state[0] === i));
  const confirmsOf = run.confirms.map((steps) => { let at = 0; return steps.map((step) => (at += step)); });
  const tracks = [
    { name: "", height: 30, draw: drawOverview },
    { name: "", height: 24, draw: drawAxis },
    { name: "faults", height: faultRows * 20 + 6, draw: drawFaults },
    { name: "two leaders", sub: run.overlaps.length ? null : "none proven", height: run.overlaps.length ? 24 : 34, draw: drawOverlaps },
    { name: "no leadership", sub: run.confirmed ? null : "nothing confirmed", height: run.confirmed ? 24 : 34, draw: drawQuiet },
    ...run.nodes.map((name, i) => run.servers[i]
      ? { name: name + ", a server", lane: true, height: 20, draw: (group, y, track) => drawStates(group, y + 6, 8, i) }
      : { name, lane: true, height: laneHeight, draw: (group, y, track) => drawLane(group, y, track, i) }),
    ...(run.terms.some((steps) => steps.length) ? [{ name: "term", height: 84, draw: drawTerms }] : []),
    ...run.series.map((series) => ({ name: series.name, sub: series.unit, height: 74, draw: (g, y, t) => drawSeries(g, y, t, series) })),
  ];

  function drawOverview(group, y) {
    const whole = (at) => GUTTER + at / END * (width - GUTTER - RIGHT);
    group.append(node("rect", { x: GUTTER, y: y + 6, width: width - GUTTER - RIGHT, height: 16, class: "lane", "data-overview": 1 }));
    for (const fault of run.faults)
      group.append(node("rect", { x: whole(fault.begin), y: y + 6, width: Math.max(whole(fault.end) - whole(fault.begin), 1), height: 16, class: "fault-shade" }));
    for (const item of run.overlaps)
      group.append(node("rect", { x: whole(item.from), y: y + 4, width: Math.max(whole(item.to) - whole(item.from), 2), height: 20, class: "overlap", "pointer-events": "none" }));
    if (view.from > 0 || view.to < END)
      group.append(node("rect", { x: whole(view.from), y: y + 4, width: Math.max(whole(view.to) - whole(view.from), 3), height: 20, class: "overview-window", "data-overview": 1 }));
  }

  function drawAxis(group, y, track, bottom) {
    const steps = [1, 2, 5].flatMap((m) => Array.from({ length: 10 }, (_, i) => m * 10 ** (i + 1))).concat([6e7, 3e7, 12e7, 3e8, 6e8, 18e8, 36e8]).sort((a, b) => a - b);
    const step = steps.find((s) => (view.to - view.from) / s < (width - GUTTER) / 90) || END;
    const digits = Math.max(0, Math.min(5, 6 - Math.floor(Math.log10(step))));
    for (let at = Math.ceil(view.from / step) * step; at <= view.to; at += step) {
      group.append(node("line", { x1: x(at), x2: x(at), y1: y + 18, y2: bottom, class: "gridline" }));
      group.append(node("text", { x: x(at), y: y + 13, "text-anchor": "middle", class: "sub" }, (at / 1e6).toFixed(digits) + " s"));
    }
    group.append(node("line", { x1: GUTTER, x2: width - RIGHT, y1: y + 20, y2: y + 20, class: "axis" }));
  }

  function drawFaults(group, y) {
    run.faults.forEach((fault) => {
      const top = y + 3 + fault.row * 20;
      const box = bar(group, fault.begin, fault.end, top, 17, "fault state-" + fault.kind, fault.words, 2);
      if (!box) return;
      const fits = Math.floor((box.width - 12) / LETTER);
      if (fits < 2) return;
      const label = fault.label.length <= fits ? fault.label : fault.short;
      const words = label.length <= fits ? label : label.slice(0, fits - 1) + "…";
      group.append(node("rect", { x: box.left + 2, y: top + 1.5, width: Math.min(words.length * LETTER + 8, box.width - 4), height: 14, rx: 3, fill: "var(--paper)", "pointer-events": "none" }));
      group.append(node("text", { x: box.left + 6, y: top + 12, class: "fault-text" }, words));
    });
  }

  function drawOverlaps(group, y) {
    for (const item of run.overlaps) {
      const box = bar(group, item.from, item.to, y + 3, 17, "overlap", item.words, 4);
      write(group, box, y + 15.5, "bar-text", item.label);
    }
  }

  /* Faults and overlaps run down through everything, above the lanes' ground and below what stands in them. */
  function drawShades(group, bottom) {
    const top = 54 + 3;
    for (const fault of run.faults.filter((fault) => !fault.skipped)) {
      bar(group, fault.begin, fault.end, top, bottom - top, "fault-shade");
      const edges = x(fault.end) - x(fault.begin) > 25 ? [fault.effect, fault.undo] : [];
      for (const at of edges)
        if (at !== null && at >= view.from && at <= view.to)
          group.append(node("line", { x1: x(at), x2: x(at), y1: top, y2: bottom, class: "fault-edge" }));
    }
    for (const item of run.overlaps) bar(group, item.from, item.to, top, bottom - top, "overlap-shade", null, 2);
  }

  function drawQuiet(group, y) {
    for (const row of thinned(run.quiet, 0, 1)) {
      const box = bar(group, row[0], row[1], y + 6, 12, "quiet", "nothing was confirmed for " + lasting(row[1] - row[0]) + "\n" + seconds(row[0]) + " to " + seconds(row[1]), 2);
      write(group, box, y + 15.5, "bar-text", lasting(row[1] - row[0]));
    }
    for (const item of run.stalls) {
      const box = bar(group, item.from, item.to, y + 3, 17, "stall", item.words, 4);
      write(group, box, y + 15.5, "stall-text", item.label);
    }
  }

  function drawLane(group, y, track, i) {
    const height = track.height - 4, main = height - 14, base = y + 2 + main + 5;
    for (const reign of thinned(reignsOf[i], 1, 4)) {
      const [, earliest, first, last, latest, label, colour, claims, line, keyed] = reign;
      const told = run.nodes[i] + (keyed ? " leads, " + label : " claims to lead") + "\n"
        + (keyed ? (first <= last ? "surely " + seconds(first) + " to " + seconds(last) : "no instant is certain")
          : "claims from " + seconds(last < first ? last : first) + " to " + seconds(last < first ? first : last))
        + "\npossibly " + seconds(earliest) + " to " + seconds(latest)
        + "\n" + claims + (claims === 1 ? " claim" : " claims") + ", the first in line " + line;
      bar(group, earliest, latest, y + 2, main, "possible c" + colour, told);
      let box = null;
      if (first <= last) box = bar(group, first, last, y + 2, main, (keyed ? "definite c" : "claimed c") + colour, told);
      else bar(group, last, first, y + 2, main, "claimed c" + colour, told);
      write(group, box, y + main / 2 + 6, "bar-text c" + colour, label);
    }
    drawConfirms(group, base - 4.5, i);
    drawAnswers(group, base + 1, i);
    drawStates(group, base + 4, 5, i);
  }

  function drawStates(group, y, height, i) {
    for (const [, from, to, kind, fault] of thinned(statesOf[i], 1, 2)) bar(group, from, to, y, height, "state-" + kind, run.faults[fault].words, 2);
  }

  /* A thin line: thick where the node answered every observation, thinner or absent where it did not. */
  function drawAnswers(group, y, i) {
    const { width: bin, answered, leading } = run.answers, shares = answered[i], leads = leading[i];
    const first = Math.max(0, Math.floor(view.from / bin)), last = Math.min(shares.length - 1, Math.floor(view.to / bin));
    for (let from = first; from <= last; ) {
      let to = from;
      while (to < last && shares[to + 1] === shares[from] && leads[to + 1] === leads[from]) to++;
      const share = shares[from];
      if (share !== "0" && share !== "-") {
        const thick = 0.6 + 2.4 * Number(share) / 9;
        const words = run.nodes[i] + " answered about " + Math.round(Number(share) / 9 * 100) + " % of the observations here"
          + (leads[from] === "-" ? "" : ", claiming to lead in " + Math.round(Number(leads[from]) / 9 * 100) + " % of its answers");
        bar(group, from * bin, Math.min((to + 1) * bin, END), y + (3 - thick) / 2, thick, "answered", words);
      }
      from = to + 1;
    }
  }

  function drawConfirms(group, y, i) {
    const times = confirmsOf[i];
    if (!times) return;
    let path = "", last = -1;
    for (const at of times) {
      if (at < view.from || at > view.to) continue;
      const px = Math.round(x(at) * 2) / 2;
      if (px - last < 1.5) continue;
      path += "M" + px + " " + y + "v4";
      last = px;
    }
    if (path) group.append(node("path", { d: path, class: "confirm", "pointer-events": "none" }));
  }

  function drawTerms(group, y, track) {
    const all = run.terms.flat().map((step) => step[1]);
    const low = Math.min(...all), high = Math.max(...all, low + 1), height = track.height - 14;
    const level = (term) => y + 6 + height - (term - low) / (high - low) * height;
    group.append(node("text", { x: GUTTER - 6, y: level(high) + 4, "text-anchor": "end", class: "sub" }, String(high)));
    group.append(node("text", { x: GUTTER - 6, y: level(low) + 4, "text-anchor": "end", class: "sub" }, String(low)));
    run.terms.forEach((steps, i) => {
      let path = "";
      // Nodes usually agree: half a pixel apart they stay visible as separate lines.
      const aside = (i - (run.terms.length - 1) / 2) * Math.min(0.8, 5 / run.terms.length);
      steps.forEach(([at, term], k) => {
        const until = k + 1 < steps.length ? steps[k + 1][0] : END;
        if (!shown(at, until)) return;
        const left = clip(x(at)), right = clip(x(until)), at_y = (level(term) + aside).toFixed(1);
        path += (path ? "L" : "M") + left.toFixed(1) + " " + at_y + "L" + right.toFixed(1) + " " + at_y;
      });
      if (path) group.append(node("path", { d: path, class: "series term-line", stroke: "var(--" + ["blue", "vermillion", "green", "purple", "orange", "sky", "ink"][i % 7] + ")", "stroke-dasharray": i < 7 ? "" : "4 2", style: "stroke-width:1.2" }));
    });
  }

  function drawSeries(group, y, track, series) {
    const values = series.lines.flatMap((line) => line.values).filter((value) => value !== null);
    const top = Math.max(...values, series.limit || 0, 1e-9), height = track.height - 18;
    const floor = series.log ? Math.min(...values.filter((value) => value > 0), top / 10) : 0;
    const level = (value) => {
      const share = series.log ? Math.log(Math.max(value, floor) / floor) / Math.log(top / floor) : value / top;
      return y + 8 + height * (1 - share);
    };
    group.append(node("text", { x: GUTTER - 6, y: y + 12, "text-anchor": "end", class: "sub" }, figure(top)));
    group.append(node("text", { x: GUTTER - 6, y: y + 10 + height, "text-anchor": "end", class: "sub" }, series.log ? figure(floor) : "0"));
    group.append(node("line", { x1: GUTTER, x2: width - RIGHT, y1: y + 8 + height, y2: y + 8 + height, class: "gridline" }));
    if (series.limit) group.append(node("line", { x1: GUTTER, x2: width - RIGHT, y1: level(series.limit), y2: level(series.limit), class: "limit" }));
    const centre = (k) => (k + 0.5) * series.width;
    if (series.band) {
      const [low, high] = series.band.map((k) => series.lines[k].values);
      for (const [from, to] of stretches(low)) {
        let there = "", back = "";
        for (let k = from; k <= to; k++) {
          if (!shown(centre(k) - series.width, centre(k) + series.width)) continue;
          there += (there ? "L" : "M") + clip(x(centre(k))).toFixed(1) + " " + level(high[k]).toFixed(1);
          back = "L" + clip(x(centre(k))).toFixed(1) + " " + level(low[k]).toFixed(1) + back;
        }
        if (there) group.append(node("path", { d: there + back + "Z", class: "band" }));
      }
    }
    series.lines.forEach((line, which) => {
      let path = "";
      for (const [from, to] of stretches(line.values)) {
        let pen = "M";
        for (let k = from; k <= to; k++) {
          if (!shown(centre(k) - series.width, centre(k) + series.width)) continue;
          path += pen + clip(x(centre(k))).toFixed(1) + " " + level(line.values[k]).toFixed(1);
          pen = "L";
        }
        if (from === to && path) path += "h1.5";
      }
      if (path) group.append(node("path", { d: path, class: "series s" + which }));
    });
  }

  function stretches(values) {
    const found = [];
    values.forEach((value, k) => {
      if (value === null) return;
      if (found.length && found[found.length - 1][1] === k - 1) found[found.length - 1][1] = k;
      else found.push([k, k]);
    });
    return found;
  }

  /* ---- putting them together ---- */
  function draw() {
    width = Math.max(root.clientWidth, 320);
    tips = [];
    layout = [];
    const total = tracks.reduce((sum, track) => sum + track.height, 0) + 6;
    const svg = node("svg", { viewBox: "0 0 " + width + " " + total, height: total });
    svg.append(patterns());
    const group = node("g", {});
    svg.append(group);
    let y = 0;
    for (const track of tracks) {
      layout.push({ track, y });
      if (track.lane) group.append(node("rect", { x: GUTTER, y: y + 2, width: width - GUTTER - RIGHT, height: track.height - 4, class: "lane" }));
      if (track.name) {
        const words = track.name.length > 14 ? track.name.slice(0, 13) + "…" : track.name;
        const middle = y + Math.min(track.height, 36) / 2 + (track.sub ? -2 : 4);
        group.append(node("text", { x: 8, y: middle, class: "label" }, words));
        if (track.sub) group.append(node("text", { x: 8, y: middle + 12, class: "sub" }, track.sub));
      }
      y += track.height;
    }
    drawShades(group, total - 4);
    for (const { track, y: top } of layout) track.draw(group, top, track, total - 4);
    if (chosen && shown(chosen.from, chosen.to)) {
      const left = clip(x(chosen.from)), right = clip(x(chosen.to));
      group.append(node("rect", { x: left - 1, y: 55, width: Math.max(right - left, 2) + 2, height: total - 58, class: "chosen" }));
    }
    const cross = node("line", { y1: 30, y2: total - 4, x1: -9, x2: -9, class: "cross", id: "cross" });
    svg.append(cross, node("rect", { class: "select", id: "select", y: 30, height: total - 34, width: 0, x: -9 }));
    root.replaceChildren(svg);
  }

  function patterns() {
    const defs = node("defs", {});
    const pattern = (id, size, ...marks) => {
      const element = node("pattern", { id, width: size, height: size, patternUnits: "userSpaceOnUse" });
      element.append(node("rect", { width: size, height: size, fill: "var(--paper)" }), ...marks);
      defs.append(element);
    };
    pattern("diagonal", 6, node("path", { d: "M-1 7L7 -1M-1 1L1 -1M5 7L7 5", class: "hatch" }));
    pattern("dots", 5, node("circle", { cx: 2.5, cy: 2.5, r: 1.3, fill: "var(--soft)" }));
    pattern("crossed", 6, node("path", { d: "M-1 7L7 -1M-1 -1L7 7", class: "hatch", style: "stroke-width:.8" }));
    return defs;
  }

  function show(from, to) {
    const span = Math.min(Math.max(to - from, NARROWEST), END);
    view.from = Math.min(Math.max(from, 0), END - span);
    view.to = view.from + span;
    draw();
  }
  const zoom = (factor, at = (view.from + view.to) / 2) =>
    show(at - (at - view.from) * factor, at - (at - view.from) * factor + (view.to - view.from) * factor);
  const pan = (share) => show(view.from + share * (view.to - view.from), view.to + share * (view.to - view.from));

  /* ---- events worth stepping through ---- */
  const events = [
    ...run.overlaps.map((item) => ({ from: item.from, to: item.to, words: item.words })),
    ...run.stalls.map((item) => ({ from: item.from, to: item.to, words: item.words })),
    ...run.faults.map((item) => ({ from: item.begin, to: item.end, words: item.words })),
  ].sort((a, b) => a.from - b.from || a.to - b.to);
  let position = -1;
  function step(by) {
    if (!events.length) return;
    position = (position + by + events.length) % events.length;
    if (position < 0) position = events.length - 1;
    choose(events[position]);
  }
  function choose(event) {
    chosen = event;
    chosenWords.textContent = event.words.replaceAll("\n", "; ");
    const around = Math.max((event.to - event.from) * 0.6, 1e4);
    show(event.from - around, event.to + around);
  }

  const actions = {
    in: () => zoom(0.5), out: () => zoom(2), left: () => pan(-0.3), right: () => pan(0.3), all: () => { chosen = null; show(0, END); },
    next: () => step(1), previous: () => step(position < 0 ? 0 : -1),
  };
  document.querySelectorAll("[data-do]").forEach((button) => button.addEventListener("click", actions[button.dataset.do]));
  document.querySelectorAll(".show").forEach((button) => button.addEventListener("click", () => {
    choose({ from: Number(button.dataset.from), to: Number(button.dataset.to), words: button.dataset.words });
    root.scrollIntoView({ block: "nearest" });
    root.focus({ preventScroll: true });
  }));
  const keys = { "+": "in", "=": "in", "-": "out", "_": "out", "0": "all", Home: "all", ArrowLeft: "left", ArrowRight: "right", n: "next", p: "previous" };
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    actions[keys[event.key]]();
  });

  /* ---- pointer ---- */
  const bubble = document.createElement("div");
  bubble.className = "tip";
  bubble.hidden = true;
  document.body.append(bubble);
  const where = (event) => event.clientX - root.getBoundingClientRect().left;
  let drag = null;

  root.addEventListener("wheel", (event) => {
    if (!(event.ctrlKey || event.metaKey || document.activeElement === root)) return;
    event.preventDefault();
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan(event.deltaX / width);
    else zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY / 250))), timeAt(where(event)));
  }, { passive: false });
  root.addEventListener("dblclick", () => zoom(2));
  root.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || where(event) < GUTTER) return;
    root.focus({ preventScroll: true });
    const overview = event.target.hasAttribute && event.target.hasAttribute("data-overview");
    drag = { start: where(event), from: view.from, to: view.to, mode: overview ? "overview" : event.shiftKey ? "pan" : "select" };
    if (event.pointerType !== "touch") root.setPointerCapture(event.pointerId);
    if (overview) moveOverview(where(event));
  });
  const moveOverview = (px) => {
    const span = view.to - view.from, at = (px - GUTTER) / (width - GUTTER - RIGHT) * END;
    show(at - span / 2, at + span / 2);
  };
  root.addEventListener("pointermove", (event) => {
    const px = where(event);
    if (drag && drag.mode === "overview") moveOverview(px);
    else if (drag && drag.mode === "pan") {
      const by = (drag.start - px) / (width - GUTTER - RIGHT) * (drag.to - drag.from);
      show(drag.from + by, drag.to + by);
    } else if (drag) {
      const box = document.getElementById("select"), left = clip(Math.min(px, drag.start)), right = clip(Math.max(px, drag.start));
      box.setAttribute("x", left);
      box.setAttribute("width", right - left);
    }
    tell(event, px);
  });
  const drop = (event) => {
    const was = drag;
    drag = null;
    if (!was || was.mode !== "select") return;
    const px = where(event);
    if (event.type === "pointerup" && Math.abs(px - was.start) > 5)
      show(timeAt(clip(Math.min(px, was.start))), timeAt(clip(Math.max(px, was.start))));
    else document.getElementById("select").setAttribute("width", 0);
  };
  root.addEventListener("pointerup", drop);
  root.addEventListener("pointercancel", drop);
  root.addEventListener("pointerleave", () => {
    bubble.hidden = true;
    document.getElementById("cross").setAttribute("x1", -9);
    document.getElementById("cross").setAttribute("x2", -9);
  });

  function tell(event, px) {
    const cross = document.getElementById("cross");
    if (px < GUTTER || px > width - RIGHT) { bubble.hidden = true; return; }
    cross.setAttribute("x1", px);
    cross.setAttribute("x2", px);
    const at = timeAt(px), y = event.clientY - root.getBoundingClientRect().top;
    const under = event.target.dataset && event.target.dataset.tip;
    const row = layout.filter((l) => l.y <= y).pop();
    bubble.textContent = [seconds(at), under !== undefined ? tips[under] : row ? reading(row.track, at) : ""].filter(Boolean).join("\n");
    bubble.hidden = false;
    const box = bubble.getBoundingClientRect();
    bubble.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - box.width - 8)) + "px";
    bubble.style.top = (event.clientY + 18 + box.height > innerHeight ? event.clientY - box.height - 10 : event.clientY + 18) + "px";
  }

  function reading(track, at) {
    if (track.draw === drawTerms)
      return run.terms.map((steps, i) => {
        const step = steps.filter((s) => s[0] <= at).pop();
        return run.servers[i] ? null : run.nodes[i] + ": " + (step ? "term " + step[1] : "not yet seen");
      }).filter(Boolean).join("\n");
    const series = run.series.find((s) => s.name === track.name && s.unit === track.sub);
    if (!series) return "";
    const bin = Math.floor(at / series.width);
    return series.lines.map((line) => line.name + ": " + figure(line.values[bin] === undefined ? null : line.values[bin])).join("\n");
  }

  draw();
  let waiting = 0;
  new ResizeObserver(() => {
    if (Math.abs(root.clientWidth - width) < 1) return;
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(draw);
  }).observe(root);
})();
