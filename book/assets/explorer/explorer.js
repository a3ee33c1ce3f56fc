// The explorer: sliders over precomputed runs, and three pictures that follow them.
// runs.js, which the build writes, calls nthExplorer; the page's end says what it holds.
"use strict";

function nthExplorer(runs) {
  const place = document.getElementById("nth-explorer");
  if (!place) return;
  if (!runs) {
    place.textContent = "The runs have not been made here, so that there is nothing to explore.";
    return;
  }

  // ------------------------------------------------------------------------------ the runs

  const SUBSCRIPTS = "₀₁₂₃₄₅₆₇₈₉";
  const subscript = (index) => [...String(index + 1)].map((digit) => SUBSCRIPTS[digit]).join("");
  const { activations, widths, times, entries, labels } = runs;
  const orders = runs.curves.slice(1); // the first curve is the network's
  const kernelEntries = entries.filter((points) => points.length === 2);
  const samples = entries.filter((points) => points.length === 1).map(([sample]) => sample);
  const bytes = Uint8Array.from(atob(runs.numbers), (letter) => letter.charCodeAt(0));
  const numbers = new DataView(bytes.buffer);
  const sizes = [activations, widths, runs.curves, times, entries].map((axis) => axis.length);

  /** What the runs hold at an index for each axis; NaN after a truncation's end. */
  function stored(...indices) {
    const flat = indices.reduce((sum, index, axis) => sum * sizes[axis] + index, 0);
    return numbers.getFloat32(4 * flat, true);
  }

  /** A curve over all times: the network's own (curve 0), or that of a truncation. */
  function curve(activation, width, which, entry) {
    return times.map((_, time) => {
      const network = stored(activation, width, 0, time, entry);
      return which === 0 ? network : network + stored(activation, width, which, time, entry);
    });
  }

  /** The distance of a truncation from the network over all training samples. */
  function distance(activation, width, which) {
    return times.map((_, time) =>
      Math.hypot(...labels.map((_, sample) => stored(activation, width, which, time, sample))));
  }

  // ----------------------------------------------------------------------------- the state

  // Each control: its values, its name in the address, and how a value reads.
  const controls = {
    activation: { label: "Activation", values: activations },
    entry: {
      label: "Kernel entry",
      values: kernelEntries.map((points) => points.map((point) => point + 1).join("-")),
      words: (name) =>
        `K⁽²⁾(${name.split("-").map((point) => `x${subscript(point - 1)}`).join(", ")})`,
    },
    sample: { label: "Input", values: samples, words: (sample) => runs.inputs[sample] },
    width: { label: "Width m", values: widths, slider: true },
    order: { label: "Order p", values: orders, slider: true },
    time: { label: "Time t", values: times, slider: true, words: (time) => time.toFixed(1) },
  };
  const state = { // indices
    activation: 0,
    sample: 0,
    entry: 0,
    width: nearest(widths, 32),
    order: 0,
    time: Math.floor(times.length / 2),
  };

  function nearest(values, wanted) {
    const away = values.map((value) => Math.abs(value - wanted));
    return away.indexOf(Math.min(...away));
  }

  const inWords = (name) => (controls[name].words ?? String)(controls[name].values[state[name]]);

  // A link may carry a setting as explorer.html?width=16&order=3 or behind a #.
  function read(text) {
    const asked = new URLSearchParams(text);
    for (const [name, control] of Object.entries(controls)) {
      if (!asked.get(name)) continue;
      const value = name === "sample" ? asked.get(name) - 1 : asked.get(name);
      const found = control.slider && Number.isFinite(Number(value))
        ? nearest(control.values, value)
        : control.values.findIndex((known) => String(known) === String(value));
      if (found >= 0) state[name] = found;
    }
  }

  let writing;
  function writeAddress() {
    clearTimeout(writing); // browsers refuse a new address at every move of a slider
    writing = setTimeout(() => {
      const setting = new URLSearchParams();
      for (const [name, control] of Object.entries(controls)) {
        const value = control.values[state[name]];
        setting.set(name, name === "sample" ? value + 1 : value);
      }
      history.replaceState(null, "", `#${setting}`);
    }, 300);
  }

  // -------------------------------------------------------------------------- the controls

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  function addControl(control, { label, values, words = String, slider }) {
    const id = `nth-explorer-${control}`;
    const input = slider
      ? element("input", { id, type: "range", min: 0, max: values.length - 1, step: 1 })
      : element("select", { id }, ...values.map((value, index) =>
        element("option", { value: index }, words(value))));
    const output = slider ? element("output", { for: id, "aria-live": "off" }) : "";
    input.addEventListener("input", () => set({ [control]: Number(input.value) }));
    Object.assign(controls[control], { input, output });
    const name = element("label", { for: id }, label);
    return element("div", { class: "nth-control" }, name, output, input);
  }

  function showControls() {
    for (const [name, { input, output, slider }] of Object.entries(controls)) {
      input.value = state[name];
      if (!slider) continue;
      output.textContent = inWords(name);
      input.setAttribute("aria-valuetext", inWords(name));
    }
  }

  /** Settings worth a look; those of a blow-up are searched for in the runs. */
  function suggestions() {
    const narrow = nearest(widths, 16);
    const higher = nearest(orders, 4);
    const found = [
      ["Narrow network, frozen kernel", { width: narrow, order: 0 }],
      [`The same network, order ${orders[higher]}`, { width: narrow, order: higher }],
      ["Wide network, frozen kernel", { width: widths.length - 1, order: 0 }],
    ];
    const blowUp = firstBlowUp();
    if (blowUp) found.push(["A truncation that blows up", blowUp]);
    return found;
  }

  function firstBlowUp() {
    for (const [activation, rows] of runs.valid_until.entries()) {
      for (const [width, ends] of rows.entries()) {
        const order = ends.findLastIndex((end) => end !== null);
        if (order < 0) continue;
        const time = times.findLastIndex((reached) => reached <= ends[order]);
        return { activation, width, order, time };
      }
    }
    return null;
  }

  // -------------------------------------------------------------------------- the pictures

  const END = times[times.length - 1];

  // A canvas does not take part in style sheets: colours are read when something is drawn.
  const style = getComputedStyle(place);
  const ink = () => style.color;
  const orderColour = (order) => style.getPropertyValue(`--nth-order-${order}`) || ink();

  function memoised(compute) {
    const known = new Map();
    return (...key) => {
      const name = key.join();
      if (!known.has(name)) known.set(name, compute(...key));
      return known.get(name);
    };
  }

  /** A scale that all widths share, so that moving a slider moves the curves alone. */
  const range = memoised((activation, entry) => {
    const seen = widths.flatMap((_, width) => curve(activation, width, 0, entry));
    if (entry < labels.length) seen.push(labels[entry]);
    const [low, high] = [Math.min(...seen), Math.max(...seen)];
    const room = 0.25 * (high - low || 1);
    return [low - room, high + room];
  });
  const errorRange = memoised((activation) => {
    const seen = widths.flatMap((_, width) => orders.flatMap((_, order) =>
      distance(activation, width, order + 1).filter((error, time) =>
        error > 0 && times[time] > END / 10)));
    const decade = (error) => Math.floor(Math.log10(error));
    return [10 ** decade(Math.min(...seen)), 10 ** Math.min(decade(Math.max(...seen)) + 1, 1)];
  });

  const DASHES = [7, 4];
  const pairLooks = (index) => (index === 0
    ? { colour: ink(), width: 2.2 }
    : { colour: orderColour(orders[state.order]), width: 2.6, dash: DASHES });
  const errorLooks = (index) => ({
    colour: orderColour(orders[index]), width: index === state.order ? 3.4 : 1.2, dash: DASHES,
  });
  const chooseTime = (time) => set({ time: nearest(times, time) });
  const common = { times, style, chooseTime };
  const predictionPicture = nthPicture({ ...common, count: 2, looks: pairLooks });
  const kernelPicture = nthPicture({ ...common, count: 2, looks: pairLooks });
  const errorPicture = nthPicture({ ...common, count: orders.length, looks: errorLooks, log: true });
  const pictures = [predictionPicture, kernelPicture, errorPicture];

  /** Network and truncation of one entry of the runs; their values at the chosen time. */
  function showPair(where, question, description, entry, label, level = null) {
    const { activation, width, order, time } = state;
    const curves = [0, order + 1].map((which) => curve(activation, width, which, entry));
    const [network, truncation] = curves.map((values) => values[time]);
    where.show(question, description, curves, {
      now: times[time],
      range: range(activation, entry),
      label,
      level,
      names: level === null ? [] : [{ words: "label", at: level }],
      marks: [
        { value: network, colour: ink() },
        { value: truncation, colour: orderColour(orders[order]), hollow: true },
      ],
    });
    return [network, truncation];
  }

  /** The errors of all orders; that of the chosen one at the chosen time. */
  function showErrors() {
    const { activation, width, order, time } = state;
    const errors = orders.map((_, each) => distance(activation, width, each + 1));
    const [low, high] = errorRange(activation);
    const ends = errors.map((values) => values.findLast((error) => error > 0) ?? high);
    errorPicture.show(
      "How large is the error on the training inputs?",
      `The error of the orders ${orders.join(", ")} against time at width ${widths[width]}`,
      errors,
      {
        now: times[time],
        range: [low, high],
        label: "error",
        names: ends.map((at, each) =>
          ({ words: `p = ${orders[each]}`, at, strong: each === order,
             colour: orderColour(orders[each]) })),
        marks: [
          { value: errors[order][time] || NaN, colour: orderColour(orders[order]), hollow: true },
        ],
      },
    );
    return errors[order][time];
  }

  // --------------------------------------------------------------------------- the page

  const short = (value) => {
    const text = Math.abs(value) >= 0.01 && Math.abs(value) < 1000
      ? value.toFixed(Math.abs(value) < 0.1 ? 4 : 3)
      : value.toExponential(1);
    const [digits, power] = text.split("e");
    const shown = digits.replace("-", "−");
    return power ? `${shown} · 10${nthSuperscript(Number(power))}` : shown;
  };

  /** What the pictures show at the chosen time, in words. */
  function reading([network, truncation], [kernel, cutKernel], error) {
    const { activation, width, order } = state;
    const end = runs.valid_until[activation][width][order];
    const input = inWords("sample");
    const blowUp = end === null ? "" : `t = ${end.toPrecision(3)}`;
    const start = `At t = ${inWords("time")} the ${activations[activation]} network of width `
      + `${widths[width]} predicts ${short(network)} on input ${input}`;
    if (!Number.isFinite(truncation)) {
      return `${start}. The truncation of order ${orders[order]} has no value there: it blew up at `
        + `${blowUp}, which a truncation may do and the network does not.`;
    }
    const warning = end === null ? "" : ` The truncation will blow up at ${blowUp}.`;
    return `${start}, the truncation of order ${orders[order]} predicts ${short(truncation)}; they `
      + `differ by ${short(Math.abs(network - truncation))}. On the training inputs together the `
      + `error is ${short(error)}. ${inWords("entry")} is ${short(kernel)} in the network and `
      + `${short(cutKernel)} in the truncation.${warning}`;
  }

  const status = element("p", { class: "nth-reading", role: "status" });
  const key = element("p", { class: "nth-line-key" });

  function showKey() {
    const order = orders[state.order];
    const swatch = element("span", { class: "nth-dashed", "aria-hidden": "true" });
    swatch.style.setProperty("--nth-colour", `var(--nth-order-${order}, currentColor)`);
    key.replaceChildren(
      element("span", { class: "nth-solid", "aria-hidden": "true" }), " network ",
      swatch, ` truncation of order ${order}${order === 2 ? ", the frozen kernel" : ""}`);
  }

  function draw() {
    showControls();
    showKey();
    const sample = samples[state.sample];
    const pair = inWords("entry");
    const settings = `width ${inWords("width")}, order ${inWords("order")}`;
    const predictions = showPair(predictionPicture,
      `Is f(x${subscript(sample)}) followed?`,
      `Prediction of network and truncation against time, ${settings}`,
      state.sample, `prediction f(x${subscript(sample)})`, labels[sample]);
    const kernels = showPair(kernelPicture,
      `Is ${pair} followed?`,
      `${pair} of network and truncation against time, ${settings}`,
      entries.indexOf(kernelEntries[state.entry]), pair);
    const error = showErrors();
    status.textContent = reading(predictions, kernels, error);
  }

  let waiting = false;
  function redraw() {
    if (waiting) return;
    waiting = true; // at most once a frame, however fast a slider moves
    requestAnimationFrame(() => {
      waiting = false;
      draw();
    });
  }

  function set(changes) {
    Object.assign(state, changes);
    redraw();
    writeAddress();
  }

  const group = (name, sliders) => element("div", { class: name }, ...Object.entries(controls)
    .filter(([, { slider = false }]) => slider === sliders)
    .map((control) => addControl(...control)));
  const buttons = suggestions().map(([words, setting]) => {
    const button = element("button", { type: "button" }, words);
    button.addEventListener("click", () => set(setting));
    return button;
  });

  const tried = element("div", { class: "nth-suggestions", role: "group" }, ...buttons);
  tried.setAttribute("aria-label", "Settings to try");

  read(location.search);
  read(location.hash.slice(1));
  place.replaceChildren(
    tried,
    group("nth-choices", false),
    group("nth-sliders", true),
    key,
    element("div", { class: "nth-pictures" }, ...pictures.map(({ figure }) => figure)),
    status);
  draw();
  window.addEventListener("hashchange", () => {
    read(location.hash.slice(1));
    redraw();
  });
  new ResizeObserver(() => pictures.forEach(({ refit }) => refit())).observe(place);
  new MutationObserver(redraw) // a canvas does not follow the change to dark by itself
    .observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
}
