// One picture of the explorer: a question, and beneath it curves against time, drawn by uPlot.
"use strict";

const nthSuperscript = (power) =>
  [...String(power)].map((sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign])).join("");

function nthPicture({ times, style, chooseTime, count, looks, log = false }) {
  const END = times[times.length - 1];
  const RIGHT = 52; // room for the names of the curves, in pixels
  const font = (weight, size) => `${weight} ${size}px ${style.fontFamily}`;
  const ink = () => style.color;

  const question = document.createElement("figcaption");
  const box = document.createElement("div");
  box.className = "nth-plot";
  box.setAttribute("role", "img");
  const figure = document.createElement("figure");
  figure.className = "nth-picture";
  figure.append(question, box);

  const view = { now: 0, range: [0, 1], label: "", level: null, marks: [], names: [] };
  let plot;

  /** What uPlot draws: null is a gap, and what lies far outside is held at arm's length. */
  function drawable(values) {
    const [low, high] = view.range;
    const far = log ? [low / 10, high * 10] : [2 * low - high, 2 * high - low];
    return values.map((value) => (Number.isFinite(value) && !(log && value === 0)
      ? Math.min(Math.max(value, far[0]), far[1])
      : null));
  }

  // ------------------------------------------------------------------------------- the axes

  function decades([low, high]) {
    const [first, last] = [low, high].map((end) => Math.round(Math.log10(end)));
    const step = last - first > 5 ? 2 : 1;
    const powers = [];
    for (let power = last; power >= first; power -= step) powers.unshift(10 ** power);
    return powers;
  }

  const axis = (more) => ({
    stroke: ink,
    grid: { stroke: () => style.getPropertyValue("--pst-color-border"), width: 1 },
    ticks: { show: false },
    gap: 4,
    font: font(400, 12),
    labelFont: font(400, 12),
    labelGap: 0,
    labelSize: 18,
    ...more,
  });
  const logAxis = {
    filter: (_, splits) => splits,
    splits: () => decades(view.range),
    values: (_, splits) =>
      splits.map((split) => `10${nthSuperscript(Math.round(Math.log10(split)))}`),
  };

  // -------------------------------------------------------------- what lies over the curves

  function overlay({ ctx, bbox, valToPos }) {
    const ratio = uPlot.pxRatio;
    const up = (value) => valToPos(value, "y", true);
    const now = valToPos(view.now, "x", true);
    const [left, right] = [bbox.left, bbox.left + bbox.width];
    const [top, bottom] = [bbox.top, bbox.top + bbox.height];
    ctx.save();
    ctx.setLineDash([]);
    ctx.strokeStyle = ctx.fillStyle = ink();
    ctx.textAlign = "left";
    ctx.textBaseline = "middle";
    for (const { words, strong, colour, end, at } of apart(view.names, up, top, bottom, 14 * ratio)) {
      ctx.font = font(strong ? 700 : 400, 12 * ratio);
      ctx.fillText(words, right + (colour ? 12 : 5) * ratio, at);
      if (!colour) continue;
      ctx.strokeStyle = colour; // leads from the end of the curve to its name
      ctx.lineWidth = (strong ? 2.5 : 1.5) * ratio;
      stroke(ctx, right, end, right + 10 * ratio, at);
    }
    ctx.strokeStyle = ink();
    ctx.beginPath();
    ctx.rect(left, top, bbox.width, bbox.height);
    ctx.clip();
    ctx.lineWidth = ratio;
    ctx.globalAlpha = 0.55;
    stroke(ctx, now, top, now, bottom);
    ctx.globalAlpha = 1;
    if (view.level !== null) {
      ctx.setLineDash([1.5 * ratio, 3.5 * ratio]);
      stroke(ctx, left, up(view.level), right, up(view.level));
      ctx.setLineDash([]);
    }
    ctx.lineWidth = 2.2 * ratio;
    for (const { value, colour, hollow } of view.marks) {
      if (!Number.isFinite(value)) continue;
      ctx.beginPath();
      ctx.arc(now, up(value), 4.5 * ratio, 0, 2 * Math.PI);
      ctx.strokeStyle = colour;
      ctx.fillStyle = hollow ? style.getPropertyValue("--pst-color-background") : colour;
      ctx.fill();
      ctx.stroke();
    }
    ctx.restore();
  }

  function stroke(ctx, fromX, fromY, toX, toY) {
    ctx.beginPath();
    ctx.moveTo(fromX, fromY);
    ctx.lineTo(toX, toY);
    ctx.stroke();
  }

  /** The names with places near where they belong, within the frame and a line apart. */
  function apart(names, up, top, bottom, line) {
    const ranked = names
      .map((name) => ({ ...name, end: Math.min(Math.max(up(name.at), top), bottom) }))
      .map((name) => ({ ...name, at: name.end }))
      .sort((one, other) => one.at - other.at);
    let free = top;
    for (const name of ranked) {
      name.at = Math.max(name.at, free);
      free = name.at + line;
    }
    free = bottom;
    for (const name of ranked.reverse()) {
      name.at = Math.min(name.at, free);
      free = name.at - line;
    }
    return ranked;
  }

  // ------------------------------------------------------------------------------- the plot

  function size() {
    const width = Math.max(box.clientWidth, 240);
    return { width, height: width < 480 ? 190 : 250 };
  }

  function create(data) {
    const lines = Array.from({ length: count }, (_, index) => ({
      stroke: () => looks(index).colour,
      width: looks(index).width,
      dash: looks(index).dash,
      points: { show: false },
      pxAlign: 0,
    }));
    plot = new uPlot({
      ...size(),
      padding: [10, RIGHT, 0, 0],
      legend: { show: false },
      cursor: { show: false },
      scales: {
        x: { time: false, range: () => [0, END] },
        y: { distr: log ? 3 : 1, range: () => view.range },
      },
      axes: [
        axis({ label: "time t", size: 24 }),
        axis({ label: () => view.label, size: 42, ...(log ? logAxis : {}) }),
      ],
      series: [{}, ...lines],
      hooks: { draw: [overlay] },
    }, data, box);
    plot.over.addEventListener("pointerdown", point);
    plot.over.addEventListener("pointermove", point);
  }

  // A press or a drag on the picture chooses the time, too.
  function point(event) {
    if (event.type === "pointermove" && event.buttons === 0) return;
    const { left } = plot.over.getBoundingClientRect();
    chooseTime(plot.posToVal(event.clientX - left, "x"));
  }

  return {
    figure,
    /** Show curves, an array for each; ``description`` is for readers who do not see them. */
    show(words, description, curves, changes) {
      question.textContent = words;
      box.setAttribute("aria-label", description);
      Object.assign(view, changes);
      const data = [times, ...curves.map(drawable)];
      if (!plot) create(data);
      for (let index = 0; index < count; index++) plot.series[index + 1].width = looks(index).width;
      plot.setData(data);
    },
    refit() {
      if (plot && plot.width !== size().width) plot.setSize(size());
    },
  };
}
