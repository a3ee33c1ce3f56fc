// Answers the questions of test_laboratory_numbers.py: cases in JSON on standard input, each with
// the name of what is wanted; answers on standard output. The first argument is the mathematics.
"use strict";

const { readFileSync } = require("node:fs");

const text = readFileSync(process.argv[2], "utf8");
const lab = new Function(`${text}; return nthLaboratoryMathematics();`)();

const floats = (values) => Float64Array.from(values.flat(Infinity));
const plain = (values) => (values && values.length !== undefined ? Array.from(values, plain) : values);

function given({ net, weights, readout, X, X_test = [], y = [] }) {
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
    return { radius: lab.radius(net, theta, X, e), strip: lab.stripWidth(net, theta, X, e) };
  },
  terms(asked) {
    const { net, theta, X } = given(asked);
    return { terms: plain(lab.kernelTerms(net, theta, X, floats(asked.direction), asked.orders)) };
  },
  eigenvalues: ({ matrix }) => ({ eigenvalues: plain(lab.eigenvalues(floats(matrix), matrix.length)) }),
  activation: ({ name, points }) => ({ values: plain(lab.activated(name, floats(points), 3)) }),
  draw({ net }) {
    return { theta: plain(lab.draw(net)) };
  },
};

const asked = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(asked.map((one) => answers[one.kind](one))));
