// The laboratory's pictures, drawn as SVG: style sheets colour them, in light and in dark.
"use strict";

const nthLabPictures = (() => {
  const SPACE = "http://www.w3.org/2000/svg";
  const [WIDTH, HEIGHT] = [380, 220];
  let made = 0;

  function svg(tag, attributes = {}, ...children) {
    const one = document.createElementNS(SPACE, tag);
    for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, value);
    one.append(...children);
    return one;
  }

  function html(tag, attributes = {}, ...children) {
    const one = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, value);
    one.append(...children);
    return one;
  }

  /** A question, and beneath it a picture; `role` is "group" where something in it can be moved. */
  function frame(question, role = "img", height = HEIGHT) {
    const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role });
    const caption = html("figcaption", {}, question);
    const figure = html("figure", { class: "nth-lab-picture" }, caption, drawing);
    const say = (words) => {
      if (drawing.getAttribute("aria-label") !== words) drawing.setAttribute("aria-label", words);
    };
    say(`${question} Nothing is computed yet.`);
    return { figure, drawing, caption, say };
  }

  const superscript = (power) =>
    [...String(power)].map((sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign])).join("");
  const number = (value, digits = 2) => {
    const text = value.toFixed(digits);
    return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
  };

  function steps(low, high, most) {
    const raw = (high - low) / most;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].find((each) => each * power >= raw) * power;
    const found = [];
    for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + 1e-9 * step; at += step) {
      found.push(Math.abs(at) < 1e-9 * step ? 0 : at);
    }
    return { found, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
  }

  /** Axes and curves. */
  function chart({ question, across, up, log = false, role, names, ticks }) {
    const made_ = frame(question, role);
    const { drawing } = made_;
    const box = { left: 48, right: WIDTH - 10, top: 8, bottom: HEIGHT - 38 };
    const clip = `nth-lab-clip-${made++}`;
    const inside = { x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top };
    const grid = svg("g", { class: "nth-lab-grid" });
    const marks = svg("g", { class: "nth-lab-ticks" });
    const lines = svg("g", { "clip-path": `url(#${clip})` });
    const over = svg("g");
    drawing.append(
      svg("defs", {}, svg("clipPath", { id: clip }, svg("rect", inside))), grid,
      svg("rect", { ...inside, class: "nth-lab-box" }), marks, lines, over,
      svg("text", { x: (box.left + box.right) / 2, y: HEIGHT - 4, class: "nth-lab-axis" }, across),
      svg("text", {
        class: "nth-lab-axis",
        transform: `translate(9 ${(box.top + box.bottom) / 2}) rotate(-90)`,
      }, up));
    const scale = { x: [0, 1], y: [0, 1] };
    const part = (value, [low, high]) => (value - low) / (high - low);
    const toX = (x) => box.left + part(x, scale.x) * (box.right - box.left);
    const height = (y) => (log ? Math.log10(Math.max(y, 1e-300)) : y);
    const toY = (y) => {
      const [low, high] = scale.y.map(height);
      const at = box.bottom - part(height(y), [low, high]) * (box.bottom - box.top);
      return Math.min(Math.max(at, -1000), 2000);
    };
    const curves = new Map();
    for (const name of names) {
      const path = svg("path", { class: `nth-lab-line nth-lab-${name}`, d: "" });
      const exits = svg("path", { class: `nth-lab-exit nth-lab-${name}`, d: "" });
      curves.set(name, { path, exits });
      lines.prepend(path); // the first name lies on top
      over.append(exits);
    }
    const area = svg("path", { class: "nth-lab-band", d: "" });
    if (names.includes("all")) lines.prepend(area); // the band lies beneath all lines
    let shown = "";

    function axes(x, y) {
      const key = [...x, ...y].join();
      if (key === shown) return;
      shown = key;
      [scale.x, scale.y] = [x, y];
      grid.replaceChildren();
      marks.replaceChildren();
      const horizontal = ticks ? { found: ticks, digits: 0 } : steps(...x, 6);
      for (const at of horizontal.found) {
        grid.append(svg("line", { x1: toX(at), x2: toX(at), y1: box.top, y2: box.bottom }));
        marks.append(svg("text", { x: toX(at), y: box.bottom + 14, class: "nth-lab-middle" },
          number(at, horizontal.digits)));
      }
      const vertical = log
        ? { found: steps(...y.map(Math.log10), 6).found.filter(Number.isInteger).map((p) => 10 ** p) }
        : steps(...y, 5);
      for (const at of vertical.found) {
        grid.append(svg("line", { x1: box.left, x2: box.right, y1: toY(at), y2: toY(at) }));
        marks.append(svg("text", { x: box.left - 5, y: toY(at) + 4, class: "nth-lab-end" },
          log ? `10${superscript(Math.round(Math.log10(at)))}` : number(at, vertical.digits)));
      }
    }

    /** A small arrow where a curve leaves the frame; through the floor of a logarithm it may go. */
    function exit([x0, y0], [x1, y1]) {
      const edge = y1 < box.top ? box.top : box.bottom;
      if (y1 >= box.top && (log || y1 <= box.bottom)) return "";
      if (y0 < box.top || y0 > box.bottom) return "";
      const x = (x0 + ((edge - y0) / (y1 - y0)) * (x1 - x0)).toFixed(1);
      const out = edge === box.top ? -7 : 7;
      return `M${x} ${edge}m-4 ${-out}h8l-4 ${out}Z`;
    }

    function line(name, xs, ys) {
      let [path, exits, last] = ["", "", null];
      for (let i = 0; i < ys.length; i++) {
        if (!Number.isFinite(ys[i]) || (log && ys[i] <= 0)) {
          last = null;
          continue;
        }
        const here = [toX(xs[i]), toY(ys[i])];
        path += `${last ? "L" : "M"}${here[0].toFixed(1)} ${here[1].toFixed(1)}`;
        if (last) exits += exit(last, here);
        last = here;
      }
      curves.get(name).path.setAttribute("d", path);
      curves.get(name).exits.setAttribute("d", exits);
    }

    /** What lies between two curves. */
    function band(xs, low, high) {
      const [there, back] = [low, high].map((ys) =>
        Array.from(ys, (y, i) => `${toX(xs[i]).toFixed(1)} ${toY(y).toFixed(1)}`));
      area.setAttribute("d", there.length ? `M${[...there, ...back.reverse()].join("L")}Z` : "");
    }

    return {
      ...made_, box, scale, toX, toY, over, lines, axes, line, band,
      fromX: (at) => scale.x[0] + ((at - box.left) / (box.right - box.left)) * (scale.x[1] - scale.x[0]),
      fromY: (at) => scale.y[0] + ((box.bottom - at) / (box.bottom - box.top)) * (scale.y[1] - scale.y[0]),
    };
  }

  /** Where in a picture a pointer is, in its own units. */
  function place(drawing, event) {
    const point = new DOMPoint(event.clientX, event.clientY);
    return point.matrixTransform(drawing.getScreenCTM().inverse());
  }

  /** Something that is moved by pointer and by keys: `act(kind, ..)` says how. */
  function handle(drawing, shape, attributes, { drag, key }) {
    const grip = svg("g", { class: "nth-lab-handle", role: "slider", tabindex: 0, ...attributes }, ...shape);
    grip.addEventListener("pointerdown", (event) => {
      grip.setPointerCapture(event.pointerId);
      grip.focus();
      event.preventDefault();
    });
    grip.addEventListener("pointermove", (event) => {
      if (grip.hasPointerCapture(event.pointerId)) drag(place(drawing, event));
    });
    grip.addEventListener("keydown", (event) => {
      const moves = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 5, PageDown: -5 };
      if (!(event.key in moves)) return;
      event.preventDefault();
      key(moves[event.key]);
    });
    return grip;
  }

  // ------------------------------------------------------------------- the kernel and its spectrum

  function kernelPicture() {
    const made_ = frame("Does the kernel move?", "img", 258);
    const cells = svg("g");
    const spectra = svg("g");
    made_.drawing.append(cells, spectra);

    function map(left, title, n, values, largest) {
      const side = 150 / n;
      cells.append(svg("text", { x: left + 75, y: 12, class: "nth-lab-middle nth-lab-title" }, title));
      values.forEach((value, at) => {
        const [row, column] = [Math.floor(at / n), at % n];
        const strength = Math.min(1, Math.abs(value) / largest);
        cells.append(svg("rect", {
          x: left + column * side, y: 18 + row * side, width: side - 1, height: side - 1,
          class: value < 0 ? "nth-lab-negative" : "nth-lab-positive",
          "fill-opacity": (0.03 + 0.5 * strength).toFixed(3),
        }));
        if (n <= 4) {
          cells.append(svg("text", {
            x: left + (column + 0.5) * side, y: 18 + (row + 0.5) * side + 4,
            class: `nth-lab-middle${n > 3 ? " nth-lab-small" : ""}`,
          }, number(value)));
        }
      });
    }

    /** `rows`: of the spectrum, each { name, look, values }. */
    function show(n, kernel, first, rows) {
      cells.replaceChildren();
      const largest = Math.max(...first.map(Math.abs));
      map(20, "K⁽²⁾ now", n, kernel, largest);
      map(210, "change since t = 0", n, kernel.map((value, at) => value - first[at]), largest);
      spectra.replaceChildren();
      const all = rows.flatMap(({ values }) => [...values]).filter((value) => Math.abs(value) < 1e3);
      const top = Math.max(...rows[0].values, 0);
      const [low, high] = [Math.max(Math.min(0, ...all), -0.6 * top), 1.15 * top || 1];
      const toX = (value) => 112 + (190 * (Math.min(Math.max(value, low), high) - low)) / (high - low);
      spectra.append(
        svg("text", { x: 20, y: 188, class: "nth-lab-title" }, "Eigenvalues"),
        svg("text", { x: 372, y: 188, class: "nth-lab-end" }, "smallest"),
        svg("line", { x1: toX(0), x2: toX(0), y1: 192, y2: 256, class: "nth-lab-zero" }),
        svg("text", { x: toX(0), y: 188, class: "nth-lab-middle" }, "0"));
      const gap = 60 / rows.length;
      rows.forEach(({ name, look, values }, at) => {
        const y = 196 + gap * at + gap / 2;
        spectra.append(svg("text", { x: 20, y: y + 4 }, name));
        for (const value of values.filter(Number.isFinite)) {
          spectra.append(svg("line", {
            x1: toX(value), x2: toX(value), y1: y - 5, y2: y + 5, class: `nth-lab-bar nth-lab-${look}`,
          }));
        }
        const least = Math.min(...values);
        spectra.append(svg("text", {
          x: 372, y: y + 4, class: `nth-lab-end${least < 0 ? " nth-lab-warning" : ""}`,
        }, Number.isFinite(least) ? (Math.abs(least) < 1000 ? number(least, 3) : "−∞") : "blown up"));
      });
    }
    return { ...made_, show };
  }

  // ------------------------------------------------------------------------------- the units

  function unitsPicture() {
    const made_ = frame("Which units move?", "img", 258);
    const [tails, dots, most, rays, words] = [
      svg("path", { class: "nth-lab-tails", d: "" }), svg("path", { class: "nth-lab-dots", d: "" }),
      svg("path", { class: "nth-lab-dots nth-lab-most", d: "" }), svg("g", { class: "nth-lab-rays" }),
      svg("text", { x: 10, y: 250 }),
    ];
    const ruler = svg("path", { class: "nth-lab-notch", d: "" }); // so that a tail has a length
    const ruled = svg("text", { y: 236, class: "nth-lab-middle" }, "1");
    let scale = 34;
    const at = (x, y) => `${(190 + scale * x).toFixed(1)} ${(120 - scale * y).toFixed(1)}`;
    made_.drawing.append(rays, tails, dots, most, ruler, ruled, words);

    function show(first, now, angles) {
      const m = first.length / 2;
      const farthest = Array.from({ length: m }, (_, i) => Math.hypot(first[2 * i], first[2 * i + 1]));
      scale = 110 / (1.25 * Math.max(...farthest));
      ruler.setAttribute("d", `M${370 - scale} 238v8M370 238v8M${370 - scale} 242h${scale}`);
      ruled.setAttribute("x", 370 - scale / 2);
      const moved = Array.from({ length: m }, (_, i) =>
        Math.hypot(now[2 * i] - first[2 * i], now[2 * i + 1] - first[2 * i + 1]));
      const ranked = [...moved].sort((a, b) => b - a);
      const bar = ranked[Math.max(0, Math.ceil(m / 10) - 1)];
      let [path, few, many] = ["", "", ""];
      for (let i = 0; i < m; i++) {
        const end = at(now[2 * i], now[2 * i + 1]);
        path += `M${at(first[2 * i], first[2 * i + 1])}L${end}`;
        if (moved[i] >= bar && moved[i] > 0) few += `M${end}h0`;
        else many += `M${end}h0`;
      }
      tails.setAttribute("d", path);
      most.setAttribute("d", few);
      dots.setAttribute("d", many);
      dots.parentNode.dataset.crowded = m > 128;
      rays.replaceChildren(...angles.map((degrees, index) => {
        const angle = (degrees * Math.PI) / 180;
        const [x, y] = [105 * Math.cos(angle), 105 * Math.sin(angle)].map((length) => length / scale);
        const [fx, fy] = at(x * 1.06, y * 1.06).split(" ");
        return svg("g", {}, svg("path", { d: `M${at(0, 0)}L${at(x, y)}` }),
          svg("text", { x: fx, y: Number(fy) + 4, class: "nth-lab-middle" }, `x${subscript(index)}`));
      }));
      const text = `moved by: largest ${number(ranked[0], 3)}, median ${number(ranked[Math.floor(m / 2)], 3)}`;
      words.textContent = text;
      made_.say(`The weights of the first layer in the plane, with a tail from where they started; ${text}`);
      return ranked[0];
    }
    return { ...made_, show };
  }

  const subscript = (index) => [...String(index + 1)].map((digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]).join("");

  // -------------------------------------------------------------------------------- the dial

  function dialPicture() {
    const made_ = frame("Does the series in p converge?", "img", 200);
    const [cx, cy, r] = [190, 158, 120];
    // ten powers of two on half a circle: from 1/8 to 8, one at the top
    const turn = (reach) => Math.PI * (1 - (Math.min(Math.max(Math.log2(reach), -3), 3) + 3) / 6);
    const point = (reach, radius) =>
      `${(cx + radius * Math.cos(turn(reach))).toFixed(1)} ${(cy - radius * Math.sin(turn(reach))).toFixed(1)}`;
    const arc = (from, to) => `M${point(from, r)}A${r} ${r} 0 0 1 ${point(to, r)}`;
    const needle = svg("path", { class: "nth-lab-needle", d: "" });
    const words = svg("text", { x: cx, y: 192, class: "nth-lab-middle nth-lab-title" });
    made_.drawing.append(
      svg("path", { d: arc(1 / 8, 1), class: "nth-lab-arc nth-lab-left" }),
      svg("path", { d: arc(1, 8), class: "nth-lab-arc nth-lab-right" }),
      svg("text", { x: 74, y: 20, class: "nth-lab-middle" }, "diverges"),
      svg("text", { x: 306, y: 20, class: "nth-lab-middle" }, "converges"));
    for (const reach of [1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8]) {
      const [x, y] = point(reach, r - 26).split(" ");
      made_.drawing.append(
        svg("path", { d: `M${point(reach, r - 8)}L${point(reach, r + 8)}`, class: "nth-lab-notch" }),
        svg("text", { x, y: Number(y) + 4, class: "nth-lab-middle" },
          reach < 1 ? `1/${1 / reach}` : String(reach)));
    }
    made_.drawing.append(needle, svg("circle", { cx, cy, r: 6, class: "nth-lab-hub" }), words);

    function show(reach) {
      const known = reach !== null;
      needle.setAttribute("d", known ? `M${cx} ${cy}L${point(reach, r - 38)}` : "");
      words.textContent = !known ? "reach: known when training is done"
        : reach === Infinity ? "reach R = ∞: nothing spent yet" : `reach R = ${number(reach, reach < 10 ? 2 : 0)}`;
      made_.say(`A dial. ${words.textContent}${known && reach < 1 ? ": the series in p diverges" : ""}`);
    }
    return { ...made_, show };
  }

  // ------------------------------------------------------------------------------ the circle

  function circlePicture() {
    const made_ = frame("Where are the inputs? Drag them", "group", 220);
    const [cx, cy, r] = [190, 112, 84];
    const grips = svg("g");
    made_.drawing.append(
      svg("circle", { cx, cy, r, class: "nth-lab-circle" }),
      svg("path", { d: `M${cx - 5} ${cy}h10M${cx} ${cy - 5}v10`, class: "nth-lab-notch" }), grips);
    made_.say("The inputs on the unit circle");
    const at = (degrees, radius = r) => {
      const angle = (degrees * Math.PI) / 180;
      return [cx + radius * Math.cos(angle), cy - radius * Math.sin(angle)];
    };

    function show(angles, labels, move) {
      if (grips.children.length !== angles.length) {
        grips.replaceChildren(...angles.map((_, index) => handle(made_.drawing, [
          svg("circle", { r: 18, class: "nth-lab-touch" }), svg("circle", { r: 7, class: "nth-lab-grip" }),
          svg("text", { class: "nth-lab-middle" }, `x${subscript(index)}`),
        ], {
          "aria-label": `Angle of input ${index + 1}`, "aria-valuemin": 0, "aria-valuemax": 360,
        }, {
          drag: ({ x, y }) => move(index, (Math.atan2(cy - y, x - cx) * 180) / Math.PI),
          key: (by) => move(index, Number(grips.children[index].getAttribute("aria-valuenow")) + 2 * by),
        })));
      }
      angles.forEach((degrees, index) => {
        const grip = grips.children[index];
        const [x, y] = at(degrees);
        grip.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)})`);
        const [tx, ty] = at(degrees, 20).map((value, axis) => value - [cx, cy][axis]);
        grip.lastChild.setAttribute("x", tx.toFixed(1));
        grip.lastChild.setAttribute("y", (ty + 4).toFixed(1));
        grip.setAttribute("aria-valuenow", degrees);
        grip.setAttribute("aria-valuetext", `${degrees} degrees`);
        grip.classList.toggle("nth-lab-down", labels[index] < 0);
      });
    }
    return { ...made_, show };
  }

  return {
    svg, html, chart, handle, kernelPicture, unitsPicture, dialPicture, circlePicture, number, subscript,
  };
})();
