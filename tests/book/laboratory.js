// Answers the questions of test_laboratory_numbers.py: cases in JSON on standard input, each with
// the name of what is wanted; answers on standard output. The argument is the scripts' folder.
"use strict";

const { readFileSync } = require("node:fs");

const [core, draws] = ["mathematics", "draws"].map((name) => readFileSync(`${process.argv[2]}/${name}.js`, "utf8"));
const known = new Function(`${core}; return nthLaboratoryMathematics();`)();
const lab = { ...known, ...new Function(`${draws}; return nthLaboratoryDraws;`)()(known) };

const floats = (values) => Float64Array.from(values.flat(Infinity));
const plain = (values) => (values && values.length !== undefined ? Array.from(values, plain) : values);

function given({ net, weights = [], readout = [], X, X_test = [], y = [] }) {
  const theta = floats([weights, readout]);
  return { net, theta, X: floats(X), test: floats(X_test), y: floats(y) };
}

const answers = {
  kernels(asked) {
    const { net, theta, X, test } = given(asked);
    const K = lab.kernels(net, theta, X, test);
    return { 1: plain(K[1]), 2: plain(K[2]), 3: plain(K[3]), 4: plain(K[4]) };
  },
  flow(asked) {
    const { net, theta, X, test, y } = given(asked);
    const everywhere = Float64Array.from([...X, ...test]);
    const run = lab.run(lab.flow(net, theta, X, y, asked.times, 1e-9), (now) => ({
      f: lab.predictions(net, now, everywhere),
      K: lab.tangentKernel(lab.states(net, now, everywhere), lab.states(net, now, X)),
    }));
    return { predictions: run.seen.map(({ f }) => plain(f)), kernel: run.seen.map(({ K }) => plain(K)) };
  },
  level(asked) {
    const { net, theta, X, test, y } = given(asked);
    const K = lab.kernels(net, theta, X, test);
    const settings = { halfWidth: asked.half_width ?? null, tolerance: 1e-10 };
    const run = lab.run(lab.truncated(K, y, asked.times, asked.level, settings), (z) => ({
      f: z.slice(0, K.N),
      K: lab.levelKernel(K, asked.level, z, settings.halfWidth),
    }));
    return {
      predictions: run.seen.map(({ f }) => plain(f)),
      kernel: run.seen.map(({ K: kernel }) => plain(kernel)),
      stopped: Number.isFinite(run.stopped) ? run.stopped : null,
    };
  },
  radius(asked) {
    const { net, theta, X } = given(asked);
    const e = floats(asked.direction);
    return { radius: lab.radius(net, theta, X, e) };
  },
  strip(asked) {
    const { net, theta, X } = given(asked);
    return { half_width: lab.stripWidth(lab.kernels(net, theta, X), floats(asked.direction)) };
  },
  terms(asked) {
    const { net, theta, X } = given(asked);
    return { terms: plain(lab.kernelTerms(net, theta, X, floats(asked.direction), asked.orders)) };
  },
  limit(asked) {
    const { net, X, test, y } = given(asked);
    const frames = lab.limit(net, net.sigmaA, X, y, test, asked.times);
    return { mean: plain(frames.map(({ mean }) => mean)), deviation: plain(frames.map(({ deviation }) => deviation)) };
  },
  corrections(asked) {
    const { net, X, test, y } = given(asked);
    const found = lab.corrections(net.activation, net.sigmaA ** 2, Float64Array.from([...X, ...test]), y, asked.times, 1e-8);
    return { mean: plain(found.map(({ mean }) => mean)), variance: plain(found.map(({ variance }) => variance)) };
  },
  /** Draws, trained: their predictions at the last of the times. */
  trained(asked) {
    const { net, X, test, y } = given(asked);
    const everywhere = Float64Array.from([...X, ...test]);
    return {
      predictions: Array.from({ length: asked.draws }, (_, k) => {
        const theta = lab.draw({ ...net, seed: k + 1 });
        const { seen } = lab.run(lab.flow(net, theta, X, y, asked.times), (now) => lab.predictions(net, now, everywhere));
        return plain(seen[seen.length - 1]);
      }),
    };
  },
  eigenvalues: ({ matrix }) => ({ eigenvalues: plain(lab.eigenvalues(floats(matrix), matrix.length)) }),
  activation: ({ name, points }) => ({ values: plain(lab.activated(name, floats(points), 3)) }),
  /** A scene, played: the distance of each level from the network, the drift, the reach. */
  scene({ id, scenes, times, width }) {
    const { setting } = require(scenes).find((one) => one.id === id);
    const net = { width: width ?? setting.width, depth: setting.depth, dim: 2, activation: setting.activation };
    const angles = setting.angles.map((degrees) => (degrees * Math.PI) / 180);
    const X = Float64Array.from(angles.flatMap((angle) => [Math.cos(angle), Math.sin(angle)]));
    const y = Float64Array.from(setting.labels, (label) => label * setting.size);
    const theta = lab.draw({ ...net, sigmaA: setting.sigmaA, seed: setting.seed });
    const network = lab.run(lab.flow(net, theta, X, y, times, 1e-8), (now) => ({
      f: lab.predictions(net, now, X),
      K: lab.tangentKernel(lab.states(net, now, X), lab.states(net, now, X)),
    })).seen;
    let action = y.map(() => 0);
    const actions = network.map(({ f }, k) => {
      if (k > 0) {
        action = action.map((sum, g) =>
          sum + ((times[k] - times[k - 1]) * (f[g] + network[k - 1].f[g] - 2 * y[g])) / 2);
      }
      return Math.max(...action.map(Math.abs));
    });
    const end = Math.max(...action.map(Math.abs));
    const radius = lab.radius(net, theta, X, Array.from(action, (sum) => sum / end));
    const K = lab.kernels(net, theta, X);
    const first = Array.from(y, (label, g) => label - K[1][g]);
    const most = Math.max(...first.map(Math.abs));
    const halfWidth = lab.stripWidth(K, first.map((value) => value / most));
    const levels = {};
    for (const [name, level, strip] of [["2", 2], ["3", 3], ["4", 4], ["strip", 4, halfWidth]]) {
      const played = lab.run(lab.truncated(K, y, times, level, { halfWidth: strip ?? null }), (z) => ({
        f: z.slice(0, y.length),
        least: lab.eigenvalues(lab.levelKernel(K, level, z, strip ?? null), y.length)[0],
      }));
      levels[name] = {
        errors: played.seen.map(({ f }, k) => Math.hypot(...f.map((value, g) => value - network[k].f[g]))),
        residuals: played.seen.map(({ f }) => Math.hypot(...f.map((value, g) => value - y[g]))),
        least: played.seen.map(({ least }) => least),
        stopped: Number.isFinite(played.stopped) ? played.stopped : null,
      };
    }
    const size = Math.hypot(...network[0].K);
    return {
      levels,
      residuals: network.map(({ f }) => Math.hypot(...f.map((value, g) => value - y[g]))),
      drift: network.map(({ K: now }) => Math.hypot(...now.map((value, k) => value - network[0].K[k])) / size),
      reach: actions.map((spent) => (spent > 0 ? radius / spent : 1e9)),
    };
  },
  draw({ net }) {
    return { theta: plain(lab.draw(net)) };
  },
};

const asked = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(asked.map((one) => answers[one.kind](one))));
