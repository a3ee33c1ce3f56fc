// The laboratory: a network that is trained in the reader's browser, beside the hierarchy cut at
// p = 2, 3, 4 from its own initial kernels. The settings and what follows from them stand here;
// mathematics.js computes, in the worker of worker.js, and pictures.js draws.
"use strict";

(() => {
  const root = document.getElementById("nth-laboratory");
  if (!root) return;
  const { html, chart, handle, kernelPicture, unitsPicture, dialPicture, circlePicture, number, subscript } =
    nthLabPictures;

  // --------------------------------------------------------------------------- the setting

  const WIDTHS = [4, 8, 16, 32, 64, 128, 256, 512, 1024];
  const LEVELS = [
    { name: "2", words: "p = 2" }, { name: "3", words: "p = 3" },
    { name: "4", words: "p = 4" }, { name: "strip", words: "strip sum" },
  ];
  const SIZES = [0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 8];
  const READOUTS = [0.25, 0.5, 1, 1.5, 2];
  const HORIZONS = [5, 20, 100];
  const SPEEDS = { slow: 40, normal: 12, fast: 4 }; // seconds for the whole run
  const FRAMES = 48;
  const CIRCLE = Array.from({ length: 61 }, (_, i) => 6 * i); // where the function is drawn
  const MOST_LABEL = 2;

  /** Points on half the circle, and labels that alternate. */
  const spread = (n) => ({
    angles: { 1: [65], 2: [30, 110], 3: [20, 80, 140] }[n]
      ?? Array.from({ length: n }, (_, i) => Math.round(20 + (135 * i) / (n - 1))),
    labels: Array.from({ length: n }, (_, i) => (i % 2 ? -1 : 1)),
  });

  const state = { ...nthLaboratoryScenes[0].setting, levels: ["2", "3", "4"], band: "off", speed: "normal" };
  let [time, scene] = [0, null];

  const whole = (low, high) => (text) => {
    const value = Math.round(Number(text));
    return text !== "" && value >= low && value <= high ? value : null;
  };
  const among = (values) => (text) => values.find((value) => String(value) === text) ?? null;
  const list = (low, high) => (text) => {
    const values = text.split(",").map(Number);
    const good = values.length <= 8 && values.every((value) => value >= low && value <= high);
    return good && text !== "" ? values : null;
  };
  // Each setting's name in the address, and how it is read; null where it cannot be.
  const ADDRESS = {
    width: ["m", whole(4, 1024)],
    depth: ["H", among([1, 2])],
    activation: ["act", among(["tanh", "softplus", "erf", "gelu", "sin"])],
    angles: ["x", list(0, 360)],
    labels: ["y", list(-MOST_LABEL, MOST_LABEL)],
    sigmaA: ["sa", among(READOUTS)],
    size: ["L", among(SIZES)],
    seed: ["seed", whole(1, 999999)],
    horizon: ["T", among(HORIZONS)],
    input: ["i", whole(0, 7)],
    speed: ["speed", among(Object.keys(SPEEDS))],
    band: ["band", among(["off", "on"])],
    levels: ["p", (text) => {
      const chosen = text === "" ? [] : text.split(",");
      return chosen.every((one) => LEVELS.some(({ name }) => name === one)) ? chosen : null;
    }],
  };

  const levelsOf = ({ id }) => (id === "far" ? ["2", "3", "4", "strip"] : ["2", "3", "4"]);

  /** Take over what an address holds; true where it held something. */
  function readAddress(text) {
    const asked = new URLSearchParams(text);
    // a scene has a heading of its own in the page, to which chapters lead
    const wanted = /^scene-([a-z]+)$/.exec(text)?.[1] ?? asked.get("scene");
    const found = nthLaboratoryScenes.find(({ id }) => id === wanted);
    let any = Boolean(found);
    if (found) {
      Object.assign(state, structuredClone(found.setting), { levels: levelsOf(found) });
      scene = found;
    }
    for (const [name, [short, parse]] of Object.entries(ADDRESS)) {
      if (asked.get(short) === null) continue;
      const value = parse(asked.get(short));
      if (value === null) continue;
      state[name] = value;
      any = true;
    }
    const n = state.angles.length;
    while (state.labels.length < n) state.labels.push(state.labels.length % 2 ? -1 : 1);
    state.labels.length = n;
    state.input = Math.min(state.input, n - 1);
    if (asked.get("t") !== null && any) time = Math.min(Math.max(Number(asked.get("t")) || 0, 0), state.horizon);
    return any;
  }

  let writing;
  let written = "";
  function writeAddress() {
    clearTimeout(writing); // browsers refuse a new address at every move of a slider
    writing = setTimeout(() => {
      const setting = new URLSearchParams();
      if (scene) setting.set("scene", scene.id);
      for (const [name, [short]] of Object.entries(ADDRESS)) setting.set(short, String(state[name]));
      if (time > 0) setting.set("t", String(Number(time.toPrecision(4))));
      written = `#${setting}`.replaceAll("%2C", ",");
      history.replaceState(null, "", written);
    }, 300);
  }

  // ------------------------------------------------------------------------------- the run

  const timesOf = (horizon) => Float64Array.from({ length: FRAMES + 1 }, (_, i) =>
    horizon * (i / FRAMES) ** 1.5);
  const program = `const core = (${nthLaboratoryMathematics})();`
    + `(${nthLaboratoryWorker})({ ...core, ...(${nthLaboratoryDraws})(core) });`;
  // A page from a folder may load no worker from a file, but from its own memory it may.
  const programAddress = URL.createObjectURL(new Blob([program], { type: "text/javascript" }));

  let worker = null;
  let job = 0;
  let run = null;

  function compute() {
    worker?.terminate(); // what was asked before is asked no longer
    worker = new Worker(programAddress);
    job += 1;
    run = {
      setting: structuredClone(state), times: timesOf(state.horizon), start: null, limit: [], all: null, levels: {},
      frames: [], reach: null, seconds: null,
    };
    root.dataset.state = "computing";
    root.dataset.job = job;
    summary.textContent = `Training. ${settingOf(state)} to t = ${state.horizon}.`;
    worker.onmessage = ({ data }) => {
      if (data.job === job) receive(data);
    };
    worker.onerror = () => {
      root.dataset.state = "failed";
      summary.textContent = "The computation stopped with an error. Another setting may work.";
    };
    worker.postMessage({ job, setting: run.setting, times: run.times, circle: CIRCLE });
    askForDraws();
    redraw();
  }

  /** With one hidden layer all draws are known to order 1/m; it takes a while, and only who looks waits. */
  function askForDraws() {
    if (state.band !== "on" || state.depth !== 1 || run.asked) return;
    run.asked = true;
    worker.postMessage({ job, draws: true });
  }

  /** Mean and deviation at this width, up to where the correction is a quarter of what it corrects. */
  function corrected(limit, corrections, width) {
    const end = corrections.findIndex(({ share }) => share > width / 4);
    return limit.slice(0, end < 0 ? limit.length : end).map(({ mean, deviation }, k) => ({
      mean: mean.map((value, i) => value + corrections[k].mean[i] / width),
      deviation: deviation.map((value, i) =>
        Math.sqrt(Math.max(0, value * value + corrections[k].variance[i] / width))),
    }));
  }

  let waiting;
  function computeSoon() {
    clearTimeout(waiting);
    pause();
    job += 1; // what still comes in belongs to the old setting
    root.dataset.state = "computing";
    waiting = setTimeout(compute, 80);
  }

  function receive(data) {
    if (data.kind === "start") run.start = data;
    else if (data.kind === "limit") {
      run.limit = data.frames;
      if (state.depth === 2) {
        run.all = run.limit;
        root.dataset.draws = data.job;
      }
    } else if (data.kind === "draws") {
      run.all = corrected(run.limit, data.frames, state.width);
      root.dataset.draws = data.job;
      if (root.dataset.state === "done") announce();
    }
    else if (data.kind === "level") run.levels[data.name] = data;
    else if (data.kind === "frame") run.frames[data.index] = data;
    else {
      run.reach = data.reach;
      run.seconds = data.seconds;
      root.dataset.state = "done";
      root.dataset.seconds = data.seconds.toFixed(2);
      announce();
    }
    redraw();
  }

  const reached = () => run.times[Math.max(0, run.frames.length - 1)];

  /** The frame at or before the time, and how far on to the next. */
  function whereIs(now) {
    const last = run.frames.length - 1;
    let index = run.times.findLastIndex((each) => each <= now + 1e-12);
    index = Math.min(Math.max(index, 0), Math.max(last, 0));
    if (index >= last) return [index, 0];
    return [index, Math.min(1, (now - run.times[index]) / (run.times[index + 1] - run.times[index]))];
  }

  /** Numbers between two frames; NaN where the later one is missing. */
  function between(frames, part, [index, share]) {
    const one = frames[index] && part(frames[index]);
    if (!one) return null;
    if (share === 0) return one;
    const other = frames[index + 1] && part(frames[index + 1]);
    return other ? Array.from(one, (value, i) => (1 - share) * value + share * other[i]) : null;
  }

  // ---------------------------------------------------------------------------- the controls

  const controls = {};

  function control(name, label, input, { words = String, live = false } = {}) {
    const id = `nth-lab-${name}`;
    input.id = id;
    const output = live ? html("output", { for: id, "aria-live": "off" }) : "";
    controls[name] = { input, output, words };
    return html("div", { class: "nth-control" }, html("label", { for: id }, label), output, input);
  }

  function slider(name, label, values, words) {
    const input = html("input", { type: "range", min: 0, max: values.length - 1, step: 1 });
    input.addEventListener("input", () => change({ [name]: values[input.value] }));
    controls[name] = {};
    const made = control(name, label, input, { words, live: true });
    controls[name].show = () => {
      const away = values.map((value) => Math.abs(value - state[name]));
      input.value = away.indexOf(Math.min(...away));
      controls[name].output.textContent = words(state[name]);
      input.setAttribute("aria-valuetext", words(state[name]));
    };
    return made;
  }

  function select(name, label, options, act) {
    const input = html("select", {}, ...options.map(([value, words]) => html("option", { value }, words)));
    input.addEventListener("input", () => act(input.value));
    const made = control(name, label, input);
    controls[name].show = () => { input.value = String(state[name]); };
    return made;
  }

  function button(words, act, attributes = {}) {
    const made = html("button", { type: "button", ...attributes }, words);
    made.addEventListener("click", act);
    return made;
  }

  const sample = html("select", {});
  sample.addEventListener("input", () => {
    state.input = Number(sample.value);
    redraw();
    writeAddress();
  });
  const count = html("input", { type: "range", min: 1, max: 8, step: 1 });
  count.addEventListener("input", () => {
    const n = Number(count.value);
    change({ ...spread(n), input: Math.min(state.input, n - 1) });
  });
  const seed = html("input", { type: "number", min: 1, max: 999999, step: 1 });
  seed.addEventListener("change", () => {
    const value = whole(1, 999999)(seed.value);
    if (value === null) seed.value = state.seed;
    else change({ seed: value });
  });

  const choices = html("div", { class: "nth-lab-choices" },
    slider("width", "Width m", WIDTHS, String),
    slider("size", "Size of the labels", SIZES, String),
    control("count", "Inputs n", count, { live: true }),
    slider("sigmaA", "Readout σₐ", READOUTS, String),
    select("depth", "Hidden layers H", [[1, "one"], [2, "two"]], (value) => change({ depth: Number(value) })),
    select("activation", "Activation", ["tanh", "softplus", "erf", "gelu", "sin"].map((one) => [one, one]),
      (value) => change({ activation: value })),
    select("horizon", "Train until t =", HORIZONS.map((value) => [value, value]),
      (value) => change({ horizon: Number(value) })),
    html("div", { class: "nth-lab-draw" }, control("seed", "Draw number", seed),
      button("Draw anew", () => change({ seed: (state.seed % 999999) + 1 }), { id: "nth-lab-anew" })));
  const settingWords = html("summary", {}, "Settings");
  const settings = html("details", { class: "nth-lab-settings" }, settingWords, choices);
  controls.count.show = () => {
    count.value = state.angles.length;
    controls.count.output.textContent = state.angles.length;
    count.setAttribute("aria-valuetext", String(state.angles.length));
  };
  controls.seed.show = () => { seed.value = state.seed; };

  // --------------------------------------------------------------------------- the transport

  const play = button("Run", () => (playing ? pause() : start()), { id: "nth-lab-run", class: "nth-lab-main" });
  const step = button("Step", () => {
    pause();
    const visibly = time + 0.001 * state.horizon; // a step that nobody sees is none
    const next = run.times.find((each) => each > visibly) ?? state.horizon;
    goTo(Math.min(next, reached()));
    announce();
  }, { id: "nth-lab-step" });
  const again = button("Back to t = 0", () => {
    pause();
    goTo(0);
    announce();
  }, { id: "nth-lab-back" });
  const clock = html("input", { type: "range", min: 0, max: 1000, step: 1 });
  clock.addEventListener("input", () => {
    pause();
    goTo(Math.min((clock.value / 1000) * state.horizon, reached()));
  });
  clock.addEventListener("change", () => announce());
  const progress = html("progress", { max: 1, "aria-label": "Training computed so far" });
  const boxes = LEVELS.map(({ name, words }) => {
    const input = html("input", { type: "checkbox", id: `nth-lab-level-${name}` });
    input.addEventListener("input", () => {
      state.levels = LEVELS.map((level) => level.name)
        .filter((each) => (each === name ? input.checked : state.levels.includes(each)));
      redraw();
      writeAddress();
    });
    controls[`level-${name}`] = { show: () => { input.checked = state.levels.includes(name); } };
    const swatch = nthLabPictures.svg("svg", { viewBox: "0 0 34 8", class: "nth-lab-swatch", "aria-hidden": "true" },
      nthLabPictures.svg("path", { d: "M1 4H33", class: `nth-lab-line nth-lab-p${name}` }));
    return html("label", { for: input.id }, input, swatch, words);
  });
  const bandBox = html("input", { type: "checkbox", id: "nth-lab-band" });
  bandBox.addEventListener("input", () => {
    state.band = bandBox.checked ? "on" : "off";
    askForDraws();
    redraw();
    announce();
    writeAddress();
  });
  controls.band = { show: () => { bandBox.checked = state.band === "on"; } };
  const bandLabel = html("label", { for: bandBox.id }, bandBox,
    nthLabPictures.svg("svg", { viewBox: "0 0 34 14", class: "nth-lab-swatch", "aria-hidden": "true" },
      nthLabPictures.svg("path", { d: "M1 0H33V14H1Z", class: "nth-lab-band" }),
      nthLabPictures.svg("path", { d: "M1 7H33", class: "nth-lab-line nth-lab-all" })),
    "all draws: mean and two standard deviations");
  const network = html("span", { class: "nth-lab-network" },
    nthLabPictures.svg("svg", { viewBox: "0 0 34 8", class: "nth-lab-swatch", "aria-hidden": "true" },
      nthLabPictures.svg("path", { d: "M1 4H33", class: "nth-lab-line nth-lab-net" })), "network");
  const shown = html("fieldset", { class: "nth-lab-levels" },
    html("legend", {}, "Lines"), network, ...boxes, bandLabel);
  const transport = html("div", { class: "nth-lab-transport" },
    html("div", { class: "nth-lab-buttons" }, play, step, again),
    control("time", "Time t", clock, { live: true }),
    select("speed", "Speed", Object.keys(SPEEDS).map((one) => [one, one]), (value) => {
      state.speed = value;
      writeAddress();
    }),
    progress);
  controls.time.show = () => {
    clock.value = Math.round((time / state.horizon) * 1000);
    const words = number(time, state.horizon > 20 ? 1 : 2);
    controls.time.output.textContent = words;
    clock.setAttribute("aria-valuetext", `t = ${words}`);
  };

  let playing = false;
  let beat = null;

  function start() {
    if (time >= state.horizon - 1e-9) time = 0;
    playing = true;
    beat = null;
    // who presses Run wants to see what it does
    if (functionPicture.figure.getBoundingClientRect().bottom > window.innerHeight) transport.scrollIntoView();
    play.textContent = "Pause";
    requestAnimationFrame(tick);
  }

  function pause() {
    if (!playing) return;
    playing = false;
    play.textContent = "Run";
    announce();
    writeAddress();
  }

  function tick(now) {
    if (!playing) return;
    const passed = beat === null ? 0 : Math.min(now - beat, 100) / 1000;
    beat = now;
    time = Math.min(time + (passed * state.horizon) / SPEEDS[state.speed], reached());
    draw();
    if (time >= state.horizon - 1e-9) pause();
    else requestAnimationFrame(tick);
  }

  function goTo(when) {
    time = when;
    redraw();
    writeAddress();
  }

  /** A setting is changed by hand: what a scene said need not hold any longer. */
  function change(changes, { keep = false } = {}) {
    Object.assign(state, changes);
    if (!keep && scene && !Object.keys(changes).every((name) => scene.invites?.includes(name))) {
      sceneNote.hidden = false;
    }
    time = 0;
    showControls();
    writeAddress();
    computeSoon();
  }

  // ---------------------------------------------------------------------------- the scenes

  const sceneButtons = nthLaboratoryScenes.map((one) => button(one.name, () => {
    chooseScene(one);
    writeAddress();
  }, { "aria-pressed": "false", "data-scene": one.id }));
  const sceneNote = html("p", { class: "nth-lab-changed", hidden: "" },
    "You have changed the setting: see whether what the scene says still holds.");
  const sceneSentence = html("p");
  const sceneQuestion = html("p", { class: "nth-lab-question" });
  const sceneAnswer = html("p");
  const answerBox = html("details", {}, html("summary", {}, "What is to be seen"), sceneAnswer);
  const sceneBox = html("div", { class: "nth-lab-scene" }, sceneSentence, sceneQuestion, answerBox, sceneNote);

  // The words that the page explains below, so that the scenes can explain them as well.
  const terms = new Map([...document.querySelectorAll(".bd-article a.nth-term")]
    .map((link) => [link.textContent.toLowerCase(), link]).filter(([word]) => /^[a-z -]+$/.test(word)));
  const termed = terms.size && new RegExp(`\\b(${[...terms.keys()].sort((a, b) => b.length - a.length).join("|")})\\b`, "gi");

  /** Write a text; each word that is explained becomes a link where it first stands. */
  function tell(element, text) {
    if (element.textContent === text) return;
    const told = new Set();
    element.replaceChildren(...(terms.size ? text.split(termed) : [text]).map((piece) => {
      const word = piece.toLowerCase();
      if (!terms.has(word) || told.has(word)) return piece;
      told.add(word);
      const link = terms.get(word).cloneNode();
      link.textContent = piece;
      return link;
    }));
    element.dispatchEvent(new CustomEvent("nth-terms", { bubbles: true }));
  }

  function chooseScene(one) {
    scene = one;
    answerBox.open = false;
    sceneNote.hidden = true;
    if (one.invites) settings.open = true;
    change({ ...structuredClone(one.setting), levels: levelsOf(one) }, { keep: true });
  }

  function showScene() {
    for (const each of sceneButtons) {
      each.setAttribute("aria-pressed", String(each.dataset.scene === scene?.id));
    }
    tell(sceneSentence, scene ? scene.sentence
      : "Choose a scene, or set everything yourself. Then press Run.");
    tell(sceneQuestion, scene ? scene.question : "");
    sceneQuestion.hidden = answerBox.hidden = !scene;
    tell(sceneAnswer, scene?.answer ?? "");
  }

  // --------------------------------------------------------------------------- the pictures

  const levelNames = LEVELS.map(({ name }) => `p${name}`);
  const names = ["net", ...levelNames, "all"];
  const functionPicture = chart({
    question: "Which function has been learnt? Drag the labels", across: "angle of the input, in degrees",
    up: "prediction", role: "group", names, ticks: [0, 60, 120, 180, 240, 300, 360],
  });
  const timePicture = chart({ question: "", across: "time t", up: "prediction", names });
  const errorPicture = chart({
    question: "How far is each level from the network?", across: "time t",
    up: "error on the inputs", log: true, names: levelNames,
  });
  const kernels = kernelPicture();
  const units = unitsPicture();
  const dial = dialPicture();
  const circle = circlePicture();
  const dialNote = html("p", { class: "nth-lab-note" });
  tell(dialNote,
    "The levels p = 2, 3, .. are the beginning of a series in the action, what the residuals have pushed so far. R is how far "
    + "the series converges, over the action spent. Above 1 every further kernel helps; below 1 the levels get worse from some p on.");
  dial.figure.append(dialNote);

  const labelLayer = nthLabPictures.svg("g");
  const residuals = nthLabPictures.svg("path", { class: "nth-lab-residual", d: "" });
  functionPicture.lines.append(residuals);
  functionPicture.over.append(labelLayer);
  const level = nthLabPictures.svg("path", { class: "nth-lab-label", d: "" });
  timePicture.lines.append(level);
  const blown = nthLabPictures.svg("g");
  errorPicture.over.append(blown);

  const rounded = (value, unit) => Math.round(value / unit) * unit;

  function moveAngle(index, degrees) {
    const angles = [...state.angles];
    angles[index] = ((Math.round(degrees) % 360) + 360) % 360;
    change({ angles });
  }

  function moveLabel(index, value) {
    const labels = [...state.labels];
    labels[index] = Math.min(Math.max(Number(rounded(value, 0.05).toFixed(2)), -MOST_LABEL), MOST_LABEL);
    change({ labels });
  }

  function showLabels() {
    if (labelLayer.children.length !== state.angles.length) {
      labelLayer.replaceChildren(...state.angles.map((_, index) => handle(functionPicture.drawing, [
        nthLabPictures.svg("circle", { r: 18, class: "nth-lab-touch" }),
        nthLabPictures.svg("path", { d: "M-6 0L0 -6L6 0L0 6Z", class: "nth-lab-grip" }),
        nthLabPictures.svg("text", { x: 10, y: -6 }, `y${subscript(index)}`),
      ], {
        "aria-label": `Label of input ${index + 1}, in units of the labels' size`,
        "aria-orientation": "vertical", "aria-valuemin": -MOST_LABEL, "aria-valuemax": MOST_LABEL,
      }, {
        drag: ({ y }) => moveLabel(index, functionPicture.fromY(y) / state.size),
        key: (by) => moveLabel(index, state.labels[index] + 0.1 * by),
      })));
    }
    state.labels.forEach((label, index) => {
      const grip = labelLayer.children[index];
      const at = [functionPicture.toX(state.angles[index]), functionPicture.toY(label * state.size)];
      grip.setAttribute("transform", `translate(${at.map((value) => value.toFixed(1)).join(" ")})`);
      grip.setAttribute("aria-valuenow", label);
      grip.setAttribute("aria-valuetext", number(label));
      grip.classList.toggle("nth-lab-down", label < 0);
    });
  }

  /** What a curve is up to now: its times, and what `pick` makes of each frame. */
  function history_(frames, pick, now, [index, share]) {
    const upTo = frames.slice(0, index + 1);
    const xs = upTo.map((_, i) => run.times[i]);
    const ys = upTo.map((frame) => pick(frame));
    if (share > 0 && frames[index + 1]) {
      xs.push(now);
      ys.push((1 - share) * ys[index] + share * pick(frames[index + 1]));
    }
    return [xs, ys];
  }

  // Of all draws: the mean, and the edges of the band.
  const EDGES = [0, -2, 2].map((times) => ({ mean, deviation }) =>
    mean.map((value, index) => value + times * deviation[index]));

  const levelOn = (name) => state.levels.includes(name) && run.levels[name];

  function draw() {
    showControls();
    if (!run?.start || run.setting.angles.length !== state.angles.length) return;
    const n = state.angles.length;
    const at = whereIs(time);
    const y = state.labels.map((label) => label * state.size);
    const banded = state.band === "on" && run.all?.length > 0;
    const [lowest, highest] = EDGES.slice(1).map((edge) => (banded ? edge(run.all[0]) : run.start.f));
    const most = Math.max(...y.map(Math.abs), ...Array.from(run.start.f, Math.abs), ...highest, 0.5) * 1.5;

    // the function on the circle
    functionPicture.axes([0, 360], [-most, most]);
    const now = between(run.frames, ({ f }) => f, at) ?? run.start.f;
    functionPicture.line("net", CIRCLE, now.slice(n));
    for (const { name } of LEVELS) {
      const values = levelOn(name) ? between(run.levels[name].frames, ({ f }) => f, at) : null;
      functionPicture.line(`p${name}`, CIRCLE, values ? values.slice(n) : []);
    }
    const [mean, low_, high_] = EDGES.map((edge) => ((banded && between(run.all, edge, at)?.slice(n)) || []));
    functionPicture.line("all", CIRCLE, mean);
    functionPicture.band(CIRCLE, low_, high_);
    residuals.setAttribute("d", y.map((label, i) => {
      const x = functionPicture.toX(state.angles[i]).toFixed(1);
      return `M${x} ${functionPicture.toY(label).toFixed(1)}L${x} ${functionPicture.toY(now[i]).toFixed(1)}`;
    }).join(""));
    showLabels();
    functionPicture.say("Predictions of the network and of the chosen levels over the circle, and labels that can be moved");
    circle.show(state.angles, state.labels, moveAngle);

    // one prediction in time
    const i = state.input;
    const low = Math.min(y[i], run.start.f[i], lowest[i]);
    const high = Math.max(y[i], run.start.f[i], highest[i]);
    const room = 0.6 * (high - low) + 0.2;
    timePicture.axes([0, state.horizon], [low - room, high + room]);
    const across = [timePicture.box.left, timePicture.box.right];
    const labelAt = timePicture.toY(y[i]).toFixed(1);
    level.setAttribute("d", `M${across[0]} ${labelAt}L${across[1]} ${labelAt}`);
    timePicture.caption.textContent = `Is the label of x${subscript(i)} reached?`;
    timePicture.line("net", ...history_(run.frames, ({ f }) => f[i], time, at));
    for (const { name } of LEVELS) {
      timePicture.line(`p${name}`, ...(levelOn(name)
        ? history_(run.levels[name].frames, ({ f }) => f[i], time, at) : [[], []]));
    }
    const [middle, under, above] = EDGES.map((edge) => (banded
      ? history_(run.all, (frame) => edge(frame)[i], time, at) : [[], []]));
    timePicture.line("all", ...middle);
    timePicture.band(under[0], under[1], above[1]);
    timePicture.say(`The prediction on input ${i + 1} against time; the dotted line is its label`);

    // the errors
    errorPicture.axes([0, state.horizon], [1e-5, 10]);
    blown.replaceChildren();
    for (const { name, words } of LEVELS) {
      const on = levelOn(name);
      const errors = on ? run.levels[name].frames.map(({ f }, k) => (run.frames[k]
        ? Math.hypot(...y.map((_, g) => f[g] - run.frames[k].f[g])) : NaN)) : [];
      errorPicture.line(`p${name}`, ...(on ? history_(errors, (error) => error, time, at) : [[], []]));
      if (on && on.stopped <= time) {
        const x = errorPicture.toX(on.stopped);
        blown.append(
          nthLabPictures.svg("path", { class: `nth-lab-blown nth-lab-p${name}`, d: `M${x} ${errorPicture.box.top}V${errorPicture.box.bottom}` }),
          nthLabPictures.svg("text", {
            x: x > 250 ? x - 4 : x + 4, y: errorPicture.box.bottom - 8 - 14 * blown.children.length / 2,
            class: x > 250 ? "nth-lab-end" : "",
          }, `${words} blows up`));
      }
    }
    errorPicture.say(`Distance of each level from the network against time, on a logarithmic axis. ${errorWords(at)}`);

    // the kernel, the units, the reach
    const kernel = between(run.frames, (frame) => frame.kernel, at);
    if (kernel) {
      const spectrum = between(run.frames, (frame) => frame.spectrum, at);
      const rows = [
        { name: "t = 0", look: "pale", values: run.frames[0].spectrum },
        { name: "network", look: "net", values: spectrum },
        ...LEVELS.filter(({ name }) => levelOn(name) && name !== "2").map(({ name, words }) => ({
          name: words, look: `p${name}`,
          values: between(run.levels[name].frames, (frame) => frame.spectrum, at) ?? [NaN],
        })),
      ];
      kernels.show(n, Array.from(kernel), Array.from(run.frames[0].kernel), rows);
      kernels.say(`The tangent kernel on the inputs and its change, as heat maps. It has moved by ${drift(at)}. `
        + rows.map(({ name, values }) => `Smallest eigenvalue, ${name}: ${number(Math.min(...values), 3)}`).join("; "));
      units.show(run.start.units, between(run.frames, (frame) => frame.units, at), state.angles);
    }
    dial.show(run.reach === null ? null : interpolated(run.reach, at));
  }

  const interpolated = (values, [index, share]) =>
    (share === 0 || values[index] === Infinity ? values[index]
      : (1 - share) * values[index] + share * values[index + 1]);

  function drift(at) {
    const first = run.frames[0].kernel;
    const now = between(run.frames, (frame) => frame.kernel, at);
    const size = Math.hypot(...first);
    const share = (100 * Math.hypot(...now.map((value, k) => value - first[k]))) / size;
    return `${number(share, share < 1 ? 2 : 0)} per cent`;
  }

  function errorOf(name, at) {
    const one = between(run.levels[name]?.frames ?? [], ({ f }) => f, at);
    const network_ = between(run.frames, ({ f }) => f, at);
    if (!one || !network_) return null;
    return Math.hypot(...state.angles.map((_, g) => one[g] - network_[g]));
  }

  function errorWords(at) {
    return LEVELS.filter(({ name }) => levelOn(name)).map(({ name, words }) => {
      const { stopped } = run.levels[name];
      if (stopped <= time) return `${words} blew up at t = ${number(stopped, 1)}`;
      const error = errorOf(name, at);
      return error === null ? `${words} is not computed yet` : `${words} is off by ${error < 1e-3 ? "less than 0.001" : number(error, error < 1 ? 3 : 1)}`;
    }).join("; ");
  }

  function bandWords(at, now) {
    if (!run.all) return "All draws of this width are being computed.";
    const which = state.depth === 1 ? "of this width, to order 1/m," : "at infinite width";
    if (at[0] >= run.all.length - (at[1] > 0 ? 1 : 0)) {
      const end = number(run.times[Math.max(run.all.length - 1, 0)], 1);
      return `All draws are known to t = ${end}: from there on the correction of order 1/m is not small at this width, and the band ends.`;
    }
    const [mean, low, high] = EDGES.map((edge) => between(run.all, edge, at));
    const i = state.input;
    const edges = [number(low[i]), number(high[i])];
    const where = edges.includes(number(now[i])) ? "inside" // what is read must agree
      : now[i] < low[i] ? "below" : now[i] > high[i] ? "above" : "inside";
    const band = edges[0] === edges[1] ? `a band that has closed at ${edges[0]}` : `the band from ${edges.join(" to ")}`;
    return `On input ${i + 1} all draws ${which} have the mean ${number(mean[i])} and ${band}; `
      + `this network is at ${number(now[i])}, ${where} it.`;
  }

  const summary = html("p", { class: "nth-reading", role: "status" });

  function settingOf({ depth, activation, width, labels, size }) {
    const layers = depth === 1 ? "one hidden layer" : "two hidden layers";
    const asked = labels.map((label) => number(label * size)).join(", ");
    return `${activation === "erf" ? "An" : "A"} ${activation} network with ${layers} of ${width} units, labels ${asked}`;
  }

  /** In words, and only when something has come to rest: a reader by ear hears this. */
  function announce() {
    if (!run?.frames.length || playing) return;
    const at = whereIs(time);
    const setting = `${settingOf(state)}, t = ${number(time, 1)} of ${state.horizon}.`;
    const now = between(run.frames, ({ f }) => f, at);
    const left = Math.hypot(...state.labels.map((label, i) => label * state.size - now[i]));
    const all = Math.hypot(...state.labels.map((label, i) => label * state.size - run.frames[0].f[i]));
    const share = all > 0 ? ` ${Math.round((100 * left) / all)} per cent of the distance to the labels is left;` : "";
    const reach = run.reach ? interpolated(run.reach, at) : null;
    const series = reach === null || reach === Infinity ? ""
      : ` The reach is ${number(reach, 2)}: the series in p ${reach < 1 ? "diverges, and from some p on a higher level is worse" : "converges"}.`;
    const errors = errorWords(at);
    const draws = state.band === "on" ? ` ${bandWords(at, now)}` : "";
    summary.textContent = `${setting}${share} the kernel has moved by ${drift(at)}.`
      + `${errors ? ` Beside the network, ${errors}.` : ""}${series}${draws}`;
  }

  // -------------------------------------------------------------------------------- the page

  function showControls() {
    for (const { show } of Object.values(controls)) show?.();
    const n = state.angles.length;
    if (sample.options.length !== n) {
      sample.replaceChildren(...state.angles.map((_, index) =>
        html("option", { value: index }, `input ${index + 1}`)));
    }
    sample.value = state.input;
    settingWords.textContent = `Settings: ${state.activation}, ${state.depth === 1 ? "one hidden layer" : "two hidden layers"} of `
      + `${state.width} units, ${n} ${n === 1 ? "input" : "inputs"}, labels of size ${state.size}`;
    progress.value = run ? run.frames.length / (FRAMES + 1) : 0;
    showScene();
  }

  let asked = false;
  function redraw() {
    if (asked) return;
    asked = true; // at most once a frame, however many numbers come in
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  }

  const chosenInput = control("input", "Input shown in time", sample);
  timePicture.figure.append(chosenInput);
  const group = (name, label, ...children) => html("div", { class: name, role: "group", "aria-label": label }, ...children);
  root.replaceChildren(
    group("nth-lab-scenes", "Scenes", ...sceneButtons),
    sceneBox,
    settings,
    transport,
    shown,
    html("div", { class: "nth-lab-pictures" },
      functionPicture.figure, timePicture.figure, errorPicture.figure, kernels.figure,
      dial.figure, units.figure, circle.figure, summary));

  root.dispatchEvent(new CustomEvent("nth-terms", { bubbles: true }));

  const heading = () => location.hash.startsWith("#scene-");
  const fromHash = readAddress(location.hash.slice(1));
  if (!fromHash && !readAddress(location.search)) scene = nthLaboratoryScenes[0];
  const led = heading();
  if (scene?.invites) settings.open = true;
  writeAddress();
  showControls();
  compute();
  if (led) requestAnimationFrame(() => root.scrollIntoView());
  window.addEventListener("hashchange", () => {
    if (location.hash === written || !/^#(scene-|.*=)/.test(location.hash)) return;
    if (heading()) root.scrollIntoView();
    scene = null;
    time = 0;
    readAddress(location.hash.slice(1));
    answerBox.open = false;
    sceneNote.hidden = true;
    writeAddress();
    showControls();
    computeSoon();
  });
})();
